"""``remote-signing request``: what clients ask the registration authority for."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import json
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say, show_table
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.clock import as_datetime

if TYPE_CHECKING:
    from remote_signing.strict_json import JsonValue

app = typer.Typer(name="request", help="Requests for new credentials, or for the end of one.")

RequestId = Annotated[str, typer.Argument(help="The request's id.")]


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """What waits for the registration authority, oldest first."""
    from remote_signing.rssp import credential_requests

    with folder_of(context).services() as services:
        rows = credential_requests.filed(services.database)
    records: list[dict[str, JsonValue]] = [
        {
            "request_id": row.id,
            "kind": row.kind,
            "subscriber_id": row.subscriber_id,
            "credential_id": row.credential_id,
            "client_id": row.client_id,
            "at": as_datetime(row.created_at).isoformat(),
            "detail": json.loads(row.detail),
        }
        for row in rows
    ]
    columns = ("request_id", "kind", "subscriber_id", "credential_id", "client_id", "at")
    show_table(records, columns, as_json=as_json)


@app.command("settle")
def settle(
    context: typer.Context,
    request_id: RequestId,
    restore: Annotated[
        bool, typer.Option("--restore", help="Give the credential back to its signer.")
    ] = False,
) -> None:
    """Note that a request was dealt with: a credential issued or destroyed, or the request denied.

    A credential whose end was asked for stays out of use unless it is restored; what suspends,
    freezes or revokes it stays then. A request about none that can be restored stays open.
    """
    from remote_signing.rssp import credential_requests

    with folder_of(context).services() as services:
        database, clock = services.database, services.clock
        if restore:
            state = credential_requests.restore(database, clock, request_id)
        else:
            state = "" if credential_requests.settle(database, clock, request_id) else None
    if state is None:
        raise fail(f"no open request {request_id!r}")
    say(f"{request_id} is settled" + (f"; its credential is {state}" if state else ""))
