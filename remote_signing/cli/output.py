"""What commands say: results on stdout (tables, or JSON for machines), the rest on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from remote_signing.strict_json import JsonValue

    Record = Mapping[str, JsonValue]


def say(text: str) -> None:
    """A line for the person at the terminal; not part of the result."""
    typer.echo(text, err=True)


def show(record: Record, *, as_json: bool) -> None:
    """One result: an object, or ``name: value`` lines."""
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False))
        return
    width = max(map(len, record), default=0)
    for name, value in record.items():
        typer.echo(f"{name:<{width}}  {_plain(value)}")


def show_lines(records: Iterable[Record]) -> None:
    """A long result, one JSON object a line, each written as soon as it is there."""
    for record in records:
        typer.echo(json.dumps(record, ensure_ascii=False))


def show_table(records: Sequence[Record], columns: Sequence[str], *, as_json: bool) -> None:
    """A list: a JSON array of whole records, or a table of ``columns``."""
    if as_json:
        typer.echo(json.dumps(records, ensure_ascii=False))
        return
    rows = [[_plain(record.get(column)) for column in columns] for record in records]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for cells in ([name.upper() for name in columns], *rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(line.rstrip())


def write_new(path: Path, content: bytes) -> None:
    """``content`` into the new file ``path`` (mode 0600); ``FileExistsError`` when it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


@contextmanager
def new_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes into the new file ``path`` (mode 0600) for good.

    A file that cannot be made ends the command at once; one that got no content is removed.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise fail(f"cannot make {path}: {error.strerror}", 2) from error
    with os.fdopen(descriptor, "wb") as file:

        def write(content: bytes) -> None:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

        try:
            yield write
        finally:
            if file.tell() == 0:
                path.unlink()


def fail(text: str, status: int = 1) -> typer.Exit:
    """Say what is wrong. To be raised: it ends the command."""
    sys.stdout.flush()
    say(f"remote-signing: {text}")
    return typer.Exit(status)


def _plain(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
