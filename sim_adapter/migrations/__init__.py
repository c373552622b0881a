"""Schema migrations (Alembic), run by the program itself: no ``alembic.ini``."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

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
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def at_head(database: Database) -> bool:
    """Whether the schema is the one this program was written for."""
    with database.engine.connect() as connection:
        options = {"version_table": "sim_adapter_version"}
        current = MigrationContext.configure(connection, opts=options).get_current_heads()
    return set(current) == set(ScriptDirectory.from_config(_config()).get_heads())


def check(database: Database) -> None:
    """``Unavailable`` unless :func:`at_head`."""
    if not at_head(database):
        raise Unavailable("schema of another version: run `python -m sim_adapter --upgrade`")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
