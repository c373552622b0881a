"""Signing PINs chosen through the consent API, on both databases, with the SAM's real verbs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from remote_signing.errors import EvidenceInvalid, FactorRevoked, SamUnavailable
from remote_signing.rssp import account_codes, audit, pin_records
from remote_signing.rssp.housekeeping import Housekeeping
from remote_signing.rssp.models import account_code, credential, pin_order, pin_retirement
from remote_signing.rssp.pin_orders import PinOrders
from tests.support.examples import example
from tests.support.passkey_world import PasskeyWorld, passkey_world
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import Databases
    from tests.support.sqlite import SqliteFolder

NEW, OTHER = "73519482", "84620593"
HOUR_MS = 3_600_000


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(databases) as world:
        yield passkey_world(world, tmp_path)


@pytest.fixture
def small(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    """For what is no matter of the database."""
    with new_world(sqlite_folder) as world:
        yield passkey_world(world, tmp_path)


def change(place: PasskeyWorld, **changes: str) -> httpx.Response:
    world = place.world
    body = {"new_pin": NEW, "pin": world.pin, "otp": world.otp(), **changes}
    return place.ask("POST", f"/credentials/{world.credential_id}/pin", body)


def choose(place: PasskeyWorld, code: str, **changes: str) -> httpx.Response:
    world = place.world
    body = {"new_pin": NEW, "code": code, "otp": world.otp(), **changes}
    return place.ask("POST", f"/credentials/{world.credential_id}/first-pin", body)


def invited(place: PasskeyWorld, hours: int = 72) -> str:
    """A code of the registration authority, with which a PIN may be chosen."""
    world = place.world
    code = account_codes.issue(world.services, world.subscriber_id, hours * HOUR_MS)
    typed = account_codes.read_as(code)
    desk = PinOrders(world.services, world.authority)
    offered = desk.let_choose(world.subscriber_id, typed, hours * HOUR_MS)
    assert offered == [world.credential_id]
    return code


def approves(place: PasskeyWorld, pin: str) -> bool:
    """Whether a signature can be approved with that PIN now."""
    world = place.world
    world.next_step()
    world.pin = pin
    name = world.opened()
    try:
        world.approve(name)
    except EvidenceInvalid:
        return False
    return True


def row(place: PasskeyWorld, name: str | None = None) -> Any:
    query = select(credential).where(credential.c.id == (name or place.world.credential_id))
    return place.world.database.one(query)


def owed(place: PasskeyWorld) -> list[Any]:
    return list(place.world.database.all(select(pin_retirement)))


def events(place: PasskeyWorld, kind: str) -> list[Any]:
    found = audit.events(place.world.database, credential_id=place.world.credential_id)
    return [each for each in found if each.kind == kind]


def test_an_official_changes_the_pin_and_hears_of_it(place: PasskeyWorld) -> None:
    before = row(place)
    assert example("done", change(place)).status_code == 200
    assert owed(place) == []
    (changed,) = events(place, "credential.pin_changed")
    (gone,) = json.loads(changed.detail)["replaces"]
    assert gone in place.sap.sam.revoked
    assert NEW not in changed.detail
    assert [each["kind"] for each in json.loads(row(place).factors)] == ["pin", "totp"]
    assert row(place).sealed_version == before.sealed_version + 1
    told = place.ask("GET", "/requests").json()["notices"]
    assert [each["kind"] for each in told] == ["pin_changed"]
    shown = place.ask("GET", "/account").json()["events"]
    assert "credential.pin_changed" in [each["kind"] for each in shown]
    old = place.world.pin
    assert not approves(place, old)
    assert approves(place, NEW)


@pytest.mark.parametrize("wrong", [{"pin": "00000000"}, {"otp": "000000"}])
def test_a_stolen_session_changes_no_pin(small: PasskeyWorld, wrong: dict[str, str]) -> None:
    answer = change(small, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (403, "evidence_invalid")
    assert answer.json()["attempts_left"] == 2
    assert row(small).failed_attempts == 1
    (refused,) = events(small, "pin.refused")
    assert json.loads(refused.detail) == {"reason": "EvidenceInvalid"}
    assert approves(small, small.world.pin)


def test_guesses_lock_the_credential_like_any_others(small: PasskeyWorld) -> None:
    codes = [change(small, pin=f"0000000{number}").json()["code"] for number in range(6)]
    assert codes == ["evidence_invalid"] * 3 + ["credential_locked"] * 3


def test_a_pin_that_would_be_guessed_is_refused_and_costs_nothing(small: PasskeyWorld) -> None:
    for pin, reason in (("123456", "run"), ("19051980", "date"), ("1234", "shape")):
        answer = change(small, new_pin=pin)
        assert (answer.status_code, answer.json()["code"]) == (403, "pin_refused")
        assert answer.json()["reason"] == reason
    assert row(small).failed_attempts == 0
    assert change(small).status_code == 200


def test_another_officials_credential_has_no_pin_to_change(small: PasskeyWorld) -> None:
    world = small.world
    theirs = world.credential_id
    world.new_signer("binh.tran")
    for name in (theirs, "0" * 26, "x"):
        for path, known in (("pin", "pin"), ("first-pin", "code")):
            body = {"new_pin": NEW, known: world.pin, "otp": "123456"}
            answer = small.ask("POST", f"/credentials/{name}/{path}", body)
            assert answer.status_code == 404, (name, path)


def test_whether_an_order_waits_for_another_official_is_told_to_nobody(
    place: PasskeyWorld,
) -> None:
    code, theirs = invited(place), place.world.credential_id
    place.world.new_signer("binh.tran")
    told = [
        (answer.status_code, {**answer.json(), "request_id": ""})
        for name in (theirs, "0" * 26)
        for answer in [
            place.ask(
                "POST",
                f"/credentials/{name}/first-pin",
                {"new_pin": NEW, "code": code, "otp": place.world.otp()},
            )
        ]
    ]
    assert told[0] == told[1]
    assert (told[0][0], told[0][1]["code"]) == (404, "pin_not_offered")
    assert len(place.world.database.all(select(pin_order))) == 1
    assert row(place).failed_attempts == 0


def test_what_fails_to_be_revoked_holds_nothing_else_up(
    place: PasskeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = place.world
    for since in (1, 2, 3):
        world.new_credential()
        values = {"credential_id": world.credential_id, "owed_since": since}
        world.database.run(pin_retirement.insert().values(values))
    first = min(owed(place), key=lambda each: each.owed_since).credential_id
    stuck, retire = row(place, first).sealed, place.sap.retire_pin

    def failing(sealed: bytes) -> int:
        if sealed == stuck:
            raise SamUnavailable("for this one, each time")
        return retire(sealed)

    sap: Any = place.sap
    sap.retire_pin = failing
    monkeypatch.setattr(pin_records, "_AT_ONCE", 1)
    for _ in range(3):
        assert pin_records.retire_owed(world.services) == 1
    assert [each.credential_id for each in owed(place)] == [first]
    sap.retire_pin = retire
    pin_records.retire_owed(world.services)
    assert owed(place) == []


def test_what_the_sam_did_not_revoke_is_owed_until_it_has(
    small: PasskeyWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world, before = small.world, row(small).sealed
    retire = small.sap.retire_pin

    def away(*_: Any) -> int:
        raise SamUnavailable("just now")

    sap: Any = small.sap
    sap.retire_pin = away
    assert change(small).status_code == 200
    assert "not revoked yet" in caplog.text
    assert len(owed(small)) == 1
    assert pin_records.retire_owed(world.services) == 1
    assert len(owed(small)) == 1
    sap.retire_pin = retire
    Housekeeping(world.services)._round(prune=True)  # noqa: SLF001 - one round of it
    assert owed(small) == []
    assert pin_records.retire_owed(world.services) == 0
    # Also for whoever puts the older record back.
    values = {"sealed": before, "factors": json.dumps([])}
    world.database.run(update(credential).values(values))
    (event,) = events(small, "credential.pin_changed")
    evidence: Any = [
        {"factor_id": json.loads(event.detail)["replaces"][0], "kind": "pin", "value": world.pin}
    ]
    with pytest.raises(FactorRevoked):
        small.sap.change_pin(before, "0" * 26, OTHER, evidence)


def test_what_is_owed_for_a_destroyed_credential_is_nothing(place: PasskeyWorld) -> None:
    world = place.world
    values = {"credential_id": world.credential_id, "owed_since": 1}
    world.database.run(pin_retirement.insert().values(values))
    PinOrders(world.services, world.authority).destroy(world.credential_id)
    assert pin_records.retire_owed(world.services) == 1
    assert owed(place) == []


def test_a_change_that_is_stored_meanwhile_stays_owed(place: PasskeyWorld) -> None:
    world, retire = place.world, place.sap.retire_pin
    values = {"credential_id": world.credential_id, "owed_since": 1}
    world.database.run(pin_retirement.insert().values(values))

    def overtaken(sealed: bytes) -> int:
        world.database.run(pin_retirement.update().values(owed_since=2))
        return retire(sealed)

    sap: Any = place.sap
    sap.retire_pin = overtaken
    pin_records.retire(world.services, world.credential_id)
    assert [each.owed_since for each in owed(place)] == [2]


def test_a_record_that_changed_meanwhile_keeps_its_pin(small: PasskeyWorld) -> None:
    asked = small.sap.change_pin

    def overtaken(*arguments: Any) -> Any:
        resealed = asked(*arguments)
        small.world.database.run(update(credential).values(sealed_version=99))
        return resealed

    sap: Any = small.sap
    sap.change_pin = overtaken
    answer = change(small)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert owed(small) == []
    assert approves(small, small.world.pin)


# The first PIN


def test_a_new_official_chooses_the_first_pin_with_code_and_app(place: PasskeyWorld) -> None:
    code = invited(place)
    (held,) = [
        each
        for each in place.ask("GET", "/account").json()["credentials"]
        if each["id"] == place.world.credential_id
    ]
    assert held["may_choose_pin"]
    assert example("done", choose(place, code)).status_code == 200
    assert place.world.database.all(select(pin_order)) == []
    old = place.world.pin
    assert not approves(place, old)
    assert approves(place, NEW)
    assert choose(place, code, new_pin=OTHER).json()["code"] == "pin_not_offered"


def test_a_code_of_the_account_alone_chooses_no_pin(small: PasskeyWorld) -> None:
    world = small.world
    code = account_codes.issue(world.services, world.subscriber_id)
    answer = choose(small, code)
    assert (answer.status_code, answer.json()["code"]) == (404, "pin_not_offered")
    assert not small.ask("GET", "/account").json()["credentials"][-1]["may_choose_pin"]


def test_whoever_has_the_rssp_but_not_the_code_chooses_no_pin(small: PasskeyWorld) -> None:
    invited(small)
    (stored,) = small.world.database.all(select(account_code))
    for wrong in (stored.secret_hash.hex()[:40], stored.reference, "0" * 20):
        answer = choose(small, wrong)
        assert answer.json()["code"] in {"evidence_invalid", "credential_locked"}
    assert row(small).failed_attempts == 3


def test_whoever_has_the_code_but_not_the_app_chooses_no_pin(small: PasskeyWorld) -> None:
    code = invited(small)
    answer = choose(small, code, otp="000000")
    assert (answer.status_code, answer.json()["code"]) == (403, "evidence_invalid")


def test_an_order_ends_with_its_code_with_the_next_one_and_with_a_change_of_pin(
    place: PasskeyWorld,
) -> None:
    code = invited(place, hours=1)
    later = invited(place, hours=2)
    assert choose(place, code).json()["code"] == "evidence_invalid"
    assert change(place).status_code == 200
    assert choose(place, later).json()["code"] == "pin_not_offered"
    place.world.pin = NEW
    place.world.next_step()
    last = invited(place, hours=1)
    place.world.clock.advance(3600)
    place.world.session = place.world.new_session()
    assert choose(place, last).json()["code"] == "pin_not_offered"
    assert pin_records.prune(place.world.services) == 1


def test_an_order_that_the_sam_does_not_follow_is_none(small: PasskeyWorld) -> None:
    code = invited(small)
    (kept,) = small.world.database.all(select(pin_order))
    assert change(small).status_code == 200
    values = {"credential_id": kept.credential_id, "subscriber_id": kept.subscriber_id}
    values |= {"signed_order": kept.signed_order, "expires_at": kept.expires_at}
    small.world.database.run(pin_order.insert().values(values))
    small.world.next_step()
    answer = choose(small, code, new_pin=OTHER)
    assert (answer.status_code, answer.json()["code"]) == (404, "pin_not_offered")
    assert row(small).failed_attempts == 0


def test_a_lost_answer_of_the_sam_costs_a_code_and_nothing_else(small: PasskeyWorld) -> None:
    code = invited(small)
    asked = small.sap.choose_pin

    def lost(*arguments: Any) -> Any:
        asked(*arguments)
        raise SamUnavailable("the answer was lost")

    sap: Any = small.sap
    sap.choose_pin = lost
    assert choose(small, code).status_code == 503
    sap.choose_pin = asked
    small.world.next_step()
    typed = code.lower().replace("-", " ")  # as it is read from paper
    assert choose(small, typed, new_pin=OTHER).status_code == 200
    assert approves(small, OTHER)


def test_errors_of_the_sam_are_those_of_the_wire(small: PasskeyWorld) -> None:
    small.sap.faults = [SamUnavailable("away")]
    assert change(small).status_code == 503
    assert row(small).failed_attempts == 0
