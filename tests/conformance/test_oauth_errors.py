"""Every row of both versions' error tables for the token and the revocation endpoint."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.examples import example
from tests.support.oauth import OAuthPortal
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.conftest import Databases

    Scene = Callable[[OAuthPortal], httpx.Response]

TABLE = json.loads(
    (Path(__file__).parents[1] / "data" / "csc" / "csc_errors.json").read_text("utf-8")
)
METHODS = ("oauth2/token", "oauth2/revoke")


class Row(NamedTuple):
    version: str
    method: str
    case: str
    statuses: tuple[int, ...]
    error: str
    text: str


ROWS = [
    Row(
        version, method, case, tuple(status) if isinstance(status, list) else (status,), error, text
    )
    for version, methods in TABLE["cases"].items()
    for method in METHODS
    for case, status, error, text in methods[method]
]


@pytest.fixture(scope="module")
def portal(databases: Databases) -> Iterator[OAuthPortal]:
    with new_world(databases) as world:
        yield OAuthPortal.at(world, auth_method="client_secret_post", jwks=None)


def without(form: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in form.items() if key != name}


def used_code(portal: OAuthPortal) -> httpx.Response:
    form = portal.redemption(portal.consent()["code"])
    portal.token(form)
    return portal.token(form)


def old_refresh_token(portal: OAuthPortal) -> httpx.Response:
    token = portal.service_tokens()["refresh_token"]
    portal.world.clock.advance(31 * 86400)
    response = portal.refresh(token)
    portal.world.session = portal.world.new_session()
    return response


def other_redirect(portal: OAuthPortal) -> httpx.Response:
    code = portal.consent()["code"]
    return portal.token(portal.redemption(code, redirect_uri="https://portal.example/other"))


def malformed_header(portal: OAuthPortal) -> httpx.Response:
    bad = base64.b64encode(b"no colon").decode()
    return portal.post("revoke", {"token": "x"}, headers={"Authorization": f"Basic {bad}"})


GRANT = {"grant_type": "client_credentials"}
MADE_UP = "0" * 26 + "." + "A" * 43

SCENES: dict[tuple[str, str], Scene] = {
    ("oauth2/token", "client_id missing"): lambda portal: portal.post("token", GRANT),
    ("oauth2/token", "grant_type missing"): lambda portal: portal.token({}),
    ("oauth2/token", "grant_type invalid"): lambda portal: portal.token({"grant_type": "password"}),
    ("oauth2/token", "code missing"): lambda portal: portal.token(
        without(portal.redemption("x"), "code")
    ),
    ("oauth2/token", "refresh_token missing"): lambda portal: portal.token(
        {"grant_type": "refresh_token"}
    ),
    ("oauth2/token", "client_id invalid"): lambda portal: portal.post(
        "token", GRANT | portal.auth() | {"client_id": "nobody"}
    ),
    ("oauth2/token", "code invalid"): lambda portal: portal.token(portal.redemption(MADE_UP)),
    ("oauth2/token", "redirect_uri mismatch"): other_redirect,
    ("oauth2/token", "refresh_token invalid"): lambda portal: portal.refresh(f"r.{MADE_UP}"),
    ("oauth2/token", "refresh_token expired"): old_refresh_token,
    ("oauth2/token", "code expired/used"): used_code,
    ("oauth2/token", "no client authentication"): lambda portal: portal.post(
        "token", GRANT | without(portal.auth(), "client_secret")
    ),
    ("oauth2/token", "client_secret invalid"): lambda portal: portal.post(
        "token", GRANT | portal.auth() | {"client_secret": "wrong"}
    ),
    ("oauth2/revoke", "token missing"): lambda portal: portal.post("revoke", portal.auth()),
    ("oauth2/revoke", "token_type_hint invalid"): lambda portal: portal.revoke(
        "x", token_type_hint="id_token"
    ),
    ("oauth2/revoke", "token invalid"): lambda portal: portal.revoke("x"),
    ("oauth2/revoke", "client_id missing, no header"): lambda portal: portal.post(
        "revoke", {"token": "x"}
    ),
    ("oauth2/revoke", "client_id invalid"): lambda portal: portal.post(
        "revoke", {"token": "x"} | portal.auth() | {"client_id": "nobody"}
    ),
    ("oauth2/revoke", "client_secret missing, no header"): lambda portal: portal.post(
        "revoke", {"token": "x", "client_id": portal.client_id}
    ),
    ("oauth2/revoke", "client_secret invalid"): lambda portal: portal.post(
        "revoke", {"token": "x"} | portal.auth() | {"client_secret": "wrong"}
    ),
    ("oauth2/revoke", "Authorization header invalid"): malformed_header,
}
# Every kind of token that we give out can be revoked.
NEVER = {("oauth2/revoke", "unsupported")}


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if (row.method, row.case) not in NEVER],
    ids=lambda row: f"{row.version} {row.method}: {row.case}",
)
def test_a_case_of_the_standard_is_answered_with_its_text(portal: OAuthPortal, row: Row) -> None:
    base = "/csc/v1" if row.version == "v1" else ""
    response = SCENES[row.method, row.case](replace(portal, base=base))
    example(row.case, response)
    assert response.status_code in row.statuses, response.text
    assert response.json() == {"error": row.error, "error_description": row.text}
    assert response.headers["content-type"].startswith("application/json")


def test_every_row_has_its_scene() -> None:
    rows = {(row.method, row.case) for row in ROWS}
    assert rows == SCENES.keys() | NEVER
