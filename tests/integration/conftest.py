"""What several integration tests stand on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import client_desk
from tests.support.csc_schema import SCHEMAS, check_request
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Databases
    from tests.support.client_desk import Desk
    from tests.support.documents import DocumentPortal, Judge
    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder
    from tests.support.world import World


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    """A ministry, an official, a portal and a credential, on each database; a SAM in software."""
    with new_world(databases) as made:
        yield made


@pytest.fixture(scope="session")
def client_place(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[tuple[Desk, DocumentPortal]]:
    """The whole service behind a relay, for all who call it from outside."""
    with client_desk.desk(sam_factory, sqlite_folder) as made:
        yield made


@pytest.fixture
def desk(client_place: tuple[Desk, DocumentPortal]) -> Iterator[Desk]:
    """With a new credential: none of its one-time codes is used. Every request is by the book."""
    desk, portal = client_place
    desk.relay.forget()
    portal.now()
    desk.world.new_credential()
    yield desk
    for path, body in desk.relay.heard:
        method = path.partition("/csc/v2/")[2]
        if f"{method}.in" in SCHEMAS["v2"] and not path.endswith("Doc"):
            check_request("v2", method, json.loads(body))


@pytest.fixture
def judge(client_place: tuple[Desk, DocumentPortal]) -> Judge:
    """pyHanko, with the service's root as its only anchor."""
    return client_place[1].judge
