"""The rssp with a real SAM in front of real octets: adapter, operator, message centre, SIMs."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from remote_signing.clock import FixedClock, SystemClock
from remote_signing.rssp import enrolment
from remote_signing.rssp.sim import consent
from remote_signing.rssp.sim_client import SimAdapter
from remote_signing.rssp.sim_enrolment import NewSim, SimEnrolment
from tests.support.sim_chain import BEARER
from tests.support.world import World, configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.rssp.registration import RegistrationAuthority
    from remote_signing.rssp.sim.consent import SimQuestion
    from tests.support.sam import RunningSam

SIM_SAM = {"service_id": "ky-so.example", "embedded_authority": True}
PKCS1 = "http://mss.ficom.fi/TS102204/v1.0.0#PKCS1"  # bare values: the card reads the structure
CALLBACK_SECRET = "whsec_" + "c2ltLWNhbGxiYWNrLXNlY3JldC0wMDAwMDAwMDAw"
_PATIENCE = 60.0
_suffixes: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)  # of each choice


def number(choice: str = "000") -> str:
    """A phone of the test numbers that nobody has used yet in this process."""
    return f"849000{choice}{next(_suffixes[choice]) % 100:02d}"


@dataclass
class SimWorld:
    """A world whose official has a SIM at ``msisdn``."""

    world: World
    folder: Path
    msisdn: str = ""
    factor_id: str = ""

    @property
    def services(self) -> Any:
        return self.world.services

    def enrol(self, msisdn: str, **changes: Any) -> None:
        """Give the official's credential the SIM at this number."""
        desk = SimEnrolment(self.services, self.world.authority)
        enrolled = desk.enrol(self.world.credential_id, NewSim(msisdn, **changes))
        self.msisdn, self.factor_id = msisdn, enrolled.factor_id

    def start(self, activation_id: str, **changes: Any) -> SimQuestion:
        given = {"factor_id": self.factor_id, "lang": "vi"} | changes
        return consent.start(self.services, self.world.subscriber_id, activation_id, **given)

    def ended(self, transaction_id: str) -> SimQuestion:
        """The question at its end, by looking again and again."""
        deadline = time.monotonic() + _PATIENCE
        while (found := consent.look(self.services, transaction_id)).state == "WAITING":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return found


@contextmanager
def sim_world(
    world: World,
    sam: RunningSam,
    authority: RegistrationAuthority,
    folder: Path,
    adapter: str,
    **changes: Any,
) -> Iterator[SimWorld]:
    """``world`` goes on with a real SAM, the machine's time and the adapter at ``adapter``."""
    (folder / "bearer").write_text(BEARER, encoding="utf-8")
    (folder / "callback").write_text(CALLBACK_SECRET, encoding="utf-8")
    sim = {
        "url": adapter,
        "secret_file": "bearer",
        "relying_party": "Bộ Nội vụ",
        "callback_secret_files": ["callback"],
        "patience": 60,
    }
    url = world.services.config.database.url
    config = configuration(url, folder, sim=sim | changes)
    assert config.sim is not None
    client = sam.client()
    adapter_client = SimAdapter(config.sim)
    world.services = replace(
        world.services, config=config, sam=client, clock=SystemClock(), sim=adapter_client
    )
    world.clock = cast("FixedClock", world.services.clock)
    world.authority = authority
    world.session = world.new_session()
    new = enrolment.NewCredential(subscriber_id=world.subscriber_id)
    issued = enrolment.Enrolment(world.services, authority).issue(new)
    world.credential_id = issued.credential_id
    world.pin = next(iter(issued.secrets.pins.values()))
    world.totp_secret = next(iter(issued.secrets.totp.values()))
    try:
        yield SimWorld(world, folder)
    finally:
        adapter_client.close()
        client.close()
