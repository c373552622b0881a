"""``remote-signing db``: the schema."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say, show_table
from remote_signing.cli.settings import AsJson, folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.config import DatabaseConfig
    from remote_signing.rssp.db import Database

app = typer.Typer(name="db", help="The database's schema.")

Url = Annotated[
    str | None, typer.Option("--url", help="Instead of rssp.toml's; without a password.")
]
PasswordFile = Annotated[Path | None, typer.Option("--password-file", help="For --url.")]


@app.command("upgrade")
def upgrade(
    context: typer.Context,
    service_role: Annotated[
        str | None, typer.Option(help="PostgreSQL role of the service, granted what it needs.")
    ] = None,
    url: Url = None,
    password_file: PasswordFile = None,
) -> None:
    """Bring the schema up to date. On PostgreSQL as its owner, who is not the service's role."""
    from remote_signing.rssp import migrations

    database = _database(context, url, password_file)
    migrations.upgrade(database.url, service_role, password=database.password())
    say("the schema is up to date")


@app.command("check")
def check(context: typer.Context, url: Url = None, password_file: PasswordFile = None) -> None:
    """Whether the schema is new enough for this version; exit status 1 when it is not."""
    from remote_signing.rssp import migrations

    with _opened(context, url, password_file) as database:
        if not migrations.fits(database):
            raise fail("the schema is of an older version: `remote-signing db upgrade`")
    say("the schema is up to date")


@app.command("partitions")
def show_partitions(
    context: typer.Context,
    url: Url = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """The weeks of the audit table, oldest first (PostgreSQL)."""
    from remote_signing.rssp import audit_partitions

    with _opened(context, url, password_file) as database:
        found = audit_partitions.partitions(database)
    records = [
        {
            "name": each.name,
            "from": _day(each.begins_ms),
            "until": _day(each.ends_ms),
            "bytes": each.size,
        }
        for each in found
    ]
    show_table(records, ("name", "from", "until", "bytes"), as_json=as_json)


@app.command("detach-audit")
def detach_audit(
    context: typer.Context,
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="UTC.")],
    url: Url = None,
    password_file: PasswordFile = None,
) -> None:
    """Take the weeks before a day out of the audit table, as its owner; they stay as tables."""
    from remote_signing.clock import SystemClock
    from remote_signing.rssp import audit_partitions

    before_ms = int(before.replace(tzinfo=UTC).timestamp() * 1000)
    with _opened(context, url, password_file) as database:
        names = audit_partitions.detach(database, before_ms, SystemClock().now_ms())
    for name in names:
        say(f"{name}: keep a dump of it, then drop it")
    say(f"{len(names)} taken out")


@app.command("settle-audit")
def settle_audit(
    context: typer.Context, url: Url = None, password_file: PasswordFile = None
) -> None:
    """Move audit rows that no week took to weeks of their own, as the table's owner."""
    from remote_signing.rssp import audit_partitions

    with _opened(context, url, password_file) as database:
        say(f"{audit_partitions.settle(database)} rows were moved")


def _day(moment_ms: int | None) -> str | None:
    from remote_signing.clock import as_datetime

    return None if moment_ms is None else f"{as_datetime(moment_ms):%Y-%m-%d}"


@contextmanager
def _opened(
    context: typer.Context, url: str | None, password_file: Path | None
) -> "Iterator[Database]":
    from remote_signing.rssp.db import Database

    chosen = _database(context, url, password_file)
    database = Database(chosen.url, chosen.password())
    try:
        yield database
    finally:
        database.close()


def _database(
    context: typer.Context, url: str | None, password_file: Path | None
) -> "DatabaseConfig":
    from remote_signing.rssp.config import DatabaseConfig

    if url is None:
        return folder_of(context).rssp().database
    return DatabaseConfig(url, password_file)
