"""RFC 8414 metadata: where it is, and that it tells the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from fastapi.routing import APIRoute

from remote_signing.rssp.oauth.routes import router
from tests.support.asgi import call
from tests.support.oauth import ISSUER, OAuthPortal, application
from tests.support.world import configuration, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sqlite import SqliteFolder

WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@pytest.fixture(scope="module")
def portal(sqlite_folder: SqliteFolder) -> Iterator[OAuthPortal]:
    with new_world(sqlite_folder) as world:
        yield OAuthPortal.at(world)


def described(portal: OAuthPortal) -> dict[str, Any]:
    members: dict[str, Any] = call(portal.app, "GET", WELL_KNOWN[0]).json()
    return members


@pytest.mark.parametrize("path", WELL_KNOWN)
def test_it_is_at_both_well_known_places(portal: OAuthPortal, path: str) -> None:
    response = call(portal.app, "GET", path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    assert response.json()["issuer"] == ISSUER


def test_an_issuer_with_a_path_has_it_in_the_well_known_place(portal: OAuthPortal) -> None:
    for other in ("other", "rssp.example"):
        assert call(portal.app, "GET", f"{WELL_KNOWN[0]}/{other}").status_code == 404
    config = configuration("sqlite://", urls={"issuer": "https://a.example/rssp"})
    app = application(replace(portal.world.services, config=config))
    described = call(app, "GET", f"{WELL_KNOWN[0]}/rssp").json()
    assert described["issuer"] == "https://a.example/rssp"
    assert described["token_endpoint"] == "https://a.example/rssp/oauth2/token"


def test_every_endpoint_named_is_there(portal: OAuthPortal) -> None:
    paths = {route.path for route in router.routes if isinstance(route, APIRoute)}
    endpoints = [value for name, value in described(portal).items() if name.endswith("_endpoint")]
    assert len(endpoints) == 4
    for endpoint in endpoints:
        assert endpoint.startswith(ISSUER)
        assert urlsplit(endpoint).path in paths


def test_no_algorithm_is_named_that_is_too_weak(portal: OAuthPortal) -> None:
    lists = [value for name, value in described(portal).items() if "_alg_values" in name]
    assert len(lists) == 3
    for algorithms in lists:
        assert not {"none", "HS256", "RS256"} & set(algorithms)


def test_only_what_is_offered_is_named(portal: OAuthPortal) -> None:
    members = described(portal)
    assert members["code_challenge_methods_supported"] == ["S256"]
    assert members["response_types_supported"] == ["code"]
    assert members["grant_types_supported"] == [
        "authorization_code",
        "client_credentials",
        "refresh_token",
    ]
    assert members["scopes_supported"] == ["service", "credential"]
    assert members["authorization_response_iss_parameter_supported"] is True
    assert "jwks_uri" not in members, "tokens are opaque; there is no key to verify them with"
    for grant in members["grant_types_supported"]:
        answer = portal.token({"grant_type": grant}).json()
        assert answer.get("error_description") != "Invalid parameter grant_type"


@pytest.mark.parametrize("type_name", ["credential", "2025"])
def test_the_types_of_details_named_are_accepted(portal: OAuthPortal, type_name: str) -> None:
    named = described(portal)["authorization_details_types_supported"]
    kind = next(name for name in named if type_name in name)
    request = portal.request(scope=None, authorization_details=portal.details(type=kind))
    assert portal.push(request).status_code == 201
