"""Several requests approved by one touch of a passkey, on both databases, with the real verbs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import activation, activation_passkey, clients
from remote_signing.rssp.activation import Channel
from tests.integration.test_rssp_passkey_answers import verify as verify  # noqa: PLC0414 - a fixture
from tests.integration.test_rssp_passkeys import events, failed_attempts
from tests.support.passkey_world import PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.world import PORTAL, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import Databases
    from tests.support.sqlite import SqliteFolder


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(databases) as world:
        found = passkey_world(world, tmp_path)
        found.register()
        yield found


@pytest.fixture
def local(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    """The same where the database makes no difference."""
    with new_world(sqlite_folder) as world:
        found = passkey_world(world, tmp_path)
        found.register()
        yield found


def asked(place: PasskeyWorld, *documents: str, client_id: str = PORTAL) -> list[str]:
    """Decoupled requests, one for each document, whose codes were picked."""
    found = []
    for document in documents:
        new = place.world.request(
            document, channel=Channel.DECOUPLED, redirect_uri=None, client_id=client_id
        )
        name = activation.request_activation(place.world.services, new).activation_id
        place.world.match(name)
        found.append(name)
    return found


def question(place: PasskeyWorld, ids: list[str]) -> httpx.Response:
    return place.ask("POST", "/batch/passkey/options", {"ids": ids})


def touched(place: PasskeyWorld, ids: list[str], **changes: Any) -> Any:
    """What the browser says after one touch about ``ids``."""
    answer = question(place, ids)
    assert answer.status_code == 200, answer.text
    return place.answered(answer.json()["challenge"], **changes)


def send(place: PasskeyWorld, ids: list[str], answer: Any) -> httpx.Response:
    return place.ask("POST", "/batch/passkey", {"ids": ids, "answer": answer})


def state(place: PasskeyWorld, name: str) -> str:
    world = place.world
    return activation.details(world.services, name, world.subscriber_id).state.value


def told(response: httpx.Response) -> list[bool]:
    return [item["is_approved"] for item in response.json()["results"]]


def test_one_touch_approves_requests_of_several_portals_and_each_signs_its_own(
    place: PasskeyWorld,
) -> None:
    new = clients.NewClient("khac", "Cổng khác", "client_secret_post", ("https://x.example/",))
    clients.register(place.world.database, place.world.clock, new)
    ids = [*asked(place, "a", "b"), *asked(place, "c", client_id="khac")]
    answer = touched(place, ids)
    with place.world.counted() as statements:
        response = send(place, ids, answer)
    assert (response.status_code, told(response)) == (200, [True] * 3)
    taken = [line for line in statements if line not in {"BEGIN IMMEDIATE", "BEGIN", "COMMIT"}]
    assert len(taken) == 5, "one for all, one that holds them, then one for each"
    assert {state(place, each) for each in ids} == {"AUTHORIZED"}
    given = events(place, "consent.given")
    assert {json.loads(each.detail)["factor"] for each in given} == {"passkey"}
    assert len({json.loads(each.detail)["batch"] for each in given}) == 1
    assert place.ask("GET", f"/history/{ids[2]}").json()["factor"] == "passkey"
    assert failed_attempts(place) == 0


def test_what_was_asked_costs_one_statement(local: PasskeyWorld) -> None:
    ids = asked(local, "a", "b")
    with local.world.counted() as statements:
        assert question(local, ids).status_code == 200
    assert len(statements) == 1


def test_leaving_one_out_after_the_question_needs_a_new_touch(local: PasskeyWorld) -> None:
    ids = asked(local, "a", "b", "c")
    answer = touched(local, ids)
    for others in (ids[:2], ids[::-1]):
        response = send(local, others, answer)
        assert (response.status_code, response.json()["code"]) == (403, "evidence_invalid")
    assert {state(local, each) for each in ids} == {"PENDING"}
    assert told(send(local, ids[:2], touched(local, ids[:2]))) == [True, True]
    assert state(local, ids[2]) == "PENDING"


def test_of_two_tabs_with_the_same_touch_the_second_is_told_and_nothing_is_signed_twice(
    place: PasskeyWorld,
) -> None:
    ids = asked(place, "a", "b", "c")
    first, second = touched(place, ids), touched(place, ids[1:])
    assert send(place, ids, first).status_code == 200
    for answer, names in ((first, ids), (second, ids[1:])):
        response = send(place, names, answer)
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert len(events(place, "consent.given")) == 3


def test_one_refused_elsewhere_before_the_touch_arrives_stops_all_and_asks_anew(
    local: PasskeyWorld,
) -> None:
    ids = asked(local, "a", "b", "c")
    answer = touched(local, ids)
    activation.deny(local.world.services, local.world.session, ids[1])
    response = send(local, ids, answer)
    assert (response.status_code, response.json()["code"]) == (409, "request_denied")
    rest = [ids[0], ids[2]]
    assert {state(local, each) for each in rest} == {"PENDING"}
    assert told(send(local, rest, touched(local, rest))) == [True, True]


def test_one_refused_while_the_touch_is_checked_is_told_and_the_others_stand(
    place: PasskeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = asked(place, "a", "b", "c")
    answer, activate_all = touched(place, ids), place.sap.activate_all

    def overtaken(*arguments: Any) -> Any:
        given = activate_all(*arguments)
        activation.deny(place.world.services, place.world.session, ids[0])
        return given

    monkeypatch.setattr(place.sap, "activate_all", overtaken)
    assert told(send(place, ids, answer)) == [False, True, True]
    assert [state(place, each) for each in ids] == ["DENIED", "AUTHORIZED", "AUTHORIZED"]


def test_a_batch_is_two_to_as_many_as_the_policy_allows(local: PasskeyWorld) -> None:
    services = local.world.services
    policy = replace(services.config.policy, max_batch=3)
    local.world.services = replace(services, config=replace(services.config, policy=policy))
    ids = asked(local, "a", "b", "c", "d")
    for wrong in ([], ids[:1], [ids[0], ids[0]], ids):
        response = question(local, wrong)
        assert (response.status_code, response.json()["parameter"]) == (400, "ids")
    assert len(local.ask("GET", "/batch").json()["requests"]) == 3
    assert told(send(local, ids[:3], touched(local, ids[:3]))) == [True] * 3
    response = send(local, ids[3:], local.answered("AAAA"))
    assert (response.status_code, response.json()["parameter"]) == (400, "ids")


def test_what_is_not_reviewed_or_not_decoupled_is_in_no_touch(place: PasskeyWorld) -> None:
    good = asked(place, "a", "b")
    new = place.world.request("c", channel=Channel.DECOUPLED, redirect_uri=None)
    unseen = activation.request_activation(place.world.services, new).activation_id
    own_browser = place.world.opened("d")
    for other, code in (
        (unseen, "code_unmatched"),
        (own_browser, "conflict"),
        ("0" * 26, "request_unknown"),
    ):
        assert question(place, [*good, other]).json()["code"] == code
        assert send(place, [*good, other], place.answered("AAAA")).json()["code"] == code
    place.world.session = place.world.new_session()
    stranger = Authenticator()
    response = send(place, good, place.answered("AAAA", stranger))
    assert (response.status_code, response.json()["code"]) == (404, "passkey_unknown")
    place.world.new_signer("binh.tran")
    assert question(place, good).json()["code"] == "request_unknown"


def test_a_refused_touch_is_on_record_and_costs_no_attempt(local: PasskeyWorld) -> None:
    ids = asked(local, "a", "b")
    response = send(local, ids, touched(local, ids, origin="https://attacker.example"))
    assert (response.status_code, response.json()["code"]) == (403, "evidence_invalid")
    (refused,) = events(local, "consent.passkey_refused")
    assert refused.activation_id == ids[0]
    assert failed_attempts(local) == 0
    local.sap.faults = [HsmUnavailable("no node")]
    assert send(local, ids, local.answered("AAAA")).status_code == 503
    assert told(send(local, ids, touched(local, ids))) == [True, True]


def test_evidence_of_one_of_a_batch_proves_it_and_tells_nothing_of_the_others(
    local: PasskeyWorld,
    verify: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ids = asked(local, "một.pdf", "hai.pdf")
    send(local, ids, touched(local, ids))
    one: Any
    other: Any
    one, other = (activation_passkey.evidence(local.world.services, each) for each in ids)
    text = json.dumps(one)
    assert digest("hai.pdf").hex() not in text
    assert ids[1] not in text

    def judged(evidence: Any, of: str = "một.pdf") -> int:
        file = tmp_path / "evidence.json"
        file.write_text(json.dumps(evidence), "utf-8")
        return verify([str(file), "--digest", digest(of).hex()])

    assert (judged(one), judged(other, "hai.pdf")) == (0, 0)
    assert "2 request(s) by this touch" in capsys.readouterr().out
    assert judged(one, "hai.pdf") == 1
    assert judged(one | {"challenge": other["challenge"]}) == 1
    assert judged(one | {"format": "remote-signing/passkey-evidence/v1"}) == 1
    assert judged(one | {"format": "x"}) == 1
    record = json.loads(one["statement"])
    for members in (record[1][0][2]["together"][:1], record[1][0][2]["together"][::-1], "ab"):
        changed = json.loads(one["statement"])
        changed[1][0][2]["together"] = members
        assert judged(one | {"statement": json.dumps(changed)}) == 1
    false = {"hashes": [digest("hai.pdf").hex()]}
    own = {"hashes": [digest("một.pdf").hex()]}
    forged = one | {"request": one["request"] | false}
    assert judged(forged | {"challenge": one["challenge"] | own}, "hai.pdf") == 1
