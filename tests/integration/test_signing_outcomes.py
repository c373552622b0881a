"""One authorisation for many calls: each call's outcome is kept, and no call costs more for it."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, select, text

from remote_signing.errors import SadInvalid, SigningInProgress, TooManySignatures
from remote_signing.rssp import activation, activation_sign, audit
from remote_signing.rssp.activation_sql import SYSTEM, step
from remote_signing.rssp.models import signature_activation, signing_outcome
from tests.support.world import PORTAL, Killed

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from tests.support.world import Field, World

_PLACES = 6
_CALLERS = 9
_KEEP = step("test.outcomes", SYSTEM).values(
    outcomes=bindparam("new_outcomes"), used=bindparam("new_used")
)


class Seal:
    """A SAD for a number of signatures, whatever they are for, and its holder."""

    def __init__(self, world: World, count: int) -> None:
        world.new_credential(scal="1")
        self.world, self.sad, self.bearer = world, world.number(count), world.service_token()

    def sign(self, *documents: str) -> tuple[bytes, ...]:
        return self.world.sign(self.sad, *documents, service_token=self.bearer)

    def key(self, document: str) -> str:
        """What a call for ``document`` is known by."""
        use = self.world.use(self.sad, document, service_token=self.bearer)
        return activation_sign.check(use).request

    def row(self) -> Field:
        of_this = signature_activation.c.id == self.sad.row_id
        return self.world.database.one(select(signature_activation).where(of_this))

    def former(self) -> dict[str, str]:
        """Outcomes that have a row of their own."""
        rows = self.world.database.all(select(signing_outcome))
        assert {row.activation_id for row in rows} <= {self.sad.row_id}
        return {row.request: row.signatures for row in rows}

    def kinds(self) -> list[str]:
        events = audit.events(self.world.database, activation_id=self.sad.row_id)
        return [event.kind for event in events]


def keep(world: World, sad: Ticket, outcomes: dict[str, list[str]], used: str) -> None:
    """The outcomes as the release before writes them: all that it knows of, in the row itself."""
    values = {"the_id": sad.row_id, "now": world.clock.now_ms(), "event": "{}"}
    new = {"new_outcomes": json.dumps(outcomes), "new_used": used}
    world.database.run(_KEEP, values | new)


def test_each_call_of_a_seal_costs_two_statements(world: World) -> None:
    seal = Seal(world, 4)
    for documents in (("a",), ("b", "c"), ("d",)):
        with world.counted() as statements:
            assert len(seal.sign(*documents)) == len(documents)
        assert len(statements) == 2
    assert (seal.row().state, seal.row().used) == ("SIGNED", "1111")


def test_a_repeat_is_found_whichever_call_it_was_and_uses_no_place(world: World) -> None:
    seal = Seal(world, 4)
    first = {name: seal.sign(name) for name in ("a", "b", "c")}
    assert {name: seal.sign(name) for name in first} == first
    assert seal.row().used == "1110"
    first["d"] = seal.sign("d")
    assert {name: seal.sign(name) for name in first} == first
    assert world.sam.calls["sign"] == 4
    assert seal.kinds()[-1] == "signing.repeated"


def test_the_row_keeps_the_last_outcome_and_each_former_one_has_its_own(world: World) -> None:
    seal = Seal(world, 4)
    seal.sign("a")
    length = len(seal.row().outcomes)
    assert seal.former() == {}
    seal.sign("b")
    seal.sign("c")
    assert set(seal.former()) == {seal.key("a"), seal.key("b")}
    assert list(json.loads(seal.row().outcomes)) == [seal.key("c")]
    assert abs(len(seal.row().outcomes) - length) < 10, "an ECDSA signature is not always as long"


def test_one_call_for_everything_leaves_no_row_beside_its_own(world: World) -> None:
    seal = Seal(world, 2)
    seal.sign("a", "b")
    assert seal.former() == {}


def test_whether_a_repeat_would_be_answered_is_foreseen(world: World) -> None:
    seal = Seal(world, 2)
    seal.sign("a")
    seal.sign("b")
    for name in ("a", "b"):
        use = world.use(seal.sad, name, service_token=seal.bearer)
        assert activation.foresee(world.services, use).client_id == PORTAL
    with pytest.raises(TooManySignatures):
        activation.foresee(world.services, world.use(seal.sad, "c", service_token=seal.bearer))


def test_more_than_is_left_is_refused_and_takes_no_place(world: World) -> None:
    seal = Seal(world, 3)
    seal.sign("a")
    with pytest.raises(TooManySignatures):
        seal.sign("b", "c", "d")
    assert seal.row().used == "100"
    assert len(seal.sign("b", "c")) == 2


def test_many_at_once_sign_what_was_authorised_and_lose_no_outcome(world: World) -> None:
    seal = Seal(world, _PLACES)
    made: dict[str, tuple[bytes, ...]] = {}
    refused: list[str] = []
    start = threading.Barrier(_CALLERS)

    def call(name: str) -> None:
        start.wait(30)
        while True:
            try:
                made[name] = seal.sign(name)
            except SigningInProgress:
                time.sleep(0.001)
                continue
            except TooManySignatures:
                refused.append(name)
            return

    names = [f"document {number}" for number in range(_CALLERS)]
    threads = [threading.Thread(target=call, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (_PLACES, _CALLERS - _PLACES)
    assert (seal.row().state, seal.row().used) == ("SIGNED", "1" * _PLACES)
    assert seal.kinds().count("signing.done") == _PLACES
    assert {name: seal.sign(name) for name in made} == made
    assert seal.kinds().count("signing.done") == _PLACES


def test_a_crash_between_signature_and_outcome_ends_the_authorisation(world: World) -> None:
    seal = Seal(world, 3)
    seal.sign("a")

    world.kill_before_outcome()
    with pytest.raises(Killed):
        seal.sign("b")
    assert (seal.row().state, seal.row().used) == ("SIGNING", "110")
    for name in ("a", "b", "c"):
        with pytest.raises(SigningInProgress):
            seal.sign(name)
    world.clock.advance(60)
    assert activation.recover(world.services) == 1
    assert (seal.row().state, seal.kinds()[-1]) == ("FAILED", "signing.unknown")
    assert seal.former() == {}
    assert list(json.loads(seal.row().outcomes)) == [seal.key("a")]
    with pytest.raises(SadInvalid):
        seal.sign("b")
    assert world.sam.calls["sign"] == 2


def test_what_did_not_come_leaves_its_places_to_the_next_call(world: World) -> None:
    from remote_signing.errors import HsmUnavailable  # noqa: PLC0415 - for one test

    seal = Seal(world, 3)
    first = seal.sign("a")
    world.sam.faults["sign"] = [HsmUnavailable("no node")]
    with pytest.raises(HsmUnavailable):
        seal.sign("b", "c")
    assert (seal.row().state, seal.row().used) == ("AUTHORIZED", "100")
    assert len(seal.sign("b", "c")) == 2
    assert seal.sign("a") == first


def test_outcomes_of_the_release_before_are_found_and_kept(world: World) -> None:
    seal = Seal(world, 6)
    before = {name: ["AAAA", f"{name * 4}"] for name in ("a", "b")}
    keep(world, seal.sad, {seal.key(name): value for name, value in before.items()}, "110000")
    found = [b"\0\0\0", b"i\xa6\x9a"]  # of AAAA and aaaa
    assert list(seal.sign("a")) == found
    assert seal.former() == {}
    third = seal.sign("c")
    assert seal.former() == {seal.key(name): told(world, value) for name, value in before.items()}
    assert list(seal.sign("a")) == found
    # A process of the release before goes on from what stands in the row.
    kept = json.loads(seal.row().outcomes)
    keep(world, seal.sad, kept | {seal.key("d"): ["dddd"]}, "111100")
    assert set(seal.former()) == {seal.key("a"), seal.key("b")}
    assert seal.sign("c") == third
    fifth = seal.sign("e")
    assert set(seal.former()) == {seal.key(name) for name in "abcd"}
    assert list(seal.sign("a")) == found
    assert seal.sign("c") == third
    assert seal.sign("e") == fifth
    assert world.sam.calls["sign"] == 2


def told(world: World, value: list[str]) -> str:
    """How the databases write JSON: SQLite anew, PostgreSQL as it came."""
    compact = world.database.dialect == "sqlite"
    return json.dumps(value, separators=(",", ":") if compact else None)


def test_an_outcome_that_came_while_the_row_was_waited_for_is_found(world: World) -> None:
    seal = Seal(world, 3)
    first, others = seal.key("a"), seal.key("b")
    answers: list[tuple[bytes, ...]] = []
    caller = threading.Thread(target=lambda: answers.append(seal.sign("a")))
    values = {"the_id": seal.sad.row_id, "now": world.clock.now_ms(), "event": "{}"}
    with world.database.transaction() as connection:
        connection.execute(_KEEP, values | {"new_outcomes": "{}", "new_used": "000"})
        caller.start()
        until_waiting(world)
        for request, used in ((first, "100"), (others, "110")):
            new = {"new_outcomes": json.dumps({request: ["AAAA"]}), "new_used": used}
            connection.execute(_KEEP, values | new)
    caller.join()
    assert answers == [(b"\0\0\0",)]
    assert world.sam.calls["sign"] == 0


def until_waiting(world: World) -> None:
    """Until a statement waits for a row. On SQLite whoever writes waits before he has looked."""
    if world.database.dialect == "sqlite":
        return
    query = text(
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    end = time.monotonic() + 60
    while not world.database.all(query):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_outcomes_go_when_nobody_can_ask_for_them(world: World) -> None:
    seal = Seal(world, 3)
    for name in ("a", "b", "c"):
        seal.sign(name)
    world.clock.advance(31 * 86_400)
    activation.prune(world.services)
    assert len(seal.former()) == 2
    world.clock.advance(86_401)
    activation.prune(world.services)
    assert seal.former() == {}
