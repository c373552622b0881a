"""``remote-signing db``: the schema."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say
from remote_signing.cli.settings import folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.config import DatabaseConfig

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
    """Whether the schema is the one this version needs; exit status 1 when it is not."""
    from remote_signing.rssp import migrations
    from remote_signing.rssp.db import Database

    chosen = _database(context, url, password_file)
    database = Database(chosen.url, chosen.password())
    try:
        if not migrations.at_head(database):
            raise fail("the schema is of another version: `remote-signing db upgrade`")
    finally:
        database.close()
    say("the schema is up to date")


def _database(
    context: typer.Context, url: str | None, password_file: Path | None
) -> "DatabaseConfig":
    from remote_signing.rssp.config import DatabaseConfig

    if url is None:
        return folder_of(context).rssp().database
    return DatabaseConfig(url, password_file)
