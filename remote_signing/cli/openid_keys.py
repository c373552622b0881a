"""``remote-signing openid-keys``: what an identity provider is to know of us."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import json

import typer

from remote_signing.cli.output import fail
from remote_signing.cli.settings import folder_of


def openid_keys(context: typer.Context) -> None:
    """The public key set to register at the identity provider (JWKS)."""
    with folder_of(context).services() as services:
        if services.openid is None:
            raise fail("there is no [openid] in rssp.toml")
        typer.echo(json.dumps(services.openid.public_keys(), indent=2))
