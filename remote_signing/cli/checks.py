"""``remote-signing config``: whether the configuration can be used, before anything starts."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from remote_signing.cli.output import say
from remote_signing.cli.settings import ConfigFolder, folder_of
from remote_signing.errors import InvalidInput

# Imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.sam.config import SamConfig

app = typer.Typer(name="config", help="The configuration files.")


@app.callback()
def group() -> None:
    """The configuration files."""


@app.command("check")
def check(context: typer.Context) -> None:
    """Read rssp.toml, sam.toml, consent.toml, sim.toml, and compare them with each other."""
    folder = folder_of(context)
    sam, rssp = folder.sam(), folder.rssp()
    found = [
        *_wrong_in_sam(sam),
        *_wrong_between(folder, rssp, sam),
        *_wrong_about_sims(folder, rssp, sam),
    ]
    for line in found:
        say(f"remote-signing: {line}")
    if found:
        raise typer.Exit(2)
    say(f"the configuration in {folder.path} is consistent")


def _wrong_in_sam(sam: "SamConfig") -> Iterator[str]:
    for node in sam.nodes:
        if not node.module.exists():
            yield f"sam.toml: node {node.name}: no PKCS#11 module at {node.module}"
        yield from _wrong_secret_file(f"sam.toml: node {node.name}: PIN file", node.pin_file)
    if sam.tls is not None:
        yield from _wrong_secret_file("sam.toml: tls key", sam.tls.key)
    if not sam.registration_keys:
        yield "sam.toml: no registration authority is pinned, so nobody can be enrolled"
    if not sam.cluster_file.exists():
        yield f"sam.toml: no cluster file at {sam.cluster_file}: `remote-signing hsm init`"
    elif not sam.service_keys_file.exists():
        place = sam.service_keys_file
        yield f"sam.toml: no keys of OCSP and time stamps at {place}: `remote-signing hsm services`"


def _wrong_about_sims(folder: ConfigFolder, rssp: "RsspConfig", sam: "SamConfig") -> Iterator[str]:
    has_adapter = folder.sim_file.exists()
    if rssp.sim is None:
        if has_adapter:
            yield "sim.toml is there, but rssp.toml has no table [sim]: no SIM will be asked"
        return
    if sam.sim is None:
        yield "rssp.toml has a table [sim], sam.toml has none: the SAM takes no SIM"
    for path in (rssp.sim.secret_file, *rssp.sim.callback_secret_files):
        yield from _wrong_secret_file("rssp.toml: sim", path)
    if not has_adapter:
        return  # on another machine
    try:
        adapter = tomllib.loads(folder.sim_file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        yield f"sim.toml: {error}"
        return
    told = adapter.get("callback", {}).get("url")
    if rssp.sim.callback_secret_files and told is None:
        yield "rssp.toml waits for call-backs of SIMs, but sim.toml has no table [callback]"


def _wrong_secret_file(what: str, path: Path) -> Iterator[str]:
    from remote_signing.sam.config import secret_file

    if path.name.startswith("credential:") and "CREDENTIALS_DIRECTORY" not in os.environ:
        return  # systemd hands it to the service, not to us
    try:
        secret_file(path)
    except InvalidInput as error:
        yield f"{what}: {error.cause}"


def _wrong_between(folder: ConfigFolder, rssp: "RsspConfig", sam: "SamConfig") -> Iterator[str]:
    if rssp.sam.socket is not None and rssp.sam.socket.resolve() != sam.socket.resolve():
        yield f"rssp.toml calls the SAM at {rssp.sam.socket}, which listens at {sam.socket}"
    if rssp.database.password_file is not None:
        yield from _wrong_secret_file("rssp.toml: database password", rssp.database.password_file)
    if not folder.consent_file.exists():
        yield f"{folder.consent_file} does not exist"
        return
    try:
        consent = tomllib.loads(folder.consent_file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        yield f"consent.toml: {error}"
        return
    shown = consent.get("public", {}).get("url")
    if shown != rssp.urls.consent:
        yield f"rssp.toml sends signers to {rssp.urls.consent}; consent.toml says it is {shown}"
