"""``remote-signing push``: the key by which push services know us."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import Annotated

import typer

from remote_signing.cli.output import say

app = typer.Typer(name="push", help="Telling browsers that something waits (docs/phone.md).")


@app.callback()
def _group() -> None:
    """A group, though it has one command."""


@app.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="New file; name it in push.key_file.")],
) -> None:
    """Make the key. With another one every browser has to be switched on again."""
    from remote_signing.rssp import vapid

    vapid.make_key(file)
    say(f"{file} is made: browsers are told under it, so keep it")
