"""The load tests' own PostgreSQL, and a database that is grown to national size."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from sqlalchemy import select

from loadtests import growth, statements
from loadtests.postgres import PostgresServer, open_to_all
from remote_signing.errors import RemoteSigningError
from remote_signing.rssp.models import credential, signature_activation
from tests.support.world import new_world

if TYPE_CHECKING:
    from tests.conftest import Databases


@dataclass
class Server:
    """Connects as the load tests do, to a database of the tests."""

    url: str

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        parts = urlsplit(self.url)
        host = parse_qs(parts.query)["host"][0]
        name = parts.path.removeprefix("/")
        return psycopg.connect(host=host, user="postgres", dbname=name, autocommit=True)


def count(server: Any, table: str, distinct: str = "*") -> int:
    with server.connect() as connection:
        row = connection.execute(f"SELECT count({distinct}) FROM {table}").fetchone()  # noqa: S608 - names from this file
    return int(row[0])


def test_grown_database_has_a_row_for_each_and_no_copy_signs(
    postgres_server: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "PORTION", 20)
    with new_world(postgres_server) as world:
        world.sign(world.token("quyết định.pdf"), "quyết định.pdf")
        url = world.database.engine.url.render_as_string(hide_password=False)
        server = cast("PostgresServer", Server(url))
        said: list[str] = []
        assert growth.grow_credentials(server, 50, said.append) == 50
        assert growth.grow_credentials(server, 55, said.append) == 55  # goes on
        assert growth.grow_signatures(server, 45, said.append) == 45
        assert count(server, "credential", "DISTINCT certificate_serial") == 55
        assert count(server, "signature_activation", "DISTINCT credential_id") > 20
        assert count(server, "subscriber", "DISTINCT username") == count(server, "subscriber")
        assert growth.sizes(server)["credential"][0] == 55
        # Each signature of the last week has the lines of the audit table that its model has.
        with server.connect() as connection:
            lines = connection.execute(
                "SELECT count(*), min(at) FROM audit_event WHERE activation_id IN"
                " (SELECT id FROM signature_activation) GROUP BY activation_id"
            ).fetchall()
        assert len({number for number, _ in lines}) == 1
        assert 1 < len(lines) < 45
        assert min(int(str(at)) for _, at in lines) > time.time() * 1000 - 8 * 86_400_000
        copies = select(credential.c.id).where(credential.c.id != world.credential_id)
        (copy, *_) = world.database.all(copies, {})
        assert world.database.all(select(signature_activation.c.id), {})
        world.credential_id = copy.id
        with pytest.raises(RemoteSigningError):
            world.token("khác.pdf")  # whose it is does not ask for this one


def test_own_postgresql_counts_statements_and_keeps_what_it_is_to_keep() -> None:
    with tempfile.TemporaryDirectory(prefix="load-", dir=open_to_all()) as name:
        Path(name).chmod(0o711)
        server = PostgresServer(durable=False, kept=Path(name) / "postgres")
        try:
            server.start()
            with server.connect() as connection:
                connection.execute("CREATE TABLE kept (n int)")
            assert statements.begin(server)
            with server.connect() as connection, connection.transaction():
                for number in range(3):
                    connection.execute("INSERT INTO kept VALUES (%s)", [number])
            counted = statements.read(server)
            assert (counted.work, counted.rows_written) == (3, 3)
            assert counted.frame >= 2
            server.stop()
            server.start()
            assert count(server, "kept") == 3
        finally:
            server.remove()
        assert (Path(name) / "postgres" / "data").exists()
