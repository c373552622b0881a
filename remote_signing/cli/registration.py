"""``remote-signing ra``: a registration authority's key, for development and small places."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import show
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.registration import RegistrationAuthority

app = typer.Typer(name="ra", help="The registration authority, whose orders the SAM obeys.")


@app.command("init")
def create(
    context: typer.Context,
    key: Annotated[Path | None, typer.Option(help="New key file [CONFIG/ra.key].")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key (mode 0600) and tell what to pin in sam.toml. Never replaces one."""
    from remote_signing.rssp.registration import (
        RegistrationAuthority,
    )

    path = key or folder_of(context).authority_key_file
    _show(RegistrationAuthority.create(path), path, as_json=as_json)


@app.command("show")
def show_key(
    context: typer.Context,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Tell what to pin in sam.toml."""
    folder = folder_of(context)
    _show(folder.authority(key), key or folder.authority_key_file, as_json=as_json)


def _show(authority: "RegistrationAuthority", path: Path, *, as_json: bool) -> None:
    from remote_signing.rssp.registration import (
        public_key_text,
    )

    public_key = public_key_text(authority.public_key)
    record = {"key_id": authority.key_id, "public_key": public_key, "key_file": str(path)}
    show(record, as_json=as_json)
    if not as_json:
        typer.echo("\n# in sam.toml\n[registration_keys]")
        typer.echo(f'"{authority.key_id}" = "{public_key}"')
