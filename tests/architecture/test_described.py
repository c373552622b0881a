"""What the service serves and what it says of itself are the same addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
import pytest
from fastapi.routing import iter_route_contexts
from schemathesis.specs.openapi.definitions import OPENAPI_31

from remote_signing.clock import FixedClock
from remote_signing.rssp.app import create_app
from remote_signing.rssp.csc.v1.routes import VERSION as V1
from remote_signing.rssp.csc.v2.attach import VERSION as ATTACHMENTS
from remote_signing.rssp.csc.v2.routes import VERSION as V2
from remote_signing.rssp.deps import Services
from remote_signing.rssp.openapi.document import document, operations
from tests.support.asgi import call
from tests.support.described import WHERE
from tests.support.world import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from remote_signing.rssp.config import RsspConfig

VERSIONS = (V1, V2, ATTACHMENTS)
INSTALLATIONS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "with logins": {"csc": {"login_client": "direct"}},
    "with documents to see": {"attachments": {"folder": "attachments"}},
    "strict": {"csc": {"strict": True, "login_client": "direct"}},
    "without asynchronous mode": {"asynchronous": {"threads": 0}},
}


class Nothing:
    """A database that nobody asks."""

    def apart(self) -> Nothing:
        return self


@pytest.fixture(params=INSTALLATIONS)
def config(request: pytest.FixtureRequest) -> RsspConfig:
    return configuration("sqlite:///nowhere", **INSTALLATIONS[request.param])


def application(config: RsspConfig) -> FastAPI:
    services = Services(
        config=config,
        database=cast("Any", Nothing()),
        sam=cast("Any", None),
        clock=FixedClock(),
        clients=cast("Any", None),
    )
    return create_app(config, services)


def served(app: FastAPI, config: RsspConfig) -> Iterator[tuple[str, str]]:
    """Method and path of everything that has an answer of its own."""
    for context in iter_route_contexts(app.router.routes):
        path = context.path_format or ""
        found = [version for version in VERSIONS if path.startswith(version.prefix + "/{method")]
        if found:
            yield from methods_of(found[0], config)
        elif path not in {version.prefix for version in VERSIONS}:
            yield from ((method, path) for method in context.methods or ())


def methods_of(version: Any, config: RsspConfig) -> Iterator[tuple[str, str]]:
    for name in version.served(config):
        yield "POST", f"{version.prefix}/{name}"
        if name in version.gets and not config.csc.strict:
            yield "GET", f"{version.prefix}/{name}"


def test_what_is_served_is_described_and_the_other_way_round(config: RsspConfig) -> None:
    paths = document(config)["paths"]
    described = {(method.upper(), path) for path, each in paths.items() for method in each}
    there = set(served(application(config), config))
    if config.csc.strict:
        there -= {("POST", "/revoke")}  # 404 in strict mode
    assert there - described == set(), f"served, not described: {WHERE}"
    assert described - there == set(), "described, not served"


def test_an_address_with_a_slash_too_many_leads_nowhere_else(config: RsspConfig) -> None:
    app = application(config)
    for method, path in served(app, config):
        if not path.startswith("/csc/"):
            answer = call(app, method, f"{path}/", follow_redirects=False)
            assert not answer.is_redirect, path
    assert call(app, "POST", "/oauth2/token/", follow_redirects=False).status_code == 404


def test_the_document_is_openapi(config: RsspConfig) -> None:
    """By the schema of OpenAPI 3.1 that schemathesis carries."""
    check = jsonschema_rs.validator_for(OPENAPI_31)
    assert [error.message for error in check.iter_errors(document(config))] == []


def test_every_operation_has_a_name_of_its_own_in_both_languages() -> None:
    known = operations()
    assert len({each.id for each in known}) == len(known)
    assert all(each.vi and each.en for each in known)
