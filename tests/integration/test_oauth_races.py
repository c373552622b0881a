"""One-time things under sixteen simultaneous requests from four processes: exactly one winner.

``REMOTE_SIGNING_RACES`` in the environment asks for more rounds than the few of an ordinary run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from tests.support.oauth import OAuthPortal
from tests.support.oauth_racer import RACERS, Asked, Racers
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Databases

ROUNDS = int(os.environ.get("REMOTE_SIGNING_RACES", "5"))
TOKEN = "/oauth2/token"
FAMILY = text(
    "SELECT revoked_at FROM refresh_token WHERE family_id ="
    " (SELECT family_id FROM refresh_token WHERE id = :token)"
)
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def portal(databases: Databases) -> Iterator[OAuthPortal]:
    with new_world(databases) as world:
        yield OAuthPortal.at(world)


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    with Racers() as racers:
        yield racers


def sign_in(portal: OAuthPortal) -> None:
    """Anew for each round: a credential's code moves the clock by half a minute."""
    portal.world.session = portal.world.new_session()


def race(portal: OAuthPortal, racers: Racers, requests: list[Asked]) -> list[int]:
    url = portal.world.database.engine.url.render_as_string()
    return racers.race(url, portal.world.clock.now_ms(), requests)


def token_requests(
    portal: OAuthPortal, form: dict[str, Any], headers: dict[str, str] | None = None
) -> list[Asked]:
    """The same request sixteen times, each with an assertion of its own."""
    return [Asked("POST", TOKEN, form | portal.auth(), headers or {}) for _ in range(RACERS)]


def assertions(portal: OAuthPortal) -> list[Asked]:
    return [Asked("POST", TOKEN, GRANT | portal.auth(), {})] * RACERS


def proofs(portal: OAuthPortal) -> list[Asked]:
    return token_requests(portal, GRANT, portal.proof())


def service_codes(portal: OAuthPortal) -> list[Asked]:
    return token_requests(portal, portal.redemption(portal.consent()["code"]))


def credential_codes(portal: OAuthPortal) -> list[Asked]:
    code = portal.consent(portal.credential_request())["code"]
    return token_requests(portal, portal.redemption(code))


def refresh_tokens(portal: OAuthPortal) -> list[Asked]:
    token = portal.service_tokens()["refresh_token"]
    return token_requests(portal, {"grant_type": "refresh_token", "refresh_token": token})


def visits(portal: OAuthPortal, form: dict[str, Any]) -> list[Asked]:
    name = portal.push(form).json()["request_uri"]
    query = urlencode({"client_id": portal.client_id, "request_uri": name})
    return [Asked("GET", f"/oauth2/authorize?{query}", {}, {})] * RACERS


def service_requests(portal: OAuthPortal) -> list[Asked]:
    return visits(portal, portal.request())


def credential_requests(portal: OAuthPortal) -> list[Asked]:
    return visits(portal, portal.credential_request())


def revocations(portal: OAuthPortal) -> list[Asked]:
    form = {"token": portal.service_tokens()["refresh_token"]}
    return [Asked("POST", "/oauth2/revoke", form | portal.auth(), {}) for _ in range(RACERS)]


@pytest.mark.parametrize(
    "prepare",
    [
        assertions,
        proofs,
        service_codes,
        credential_codes,
        refresh_tokens,
        service_requests,
        credential_requests,
        revocations,
    ],
    ids=lambda prepare: prepare.__name__,
)
def test_exactly_one_of_sixteen_wins(
    portal: OAuthPortal, racers: Racers, prepare: Callable[[OAuthPortal], list[Asked]]
) -> None:
    for _ in range(ROUNDS):
        sign_in(portal)
        statuses = race(portal, racers, prepare(portal))
        assert sorted(statuses)[1:] == [400] * (RACERS - 1)
        assert min(statuses) in {200, 204, 303}


def test_nothing_survives_of_a_refresh_token_that_was_raced_for(
    portal: OAuthPortal, racers: Racers
) -> None:
    """Whoever won the race may be the thief, so what he won has ended too."""
    for _ in range(ROUNDS):
        sign_in(portal)
        tokens = portal.service_tokens()
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        race(portal, racers, token_requests(portal, form))
        rows = portal.world.database.all(FAMILY, {"token": tokens["refresh_token"][2:28]})
        assert len(rows) == 2, "the first of the family and the one the winner got"
        assert all(row.revoked_at is not None for row in rows)
