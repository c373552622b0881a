"""``remote-signing passkey``: the passkeys that officials consent with."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import Annotated

import typer

from remote_signing.cli.credentials import CredentialId
from remote_signing.cli.output import fail, say, show_table
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.clock import as_datetime

app = typer.Typer(name="passkey", help="Passkeys that officials consent with.")

FactorId = Annotated[str, typer.Argument(help="The factor's id, from `passkey show`.")]


@app.callback()
def group() -> None:
    """Passkeys that officials consent with."""


@app.command("show")
def show_all(context: typer.Context, credential_id: CredentialId, as_json: AsJson = False) -> None:
    """A credential's passkeys, as their owner named them."""
    from remote_signing.rssp import factor_passkeys

    with folder_of(context).services() as services:
        found = factor_passkeys.of_credential(services.database, credential_id)
    rows = [
        {
            "factor_id": row.factor_id,
            "name": row.name,
            "synced": row.is_synced,
            "model": row.aaguid,
            "registered_at": as_datetime(row.registered_at).isoformat(),
            "usable_from": as_datetime(row.usable_from).isoformat(),
        }
        for row in found
    ]
    columns = ("factor_id", "name", "synced", "model", "registered_at", "usable_from")
    show_table(rows, columns, as_json=as_json)


@app.command("revoke")
def revoke(context: typer.Context, factor_id: FactorId, key: AuthorityKey = None) -> None:
    """Take a passkey away for ever; its owner is told."""
    from remote_signing.rssp.passkey_orders import PasskeyOrders

    folder = folder_of(context)
    with folder.services() as services:
        PasskeyOrders(services, folder.authority(key)).revoke_passkey(factor_id)
    say(f"{factor_id} approves nothing any more")


@app.command("allow")
def allow(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Let a credential have passkeys that was sealed before there were any.

    Its rule becomes the usual one: a passkey, a SIM, or PIN and one-time code.
    """
    from remote_signing.rssp.passkey_orders import PasskeyOrders

    folder = folder_of(context)
    with folder.services() as services:
        PasskeyOrders(services, folder.authority(key)).allow(credential_id)
    say(f"passkeys may approve with {credential_id}")


@app.command("evidence")
def evidence(
    context: typer.Context,
    activation_id: Annotated[str, typer.Argument(help="From `audit show`.")],
    file: Annotated[Path, typer.Argument(help="A new file for the JSON.")],
) -> None:
    """Export a passkey's consent, for docs/verify-passkey-consent/verify.py and whoever asks."""
    from remote_signing import strict_json
    from remote_signing.cli.output import write_new
    from remote_signing.rssp import activation_passkey

    with folder_of(context).services() as services:
        found = activation_passkey.evidence(services, activation_id)
    if found is None:
        raise fail(f"no passkey has consented in {activation_id}")
    write_new(file, strict_json.canonical(found))
    say(f"{file}: evidence of {activation_id}")
