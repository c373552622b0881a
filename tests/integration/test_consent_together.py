"""The consent page on the rssp's real consent API, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from consent_app.app import create_app
from remote_signing.errors import ActivationDenied, HsmUnavailable
from remote_signing.rssp import (
    activation,
    consent,
    consent_account,
    consent_requests,
    service_authorization,
    sign_in_routes,
)
from remote_signing.rssp.edge import middleware
from tests.support.consent_visitor import Visitor, settings
from tests.support.world import PASSWORD, PORTAL, REDIRECT, VERIFIER, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as furnished:
        yield furnished


@pytest.fixture
def visitor(world: World) -> Visitor:
    """Signed in through the page."""
    rssp = FastAPI()
    rssp.state.services = world.services
    rssp.include_router(consent_requests.router)
    rssp.include_router(consent_account.router)
    rssp.include_router(consent.router)
    rssp.include_router(sign_in_routes.router)
    middleware.install(rssp)
    found = Visitor()
    found.app = create_app(settings(), httpx.ASGITransport(rssp))
    page = found.get("/sign-in")
    answer = found.send(page, "/sign-in", username="an.nguyen", password=PASSWORD)
    assert answer.headers["location"] == "/"
    return found


def approve(visitor: Visitor, name: str, pin: str, otp: str) -> httpx.Response:
    page = visitor.get(f"/requests/{name}")
    return visitor.send(page, f"/requests/{name}/approve", pin=pin, otp=otp)


def test_a_signer_finds_reads_and_approves_a_request(world: World, visitor: Visitor) -> None:
    name = world.opened("quyết định.pdf", "phụ lục.pdf")
    assert f"/requests/{name}" in visitor.get("/").text
    page = visitor.get(f"/requests/{name}")
    for part in ("Cổng dịch vụ công", "quyết định.pdf", "phụ lục.pdf", "Quyết định bổ nhiệm"):
        assert part in page.text
    assert "form-action 'self' https://portal.example;" in page.headers["content-security-policy"]
    answer = approve(visitor, name, world.pin, world.otp())
    assert answer.headers["location"].startswith(f"{REDIRECT}&code=")
    assert "Đã phê duyệt" in visitor.get(f"/requests/{name}").text


def test_a_wrong_code_and_a_lost_node_cost_no_request(world: World, visitor: Visitor) -> None:
    new = world.request(channel=activation.Channel.DECOUPLED, redirect_uri=None)
    asked = activation.request_activation(world.services, new)
    name = asked.activation_id
    page = visitor.get(f"/requests/{name}")
    assert "Cổng đang hiển thị mã nào?" in page.text
    visitor.send(page, f"/requests/{name}/match", code=asked.verification_code)
    page = visitor.follow(approve(visitor, name, "000000", world.otp()))
    assert "Còn 4 lần thử" in page.text
    world.next_step()
    world.sam.faults["activate"] = [HsmUnavailable("no node")]
    page = visitor.follow(approve(visitor, name, world.pin, world.otp()))
    assert "lần thử này không bị tính" in page.text
    page = visitor.follow(approve(visitor, name, world.pin, world.otp()))
    assert "Đã phê duyệt" in page.text


def test_a_signer_returns_a_request_that_came_by_itself(world: World, visitor: Visitor) -> None:
    new = world.request(channel=activation.Channel.DECOUPLED, redirect_uri=None)
    asked = activation.request_activation(world.services, new)
    name = asked.activation_id
    given = {"kind": "returned", "reason": "content", "text": "Sai  tên"}
    answer = visitor.send(visitor.get(f"/requests/{name}"), f"/requests/{name}/refuse", **given)
    assert "Đã trả lại" in visitor.follow(answer).text
    with pytest.raises(ActivationDenied) as caught:
        activation.check_handle(world.services, asked.ticket, PORTAL)
    assert caught.value.public == given | {"text": "Sai tên"}


def test_history_sessions_and_freezing_are_whole_pages(world: World, visitor: Visitor) -> None:
    world.approve(world.opened())
    page = visitor.get("/history")
    assert "Cổng dịch vụ công" in page.text
    name = page.text.partition('href="/history/')[2][:26]
    assert "Mã PIN ký số và mã xác thực một lần" in visitor.get(f"/history/{name}").text
    page = visitor.follow(visitor.send(visitor.get("/lost-phone"), "/account/freeze"))
    assert "1 chứng thư số đang bị khóa khẩn cấp" in page.text
    answer = visitor.send(visitor.get("/security"), "/account/sign-out")
    assert "Đã đăng xuất" in visitor.follow(answer).text


def test_a_signer_refuses(world: World, visitor: Visitor) -> None:
    name = world.opened()
    page = visitor.get(f"/requests/{name}")
    answer = visitor.send(page, f"/requests/{name}/refuse")
    assert "error=access_denied" in answer.headers["location"]
    assert "Đã từ chối" in visitor.get(f"/requests/{name}").text


def test_a_locked_credential_is_told(world: World, visitor: Visitor) -> None:
    name = world.opened()
    for number in range(6):
        page = visitor.follow(approve(visitor, name, f"00000{number}", world.otp()))
    assert "Chứng thư số đang bị khóa" in page.text


def test_an_expired_request_is_told(world: World, visitor: Visitor) -> None:
    name = world.opened()
    world.clock.advance(301)
    answer = visitor.get(f"/requests/{name}")
    assert answer.status_code == 410
    assert "Đã hết thời hạn" in answer.text


def test_somebody_elses_request_is_not_found(world: World, visitor: Visitor) -> None:
    world.new_signer("binh.tran")
    world.new_credential()
    assert visitor.get(f"/requests/{world.opened()}").status_code == 404


def test_access_is_allowed(world: World, visitor: Visitor) -> None:
    new = service_authorization.NewServiceRequest(PORTAL, REDIRECT, activation.s256(VERIFIER))
    ticket = service_authorization.request(world.services, new)
    name = service_authorization.open_request(world.services, PORTAL, ticket)
    page = visitor.get(f"/services/{name}")
    assert "Cổng dịch vụ công" in page.text
    answer = visitor.send(page, f"/services/{name}/approve")
    assert answer.headers["location"].startswith(f"{REDIRECT}&code=")
    assert "Đã cho phép" in visitor.get(f"/services/{name}").text


def test_an_idle_session_leads_to_sign_in_and_back(world: World, visitor: Visitor) -> None:
    world.clock.advance(31 * 60)
    name = world.opened()
    answer = visitor.get(f"/requests/{name}")
    assert answer.headers["location"] == f"/sign-in?next=%2Frequests%2F{name}"
    page = visitor.follow(answer)
    assert "Phiên làm việc đã kết thúc" in page.text
    answer = visitor.send(page, "/sign-in", username="an.nguyen", password=PASSWORD)
    assert answer.headers["location"] == f"/requests/{name}"


def test_signing_out_ends_the_session_at_the_rssp(visitor: Visitor) -> None:
    page = visitor.get("/")
    before = dict(visitor.cookies)
    visitor.send(page, "/sign-out")
    visitor.cookies |= before
    assert visitor.get("/").headers["location"] == "/sign-in"
