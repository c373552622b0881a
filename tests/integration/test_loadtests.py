"""Each load scenario once against a whole service that the load tests start themselves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from loadtests import accounting, people, portal
from loadtests.options import Options
from loadtests.place import Needs, Place
from loadtests.plain_engine import PlainHttp
from loadtests.portal import Key, Portal
from loadtests.recorder import Recorder
from loadtests.scenarios import SCENARIOS
from loadtests.site import Site
from loadtests.turns import Arrivals, Pool
from loadtests.worker import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.people import Official
    from loadtests.place import Scenario

pytestmark = pytest.mark.integration

ALL = Needs(consent_page=True, sim=True, passkey=True)
SIGNATURES = {"sign_in": 0, "read_mostly": 0, "batch": 3, "seal": 3}
PEOPLE = 3  # a code is good once: each scenario with codes has somebody of its own


@dataclass(frozen=True)
class Stage:
    site: Site
    place: Place
    persons: list[Official]
    organisations: list[Official]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    options = Options("working_day", kept=tmp_path_factory.mktemp("site"), hashes=3, engine="plain")
    with Site(options, ALL) as site:
        people.found_agency(site)
        portal.register(site, dpop=True)
        persons = people.enrol(site, PEOPLE, "p256", ALL)
        people.sign_in_all(site, persons)
        people.give_phones(site, persons[:1], ALL)
        seals = people.enrol(site, 1, "p256", SCENARIOS["seal"].needs)
        secrets = site.folder / "secrets"
        place = Place(
            issuer=site.issuer,
            consent=site.consent,
            portal=Portal(
                site.issuer, Key.read(secrets / "portal.pem"), Key.read(secrets / "proof.pem")
            ),
            algorithm="p256",
            has_consent_page=True,
            hashes=3,
        )
        yield Stage(site, place, persons, seals)


def official_for(stage: Stage, scenario: Scenario) -> Official:
    if scenario.needs.people == "organisation":
        return stage.organisations[0]
    if not scenario.needs.codes:
        return stage.persons[0]
    # Codes of this step and of the next one count; then another person's turn.
    return min(stage.persons, key=lambda each: each.last_step)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "working_day"])
def test_scenario_ends_well(stage: Stage, name: str) -> None:
    scenario = SCENARIOS[name]
    recorder = Recorder(0, time.time() + 60)
    http = PlainHttp()
    pool = Pool([official_for(stage, scenario)], scenario.needs.codes)
    now = time.time()
    arrivals = Arrivals(1000.0, now, now + 0.0001)
    desk = Desk(scenario, stage.place, pool, arrivals, recorder)
    assert desk.turn(http)
    http.close()
    assert not recorder.errors
    assert recorder.ceremonies.count == 1
    assert recorder.signatures == SIGNATURES.get(name, 1)


def test_every_program_is_accounted_for(stage: Stage) -> None:
    found = accounting.usage(stage.site.roots)
    roles = {"sam", "sam_workers", "rssp", "consent_app", "sim_adapter", "operator", "phones"}
    assert set(found) == roles
    assert found["sam_workers"].processes == stage.site.worker_count
    assert all(used.cpu > 0 and used.pss > 0 and used.files > 0 for used in found.values())
