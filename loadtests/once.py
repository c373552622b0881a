"""One ceremony for each of some officials, in this process: for seeding and for tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadtests.place import Place
from loadtests.plain_engine import PlainHttp
from loadtests.portal import Key, Portal
from loadtests.recorder import Recorder
from loadtests.scenarios import SCENARIOS
from loadtests.turns import Arrivals, Pool
from loadtests.worker import Desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.hosts import Balancer
    from loadtests.people import Official
    from loadtests.site import Site

_SECONDS = 600.0


def place_of(site: Site, *, hashes: int = 3, consent_page: bool = True) -> Place:
    """The site as a generator sees it."""
    secrets = site.folder / "secrets"
    identity, binding = (Key.read(secrets / name) for name in ("portal.pem", "proof.pem"))
    return Place(
        issuer=site.issuer,
        consent=site.consent,
        portal=Portal(site.issuer, identity, binding),
        algorithm="p256",
        has_consent_page=consent_page,
        hashes=hashes,
    )


def take_turns(
    place: Place,
    officials: Sequence[Official],
    scenario: str,
    balancer: Balancer | None = None,
) -> Recorder:
    """What came of one ceremony for each; ``balancer`` where the site is several hosts."""
    chosen, begun = SCENARIOS[scenario], time.time()
    recorder = Recorder(begun, begun + _SECONDS)
    arrivals = Arrivals(None, begun, begun + _SECONDS)
    pool = Pool(officials, chosen.needs.codes)
    desk = Desk(chosen, place, pool, arrivals, recorder, balancer=balancer)
    http = PlainHttp()
    for _ in officials:
        desk.turn(http)
    http.close()
    return recorder
