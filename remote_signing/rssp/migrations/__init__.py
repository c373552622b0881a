"""Schema migrations (Alembic), run by the program itself: no ``alembic.ini``, no working folder.

Expand and contract: a revision may only add what the running version can live with; what it no
longer needs is removed by a later release.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from remote_signing.errors import InvalidInput, Unavailable
from remote_signing.rssp.db import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FOLDER = Path(__file__).parent
_LOCK = 0x5245_4D4F_5445  # any number that nothing else in the database locks
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# What the service's own role may do. It may never change or remove a line of the audit table.
_CHANGES = (
    *("agency", "subscriber", "credential", "oauth_client", "credential_request", "sim_card"),
    *("issued_certificate", "certificate_list", "passkey", "signer_notice"),
    "sign_in_passkey",
)
_AUDIT_COLUMNS = (
    *("at", "kind", "actor", "client_id", "subscriber_id", "credential_id"),
    *("activation_id", "sequence", "state", "detail"),
)
_PRUNES = (
    *("sign_in_challenge", "account_code"),
    *("pin_order", "pin_retirement", "openid_sign_in", "openid_subject"),
    "signature_activation",
    "service_authorization",
    "access_token",
    "refresh_token",
    "login_session",
    "replay",
    "totp_step",
    "signing_outcome",
    "sim_transaction",
    "signing_job",
    "job_part",
    "webhook_delivery",
    "webhook_endpoint",
    "webhook_secret",
    "attachment",
    "attachment_use",
    "client_logo",
    "push_subscription",
)


def upgrade(
    database_url: str,
    service_role: str | None = None,
    *,
    password: str | None = None,
    revision: str = "head",
) -> None:
    """Bring the schema to ``revision`` in one transaction; a second caller waits, then is done.

    ``service_role`` (PostgreSQL) is granted what the service needs: run the upgrade as the owner
    of the schema, the service as that role.
    """
    database = Database(database_url, password)
    try:
        with database.transaction() as connection:
            if database.dialect == "postgresql":
                for limit in ("statement_timeout", "lock_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if service_role is not None:
                _grant(connection, service_role)
    finally:
        database.close()


def fits(database: Database) -> bool:
    """Whether the schema is the one this program was written for, or a newer one. One statement.

    A revision that this program does not know is of a later release, and those only add: while
    hosts are renewed one after the other, the others go on. Alembic's own way would log two lines
    each time, and ``/readyz`` asks every second.
    """
    try:
        rows = database.all(text("SELECT version_num FROM alembic_version"))
    except DBAPIError:  # no such table; an outage is Unavailable
        return False
    found = {row.version_num for row in rows}
    known, newest = _revisions()
    return found == newest or (bool(found) and found.isdisjoint(known))


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """All that this program knows, and the newest of them."""
    scripts = ScriptDirectory.from_config(_config())
    known = frozenset(each.revision for each in scripts.walk_revisions())
    return known, frozenset(scripts.get_heads())


def check(database: Database) -> None:
    """``Unavailable`` unless the schema :func:`fits`."""
    if not fits(database):
        raise Unavailable("database schema is of an older version: run `remote-signing db upgrade`")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def _grant(connection: Connection, role: str) -> None:
    if connection.dialect.name != "postgresql" or _ROLE.fullmatch(role) is None:
        raise InvalidInput(f"no role for a grant: {role!r}", parameter="service_role")
    for statement in (
        f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{role}"',
        f'GRANT USAGE ON SCHEMA public TO "{role}"',
        f'GRANT SELECT ON alembic_version TO "{role}"',
        f'GRANT SELECT, INSERT, UPDATE ON {", ".join(_CHANGES)} TO "{role}"',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(_PRUNES)} TO "{role}"',
        # Never a number of its own choice: these come from the sequence, each of them once.
        f'GRANT SELECT, INSERT ({", ".join(_AUDIT_COLUMNS)}) ON audit_event TO "{role}"',
        f'GRANT SELECT ON audit_partition TO "{role}"',
        f'GRANT EXECUTE ON FUNCTION make_audit_partitions TO "{role}"',
        f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{role}"',
    ):
        connection.exec_driver_sql(statement)
