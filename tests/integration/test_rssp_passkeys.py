"""Passkeys through the consent API, on both databases, with the SAM's real verbs behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from remote_signing.errors import PasskeyUnknown
from remote_signing.identifiers import Ticket
from remote_signing.rssp import audit, factor_passkeys, notices
from remote_signing.rssp.models import credential
from remote_signing.rssp.passkey_orders import PasskeyOrders
from tests.support.passkey_world import DAY, PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.sim_question import Withdrawals, waiting_question
from tests.support.world import REDIRECT, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Databases


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(databases) as world:
        yield passkey_world(world, tmp_path)


def events(place: PasskeyWorld, *kinds: str) -> list[Any]:
    found = audit.events(place.world.database, credential_id=place.world.credential_id)
    return [row for row in found if row.kind in kinds]


def listed(place: PasskeyWorld) -> list[dict[str, Any]]:
    found = place.ask("GET", "/passkeys").json()["credentials"]
    (mine,) = [each for each in found if each["id"] == place.world.credential_id]
    passkeys: list[dict[str, Any]] = mine["passkeys"]
    return passkeys


def failed_attempts(place: PasskeyWorld) -> int:
    query = select(credential.c.failed_attempts).where(credential.c.id == place.world.credential_id)
    row = place.world.database.one(query)
    assert row is not None
    return int(row.failed_attempts)


def test_an_official_registers_a_passkey_and_signs_with_it_after_its_cool_off(
    place: PasskeyWorld,
) -> None:
    world = place.world
    answer = place.bind(place.made(place.begin()))
    assert answer.status_code == 201
    (passkey,) = listed(place)
    assert passkey["name"] == "Điện thoại của tôi"
    name = world.opened("quyết định.pdf", "phụ lục.pdf")
    shown = place.ask("GET", f"/requests/{name}").json()
    assert shown["passkey_from"] == passkey["usable_from"] > shown["now"]
    assert place.ask("POST", f"/requests/{name}/passkey/options", {}).status_code == 404
    world.clock.advance(DAY)
    world.session = world.new_session()
    name = world.opened("quyết định.pdf", "phụ lục.pdf")
    approved = place.approve(name).json()
    assert approved["state"] == "AUTHORIZED"
    assert approved["redirect_to"].startswith(f"{REDIRECT}&code=")
    code = approved["redirect_to"].partition("code=")[2].partition("&")[0]
    ticket = Ticket.parse(code)
    assert ticket is not None
    token = world.redeem(ticket).ticket
    assert len(world.sign(token, "quyết định.pdf", "phụ lục.pdf")) == 2
    assert place.ask("GET", f"/history/{name}").json()["factor"] == "passkey"


def test_consent_by_passkey_costs_two_statements(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    told = place.answered(place.options(name)["challenge"])
    with place.world.counted() as statements:
        answer = place.ask("POST", f"/requests/{name}/passkey", told)
    assert (answer.status_code, len(statements)) == (200, 2)
    name = place.world.opened()
    with place.world.counted() as statements:
        place.options(name)
    assert len(statements) == 1


def test_a_sim_that_was_asked_too_is_not_asked_any_more(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    question, adapter = waiting_question(place.world, name), Withdrawals(place.world)
    told = place.answered(place.options(name)["challenge"])
    assert place.ask("POST", f"/requests/{name}/passkey", told).status_code == 200
    assert adapter.names == [question.id]


def test_a_passkey_approves_once_and_a_repeat_is_told_so(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    told = place.answered(place.options(name)["challenge"])
    assert place.ask("POST", f"/requests/{name}/passkey", told).status_code == 200
    answer = place.ask("POST", f"/requests/{name}/passkey", told)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    other = place.world.opened()
    answer = place.ask("POST", f"/requests/{other}/passkey", told)
    assert (answer.status_code, answer.json()["code"]) == (403, "evidence_invalid")


def test_of_a_passkey_and_a_code_at_once_exactly_one_consents(
    place: PasskeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.register()
    name = place.world.opened()
    told = place.answered(place.options(name)["challenge"])
    activate = place.sap.activate

    def overtaken(*arguments: Any) -> Any:
        activated = activate(*arguments)
        monkeypatch.undo()
        place.world.approve(name)
        return activated

    monkeypatch.setattr(place.sap, "activate", overtaken)
    answer = place.ask("POST", f"/requests/{name}/passkey", told)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert len(events(place, "consent.given")) == 1


def test_what_a_passkey_is_refused_is_on_record_and_costs_no_attempt(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    answer = place.approve(name, origin="https://attacker.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "evidence_invalid")
    (refused,) = events(place, "consent.passkey_refused")
    assert json.loads(refused.detail)["reason"] == "EvidenceInvalid"
    assert failed_attempts(place) == 0
    assert place.approve(name).status_code == 200


def test_a_copied_passkey_is_refused_and_its_owner_hears_of_it(place: PasskeyWorld) -> None:
    place.device.counter, place.device.step = 1, 1
    place.register()
    assert place.approve(place.world.opened()).status_code == 200
    place.device.step = 0
    answer = place.approve(place.world.opened())
    assert (answer.status_code, answer.json()["code"]) == (403, "passkey_copied")
    told = place.ask("GET", "/passkeys").json()["notices"]
    assert [each["kind"] for each in told] == ["passkey_added", "passkey_copied"]


def other_officials_passkey(place: PasskeyWorld) -> Authenticator:
    world = place.world
    before = {
        name: getattr(world, name)
        for name in ("subscriber_id", "session", "credential_id", "pin", "totp_secret")
    }
    world.new_signer("binh.tran")
    world.new_credential()
    device = Authenticator()
    assert place.bind(place.made(place.begin(), device)).status_code == 201
    for name, value in before.items():
        setattr(world, name, value)
    return device


def test_a_stolen_session_registers_no_passkey(place: PasskeyWorld) -> None:
    made = place.made(place.begin())
    for proof in (place.proof(pin="00000000"), place.proof(otp="000000")):
        answer = place.bind(made, proof)
        assert (answer.status_code, answer.json()["code"]) == (403, "evidence_invalid")
    assert answer.json()["attempts_left"] == 1
    assert failed_attempts(place) == 2
    told = place.answered(place.begin()["challenge"])
    answer = place.bind(made, {"passkey": told})
    assert (answer.status_code, answer.json()["code"]) == (404, "passkey_unknown")
    assert listed(place) == []
    reasons = [json.loads(row.detail)["reason"] for row in events(place, "passkey.refused")]
    assert reasons == ["EvidenceInvalid", "EvidenceInvalid"]


def test_guesses_at_a_registration_lock_the_credential_like_any_others(
    place: PasskeyWorld,
) -> None:
    made = place.made(place.begin())
    codes = []
    for number in range(7):
        answer = place.bind(made, place.proof(pin=f"0000000{number}"))
        codes.append(answer.json()["code"])
    assert codes == ["evidence_invalid"] * 3 + ["credential_locked"] * 4
    values = {"failed_attempts": 5}
    place.world.database.run(update(credential).values(values))
    answer = place.bind(made)
    assert (answer.status_code, answer.json()["code"]) == (403, "credential_locked")


def test_a_passkey_lets_a_second_one_in_and_out_again(place: PasskeyWorld) -> None:
    first, second = place.register(), Authenticator()
    made = place.made(place.begin(), second)
    body = {"credential_id": place.world.credential_id, "passkey": made}
    asked = place.ask("POST", "/passkeys/confirm", body).json()
    answer = place.bind(made, {"passkey": place.answered(asked["challenge"])}, name="Máy tính")
    assert answer.status_code == 201
    assert [each["name"] for each in listed(place)] == ["Điện thoại của tôi", "Máy tính"]
    gone = answer.json()["factor_id"]
    begun = place.ask("POST", f"/passkeys/{gone}/options", {}).json()
    proof = {"passkey": place.answered(begun["challenge"])}
    answer = place.ask("POST", f"/passkeys/{gone}/drop", {"token": begun["token"], "proof": proof})
    assert answer.status_code == 200
    assert [each["factor_id"] for each in listed(place)] == [first]
    assert gone in place.sap.sam.revoked
    kinds = [
        row.kind for row in events(place, "credential.factors_added", "credential.factor_dropped")
    ]
    assert kinds == ["credential.factors_added"] * 2 + ["credential.factor_dropped"]


def test_a_passkey_that_somebody_has_already_is_not_written_twice(place: PasskeyWorld) -> None:
    twin = Authenticator(credential_id=other_officials_passkey(place).credential_id)
    place.world.next_step()
    answer = place.bind(place.made(place.begin(), twin))
    assert (answer.status_code, answer.json()["code"]) == (403, "passkey_refused")
    assert listed(place) == []


def test_a_record_that_changed_meanwhile_is_left_alone(
    place: PasskeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, proof = place.made(place.begin()), place.proof()
    bind = place.sap.bind_passkey

    def changed_meanwhile(*arguments: Any) -> Any:
        bound = bind(*arguments)
        place.world.database.run(update(credential).values(sealed_version=99))
        return bound

    monkeypatch.setattr(place.sap, "bind_passkey", changed_meanwhile)
    answer = place.bind(made, proof)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert listed(place) == []


def test_what_comes_and_goes_is_told_until_it_was_seen(place: PasskeyWorld) -> None:
    factor_id = place.register()
    (told,) = place.ask("GET", "/passkeys").json()["notices"]
    assert (told["kind"], told["name"]) == ("passkey_added", "Điện thoại của tôi")
    assert told["usable_from"] == listed(place)[0]["usable_from"]
    assert place.ask("GET", "/requests").json()["notices"] == [told], "in every session"
    assert place.ask("POST", "/notices/seen", {"newest": "~"}).status_code == 400
    assert place.ask("POST", "/notices/seen", {"newest": told["id"]}).json() == {"seen": 1}
    assert place.ask("GET", "/passkeys").json()["notices"] == []
    PasskeyOrders(place.world.services, place.world.authority).revoke_passkey(factor_id)
    assert [each["kind"] for each in place.ask("GET", "/passkeys").json()["notices"]] == [
        "passkey_dropped"
    ]
    assert listed(place) == []


def test_a_new_passkey_is_told_until_it_counts_whoever_waves_it_away(place: PasskeyWorld) -> None:
    place.bind(place.made(place.begin()))
    (told,) = place.ask("GET", "/passkeys").json()["notices"]
    assert place.ask("POST", "/notices/seen", {"newest": told["id"]}).json() == {"seen": 0}
    assert place.ask("GET", "/requests").json()["notices"] == [told]


def test_whatever_sends_messages_gets_each_notice_until_it_says_so(place: PasskeyWorld) -> None:
    place.register()
    database = place.world.database
    (waiting,) = notices.untold(database)
    assert waiting.subscriber_id == place.world.subscriber_id
    assert notices.mark_told(database, waiting.id, 1)
    assert not notices.mark_told(database, waiting.id, 2)
    assert notices.untold(database) == []


# The registration authority


def test_the_authority_revokes_a_passkey_for_ever(place: PasskeyWorld) -> None:
    factor_id = place.register()
    name = place.world.opened()
    asked = place.options(name)
    PasskeyOrders(place.world.services, place.world.authority).revoke_passkey(factor_id)
    told = place.answered(asked["challenge"])
    answer = place.ask("POST", f"/requests/{name}/passkey", told)
    assert answer.json()["code"] == "evidence_invalid", "named still, and revoked in the SAM"
    assert place.ask("GET", f"/requests/{name}").json()["passkey_from"] is None
    assert factor_passkeys.of_credential(place.world.database, place.world.credential_id) == []
    with pytest.raises(PasskeyUnknown):
        factor_passkeys.get(place.world.database, factor_id)
