"""The addresses that are tried before the routers of all pages."""

from __future__ import annotations

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Match

from consent_app.routes import requests

NAME = "0" * 26


def first(method: str, path: str) -> str | None:
    """The path of the route that answers; None: the routers are asked."""
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    for route in requests.FIRST:
        match, found = route.matches(scope)
        if match is Match.FULL:
            assert found["path_params"] == {"name": NAME}
            return route.path_format
    return None


@pytest.mark.parametrize(
    ("method", "path", "answers"),
    [
        ("GET", f"/requests/{NAME}", True),
        ("POST", f"/requests/{NAME}/approve", True),
        ("HEAD", f"/requests/{NAME}", False),
        ("POST", f"/requests/{NAME}", False),
        ("GET", f"/requests/{NAME}/approve", False),
        ("GET", f"/requests/{NAME[1:]}", False),
        ("GET", f"/requests/{NAME}0", False),
        ("GET", f"/requests/{NAME}/", False),
    ],
)
def test_exactly_these_are_answered(method: str, path: str, *, answers: bool) -> None:
    assert (first(method, path) is not None) == answers


def test_they_are_the_routers_too() -> None:
    known = {
        (method, each.path_format)
        for each in iter_route_contexts(requests.router.routes)
        for method in getattr(each, "methods", None) or ()
    }
    mine = {(*(route.methods or ()), route.path_format) for route in requests.FIRST}
    assert mine <= known


def test_an_address_is_written_as_it_is_read() -> None:
    show, _ = requests.FIRST
    assert show.url_path_for("_show", name=NAME) == f"/requests/{NAME}"
