"""``remote-signing audit``: what happened."""

# No `from __future__ import annotations`: typer reads annotations at run time.

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remote_signing.cli.output import show_lines
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.clock import as_datetime
from remote_signing.strict_json import JsonValue, loads_object

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services

app = typer.Typer(name="audit", help="The audit table, which nobody can change.")

_TIME = "2026-03-31 or 2026-03-31T08:00+07:00, UTC without an offset"
_AFTER = "Only above this number. A lower one may still appear for some seconds (PostgreSQL)."
_IDS = ("client_id", "subscriber_id", "credential_id", "activation_id")


@app.callback()
def group() -> None:
    """The audit table, which nobody can change."""


@app.command("show")
def show_events(
    context: typer.Context,
    activation: Annotated[str | None, typer.Option(help="Only of this activation.")] = None,
    credential: Annotated[str | None, typer.Option(help="Only of this credential.")] = None,
    subscriber: Annotated[
        str | None, typer.Option(help="Only of this subscriber: user name or id.")
    ] = None,
    since: Annotated[str | None, typer.Option(help=f"Not before; {_TIME}.")] = None,
    until: Annotated[str | None, typer.Option(help=f"Before; {_TIME}.")] = None,
    after: Annotated[int, typer.Option(help=_AFTER)] = 0,
    as_json: AsJson = False,
) -> None:
    """Show events, oldest first; with --json one object a line, with the leaf's hash."""
    from remote_signing.rssp import audit

    start, end = _time(since, "--since"), _time(until, "--until")
    with folder_of(context).services() as services:
        rows = audit.events(
            services.database,
            after=after,
            activation_id=activation,
            credential_id=credential,
            subscriber_id=None if subscriber is None else _subscriber_id(services, subscriber),
            since_ms=start,
            until_ms=end,
        )
        if as_json:
            show_lines(_record(row, audit.leaf_hash(row)) for row in rows)
            return
        for line in _lines(rows):
            typer.echo(line)


def _time(text: str | None, option: str) -> int | None:
    """Milliseconds since the epoch."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: {_TIME}", param_hint=option) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _subscriber_id(services: "Services", named: str) -> str:
    from remote_signing.rssp import subscribers

    found = subscribers.find(services.database, username=named)
    return named if found is None else found.id


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
