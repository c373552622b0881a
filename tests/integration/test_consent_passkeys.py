"""The pages about passkeys on the real consent API, without a browser: what is told and kept."""

from __future__ import annotations

import json
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from consent_app.app import create_app
from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import (
    activation,
    consent,
    consent_account,
    consent_requests,
    passkey_routes,
)
from remote_signing.rssp.edge import middleware
from tests.support.consent_visitor import Visitor, settings
from tests.support.passkey_world import DAY, PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.world import REDIRECT, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sqlite import SqliteFolder


@pytest.fixture
def place(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(sqlite_folder) as world:
        yield passkey_world(world, tmp_path)


@pytest.fixture
def visitor(place: PasskeyWorld) -> Visitor:
    rssp = FastAPI()
    rssp.state.services = place.world.services
    parts = (consent_requests, consent_account, consent, passkey_routes)
    for router in (part.router for part in parts):
        rssp.include_router(router)
    middleware.install(rssp)
    found = Visitor()
    found.app = create_app(settings(), httpx.ASGITransport(rssp))
    signed_in(found, place)
    return found


def signed_in(visitor: Visitor, place: PasskeyWorld) -> None:
    visitor.cookies["__Host-consent-session"] = str(place.world.session)


def asked(visitor: Visitor, page: httpx.Response, address: str, **fields: str) -> httpx.Response:
    """What the module gets: its token stands beside the form."""
    token = page.text.partition(f'data-ask="{address}" data-ask-token="')[2].partition('"')[0]
    headers = {"Origin": "https://ky.example.gov.vn", "Sec-Fetch-Site": "same-origin"}
    return visitor.ask("POST", address, data={"form_token": token, **fields}, headers=headers)


def add_page(visitor: Visitor, place: PasskeyWorld) -> httpx.Response:
    return visitor.get(f"/passkeys/{place.world.credential_id}/add")


def made(visitor: Visitor, place: PasskeyWorld, device: Authenticator | None = None) -> str:
    here = f"/passkeys/{place.world.credential_id}"
    begun = asked(visitor, add_page(visitor, place), f"{here}/options").json()
    return json.dumps(place.made(begun, device))


def add(visitor: Visitor, place: PasskeyWorld, said: str, **changes: str) -> httpx.Response:
    fields = {"made": said, "name": "Máy tính", **place.proof(), **changes}
    page = add_page(visitor, place)
    return visitor.send(page, f"/passkeys/{place.world.credential_id}/add", **fields)


def approve(visitor: Visitor, place: PasskeyWorld, name: str, **changes: Any) -> httpx.Response:
    page = visitor.get(f"/requests/{name}")
    told = asked(visitor, page, f"/requests/{name}/passkey/options").json()
    answer = json.dumps(place.answered(told["challenge"], **changes))
    return visitor.send(page, f"/requests/{name}/passkey", answer=answer)


def registered(visitor: Visitor, place: PasskeyWorld) -> None:
    answer = add(visitor, place, made(visitor, place))
    assert answer.headers["location"] == "/passkeys"
    place.world.clock.advance(DAY)
    place.world.session = place.world.new_session()
    signed_in(visitor, place)


def test_a_passkey_is_added_and_approves(visitor: Visitor, place: PasskeyWorld) -> None:
    registered(visitor, place)
    name = place.world.opened()
    page = visitor.get(f"/requests/{name}")
    assert "script-src 'self'; connect-src 'self'" in page.headers["content-security-policy"]
    assert "publickey-credentials-get=(self)" in page.headers["permissions-policy"]
    answer = approve(visitor, place, name)
    assert answer.headers["location"].startswith(f"{REDIRECT}&code=")
    assert "Đã phê duyệt" in visitor.get(f"/requests/{name}").text


def test_where_no_portal_waits_the_outcome_is_shown(visitor: Visitor, place: PasskeyWorld) -> None:
    registered(visitor, place)
    name = place.world.opened(channel=activation.Channel.DECOUPLED, redirect_uri=None)
    place.world.match(name)
    answer = approve(visitor, place, name)
    assert answer.headers["location"] == f"/requests/{name}"


def test_an_answer_that_is_refused_is_told_and_pin_and_code_remain(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    place.device.counter, place.device.step = 1, 1
    registered(visitor, place)
    name = place.world.opened()
    answer = approve(visitor, place, name, origin="https://attacker.example")
    page = visitor.follow(answer)
    assert "không được chấp nhận" in page.text
    assert 'id="pin"' in page.text
    place.device.counter, place.device.step = 1, 0
    page = visitor.follow(approve(visitor, place, name))
    assert "có thể đã bị sao chép" in page.text
    assert "có thể đã bị sao chép" in visitor.get("/").text


def test_an_outage_while_a_passkey_approves_loses_nothing(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    registered(visitor, place)
    name = place.world.opened()
    page = visitor.get(f"/requests/{name}")
    told = asked(visitor, page, f"/requests/{name}/passkey/options").json()
    answer = json.dumps(place.answered(told["challenge"]))
    place.sap.faults = [HsmUnavailable("no node")]
    sent = visitor.send(page, f"/requests/{name}/passkey", answer=answer)
    assert "lần thử này không bị tính" in visitor.follow(sent).text
    again = json.dumps(place.answered(told["challenge"]))
    sent = visitor.send(page, f"/requests/{name}/passkey", answer=again)
    assert sent.headers["location"].startswith(REDIRECT)


def test_the_module_is_told_what_it_has_to_say(visitor: Visitor, place: PasskeyWorld) -> None:
    name = place.world.opened()
    here = f"/requests/{name}/passkey/options"
    registered(visitor, place)
    assert asked(visitor, visitor.get("/passkeys"), here).status_code == 403, "no token"
    fresh = place.world.opened()
    page = visitor.get(f"/requests/{fresh}")
    place.world.approve(fresh, place.world.otp())
    assert asked(visitor, page, f"/requests/{fresh}/passkey/options").status_code == 409
    add_here = f"/passkeys/{place.world.credential_id}"
    page = add_page(visitor, place)
    for _ in range(7):
        place.world.next_step()
        assert add(visitor, place, made(visitor, place, Authenticator())).status_code == 303
    told = asked(visitor, page, f"{add_here}/options")
    assert (told.status_code, told.json()) == (403, {"reason": "passkey_many"})
    visitor.cookies["__Host-consent-session"] = f"{'0' * 26}.{'A' * 43}"
    assert asked(visitor, page, f"{add_here}/options").status_code in {303, 403}


def test_what_was_made_is_kept_through_a_wrong_code_and_no_longer(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    said = made(visitor, place)
    page = add(visitor, place, said, pin="00000000")
    assert "Còn 2 lần thử" in page.text
    assert json.loads(field(page, "made")) == json.loads(said)
    assert field(add(visitor, place, said, otp="12"), "made")
    assert field(add(visitor, place, said, name=" "), "made")
    place.sap.faults = [HsmUnavailable("no node")]
    assert field(add(visitor, place, said), "made")
    synced = made(visitor, place, Authenticator(flags=0x1D))
    page = add(visitor, place, synced)
    assert "sao chép sang thiết bị khác" in page.text
    assert field(page, "made") == ""
    place.world.clock.advance(301)
    page = add(visitor, place, said)
    assert "Thao tác quá lâu" in page.text


def field(page: httpx.Response, name: str) -> str:
    """What stands in a field of the page."""
    return unescape(page.text.partition(f'name="{name}" value="')[2].partition('"')[0])


def test_a_passkey_confirms_another_and_is_removed(visitor: Visitor, place: PasskeyWorld) -> None:
    registered(visitor, place)
    here = f"/passkeys/{place.world.credential_id}"
    said = made(visitor, place, Authenticator())
    told = asked(visitor, add_page(visitor, place), f"{here}/confirm", made=said).json()
    answer = json.dumps(place.answered(told["challenge"]))
    sent = visitor.send(
        add_page(visitor, place), f"{here}/add", made=said, name="Hai", answer=answer
    )
    page = visitor.follow(sent)
    assert "Đã thêm khóa truy cập." in page.text
    gone = page.text.split('href="/passkeys/')[2].partition("/")[0]
    remove = f"/passkeys/{gone}/remove"
    page = visitor.get(remove)
    assert visitor.send(page, remove, pin="", otp="1").headers["location"] == remove
    sent = visitor.send(page, remove, **place.proof(pin="00000000"))
    assert "Còn 2 lần thử" in visitor.follow(sent).text
    place.world.next_step()
    sent = visitor.send(visitor.get(remove), remove, **place.proof())
    assert "Đã xóa vĩnh viễn" in visitor.follow(sent).text
    assert visitor.get(remove).status_code == 404
    page = visitor.get("/passkeys")
    visitor.send(page, "/passkeys/seen")
    assert "Tôi đã xem" not in visitor.get("/passkeys").text


def test_what_is_not_ours_is_not_read(visitor: Visitor, place: PasskeyWorld) -> None:
    name = place.world.opened()
    registered(visitor, place)
    name = place.world.opened()
    page = visitor.get(f"/requests/{name}")
    for answer in ("", "x", "[]", "[" * 1000):
        assert visitor.send(page, f"/requests/{name}/passkey", answer=answer).status_code == 400
    bare = visitor.ask("POST", f"/requests/{name}/passkey", data={"answer": "{}"})
    assert bare.status_code == 403
    assert visitor.get(f"/passkeys/{'0' * 26}/add").status_code == 404
    assert visitor.get(f"/passkeys/{'0' * 26}/remove").status_code == 404


def test_without_a_session_the_sign_in_page_leads_back(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    visitor.cookies.clear()
    for path in ("/passkeys", f"/passkeys/{place.world.credential_id}/add"):
        location = visitor.get(path).headers["location"]
        assert location == f"/sign-in?next={path.replace('/', '%2F')}"


# Several at once


def reviewed(place: PasskeyWorld, *documents: str) -> list[str]:
    """Decoupled requests whose codes were picked."""
    names = []
    for document in documents:
        changes: Any = {"channel": activation.Channel.DECOUPLED, "redirect_uri": None}
        names.append(place.world.opened(document, **changes))
        place.world.match(names[-1])
    return names


def touched(visitor: Visitor, place: PasskeyWorld, page: httpx.Response, ids: str) -> str:
    """What the module puts into the form after one touch."""
    told = asked(visitor, page, "/batch/passkey/options", ids=ids).json()
    return json.dumps(place.answered(told["challenge"]))


def test_one_touch_approves_what_the_page_shows_and_a_double_tap_is_one(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    registered(visitor, place)
    names = reviewed(place, "a", "b", "c")
    page = visitor.get("/batch")
    assert "Phê duyệt 3 yêu cầu bằng khóa truy cập" in page.text
    assert "script-src 'self'; connect-src 'self'" in page.headers["content-security-policy"]
    answer = touched(visitor, place, page, field(page, "ids"))
    sent = [visitor.send(page, "/batch/passkey", answer=answer) for _ in range(2)]
    assert {each.headers["location"] for each in sent} == {"/history"}
    assert "Đã phê duyệt 3 yêu cầu" in visitor.follow(sent[1]).text
    assert {state(place, each) for each in names} == {"AUTHORIZED"}


def state(place: PasskeyWorld, name: str) -> str:
    world = place.world
    return activation.details(world.services, name, world.subscriber_id).state.value


def test_a_touch_is_for_the_set_that_was_shown_and_another_set_asks_again(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    registered(visitor, place)
    names = reviewed(place, "a", "b", "c")
    page = visitor.get("/batch")
    answer = touched(visitor, place, page, field(page, "ids"))
    less = visitor.get("/batch", params={"without": names[2]})
    sent = visitor.send(less, "/batch/passkey", answer=answer)
    assert sent.headers["location"] == f"/batch?without={names[2]}#told"
    assert "không được chấp nhận" in visitor.follow(sent).text
    fresh = touched(visitor, place, less, field(less, "ids"))
    sent = visitor.send(less, "/batch/passkey", answer=fresh)
    assert sent.headers["location"] == "/history"
    assert [state(place, each) for each in names] == ["AUTHORIZED", "AUTHORIZED", "PENDING"]


def test_where_one_was_answered_elsewhere_the_module_shows_how_it_stands(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    registered(visitor, place)
    names = reviewed(place, "a", "b", "c")
    page = visitor.get("/batch")
    answer = touched(visitor, place, page, field(page, "ids"))
    activation.deny(place.world.services, place.world.session, names[0])
    ids = field(page, "ids")
    assert asked(visitor, page, "/batch/passkey/options", ids=ids).status_code == 409
    sent = visitor.send(page, "/batch/passkey", answer=answer)
    assert sent.headers["location"] == "/batch#told"
    page = visitor.follow(sent)
    assert field(page, "ids").split(".") == sorted(names[1:])


def test_an_outage_while_a_batch_is_approved_loses_nothing(
    visitor: Visitor, place: PasskeyWorld
) -> None:
    registered(visitor, place)
    names = reviewed(place, "a", "b")
    page = visitor.get("/batch")
    answer = touched(visitor, place, page, field(page, "ids"))
    place.sap.faults = [HsmUnavailable("no node")]
    sent = visitor.send(page, "/batch/passkey", answer=answer)
    assert "lần thử này không bị tính" in visitor.follow(sent).text
    answer = touched(visitor, place, page, field(page, "ids"))
    assert visitor.send(page, "/batch/passkey", answer=answer).headers["location"] == "/history"
    assert {state(place, each) for each in names} == {"AUTHORIZED"}
