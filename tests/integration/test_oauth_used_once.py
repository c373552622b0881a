"""A request's assertion and its DPoP proof: good once each, written down by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oauth import OAuthPortal
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.world import World

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture(scope="module")
def portal(world: World) -> OAuthPortal:
    return OAuthPortal.at(world)


def told(response: httpx.Response) -> Any:
    return response.json().get("error")


def test_both_are_written_by_one_statement(world: World, portal: OAuthPortal) -> None:
    portal.token(GRANT)  # the client is known by now
    with world.counted() as alone:
        assert portal.token(GRANT).status_code == 200
    with world.counted() as together:
        assert portal.token(GRANT, headers=portal.proof()).status_code == 200
    assert len(together) == len(alone)


def test_an_assertion_seen_before_leaves_the_proof_good(portal: OAuthPortal) -> None:
    used, proof = GRANT | portal.auth(), portal.proof()
    assert portal.post("token", used).status_code == 200
    assert told(portal.post("token", used, headers=proof)) == "invalid_client"
    assert portal.token(GRANT, headers=proof).status_code == 200


def test_a_proof_seen_before_uses_the_assertion_up(portal: OAuthPortal) -> None:
    proof, fresh = portal.proof(), GRANT | portal.auth()
    assert portal.token(GRANT, headers=proof).status_code == 200
    assert told(portal.post("token", fresh, headers=proof)) == "invalid_dpop_proof"
    assert told(portal.post("token", fresh, headers=portal.proof())) == "invalid_client"


def test_both_seen_before_is_told_of_the_client(portal: OAuthPortal) -> None:
    proof, form = portal.proof(), GRANT | portal.auth()
    assert portal.post("token", form, headers=proof).status_code == 200
    assert told(portal.post("token", form, headers=proof)) == "invalid_client"


def test_a_bad_proof_uses_the_assertion_up(portal: OAuthPortal) -> None:
    form = GRANT | portal.auth()
    assert told(portal.post("token", form, headers=portal.proof("GET"))) == "invalid_dpop_proof"
    assert told(portal.post("token", form, headers=portal.proof())) == "invalid_client"


def test_what_else_is_wrong_is_told_before_the_proof(portal: OAuthPortal) -> None:
    odd = portal.request(redirect_uri="https://elsewhere.example/")
    wrong = portal.proof("GET", "/oauth2/pushed_authorize")
    assert portal.push(odd, headers=wrong).json()["error_description"].endswith("redirect_uri")


def test_a_proof_beside_a_secret_is_good_once_too(world: World) -> None:
    older = OAuthPortal.at(world, "by-secret", auth_method="client_secret_post", jwks=None)
    proof = older.proof()
    assert older.token(GRANT, headers=proof).status_code == 200
    assert told(older.token(GRANT, headers=proof)) == "invalid_dpop_proof"
