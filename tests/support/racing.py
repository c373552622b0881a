"""Sixteen who want the same one-time thing at the same moment, in four processes.

The processes are started once and run every round: they wait at a barrier, try, and say what they
got. A try's outcome is a text: something that tells a winner's prize from another's, or the name of
the error.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from remote_signing.errors import RemoteSigningError, ReplayDetected
from remote_signing.identifiers import Ticket
from remote_signing.rssp import (
    account_codes,
    activation,
    replay,
    service_tokens,
    sign_in_challenges,
)
from remote_signing.rssp.activation import Use
from remote_signing.rssp.models import replay as replay_table
from remote_signing.rssp.replay import Mark
from tests.support.world import ECDSA_SHA256, PORTAL, REDIRECT, VERIFIER, connect

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from remote_signing.rssp.deps import Services

PROCESSES, THREADS = 4, 4
RACERS = PROCESSES * THREADS
_SECONDS = 120
_SHA256 = "2.16.840.1.101.3.4.2.1"
_ECDSA = "1.2.840.10045.2.1"

Payload = dict[str, Any]


def _ticket(payload: Payload) -> Ticket:
    return Ticket(payload["id"], payload["secret"])


def approve(services: Services, payload: Payload, number: int) -> str:
    """One code, for sixteen requests (``ids``) or sixteen times for one."""
    ids = payload["ids"]
    waiting = ids[number % len(ids)]
    approved = activation.approve(
        services, _ticket(payload), waiting, payload["pin"], payload["otp"]
    )
    return str(approved.redirect_to)


def redeem(services: Services, payload: Payload, _number: int) -> str:
    given = {"client_id": PORTAL, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return str(activation.redeem_code(services, _ticket(payload), **given).ticket)


def open_request(services: Services, payload: Payload, number: int) -> str:
    activation.open_request(services, PORTAL, _ticket(payload))
    return f"racer {number}"


def collect(services: Services, payload: Payload, _number: int) -> str:
    """Ask for the SAD and sign with it."""
    answer = activation.check_handle(services, _ticket(payload), PORTAL)
    assert isinstance(answer, activation.SadIssued)
    use = Use(
        ticket=answer.ticket,
        credential_id=payload["credential_id"],
        hashes=(payload["hash"],),
        sign_algo=ECDSA_SHA256,
        service_token=Ticket.parse(payload["bearer"]),
    )
    return activation.sign_hash(services, use)[0].hex()


def sign(services: Services, payload: Payload, number: int) -> str:
    """Two spellings of the same signature: an identical repeat gets the same, another nothing."""
    named = number % 2 == 0
    use = Use(
        ticket=_ticket(payload),
        credential_id=payload["credential_id"],
        hashes=(payload["hash"],),
        sign_algo=ECDSA_SHA256 if named else _ECDSA,
        hash_algorithm_oid=None if named else _SHA256,
    )
    return activation.sign_hash(services, use)[0].hex()


def activate(services: Services, payload: Payload, _number: int) -> str:
    """One activation code, sixteen times."""
    return str(account_codes.redeem(services, payload["code"], payload["password"]).ticket)


def enter(services: Services, payload: Payload, number: int) -> str:
    """One challenge of sign-in, sixteen times."""
    if not sign_in_challenges.consume(services, payload["challenge"]):
        raise ReplayDetected("used")
    return f"racer {number}"


def see(services: Services, payload: Payload, number: int) -> str:
    """A client assertion or a DPoP proof: once."""
    replay.once(services.database, Mark(payload["digest"], payload["expires_at"]))
    return f"racer {number}"


def see_both(services: Services, payload: Payload, number: int) -> str:
    """A client assertion, each time with another proof: once."""
    until = payload["expires_at"]
    assertion, proof = (Mark(payload["digest"] + end, until) for end in (b"", bytes([number])))
    assert replay.once_with(services.database, assertion, proof)
    return f"racer {number}"


def look_then_write(services: Services, payload: Payload, number: int) -> str:
    """How not to do it: the track must show that this lets several through."""
    digest = payload["digest"]
    seen = select(replay_table.c.digest).where(replay_table.c.digest.between(digest, digest + b"~"))
    if services.database.one(seen) is not None:
        raise ReplayDetected
    replay.once(services.database, Mark(digest + bytes([number]), payload["expires_at"]))
    return f"racer {number}"


def refresh(services: Services, payload: Payload, _number: int) -> str:
    holder = service_tokens.Holder(PORTAL)
    return service_tokens.rotate(services, payload["token"], holder).access


_RACES: dict[str, Callable[[Services, Payload, int], str]] = {
    race.__name__: race
    for race in (
        *(approve, redeem, open_request, collect, sign, see, see_both, refresh),
        *(activate, enter, look_then_write),
    )
}


@dataclass
class Outcome:
    """What sixteen racers got: prizes of the winners, names of the others' errors."""

    prizes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def doubles(self) -> int:
        """How many different prizes there were beyond the first."""
        return max(0, len(set(self.prizes)) - 1)


class Racers:
    """Four processes on the database ``url``."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        start = context.Barrier(RACERS)
        self._ends: list[Connection] = []
        self._processes = []
        for number in range(PROCESSES):
            here, there = context.Pipe()
            process = context.Process(target=_process, args=(url, start, there, number * THREADS))
            process.start()
            there.close()
            self._ends.append(here)
            self._processes.append(process)
        for end in self._ends:
            assert end.recv() == "ready"

    def race(self, name: str, now_ms: int, payload: Payload) -> Outcome:
        """All sixteen try at once."""
        for end in self._ends:
            end.send((name, now_ms, payload))
        outcome = Outcome()
        for end in self._ends:
            assert end.poll(_SECONDS), "a racer hangs"
            for kind, text in end.recv():
                (outcome.prizes if kind == "prize" else outcome.errors).append(text)
        return outcome

    def stop(self) -> None:
        for end in self._ends:
            end.send(None)
            end.close()
        for process in self._processes:
            process.join(_SECONDS)
            assert process.exitcode == 0


def _process(url: str, start: threading.Barrier, end: Connection, first: int) -> None:
    world = connect(url)
    with ThreadPoolExecutor(THREADS) as pool:
        end.send("ready")
        while (message := end.recv()) is not None:
            name, now_ms, payload = message
            world.clock.advance((now_ms - world.clock.now_ms()) / 1000)

            def attempt(
                number: int, name: str = name, payload: Payload = payload
            ) -> tuple[str, str]:
                start.wait(_SECONDS)
                try:
                    return "prize", _RACES[name](world.services, payload, number)
                except RemoteSigningError as error:
                    return "error", type(error).__name__

            end.send(list(pool.map(attempt, range(first, first + THREADS))))
    world.services.close()
