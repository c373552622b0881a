"""``auth/login`` and ``auth/revoke``, the same in both versions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from remote_signing.rssp import clients, subscribers
from remote_signing.rssp.models import audit_event
from tests.support.csc import LOGIN, CscPortal
from tests.support.oauth import OAuthPortal
from tests.support.world import PASSWORD

if TYPE_CHECKING:
    import httpx

    from tests.support.world import World


@pytest.fixture(params=["v1", "v2"])
def portal(world: World, request: pytest.FixtureRequest) -> CscPortal:
    return CscPortal.at(world, request.param)


def login(portal: CscPortal, password: str = PASSWORD, **body: Any) -> httpx.Response:
    text = base64.b64encode(f"an.nguyen:{password}".encode()).decode()
    return portal.raw("POST", "auth/login", json=body, headers={"Authorization": f"Basic {text}"})


def refreshed(portal: CscPortal, token: object) -> httpx.Response:
    return portal.raw("POST", "auth/login", json={"refresh_token": token})


def works(portal: CscPortal, token: str) -> bool:
    return portal.post("credentials/list", {}, token).status_code == 200


def test_password_gives_a_token_for_the_signers_own_credentials(portal: CscPortal) -> None:
    answer = login(portal, clientData="x")
    members = answer.json()
    assert (answer.status_code, members["expires_in"]) == (200, 3600)
    assert "refresh_token" not in members
    assert answer.headers["Cache-Control"] == "no-store"
    listed = portal.post("credentials/list", {}, members["access_token"]).json()
    assert listed["credentialIDs"] == [portal.world.credential_id]
    kinds = portal.world.database.all(select(audit_event.c.kind, audit_event.c.client_id))
    assert ("login.password", LOGIN) in [tuple(row) for row in kinds]


def test_remembered_login_gives_a_refresh_token_that_is_good_once(portal: CscPortal) -> None:
    first = login(portal, rememberMe=True).json()
    second = refreshed(portal, first["refresh_token"]).json()
    assert works(portal, second["access_token"])
    assert second["refresh_token"] != first["refresh_token"]
    replayed = refreshed(portal, first["refresh_token"])
    assert replayed.json()["error_description"] == "Invalid refresh_token"
    # Whoever else holds it may hold what grew from it.
    assert not works(portal, second["access_token"])
    assert refreshed(portal, second["refresh_token"]).status_code == 400


def test_refresh_token_of_another_client_is_no_login(portal: CscPortal) -> None:
    own = login(portal, rememberMe=True).json()["refresh_token"]
    for token in (own.replace("r.", "s.", 1), "", "x", portal.user_token(), 7, None):
        answer = refreshed(portal, token)
        assert answer.status_code in {400, 401}
        assert answer.json()["error"] == "invalid_request"


def test_a_client_that_authenticates_elsewhere_is_no_login_client(world: World) -> None:
    """Else its refresh tokens could be used here without its key."""
    client = OAuthPortal.at(world, auth_method="client_secret_post")
    portal = CscPortal.at(world, login_client=client.client_id)
    tokens = client.service_tokens()
    for answer in (refreshed(portal, tokens["refresh_token"]), login(portal)):
        assert answer.json()["error"] == "unauthorized_client"
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_wrong_password_is_told_like_no_such_user(portal: CscPortal) -> None:
    wrong = login(portal, "một mật khẩu khác")
    unknown = portal.raw("POST", "auth/login", auth=("nobody", PASSWORD))
    suspended = portal.world.subscriber_id
    services = portal.world.services
    subscribers.set_state(services.database, services.clock, suspended, "suspended")
    assert wrong.json() == unknown.json() == login(portal).json()
    assert {wrong.status_code, unknown.status_code} == {400}


def test_guessing_pauses_sign_in(portal: CscPortal) -> None:
    limit = portal.world.services.config.policy.sign_in_limit
    for number in range(limit):
        assert login(portal, f"mật khẩu số {number}").status_code == 400
    assert login(portal).json()["error"] == "authentication_error"
    portal.world.clock.advance(portal.world.services.config.policy.sign_in_pause)
    assert login(portal).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": "Basic ="}, 401),
        ({"Authorization": "Digest username=x"}, 401),
        ({"Authorization": "Basic " + "A" * 3000}, 401),
        ([("Authorization", "Basic YTpi"), ("Authorization", "Basic YTpi")], 401),
        ({"Authorization": "Basic YWI="}, 400),
        ({"Authorization": "Basic OmI="}, 400),
        ({"Authorization": "Basic YTo="}, 400),
        ({"Authorization": "Basic /////w=="}, 400),
        ({"Authorization": "Basic AGE6Yg=="}, 400),
    ],
)
def test_malformed_header_is_told_so(portal: CscPortal, headers: Any, status: int) -> None:
    answer = portal.raw("POST", "auth/login", headers=headers)
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_password_and_refresh_token_together_are_refused(portal: CscPortal) -> None:
    assert login(portal, refresh_token="r.x").status_code == 401


def test_login_does_not_sign_at_scal2_without_the_signer(portal: CscPortal) -> None:
    token = login(portal).json()["access_token"]
    v2 = portal.at_version("v2")
    asked = v2.post("credentials/authorize", v2.authorize_body(), token)
    assert asked.status_code == 202
    assert v2.post("signatures/signHash", v2.sign_body(SAD="x"), token).status_code == 400


def test_suspended_login_client_lets_nobody_in(portal: CscPortal) -> None:
    world = portal.world
    token = login(portal).json()["access_token"]
    clients.set_state(world.database, world.clock, LOGIN, "suspended")
    world.clock.advance(5)
    assert login(portal).json()["error"] == "unauthorized_client"
    assert not works(portal, token)


def test_login_is_neither_served_nor_named_without_a_client_for_it(world: World) -> None:
    portal = CscPortal.at(world, login_client=None)
    for version in ("v1", "v2"):
        there = portal.at_version(version)
        info = there.raw("POST", "info").json()
        assert "basic" not in info["authType"]
        assert "auth/login" not in info["methods"]
        assert login(there).status_code == 501


def revoke(portal: CscPortal, bearer: str, token: str, **body: Any) -> httpx.Response:
    return portal.post("auth/revoke", {"token": token, **body}, bearer)


def test_revoked_access_token_leaves_its_refresh_token(portal: CscPortal) -> None:
    first = login(portal, rememberMe=True).json()
    answer = revoke(portal, first["access_token"], first["access_token"], clientData="x")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not works(portal, first["access_token"])
    assert works(portal, refreshed(portal, first["refresh_token"]).json()["access_token"])


def test_revoked_refresh_token_takes_its_access_tokens_along(portal: CscPortal) -> None:
    first, bearer = login(portal, rememberMe=True).json(), login(portal).json()["access_token"]
    hint = {"token_type_hint": "refresh_token"}
    assert revoke(portal, bearer, first["refresh_token"], **hint).status_code == 204
    assert not works(portal, first["access_token"])
    again = revoke(portal, bearer, first["refresh_token"], **hint)
    assert again.json()["error_description"] == "Invalid string parameter token"


def test_sad_and_credential_token_can_be_revoked(portal: CscPortal) -> None:
    bearer, v2 = portal.user_token(), portal.at_version("v2")
    sad, token = v2.sad(), v2.credential_token()
    for secret in (sad, token):
        assert revoke(portal, bearer, secret).status_code == 204
        body = v2.sign_body(SAD=secret)
        answer = v2.post("signatures/signHash", body)
        assert answer.json()["error_description"] == "SAD expired"


def test_token_of_another_client_is_unknown(portal: CscPortal) -> None:
    bearer, foreign = portal.user_token(), login(portal).json()["access_token"]
    answer = revoke(portal, bearer, foreign)
    assert answer.json()["error_description"] == "Invalid string parameter token"
    assert works(portal, foreign)
