"""Whatever may happen once happens once, also when sixteen try at the same moment.

Each race is run REMOTE_SIGNING_RACES times (25 unless told), on SQLite and on PostgreSQL; sixteen
racers in four processes. Attempts and doubles are printed.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from remote_signing.identifiers import new_id
from remote_signing.rssp import account_codes, activation, service_tokens, sign_in_challenges
from remote_signing.rssp.activation import Channel
from remote_signing.rssp.models import credential, login_session, signature_activation
from tests.support.racing import RACERS, Payload, Racers
from tests.support.world import digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.identifiers import Ticket
    from tests.conftest import Databases
    from tests.support.world import World

_USUAL = 25
ROUNDS = int(os.environ.get("REMOTE_SIGNING_RACES", _USUAL))


@pytest.fixture(scope="module")
def racetrack(databases: Databases) -> Iterator[tuple[World, Racers]]:
    """One world and sixteen racers for all races of this module on one database."""
    with new_world(databases) as world:
        # Fifteen of sixteen tries with one code are failures: here they are not to lock.
        world.database.run(update(credential).values(attempt_limit=1_000_000))
        # A thousand rounds take longer than a session lasts without a page being opened.
        end = world.clock.now_ms() + 10**9
        world.database.run(update(login_session).values(last_used_at=end, expires_at=end))
        racers = Racers(world.services.config.database.url)
        yield world, racers
        racers.stop()


def run(
    racetrack: tuple[World, Racers],
    race: str,
    prepare: Callable[[World], Payload],
    most: int = ROUNDS,
) -> Counter[str]:
    """The races; how often each error was met. No double, and a winner in each.

    ``most`` bounds the usual number of races where a try costs much.
    """
    world, racers = racetrack
    if ROUNDS > _USUAL:
        faulthandler.cancel_dump_traceback_later()  # the limit is for a test that hangs
    doubles, errors = 0, Counter[str]()
    rounds = ROUNDS if ROUNDS > _USUAL else min(ROUNDS, most)
    for _ in range(rounds):
        payload = prepare(world)
        outcome = racers.race(race, world.clock.now_ms(), payload)
        assert len(outcome.prizes) + len(outcome.errors) == RACERS
        assert outcome.prizes, f"nobody won: {outcome.errors}"
        doubles += outcome.doubles
        errors.update(outcome.errors)
        world.next_step()
    dialect = world.database.dialect
    print(
        f"\n{race} on {dialect}: {rounds} races, {rounds * RACERS} attempts, {doubles} doubles,"
        f" losers met {dict(errors)}"
    )
    assert doubles == 0
    return errors


def ticket_payload(ticket: Ticket, **more: object) -> Payload:
    return {"id": ticket.row_id, "secret": ticket.secret} | more


def approval(world: World, ids: list[str]) -> Payload:
    return ticket_payload(world.session, ids=ids, pin=world.pin, otp=world.otp())


def test_a_one_time_code_consents_to_one_of_sixteen_requests(
    racetrack: tuple[World, Racers],
) -> None:
    def prepare(world: World) -> Payload:
        return approval(world, [world.opened() for _ in range(RACERS)])

    errors = run(racetrack, "approve", prepare)
    assert errors == {"EvidenceReplayed": ROUNDS * (RACERS - 1)}


def test_sixteen_taps_on_approve_are_one_consent(racetrack: tuple[World, Racers]) -> None:
    errors = run(racetrack, "approve", lambda world: approval(world, [world.opened()]))
    assert set(errors) <= {"ActivationConflict", "EvidenceReplayed"}


def test_an_authorization_code_gives_one_token(racetrack: tuple[World, Racers]) -> None:
    errors = run(racetrack, "redeem", lambda world: ticket_payload(world.code()))
    assert errors == {"ReplayDetected": ROUNDS * (RACERS - 1)}


def test_a_request_uri_opens_one_page(racetrack: tuple[World, Racers]) -> None:
    def prepare(world: World) -> Payload:
        asked = activation.request_activation(world.services, world.request())
        return ticket_payload(asked.ticket)

    errors = run(racetrack, "open_request", prepare)
    assert errors == {"ReplayDetected": ROUNDS * (RACERS - 1)}


def test_a_handle_leads_to_one_signature(racetrack: tuple[World, Racers]) -> None:
    # It may give several SADs, of which the last is good; what counts is what they sign.
    def prepare(world: World) -> Payload:
        new = world.request("a", channel=Channel.DECOUPLED)
        handle = activation.request_activation(world.services, new).ticket
        world.approve(handle.row_id)
        named = {"credential_id": world.credential_id, "hash": digest("a")}
        return ticket_payload(handle, bearer=str(world.service_token()), **named)

    errors = run(racetrack, "collect", prepare)
    assert set(errors) <= {"ActivationUnknown", "SadInvalid"}


def test_an_authorised_hash_is_signed_once(racetrack: tuple[World, Racers]) -> None:
    tokens: list[str] = []

    def prepare(world: World) -> Payload:
        token = world.token("a")
        tokens.append(token.row_id)
        return ticket_payload(token, credential_id=world.credential_id, hash=digest("a"))

    errors = run(racetrack, "sign", prepare)
    assert set(errors) <= {"HashNotAuthorised", "SigningInProgress"}
    world, _ = racetrack
    of_these = signature_activation.c.id.in_(tokens)
    states = world.database.all(
        signature_activation.select()
        .where(of_these)
        .with_only_columns(signature_activation.c.state, signature_activation.c.used)
    )
    assert {tuple(row) for row in states} == {("SIGNED", "1")}


@pytest.mark.parametrize("race", ["see", "see_both"])
def test_an_assertion_or_a_proof_is_seen_once(racetrack: tuple[World, Racers], race: str) -> None:
    def prepare(world: World) -> Payload:
        seen = hashlib.sha256(new_id(0).encode()).digest()
        return {"digest": seen, "expires_at": world.clock.now_ms() + 60_000}

    errors = run(racetrack, race, prepare)
    assert errors == {"ReplayDetected": ROUNDS * (RACERS - 1)}


def test_an_activation_code_opens_an_account_once_whoever_guesses(
    racetrack: tuple[World, Racers],
) -> None:
    def prepare(world: World) -> Payload:
        # Somebody else's account: it ends the sessions of whoever opens it.
        owner = world.new_signer(new_id(world.clock.now_ms()))
        code = account_codes.issue(world.services, owner)
        return {"code": code, "password": "một mật khẩu khác dài"}

    errors = run(racetrack, "activate", prepare, most=6)
    assert set(errors) == {"SignInRefused"}


def test_a_challenge_of_sign_in_is_answered_once(racetrack: tuple[World, Racers]) -> None:
    def prepare(world: World) -> Payload:
        return {"challenge": sign_in_challenges.issue(world.services)}

    errors = run(racetrack, "enter", prepare)
    assert set(errors) == {"ReplayDetected"}


def test_the_track_shows_a_double_where_one_looks_before_one_writes(
    racetrack: tuple[World, Racers],
) -> None:
    world, racers = racetrack
    doubles = races = 0
    while doubles == 0 and races < 200:
        races += 1
        seen = hashlib.sha256(new_id(0).encode()).digest()
        payload = {"digest": seen, "expires_at": world.clock.now_ms() + 60_000}
        doubles += racers.race("look_then_write", world.clock.now_ms(), payload).doubles
    print(f"\nlook, then write on {world.database.dialect}: {races} races, {doubles} doubles")
    assert doubles > 0


def test_a_refresh_token_is_rotated_once(racetrack: tuple[World, Racers]) -> None:
    def prepare(world: World) -> Payload:
        holder = service_tokens.Holder("portal", world.subscriber_id)
        with world.database.transaction() as connection:
            family = new_id(world.clock.now_ms())
            token = service_tokens.issue_family(
                world.services, connection, holder, family, refresh=True
            )
        return {"token": token.refresh}

    errors = run(racetrack, "refresh", prepare)
    assert set(errors) <= {"ReplayDetected", "AccessRefused"}
