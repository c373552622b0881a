"""Several requests approved by one touch of a passkey, on both databases, with the real verbs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import activation, activation_passkey
from remote_signing.rssp.activation import Channel
from tests.integration.test_rssp_passkey_answers import verify as verify  # noqa: PLC0414 - a fixture
from tests.integration.test_rssp_passkeys import events, failed_attempts
from tests.support.client_desk import register
from tests.support.passkey_world import PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.world import PORTAL, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import Databases


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(databases) as world:
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
    other = register(place.world.database, "cong-khac")
    ids = [*asked(place, "a", "b"), *asked(place, "c", client_id=other)]
    answer = touched(place, ids)
    with place.world.counted() as statements:
        response = send(place, ids, answer)
    assert (response.status_code, told(response)) == (200, [True] * 3)
    assert len(statements) == 4, "one for all, then one for each"
    assert {state(place, each) for each in ids} == {"AUTHORIZED"}
    given = events(place, "consent.given")
    assert {json.loads(each.detail)["factor"] for each in given} == {"passkey"}
    assert len({json.loads(each.detail)["batch"] for each in given}) == 1
    assert place.ask("GET", f"/history/{ids[2]}").json()["factor"] == "passkey"
    assert failed_attempts(place) == 0


def test_what_was_asked_costs_one_statement(place: PasskeyWorld) -> None:
    ids = asked(place, "a", "b")
    with place.world.counted() as statements:
        assert question(place, ids).status_code == 200
    assert len(statements) == 1


def test_leaving_one_out_after_the_question_needs_a_new_touch(place: PasskeyWorld) -> None:
    ids = asked(place, "a", "b", "c")
    answer = touched(place, ids)
    for others in (ids[:2], ids[::-1]):
        response = send(place, others, answer)
        assert (response.status_code, response.json()["code"]) == (403, "evidence_invalid")
    assert {state(place, each) for each in ids} == {"PENDING"}
    assert told(send(place, ids[:2], touched(place, ids[:2]))) == [True, True]
    assert state(place, ids[2]) == "PENDING"


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
    place: PasskeyWorld,
) -> None:
    ids = asked(place, "a", "b", "c")
    answer = touched(place, ids)
    activation.deny(place.world.services, place.world.session, ids[1])
    response = send(place, ids, answer)
    assert (response.status_code, response.json()["code"]) == (409, "request_denied")
    rest = [ids[0], ids[2]]
    assert {state(place, each) for each in rest} == {"PENDING"}
    assert told(send(place, rest, touched(place, rest))) == [True, True]


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


def test_a_batch_is_two_to_as_many_as_the_policy_allows(place: PasskeyWorld) -> None:
    services = place.world.services
    policy = replace(services.config.policy, max_batch=3)
    place.world.services = replace(services, config=replace(services.config, policy=policy))
    ids = asked(place, "a", "b", "c", "d")
    for wrong in ([], ids[:1], [ids[0], ids[0]], ids):
        response = question(place, wrong)
        assert (response.status_code, response.json()["parameter"]) == (400, "ids")
    assert len(place.ask("GET", "/batch").json()["requests"]) == 3
    assert told(send(place, ids[:3], touched(place, ids[:3]))) == [True] * 3
    response = send(place, ids[3:], place.answered("AAAA"))
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


def test_a_refused_touch_is_on_record_and_costs_no_attempt(place: PasskeyWorld) -> None:
    ids = asked(place, "a", "b")
    response = send(place, ids, touched(place, ids, origin="https://attacker.example"))
    assert (response.status_code, response.json()["code"]) == (403, "evidence_invalid")
    (refused,) = events(place, "consent.passkey_refused")
    assert refused.activation_id == ids[0]
    assert failed_attempts(place) == 0
    place.sap.faults = [HsmUnavailable("no node")]
    assert send(place, ids, place.answered("AAAA")).status_code == 503
    assert told(send(place, ids, touched(place, ids))) == [True, True]


def test_evidence_of_one_of_a_batch_proves_it_and_tells_nothing_of_the_others(
    place: PasskeyWorld,
    verify: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ids = asked(place, "một.pdf", "hai.pdf")
    send(place, ids, touched(place, ids))
    one, other = (activation_passkey.evidence(place.world.services, each) for each in ids)
    assert one is not None
    assert other is not None
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
    record = json.loads(str(one["statement"]))
    for members in (record[1][0][2]["together"][:1], record[1][0][2]["together"][::-1], "ab"):
        changed = json.loads(str(one["statement"]))
        changed[1][0][2]["together"] = members
        assert judged(one | {"statement": json.dumps(changed)}) == 1
    false = {"hashes": [digest("hai.pdf").hex()]}
    own = {"hashes": [digest("một.pdf").hex()]}
    forged: Any = one | {"request": one["request"] | false}  # type: ignore[operator]
    assert judged(forged | {"challenge": one["challenge"] | own}, "hai.pdf") == 1  # type: ignore[operator]
