"""The command line as a whole: its groups, its options, and how errors are told."""

# No `from __future__ import annotations` where commands are: typer reads annotations at run time.

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from remote_signing.cli import (
    agencies,
    audit,
    checks,
    clients,
    credential_requests,
    credentials,
    database,
    hsm,
    mass_enrolment,
    openapi,
    passkeys,
    registration,
    serve,
    sims,
    subscribers,
    webhooks,
)
from remote_signing.cli.output import say
from remote_signing.cli.settings import DEFAULT_FOLDER, ConfigFolder
from remote_signing.errors import InvalidInput, RemoteSigningError, Unavailable
from remote_signing.rssp.config_tables import ConfigInvalid

app = typer.Typer(
    help="A national remote signing service, on the operator's side.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would print local variables, PINs among them
)
app.command("serve")(serve.serve)
subscribers.app.command("enrol-list")(mass_enrolment.enrol_list)
for group in (
    hsm,
    database,
    registration,
    agencies,
    subscribers,
    credentials,
    credential_requests,
    passkeys,
    sims,
    clients,
    webhooks,
    audit,
    checks,
    openapi,
):
    app.add_typer(group.app)


@app.callback()
def choose_folder(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Option(
            help="Folder with rssp.toml, sam.toml, consent.toml and, with SIMs, sim.toml.",
            envvar="REMOTE_SIGNING_CONFIG",
        ),
    ] = DEFAULT_FOLDER,
) -> None:
    """A national remote signing service, on the operator's side."""
    context.obj = ConfigFolder(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own); gives the exit status."""
    try:
        app(None if arguments is None else list(arguments), prog_name="remote-signing")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except RemoteSigningError as error:
        say(f"remote-signing: {type(error).__name__}: {_told(error)}")
        for note in getattr(error, "__notes__", ()):
            say(f"remote-signing: {note}")
        return _status(error)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ConfigInvalid, OSError) as error:
        say(f"remote-signing: {error}")
        return 2 if isinstance(error, ConfigInvalid | FileExistsError) else 1
    return 0


def _told(error: RemoteSigningError) -> str:
    """The operator may know the private cause; what crossed a wire is told where there is none."""
    public = ", ".join(f"{name}={value}" for name, value in error.public.items())
    return " · ".join(filter(None, (error.cause, public, type(error).__doc__)))


def _status(error: RemoteSigningError) -> int:
    if isinstance(error, Unavailable):
        return 3
    return 2 if isinstance(error, InvalidInput) else 1
