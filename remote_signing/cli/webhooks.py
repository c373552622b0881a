"""``remote-signing webhook``: where clients are told of answers, and what they did not take."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say, show, show_table
from remote_signing.cli.secrets_told import handing_over
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.clock import as_datetime

# For annotations of local names only, which typer does not read.
if TYPE_CHECKING:
    from remote_signing.strict_json import JsonValue

app = typer.Typer(name="webhook", help="Telling clients of answers (docs/webhooks.md).")

ClientId = Annotated[str, typer.Argument(help="The client's client_id.")]
SecretFile = Annotated[
    Path | None, typer.Option(help="Write a new secret into this new file instead of showing it.")
]


@app.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="New file; name it in webhooks.key_files.")],
) -> None:
    """Make a key that seals the clients' secrets in the database."""
    from remote_signing.rssp import webhooks

    webhooks.make_key(file)
    say(f"{file} is made: keep it as long as secrets are sealed with it")


@app.command("set")
def set_address(
    context: typer.Context,
    client_id: ClientId,
    url: Annotated[str, typer.Option(help="https; it gets a POST for each answer.")],
    secret_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell a client at this address. Its first secret is told once."""
    from remote_signing.rssp import webhooks

    with folder_of(context).services() as services, handing_over(secret_file) as hand_over:
        secret = webhooks.register(services, client_id, url)
        record = {"client_id": client_id, "url": url}
        if secret is not None:
            record |= hand_over(record | {"secret": secret})
    show(record, as_json=as_json)


@app.command("add-secret")
def add_secret(
    context: typer.Context,
    client_id: ClientId,
    secret_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """Sign with a further secret, told once, beside the one in use."""
    from remote_signing.rssp import webhooks

    with folder_of(context).services() as services, handing_over(secret_file) as hand_over:
        secret = webhooks.rotate(services, client_id)
        record = {"client_id": client_id}
        record |= hand_over(record | {"secret": secret})
    show(record, as_json=as_json)


@app.command("end-secret")
def end_secret(context: typer.Context, client_id: ClientId) -> None:
    """Sign no more with the older of two secrets."""
    from remote_signing.rssp import webhooks

    with folder_of(context).services() as services:
        if not webhooks.retire(services, client_id):
            raise fail(f"{client_id} has one secret only: add another first")
    say(f"the older secret of {client_id} is over")


@app.command("remove")
def remove(context: typer.Context, client_id: ClientId) -> None:
    """Tell a client nothing any more; what waits for it is given up."""
    from remote_signing.rssp import webhooks

    with folder_of(context).services() as services:
        if not webhooks.remove(services, client_id):
            raise fail(f"{client_id} is told nothing")
    say(f"{client_id} is told nothing any more")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Every client that is told, and how its address does."""
    from remote_signing.rssp import webhooks

    with folder_of(context).services() as services:
        found = webhooks.listed(services)
    records: list[dict[str, JsonValue]] = [
        {
            "client_id": item.client_id,
            "url": item.url,
            "secrets": item.secrets,
            "failures": item.failures,
        }
        for item in found
    ]
    show_table(records, ("client_id", "url", "secrets", "failures"), as_json=as_json)


@app.command("dead")
def dead(
    context: typer.Context,
    client: Annotated[str | None, typer.Option(help="Only of this client.")] = None,
    after: Annotated[str, typer.Option(help="Only above this id: the next 500.")] = "",
    as_json: AsJson = False,
) -> None:
    """What was given up, at most 500."""
    from remote_signing.rssp import webhook_deliveries

    with folder_of(context).services() as services:
        rows = webhook_deliveries.dead(services, client, after)
    records: list[dict[str, JsonValue]] = [
        {
            "id": row.id,
            "client_id": row.client_id,
            "outcome": row.outcome,
            "happened_at": as_datetime(row.happened_at).isoformat(timespec="seconds"),
            "tries": row.tries,
            "cause": row.cause,
        }
        for row in rows
    ]
    columns = ("id", "client_id", "outcome", "happened_at", "tries", "cause")
    show_table(records, columns, as_json=as_json)


@app.command("requeue")
def requeue(
    context: typer.Context,
    message_id: Annotated[str | None, typer.Argument(help="One message.")] = None,
    client: Annotated[str | None, typer.Option(help="All of this client.")] = None,
) -> None:
    """Try again what was given up, from the beginning of the schedule."""
    from remote_signing.rssp import webhook_deliveries

    if (message_id is None) == (client is None):
        raise fail("name a message or a --client", 2)
    with folder_of(context).services() as services:
        count = webhook_deliveries.requeue(services, message_id=message_id, client_id=client)
    if count == 0:
        raise fail("nothing of that is dead, or the client has no address")
    say(f"{count} waiting again")
