"""The rssp's report about a signed document, as far as the page shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

Indication = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]


class _Part(BaseModel):
    # A newer rssp may say more. Input stays out of error texts: it comes from a stranger's file.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class CertificateShown(_Part):
    """What a certificate says. ``serial`` is hexadecimal."""

    name: str | None
    organisation: str | None
    unit: str | None
    title: str | None
    email: str | None
    issuer: str | None
    issuer_organisation: str | None
    serial: str | None
    not_before: AwareDatetime | None
    not_after: AwareDatetime | None


class Covered(_Part):
    """One thing that is signed; the document itself has no name."""

    name: str
    whole: bool


class Integrity(_Part):
    """``intact`` is None when it cannot be told."""

    intact: bool | None
    covers: list[Covered]


class Path(_Part):
    """From the signer's certificate to the anchor."""

    trusted: bool
    certificates: list[CertificateShown]


class Revocation(_Part):
    """Of the signer's certificate, for this signature."""

    state: Literal["good", "revoked", "unknown"]
    revoked_at: AwareDatetime | None


class Times(_Part):
    """What the signer claims, and what a time stamp proves."""

    claimed: AwareDatetime | None
    proven: AwareDatetime | None


class TimeStamp(_Part):
    """A time stamp, with who made it."""

    kind: str
    time: AwareDatetime | None
    authority: CertificateShown | None
    indication: Literal["PASSED", "FAILED", "INDETERMINATE"]


class Changes(_Part):
    """What was done after signing."""

    level: str
    allowed: bool


class Algorithm(_Part):
    """Key, scheme and digest by their usual names."""

    key: str
    scheme: str
    digest: str
    strong: bool


class Attached(_Part):
    """What is kept beside the signature for later checks."""

    certificate: bool
    path: bool
    status: bool
    time_stamp: bool


class Decree(_Part):
    """The conclusions that Vietnamese rules ask for; None: it cannot be told."""

    certificate_valid_at_signing: bool | None
    path_valid: bool
    content_intact: bool | None
    attached: Attached


class SignatureReport(_Part):
    """One signature."""

    name: str
    format: str
    level: str | None
    indication: Indication
    sub_indication: str | None
    reasons: list[str]
    warnings: list[str]
    signer: CertificateShown | None
    integrity: Integrity
    path: Path
    revocation: Revocation
    times: Times
    time_stamps: list[TimeStamp]
    changes: Changes | None
    algorithm: Algorithm
    decree: Decree


class File(_Part):
    """The file that was looked at. ``sha256`` is hexadecimal."""

    size: int
    sha256: str


class Report(_Part):
    """The whole report."""

    validated_at: AwareDatetime
    format: str
    indication: Indication | Literal["NOT-SIGNED"]
    warnings: list[str]
    document: File
    signatures: list[SignatureReport]
