"""``remote-signing audit``: what happened."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remote_signing.cli.output import show_lines
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.clock import as_datetime
from remote_signing.strict_json import JsonValue, loads_object

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from sqlalchemy import Row

app = typer.Typer(name="audit", help="The audit table, which nobody can change.")

_IDS = ("client_id", "subscriber_id", "credential_id", "activation_id")


@app.callback()
def group() -> None:
    """The audit table, which nobody can change."""


@app.command("show")
def show_events(
    context: typer.Context,
    activation: Annotated[str | None, typer.Option(help="Only of this activation.")] = None,
    after: Annotated[int, typer.Option(help="Only above this number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show events, oldest first; with --json one object a line, with the leaf's hash."""
    from remote_signing.rssp import audit

    with folder_of(context).services() as services:
        rows = audit.events(services.database, after=after, activation_id=activation)
        if as_json:
            show_lines(_record(row, audit.leaf_hash(row)) for row in rows)
            return
        for line in _lines(rows):
            typer.echo(line)


def _record(row: "Row[Any]", leaf_hash: bytes) -> dict[str, JsonValue]:
    record: dict[str, JsonValue] = {
        "number": row.number,
        "at": as_datetime(row.at).isoformat(timespec="milliseconds"),
        "kind": row.kind,
        "actor": row.actor,
    }
    record |= {name: getattr(row, name) for name in _IDS}
    record |= {"sequence": row.sequence, "state": row.state, "detail": _detail(row)}
    return record | {"leaf_sha256": leaf_hash.hex()}


def _lines(rows: "Iterator[Row[Any]]") -> Iterator[str]:
    for row in rows:
        moment = as_datetime(row.at).isoformat(timespec="milliseconds")
        ids = " ".join(f"{name}={value}" for name in _IDS if (value := getattr(row, name)))
        state = f" → {row.state}" if row.state else ""
        yield f"{row.number:>6}  {moment}  {row.kind}{state}  by {row.actor}  {ids}"
        if row.detail not in {"", "{}"}:
            yield f"        {row.detail}"


def _detail(row: "Row[Any]") -> JsonValue:
    return loads_object(row.detail.encode("utf-8")) if row.detail else {}
