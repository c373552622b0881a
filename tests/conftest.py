"""What all tests share: databases, tokens, and a kind for each test from the folder it is in.

Everything is private to its xdist worker, so the tests run in any number of processes.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from playwright.sync_api import sync_playwright

from remote_signing.bootstrap import find_chromium
from remote_signing.rssp import migrations
from remote_signing.sam.softhsm import DevelopmentToken, make_token
from tests.support.flows import figures
from tests.support.in_memory import place_in_memory
from tests.support.postgres import PostgresServer, running_server
from tests.support.registration import TestAuthority
from tests.support.sam import RunningSam, copied, found_cluster
from tests.support.sqlite import SqliteFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Browser

    from tests.support.documents import DocumentPortal

_TESTS = Path(__file__).parent
_KINDS = ("unit", "integration", "fault", "conformance", "architecture", "e2e")


def pytest_configure() -> None:
    """Programs are ended by Ctrl-C here, which a shell's background jobs are born deaf to."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder's name (``-m unit``); tests have no other place."""
    for item in items:
        kind = item.path.relative_to(_TESTS).parts[0]
        if kind not in _KINDS:
            message = f"{item.path}: tests live in one of tests/{{{','.join(_KINDS)}}}"
            raise pytest.UsageError(message)
        item.add_marker(kind)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the browser tests have gone through, in one line."""
    passed = terminalreporter.stats.get("passed", [])
    line = figures(report for report in passed if "tests/e2e/" in report.nodeid)
    if line is not None:
        terminalreporter.write_line(line)


class Databases(Protocol):
    """Where fresh databases come from."""

    def fresh(self, prepare: Callable[[str], None] | None = None) -> str:
        """The URL of a new database: empty, or a copy of one that ``prepare(url)`` filled."""
        ...

    def drop(self, url: str) -> None:
        """Remove it."""
        ...


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL, started when the first test asks for it."""
    yield from running_server()


@pytest.fixture(scope="session")
def sqlite_folder() -> Iterator[SqliteFolder]:
    """A folder for SQLite files."""
    with tempfile.TemporaryDirectory(prefix="rs-sqlite-", dir=place_in_memory()) as name:
        yield SqliteFolder(Path(name))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Each database in turn: what uses this runs on both."""
    name = {"sqlite": "sqlite_folder", "postgresql": "postgres_server"}[request.param]
    found: Databases = request.getfixturevalue(name)
    return found


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The URL of a new, empty database, on each kind."""
    url = databases.fresh()
    yield url
    databases.drop(url)


@pytest.fixture
def migrated_database_url(databases: Databases) -> Iterator[str]:
    """The URL of a new database with the service's tables, on each kind."""
    url = databases.fresh(migrations.upgrade)
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def make_tokens(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[int], list[DevelopmentToken]]:
    """``make_tokens(2)``: two new SoftHSM tokens ``node-1``, ``node-2``, each in its own folder."""
    rounds = itertools.count(1)

    def make(count: int) -> list[DevelopmentToken]:
        folder = tmp_path_factory.mktemp(f"tokens-{next(rounds)}-")
        labels = [f"node-{number}" for number in range(1, count + 1)]
        return [make_token(folder / label, label) for label in labels]

    return make


@pytest.fixture(scope="session")
def registration() -> TestAuthority:
    """A registration authority whose key every test SAM pins."""
    return TestAuthority()


@pytest.fixture(scope="session")
def sam_factory(
    tmp_path_factory: pytest.TempPathFactory,
    make_tokens: Callable[[int], list[DevelopmentToken]],
    registration: TestAuthority,
) -> Iterator[Callable[..., RunningSam]]:
    """``sam_factory(workers=2, **settings)``: a real SAM with two nodes, ended with the session."""
    tokens = make_tokens(2)
    cluster_file = found_cluster(tokens, tmp_path_factory.mktemp("cluster"))
    started: list[RunningSam] = []

    def start(workers: int = 2, pinned: Mapping[str, bytes] = {}, **settings: object) -> RunningSam:
        folder = tmp_path_factory.mktemp("sam")
        own = [copied(token, folder) for token in tokens]
        keys = {**registration.pinned, **pinned}
        sam = RunningSam(folder / "host", own, cluster_file, keys, settings, workers)
        started.append(sam)
        return sam.start()

    yield start
    for sam in started:
        sam.stop()


@pytest.fixture(scope="session")
def furnished(
    sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder
) -> Iterator[DocumentPortal]:
    """A portal for signed documents with a real SAM behind: its start costs more than they do.

    On one database, as what depends on it is in other tests. A test makes its own credential.
    """
    # What reads documents takes a second to import.
    from tests.support.documents import DocumentPortal  # noqa: PLC0415 - see above
    from tests.support.world import new_world  # noqa: PLC0415 - as above

    with new_world(sqlite_folder) as world:
        pinned = {world.authority.key_id: world.authority.public_key}
        world.join(sam_factory(workers=1, pinned=pinned).client())
        made = DocumentPortal.at(world)
        yield made
        made.close()


@pytest.fixture
def start_sam(sam_factory: Callable[..., RunningSam]) -> Iterator[Callable[..., RunningSam]]:
    """As ``sam_factory``, but what a test started ends with the test."""
    started: list[RunningSam] = []

    def start(**settings: object) -> RunningSam:
        started.append(sam_factory(**settings))
        return started[-1]

    yield start
    for sam in started:
        sam.stop()


@pytest.fixture(scope="session")
def running_sam(sam_factory: Callable[..., RunningSam]) -> RunningSam:
    """One SAM for all tests that do it no harm."""
    return sam_factory()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. For one module only: its event loop would be in others' way."""
    # Chromium's own sandbox does not work as root; the pages are ours.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        yield chromium
        chromium.close()
