"""``remote-signing credential``: keys and certificates, by the registration authority's order."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say, show, show_table, write_secret
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.cli.subscribers import Username, subscriber
from remote_signing.clock import as_datetime

# Imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.enrolment import Issued

app = typer.Typer(name="credential", help="Signing keys and their certificates.")

CredentialId = Annotated[str, typer.Argument(help="The credential's id.")]


@app.command("issue")
def issue(
    context: typer.Context,
    username: Username,
    algorithm: Annotated[str, typer.Option(help="p256, p384, p521, rsa2048 … rsa4096.")] = "p256",
    scal: Annotated[
        str, typer.Option(help="2: consent on our page; 1: codes by the portal.")
    ] = "2",
    multisign: Annotated[int, typer.Option(help="Most signatures of one consent.")] = 100,
    validity_days: Annotated[int, typer.Option(help="Of the certificate.")] = 5 * 365,
    description: Annotated[str | None, typer.Option(help="What the signer calls it.")] = None,
    secrets_file: Annotated[
        Path | None,
        typer.Option(help="Write PIN and otpauth URI into this new file instead of showing them."),
    ] = None,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a key in the HSM and a certificate for it; tells PIN and otpauth URI once."""
    from remote_signing.rssp.enrolment import (
        Enrolment,
        NewCredential,
    )

    folder = folder_of(context)
    if secrets_file is not None and secrets_file.exists():
        raise fail(f"{secrets_file} exists already", 2)
    with folder.services() as services:
        owner = subscriber(services, username)
        new = NewCredential(
            subscriber_id=owner.id,
            algorithm=algorithm,
            scal=scal,
            multisign=multisign,
            description=description,
            validity_days=validity_days,
        )
        issued = Enrolment(services, folder.authority(key)).issue(new)
        service = services.config.service.name
    record = {
        "credential_id": issued.credential_id,
        "subscriber_id": owner.id,
        "certificate": base64.b64encode(issued.certificate).decode("ascii"),
    }
    secrets = _handed_over(issued, service, username)
    if secrets_file is None:
        record |= secrets
    else:
        write_secret(secrets_file, json.dumps(secrets, indent=2) + "\n")
        record["secrets_file"] = str(secrets_file)
    show(record, as_json=as_json)


@app.command("list")
def list_of(
    context: typer.Context,
    username: Username,
    as_json: AsJson = False,
) -> None:
    """A signer's credentials, without destroyed ones."""
    from remote_signing.rssp import credentials

    with folder_of(context).services() as services:
        owner = subscriber(services, username)
        found = credentials.of_subscriber(services.database, owner.id)
    columns = ("id", "algorithm", "state", "locked", "scal", "serial", "not_after")
    show_table([_record(each) for each in found], columns, as_json=as_json)


@app.command("destroy")
def destroy(
    context: typer.Context,
    credential_id: CredentialId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    key: AuthorityKey = None,
) -> None:
    """Make a credential unusable for ever, in every copy of its record."""
    from remote_signing.rssp.enrolment import Enrolment

    if not yes:
        typer.confirm(f"Destroy {credential_id} for ever?", abort=True, err=True)
    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).destroy(credential_id)
    say(f"{credential_id} is destroyed")


@app.command("revoke")
def revoke(
    context: typer.Context,
    credential_id: CredentialId,
    reason: Annotated[
        str,
        typer.Option(
            help="unspecified, keyCompromise, affiliationChanged, superseded,"
            " cessationOfOperation or privilegeWithdrawn."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    key: AuthorityKey = None,
) -> None:
    """Revoke a certificate for ever: it signs nothing, CRL and OCSP say so at once."""
    from remote_signing.rssp.enrolment import Enrolment

    if not yes:
        typer.confirm(f"Revoke the certificate of {credential_id} for ever?", abort=True, err=True)
    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).revoke(credential_id, reason)
    say(f"{credential_id} is revoked")


@app.command("suspend")
def suspend(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Put a certificate on hold, until it is resumed or revoked."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).suspend(credential_id)
    say(f"{credential_id} is suspended")


@app.command("resume")
def resume(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """End the suspension of a certificate."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).resume(credential_id)
    say(f"{credential_id} is enabled")


@app.command("unlock")
def unlock(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Forget the failed attempts that locked a credential."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).unlock(credential_id)
    say(f"{credential_id} is unlocked")


def _handed_over(issued: "Issued", service: str, username: str) -> dict[str, str]:
    """What the signer gets, once: the initial PIN, and what an authenticator app scans."""
    from remote_signing.rssp.registration import otpauth_uri

    handed = {}
    for pin in issued.secrets.pins.values():
        handed["pin"] = pin
    for secret in issued.secrets.totp.values():
        handed["otpauth_uri"] = otpauth_uri(service, username, secret)
    return handed


def _record(view: "CredentialView") -> dict[str, str | bool | int | None]:
    end = view.not_after_ms
    return {
        "id": view.id,
        "algorithm": view.algorithm,
        "state": view.state,
        "locked": view.locked,
        "scal": view.scal,
        "multisign": view.multisign,
        "description": view.description,
        "serial": view.certificate_serial,
        "not_after": None if end is None else as_datetime(end).isoformat(),
    }
