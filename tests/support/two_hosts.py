"""One official whose rssp asks two SAM hosts, and everything that a one-time code lets him do.

The hosts share their HSM's keys and nothing else: what one remembers the other does not know.
"""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from remote_signing.errors import EvidenceInvalid, FactorRevoked
from remote_signing.identifiers import new_id
from remote_signing.rssp import (
    account_codes,
    activation,
    factor_changes,
    factor_passkeys,
    passkey_enrolment,
    pin_choice,
)
from remote_signing.rssp.models import credential, totp_step
from remote_signing.rssp.pin_orders import PinOrders
from remote_signing.sap import b64
from tests.support.passkey_world import InProcessSam, PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.verbs import Sam

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    from remote_signing.rssp.deps import Services
    from remote_signing.sap_messages import NewPasskey
    from remote_signing.strict_json import JsonValue
    from tests.support.world import World

_JUDGES = {"activate", "activate_all", "change_pin", "choose_pin", "bind_passkey", "check_drop"}
_HOUR_MS = 3_600_000
_PINS = ("73519482", "84620593", "51837264", "96048275")


class MeetingSam(InProcessSam):
    """Waits, when it has judged evidence to be good, for the others to have done so, too."""

    meeting: threading.Barrier | None = None

    def _call(self, verb: str, arguments: Mapping[str, object]) -> dict[str, JsonValue]:
        answer = super()._call(verb, arguments)
        if verb in _JUDGES and self.meeting is not None:
            self.meeting.wait(60)
        return answer


@dataclass
class TwoHosts:
    """``hosts``: the services with the one SAM, and with the other."""

    place: PasskeyWorld
    saps: tuple[MeetingSam, MeetingSam]
    hosts: tuple[Services, Services]
    pins: Any = field(default_factory=lambda: itertools.cycle(_PINS))
    names: Any = field(default_factory=itertools.count)

    @property
    def world(self) -> World:
        return self.place.world

    def new_official(self) -> None:
        """Go on with another one, with a credential of his own."""
        self.world.new_signer(f"official-{next(self.names)}")
        self.world.new_credential()

    def record(self) -> Any:
        query = select(credential).where(credential.c.id == self.world.credential_id)
        return self.world.database.one(query)

    def passkeys(self) -> set[str]:
        rows = factor_passkeys.of_credential(self.world.database, self.world.credential_id)
        return {row.factor_id for row in rows}

    def codes(self) -> list[int]:
        """The steps of this official's codes that were used, as the database knows them."""
        known = [one["id"] for one in json.loads(self.record().factors)]
        query = select(totp_step.c.step).where(totp_step.c.factor_id.in_(known))
        return sorted(row.step for row in self.world.database.all(query))

    def knows(self, pin: str) -> bool:
        """Whether ``pin`` is that of the stored record, by the first host. Stores nothing."""
        self.world.next_step()
        row = self.record()
        evidence = factor_changes.typed(row, pin=pin, totp=self.world.otp())
        fresh = new_id(self.world.clock.now_ms())
        try:
            self.place.sap.change_pin(row.sealed, fresh, "260794835", evidence)
        except (EvidenceInvalid, FactorRevoked):
            return False
        return True


def two_hosts(world: World, folder: Path) -> TwoHosts:
    """``world`` goes on with two SAM hosts of one cluster."""
    for name in ("one", "other"):
        (folder / name).mkdir()
    place = passkey_world(world, folder / "one")
    first = place.sap.sam
    second = Sam(
        folder / "other", node=first.node, clock=first.clock, ra=first.ra, passkey=first.passkey
    )
    for host in (first, second):
        host.revoked.refresh()  # as by a worker's canary, before anybody revokes anything
    saps = (MeetingSam(first), MeetingSam(second))
    one, other = (replace(world.services, sam=sap) for sap in saps)
    world.services, place.sap = one, saps[0]
    return TwoHosts(place, saps, (one, other))


class Act(ABC):
    """Something that PIN and code are evidence for; made ready when it is constructed."""

    def __init__(self, two: TwoHosts) -> None:
        self.two, self.world = two, two.world

    @abstractmethod
    def by(self, services: Services, otp: str) -> None:
        """Do it, by way of one host."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether it has happened."""


class Signature(Act):
    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        self.ids = [self.world.opened()]

    def by(self, services: Services, otp: str) -> None:
        activation.approve(services, self.world.session, self.ids[0], self.world.pin, otp)

    def is_done(self) -> bool:
        states = {
            activation.details(self.world.services, each, self.world.subscriber_id).state.value
            for each in self.ids
        }
        assert len(states) == 1
        return states == {"AUTHORIZED"}


class Batch(Signature):
    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        options = {"channel": activation.Channel.DECOUPLED, "redirect_uri": None}
        self.ids = [self.world.opened(each, **options) for each in "ab"]
        for each in self.ids:
            self.world.match(each)

    def by(self, services: Services, otp: str) -> None:
        activation.approve_all(services, self.world.session, self.ids, self.world.pin, otp)


class Change(Act):
    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        self.new = next(two.pins)

    def by(self, services: Services, otp: str) -> None:
        typed = pin_choice.Typed(self.new, self.world.pin, otp)
        pin_choice.change(services, self.world.subscriber_id, self.world.credential_id, typed)

    def is_done(self) -> bool:
        return self.two.knows(self.new)


class Choice(Change):
    """The first PIN, by the registration authority's code. One is offered at a time."""

    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        code = account_codes.issue(self.world.services, self.world.subscriber_id, _HOUR_MS)
        self.code = account_codes.read_as(code)
        desk = PinOrders(self.world.services, self.world.authority)
        desk.let_choose(self.world.subscriber_id, self.code, _HOUR_MS)

    def by(self, services: Services, otp: str) -> None:
        typed = pin_choice.Typed(self.new, self.code, otp)
        pin_choice.choose(services, self.world.subscriber_id, self.world.credential_id, typed)


class Bind(Act):
    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        begun = passkey_enrolment.begin(
            self.world.services, self.world.subscriber_id, self.world.credential_id
        )
        made = Authenticator(rp_id=two.place.device.rp_id).make(
            begun.challenge, origin=two.place.origin
        )
        brought: NewPasskey = {
            "token": b64(begun.token),
            "client_data": made["client_data"],
            "attestation_object": made["attestation_object"],
            "transports": made["transports"],
        }
        self.new = passkey_enrolment.NamedPasskey(brought, "Khóa")
        self.factor_id: str | None = None

    def by(self, services: Services, otp: str) -> None:
        proof = passkey_enrolment.Proof(self.world.pin, otp)
        self.factor_id = passkey_enrolment.bind(
            services, self.world.subscriber_id, self.world.credential_id, self.new, proof
        )

    def is_done(self) -> bool:
        return self.factor_id in self.two.passkeys()


class Drop(Act):
    def __init__(self, two: TwoHosts) -> None:
        super().__init__(two)
        bound = Bind(two)
        bound.by(self.world.services, self.world.otp())
        self.world.next_step()
        assert bound.factor_id is not None
        self.factor_id = bound.factor_id
        self.token = passkey_enrolment.begin_drop(
            self.world.services, self.world.subscriber_id, self.factor_id
        ).token

    def by(self, services: Services, otp: str) -> None:
        proof = passkey_enrolment.Proof(self.world.pin, otp)
        owner = self.world.subscriber_id
        passkey_enrolment.drop(services, owner, self.factor_id, self.token, proof)

    def is_done(self) -> bool:
        is_gone = self.factor_id not in self.two.passkeys()
        # Of one mind with the SAM: what was refused is not on the list of any host.
        assert is_gone == any(self.factor_id in sap.sam.revoked for sap in self.two.saps)
        return is_gone


ACTS: dict[str, type[Act]] = {
    "signature": Signature,
    "batch": Batch,
    "change": Change,
    "choice": Choice,
    "bind": Bind,
    "drop": Drop,
}
