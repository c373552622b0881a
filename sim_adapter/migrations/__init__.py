"""Schema migrations (Alembic), run by the program itself: no ``alembic.ini``.

Expand and contract: a revision may only add what the running version can live with; what it no
longer needs is removed by a later release.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sim_adapter.db import Database
from sim_adapter.errors import Unavailable

_FOLDER = Path(__file__).parent
_LOCK = 0x5349_4D41_4450  # any number that nothing else in the database locks


def upgrade(database_url: str, password: str | None = None) -> None:
    """Bring the schema to the newest revision in one transaction; a second caller waits."""
    database = Database(database_url, password)
    try:
        with database.transaction() as connection:
            if database.dialect == "postgresql":
                for limit in ("statement_timeout", "lock_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def at_head(database: Database) -> bool:
    """Whether the schema is the one this program was written for, or a later one. One statement.

    A revision that this program does not know is of a later release, which leaves it all it needs:
    so processes of both go on during an upgrade. An older one, or none, is refused.
    """
    try:
        rows = database.all(text("SELECT version_num FROM sim_adapter_version"))
    except DBAPIError:  # no such table; an outage is Unavailable
        return False
    found = {row.version_num for row in rows}
    return bool(found) and not found & _older()


@cache
def _older() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    return frozenset(known.difference(scripts.get_heads()))


def check(database: Database) -> None:
    """``Unavailable`` unless :func:`at_head`."""
    if not at_head(database):
        raise Unavailable("schema of an older version: run `python -m sim_adapter --upgrade`")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
