"""``remote-signing openapi``: the description of the service's interface, and requests to try."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import say, write_new
from remote_signing.cli.settings import folder_of

# Imported where it is needed: `--help` should not wait for it.
if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Object

app = typer.Typer(
    name="openapi", help="The interface of this installation, for those who build clients."
)


@app.command("document")
def document(context: typer.Context) -> None:
    """The OpenAPI 3.1 document, as the service has it at /openapi.json."""
    typer.echo(json.dumps(_described(context), ensure_ascii=False, indent=1))


@app.command("postman")
def postman(context: typer.Context) -> None:
    """A collection for Postman (2.1.0), made from the document; without anybody's secrets."""
    from remote_signing.rssp.openapi.postman import collection

    typer.echo(json.dumps(collection(_described(context)), ensure_ascii=False, indent=1))


@app.command("bruno")
def bruno(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder for the collection.")],
) -> None:
    """The same for Bruno: a folder to be opened as a collection."""
    from remote_signing.rssp.openapi.bruno import files

    made = files(_described(context))
    folder.mkdir(parents=True)
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        write_new(path, text.encode("utf-8"))
    say(f"{len(made)} files in {folder}")


def _described(context: typer.Context) -> "Object":
    from remote_signing.rssp.openapi.document import document as described

    return described(folder_of(context).rssp())
