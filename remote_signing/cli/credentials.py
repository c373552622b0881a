"""``remote-signing credential``: keys and certificates, by the registration authority's order."""

# No `from __future__ import annotations`: typer reads annotations at run time.

import base64
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, new_file, say, show, show_table
from remote_signing.cli.secrets_told import handing_over
from remote_signing.cli.settings import AsJson, AuthorityKey, folder_of
from remote_signing.cli.subscribers import Username, subscriber
from remote_signing.clock import as_datetime

# Imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.registration import FactorSecrets

app = typer.Typer(name="credential", help="Signing keys and their certificates.")

CredentialId = Annotated[str, typer.Argument(help="The credential's id.")]
ValidityDays = Annotated[int, typer.Option(help="Of the certificate.")]
SecretsFile = Annotated[
    Path | None,
    typer.Option(help="Write PIN and otpauth URI into this new file instead of showing them."),
]


class FactorKind(StrEnum):
    """What can be added."""

    PIN = "pin"
    TOTP = "totp"


@app.command("issue")
def issue(
    context: typer.Context,
    username: Username,
    algorithm: Annotated[str, typer.Option(help="p256, p384, p521, rsa2048 … rsa4096.")] = "p256",
    scal: Annotated[
        str, typer.Option(help="2: consent on our page; 1: codes by the portal.")
    ] = "2",
    multisign: Annotated[int, typer.Option(help="Most signatures of one consent.")] = 100,
    validity_days: ValidityDays = 5 * 365,
    description: Annotated[str | None, typer.Option(help="What the signer calls it.")] = None,
    secrets_file: SecretsFile = None,
    csr_file: Annotated[
        Path | None,
        typer.Option(help="Write a PKCS#10 request into this new file, for another CA, and stop."),
    ] = None,
    choose_pin: Annotated[
        bool,
        typer.Option("--choose-pin", help="Tell no PIN: `subscriber invite --choose-pin` follows."),
    ] = False,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a key in the HSM and a certificate for it; tells PIN and otpauth URI once."""
    from remote_signing.rssp.enrolment import (
        Enrolment,
        NewCredential,
    )

    folder = folder_of(context)
    with (
        folder.services() as services,
        handing_over(secrets_file) as hand_over,
        new_file(csr_file) if csr_file else nullcontext() as write_request,
    ):
        owner = subscriber(services, username)
        desk = Enrolment(services, folder.authority(key))
        new = NewCredential(
            subscriber_id=owner.id,
            algorithm=algorithm,
            scal=scal,
            multisign=multisign,
            description=description,
            validity_days=validity_days,
        )
        created = desk.create(new)
        record = {"credential_id": created.credential_id, "subscriber_id": owner.id}
        with _telling_on_failure(record, as_json=as_json):
            handed = _handed_over(created.secrets, services.config.service.name, username)
            if choose_pin:
                del handed["pin"]  # nobody's: the signer never learns it, and nobody else
            record |= hand_over(handed)  # first of all: they are told once, whatever comes after
            if write_request is None:
                certificate = desk.certify(created.credential_id, validity_days)
                record["certificate"] = base64.b64encode(certificate).decode("ascii")
            else:
                write_request(created.csr)
                record["csr_file"] = str(csr_file)
    show(record, as_json=as_json)


@app.command("certify")
def certify(
    context: typer.Context,
    credential_id: CredentialId,
    validity_days: ValidityDays = 5 * 365,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """A certificate of the embedded CA for a key, with the holder's records as they are now.

    The first one enables the credential. Former ones stay good until the key is revoked.
    """
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        desk = Enrolment(services, folder.authority(key))
        certificate = desk.certify(credential_id, validity_days)
    encoded = base64.b64encode(certificate).decode("ascii")
    show({"credential_id": credential_id, "certificate": encoded}, as_json=as_json)


@app.command("install-certificate")
def install_certificate(
    context: typer.Context,
    credential_id: CredentialId,
    file: Annotated[Path, typer.Argument(help="PEM: the certificate, then its issuers.")],
    key: AuthorityKey = None,
) -> None:
    """Give a credential a certificate that another CA issued for its key; the first enables it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from remote_signing.rssp.enrolment import Enrolment

    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise fail(f"{file} holds no PEM certificates", 2) from error
    certificate, *issuers = (each.public_bytes(Encoding.DER) for each in chain)
    folder = folder_of(context)
    with folder.services() as services:
        desk = Enrolment(services, folder.authority(key))
        desk.install_certificate(credential_id, certificate, tuple(issuers))
    say(f"{credential_id} has its certificate")


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
    columns = ("id", "algorithm", "state", "frozen", "locked", "scal", "serial", "not_after")
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
    """Revoke all certificates of a key for ever: it signs nothing, CRL and OCSP say so at once."""
    from remote_signing.rssp.enrolment import Enrolment

    if not yes:
        typer.confirm(f"Revoke all of {credential_id} for ever?", abort=True, err=True)
    folder = folder_of(context)
    with folder.services() as services:
        state = Enrolment(services, folder.authority(key)).revoke(credential_id, reason)
    say(f"every certificate of {credential_id} is revoked; it is {state}")


@app.command("suspend")
def suspend(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Put the certificates of a key on hold, until it is resumed or revoked."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        state = Enrolment(services, folder.authority(key)).suspend(credential_id)
    say(f"every certificate of {credential_id} is on hold; it is {state}")


@app.command("resume")
def resume(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """End the hold of a key's certificates; a freeze, for one, stays."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        state = Enrolment(services, folder.authority(key)).resume(credential_id)
    say(f"no certificate of {credential_id} is on hold; it is {state}")


@app.command("unfreeze")
def unfreeze(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """End a freeze by the signer: only after proof of who he is. A hold, for one, stays."""
    from remote_signing.rssp import freezing

    folder = folder_of(context)
    with folder.services() as services:
        state = freezing.unfreeze(services, folder.authority(key), credential_id)
    say(f"{credential_id} is not frozen any more; it is {state}")


@app.command("unlock")
def unlock(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Forget the failed attempts that locked a credential."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).unlock(credential_id)
    say(f"{credential_id} is unlocked")


@app.command("add-factor")
def add_factor(
    context: typer.Context,
    credential_id: CredentialId,
    kind: Annotated[FactorKind, typer.Argument(help="What the signer gets.")],
    secrets_file: SecretsFile = None,
    key: AuthorityKey = None,
    as_json: AsJson = False,
) -> None:
    """Give a signer a further factor, such as a new phone's; tells its secret once."""
    from remote_signing.rssp import subscribers
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services, handing_over(secrets_file) as hand_over:
        owner = subscribers.get(services.database, _found(services, credential_id).subscriber_id)
        if owner is None:
            raise fail(f"{credential_id} has no owner")
        secrets = Enrolment(services, folder.authority(key)).add_factors(
            credential_id, (kind.value,)
        )
        name = services.config.service.name
        handed = hand_over(_handed_over(secrets, name, owner.username))
    show({"credential_id": credential_id} | handed, as_json=as_json)


@app.command("drop-factor")
def drop_factor(
    context: typer.Context,
    credential_id: CredentialId,
    factor_id: Annotated[str, typer.Argument(help="The factor's id, from `credential show`.")],
    key: AuthorityKey = None,
) -> None:
    """Take a factor away for ever: a lost phone, a PIN that somebody knows."""
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        Enrolment(services, folder.authority(key)).drop_factor(credential_id, factor_id)
    say(f"{factor_id} is removed")


@app.command("show")
def show_one(
    context: typer.Context,
    credential_id: CredentialId,
    as_json: AsJson = False,
) -> None:
    """One credential and its factors."""
    with folder_of(context).services() as services:
        found = _found(services, credential_id)
    factors = ", ".join(f"{kind} {factor_id}" for factor_id, kind in found.factors)
    show(_record(found) | {"factors": factors}, as_json=as_json)


@app.command("enable")
def enable(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Switch a credential on again that was disabled; a hold or a freeze stays."""
    _set_state(context, credential_id, "enabled", key)


@app.command("disable")
def disable(context: typer.Context, credential_id: CredentialId, key: AuthorityKey = None) -> None:
    """Switch a credential off; its key and certificates are untouched."""
    _set_state(context, credential_id, "disabled", key)


def _found(services: "Services", credential_id: str) -> "CredentialView":
    from remote_signing.rssp import credentials

    view = credentials.visible(services.database, credential_id, agencies=(credentials.ANY_AGENCY,))
    if view is None:
        raise fail(f"no credential {credential_id}")
    return view


def _set_state(context: typer.Context, credential_id: str, state: str, key: Path | None) -> None:
    from remote_signing.rssp.enrolment import Enrolment

    folder = folder_of(context)
    with folder.services() as services:
        state = Enrolment(services, folder.authority(key)).set_state(credential_id, state)
    say(f"{credential_id} is {state}")


def _handed_over(secrets: "FactorSecrets", service: str, username: str) -> dict[str, str]:
    """What the signer gets, once: the initial PIN, and what an authenticator app scans."""
    from remote_signing.rssp.registration import otpauth_uri

    handed = {}
    for pin in secrets.pins.values():
        handed["pin"] = pin
    for secret in secrets.totp.values():
        handed["otpauth_uri"] = otpauth_uri(service, username, secret)
    return handed


@contextmanager
def _telling_on_failure(record: dict[str, str], *, as_json: bool) -> "Iterator[None]":
    """Whatever ends the command, Ctrl-C, too: what was made is shown with its secrets."""
    its_id = record["credential_id"]
    try:
        yield
    except BaseException:
        show(record, as_json=as_json)
        say(f"not certified; then: remote-signing credential certify {its_id}, or destroy it")
        raise


def _record(view: "CredentialView") -> dict[str, str | bool | int | None]:
    end = view.not_after_ms
    return {
        "id": view.id,
        "algorithm": view.algorithm,
        "state": view.state,
        "frozen": view.frozen,
        "locked": view.locked,
        "scal": view.scal,
        "multisign": view.multisign,
        "description": view.description,
        "serial": view.certificate_serial,
        "not_after": None if end is None else as_datetime(end).isoformat(),
    }
