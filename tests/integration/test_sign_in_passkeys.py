"""Signing in with a passkey, and with a one-time code, on both databases."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from remote_signing.errors import InvalidInput, SignInRefused
from remote_signing.rssp import account_codes, sessions, sign_in_challenges, subscribers
from remote_signing.rssp.models import account_code, audit_event, sign_in_challenge, subscriber
from tests.support.examples import example
from tests.support.passkeys import UP, Authenticator
from tests.support.sign_in_stage import RP_ID, SignInStage
from tests.support.world import PASSWORD, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases

NEW_PASSWORD = "mật khẩu mới của tôi"


@pytest.fixture(scope="module")
def shared(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture
def stage(shared: World) -> SignInStage:
    """A signer of this test's own, signed in, in the module's world."""
    name = f"signer{shared.clock.now_ms()}"
    shared.clock.advance(1)
    shared.subscriber_id = shared.new_signer(name)
    shared.session = sessions.sign_in(shared.services, name, PASSWORD).ticket
    return SignInStage(shared)


@pytest.fixture
def ready(stage: SignInStage) -> SignInStage:
    assert stage.add().status_code == 201
    return stage


def code_of(answer: httpx.Response) -> Any:
    return answer.json()["code"]


def kinds(world: World) -> list[str]:
    his = audit_event.c.subscriber_id == world.subscriber_id
    return [row.kind for row in world.database.all(select(audit_event.c.kind).where(his))]


# ------------------------------------------------------------------------------------- passkeys


def test_a_passkey_opens_a_session_of_its_owner(ready: SignInStage) -> None:
    example("for any passkey", ready.ask("POST", "/sign-in/options", {}))
    answer = example("with a passkey", ready.sign_in())
    assert answer.status_code == 201
    session = answer.json()["session"]
    shown = ready.ask("GET", "/account", session=session).json()
    assert [each["name"] for each in shown["sign_in_passkeys"]] == ["Điện thoại"]
    assert shown["sign_in_passkeys"][0]["last_used_at"] is not None
    assert shown["events"][0]["kind"] == "session.opened"
    assert "sign_in_passkey.added" in kinds(ready.world)


def test_a_replayed_assertion_opens_nothing(ready: SignInStage) -> None:
    answer = ready.answered()
    assert ready.sign_in(answer).status_code == 201
    assert code_of(ready.sign_in(answer)) == "sign_in_refused"


def test_a_challenge_ends_after_five_minutes_and_is_removed(ready: SignInStage) -> None:
    challenge = ready.challenge()
    ready.world.clock.advance(sign_in_challenges.LIFETIME_MS // 1000)
    assert code_of(ready.sign_in(ready.answered(challenge))) == "sign_in_refused"
    assert sign_in_challenges.prune(ready.world.services) > 0
    assert ready.world.database.all(select(sign_in_challenge)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://consent.example.evil.test"},
        {"origin": "http://consent.example"},
        {"crossOrigin": True},
        {"topOrigin": "https://evil.test"},
        {"kind": "webauthn.create"},
        {"user_handle": b"sign-in|" + b"0" * 26},
        {"challenge_of_ours": b"x" * 70},
    ],
    ids=["site", "scheme", "framed", "top", "kind", "handle", "challenge"],
)
def test_an_assertion_for_another_place_or_person_is_refused(
    ready: SignInStage, changes: dict[str, Any]
) -> None:
    said = dict(changes)  # of both databases, so it has to stay as it is
    challenge = said.pop("challenge_of_ours", None)
    assert code_of(ready.sign_in(ready.answered(challenge, **said))) == "sign_in_refused"


def test_a_passkey_whose_user_was_not_verified_is_refused(ready: SignInStage) -> None:
    data = ready.device.data(UP)
    assert code_of(ready.sign_in(ready.answered(data=data))) == "sign_in_refused"


def test_an_assertion_for_another_relying_party_is_refused(ready: SignInStage) -> None:
    ready.device.rp_id = "evil.test"
    assert code_of(ready.sign_in()) == "sign_in_refused"


def test_a_signature_by_another_key_is_refused(ready: SignInStage) -> None:
    other = Authenticator(rp_id=RP_ID, credential_id=ready.device.credential_id)
    ready.device = other
    assert code_of(ready.sign_in()) == "sign_in_refused"


def test_bytes_that_no_authenticator_writes_are_refused(ready: SignInStage) -> None:
    answer = ready.answered() | {"authenticator_data": "AAAA"}
    assert code_of(ready.sign_in(answer)) == "sign_in_refused"


def test_a_passkey_that_nobody_registered_is_refused(stage: SignInStage) -> None:
    assert code_of(stage.sign_in()) == "sign_in_refused"


def test_a_suspended_signer_comes_in_with_nothing(ready: SignInStage) -> None:
    his = update(subscriber).where(subscriber.c.id == ready.world.subscriber_id)
    code = account_codes.issue(ready.world.services, ready.world.subscriber_id)
    ready.world.database.run(his.values(state="suspended"))
    assert code_of(ready.sign_in()) == "sign_in_refused"
    with pytest.raises(SignInRefused, match="suspended"):
        account_codes.redeem(ready.world.services, code, NEW_PASSWORD)


def test_a_counter_that_stands_still_tells_of_a_copy(stage: SignInStage) -> None:
    stage.device.counter = 7
    assert stage.add().status_code == 201
    assert code_of(stage.sign_in()) == "sign_in_refused"
    assert "sign_in_passkey.copied" in kinds(stage.world)
    stage.device.counter = 8
    assert stage.sign_in().status_code == 201


def test_a_stolen_session_registers_no_passkey_and_removes_none(ready: SignInStage) -> None:
    ready.device = Authenticator(rp_id=RP_ID)
    assert code_of(ready.add(password="geraten und falsch")) == "sign_in_refused"
    there = example("a passkey", ready.ask("GET", "/account")).json()["sign_in_passkeys"]
    path = f"/sign-in/passkeys/{there[0]['id']}/drop"
    assert code_of(ready.ask("POST", path, {"password": "sai"})) == "sign_in_refused"
    assert len(ready.ask("GET", "/account").json()["sign_in_passkeys"]) == 1
    example("with the password", ready.ask("POST", path, {"password": PASSWORD}))
    assert ready.ask("GET", "/account").json()["sign_in_passkeys"] == []
    assert code_of(ready.ask("POST", path, {"password": PASSWORD})) == "passkey_unknown"
    assert "sign_in_passkey.dropped" in kinds(ready.world)


def test_a_dropped_passkey_opens_nothing(ready: SignInStage) -> None:
    there = ready.ask("GET", "/account").json()["sign_in_passkeys"]
    ready.ask("POST", f"/sign-in/passkeys/{there[0]['id']}/drop", {"password": PASSWORD})
    assert code_of(ready.sign_in()) == "sign_in_refused"


def test_a_new_passkey_made_elsewhere_or_twice_is_not_taken(ready: SignInStage) -> None:
    world = ready.world
    known = ready.made()
    assert code_of(ready.add(known)) == "passkey_refused"
    ready.device = Authenticator(rp_id=RP_ID)
    assert code_of(ready.add(ready.made(origin="https://evil.test"))) == "passkey_refused"
    example("beside another", ready.ask("POST", "/sign-in/passkeys/options", {}))
    made = ready.made()
    assert example("with the password", ready.add(made)).status_code == 201
    ready.device = Authenticator(rp_id=RP_ID)
    assert code_of(ready.add(made)) == "passkey_refused"
    # Another signer's challenge makes no passkey of this one's.
    made = ready.made()
    name = f"other{world.clock.now_ms()}"
    world.new_signer(name)
    world.session = sessions.sign_in(world.services, name, PASSWORD).ticket
    assert code_of(ready.add(made)) == "passkey_refused"


def test_there_are_at_most_eight(ready: SignInStage) -> None:
    for _ in range(7):
        ready.device = Authenticator(rp_id=RP_ID)
        assert ready.add().status_code == 201
    refused = ready.ask("POST", "/sign-in/passkeys/options", {})
    assert refused.json()["reason"] == "too_many"


# ------------------------------------------------------------------------------------- sessions


def test_a_new_session_ends_the_oldest_beyond_eight(stage: SignInStage) -> None:
    world = stage.world
    first = world.session
    found = subscribers.get(world.database, world.subscriber_id)
    assert found is not None
    for _ in range(sessions.MOST_SESSIONS):
        world.clock.advance(1)
        world.session = sessions.sign_in(world.services, found.username, PASSWORD).ticket
    assert stage.ask("GET", "/account", session=first).status_code == 401
    assert len(stage.ask("GET", "/sessions").json()["sessions"]) == sessions.MOST_SESSIONS


def test_one_session_is_ended_and_only_by_its_owner(stage: SignInStage) -> None:
    world = stage.world
    other = world.session
    name = f"second{world.clock.now_ms()}"
    world.new_signer(name)
    world.session = sessions.sign_in(world.services, name, PASSWORD).ticket
    assert stage.ask("DELETE", f"/sessions/{other.row_id}").status_code == 204
    assert stage.ask("GET", "/sessions", session=other).status_code == 200
    assert stage.ask("DELETE", f"/sessions/{other.row_id}", session=other).status_code == 204
    assert stage.ask("GET", "/sessions", session=other).status_code == 401
    assert stage.ask("DELETE", "/sessions/none").status_code == 401


# ---------------------------------------------------------------------------------------- codes


def activate(stage: SignInStage, code: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return stage.ask("POST", "/activate", {"code": code, "password": password})


def issued(stage: SignInStage) -> str:
    return account_codes.issue(stage.world.services, stage.world.subscriber_id)


def test_code_whose_first_part_somebody_has_is_drawn_again(
    stage: SignInStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, owner = account_codes.read_as(issued(stage)), stage.world.subscriber_id
    other = stage.world.new_signer(f"other{owner}")
    drawn = iter(first[:6] + "2" * 14 + "3" * 20)
    with monkeypatch.context() as patched:
        patched.setattr(secrets, "choice", lambda _: next(drawn))
        code = account_codes.issue(stage.world.services, other)
    assert account_codes.read_as(code) == "3" * 20
    row = stage.world.database.one(
        select(account_code.c.subscriber_id).where(account_code.c.reference == first[:6])
    )
    assert row is not None
    assert row.subscriber_id == owner


def test_codes_are_kept_for_a_month_after_their_end(shared: World, stage: SignInStage) -> None:
    issued(stage)
    his = account_code.c.subscriber_id == shared.subscriber_id
    shared.clock.advance(33 * 86_400 - 1)
    account_codes.prune(shared.services)
    assert len(shared.database.all(select(account_code).where(his))) == 1
    shared.clock.advance(2)
    with shared.planned() as plans:
        assert account_codes.prune(shared.services) >= 1
    assert ["ix_account_code_expires_at" in plan for plan in plans] == [True]
    assert shared.database.all(select(account_code).where(his)) == []


def test_a_one_time_code_sets_the_password_once_and_ends_other_sessions(
    stage: SignInStage,
) -> None:
    code = issued(stage)
    before = stage.world.session
    answer = activate(stage, code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    assert answer.status_code == 201, answer.text
    assert stage.ask("GET", "/account", session=answer.json()["session"]).status_code == 200
    assert stage.ask("GET", "/account", session=before).status_code == 401
    assert code_of(activate(stage, code)) == "sign_in_refused"
    assert {"account_code.issued", "account.activated"} <= set(kinds(stage.world))


def test_a_code_is_guessed_five_times_and_then_good_for_nothing(stage: SignInStage) -> None:
    code = issued(stage)
    wrong = code[:-1] + ("1" if code.endswith("0") else "0")
    for _ in range(account_codes.TRIES):
        assert code_of(activate(stage, wrong)) == "sign_in_refused"
    assert code_of(activate(stage, code)) == "sign_in_refused"
    assert kinds(stage.world).count("account_code.refused") == account_codes.TRIES


def test_a_password_that_is_too_short_costs_no_try(stage: SignInStage) -> None:
    code = issued(stage)
    for _ in range(account_codes.TRIES):
        with pytest.raises(InvalidInput):
            account_codes.redeem(stage.world.services, code, "ngắn")
    assert example("a first password", activate(stage, code)).status_code == 201


def test_a_code_ends_with_its_time_and_with_the_next_one(stage: SignInStage) -> None:
    first, second = issued(stage), issued(stage)
    assert code_of(activate(stage, first)) == "sign_in_refused"
    stage.world.clock.advance(account_codes.LIFETIME_MS // 1000)
    stage.world.session = stage.world.session
    assert code_of(activate(stage, second)) == "sign_in_refused"


@pytest.mark.parametrize("code", ["", "ABCDE", "U" * 20, "é" * 20])
def test_what_is_no_code_is_refused(stage: SignInStage, code: str) -> None:
    assert activate(stage, code).status_code in {400, 401}


# -------------------------------------------------------------------------------------- account


def test_the_account_shows_certificates_and_what_approves_with_each(databases: Databases) -> None:
    with new_world(databases) as world:
        stage = SignInStage(world)
        (held,) = example("a certificate", stage.ask("GET", "/account")).json()["credentials"]
        assert (held["state"], held["has_pin"], held["has_totp"]) == ("valid", True, True)
        path = f"/credentials/{held['id']}/certificate"
        assert example("DER", stage.ask("GET", path)).json()["certificate"]
        assert code_of(stage.ask("GET", f"/credentials/{'0' * 26}/certificate")) == (
            "credential_unknown"
        )
        stage.ask("POST", "/freeze", {})
        (held,) = stage.ask("GET", "/account").json()["credentials"]
        assert held["state"] == "frozen"
