"""What travels on the SAP: evidence and orders as they are written, questions and answers as read.

Bytes are raw here; :mod:`remote_signing.sap` puts them into base64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.strict_json import JsonValue


class SimEvidence(TypedDict):
    """What belongs to a SIM's signature: how it is written, and what it was asked with.

    ``format`` is one of ``cms``, ``pkcs1``, ``ecdsa_der``, ``ecdsa_raw``. ``display_text`` and
    ``labels`` are those that were presented. ``ocsp`` (RFC 6960) and ``crls`` (RFC 5280) are
    base64 of DER, obtained by whoever asks: the SAM calls nobody.
    """

    format: str
    display_text: str
    labels: list[str]
    ocsp: list[str]
    crls: list[str]


class PasskeyEvidence(TypedDict):
    """What belongs to a passkey's signature (WebAuthn cl. 5.2.2), in base64.

    ``user_handle`` is None where the authenticator gave none.
    """

    credential_id: str
    authenticator_data: str
    client_data: str
    user_handle: str | None


class Evidence(TypedDict):
    """What one factor of the signer says: a PIN or a one-time code as typed, or a signature.

    For ``kind`` "sim" and "passkey" the value is base64 of the signature and the member of that
    name tells the rest.
    """

    factor_id: str
    kind: str
    value: str
    sim: NotRequired[SimEvidence]
    passkey: NotRequired[PasskeyEvidence]


class PasskeyName(TypedDict):
    """A passkey by what a browser knows it by: its id in base64, and how it can be reached."""

    id: str
    transports: list[str]


class NewPasskey(TypedDict):
    """What a browser brings of a new passkey (WebAuthn cl. 5.2.1), in base64.

    ``token`` is that of the beginning; ``transports`` are hints and prove nothing.
    """

    token: str
    client_data: str
    attestation_object: str
    transports: list[str]


class SimPossession(TypedDict):
    """Proof that a SIM holds the private key: base64 of its signature (docs/sim-consent.md)."""

    format: str
    value: str


class Order(TypedDict):
    """A registration authority's order: base64 of canonical JSON, and its Ed25519 signature."""

    payload: str
    signature: str


class NodeReport(TypedDict):
    """One HSM node as the supervisor sees it."""

    name: str
    healthy: bool
    workers: int
    last_fault: NotRequired[str | None]


@dataclass(frozen=True, slots=True)
class CreatedCredential:
    """``secrets`` is for the registration authority's one-time key (HPKE, RFC 9180)."""

    sealed: bytes
    version: int
    public_key: bytes
    csr: bytes
    secrets: bytes


@dataclass(frozen=True, slots=True)
class TotpUse:
    """A one-time code that was evidence: of which factor, and of which time step (RFC 6238).

    Each SAM host knows the codes that it took itself; the rssp refuses a second use of one at
    another host.
    """

    factor_id: str
    step: int

    @classmethod
    def told(cls, ok: Mapping[str, JsonValue]) -> TotpUse | None:
        """The code that an answer of the SAM names; None: there was none in the evidence."""
        factor_id, step = ok["totp_factor_id"], ok["totp_step"]
        return None if factor_id is None else cls(cast("str", factor_id), cast("int", step))


@dataclass(frozen=True, slots=True)
class Resealed:
    """A credential after a change of its factors or certificate.

    ``code``: by which of the signer's one-time codes, if any.
    """

    sealed: bytes
    version: int
    certificate: bytes | None = None
    secrets: bytes | None = None
    factor_ids: tuple[str, ...] = ()
    code: TotpUse | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """``token`` comes back with the evidence; ``digest`` is what a bound factor signs."""

    token: bytes
    digest: bytes
    verification_code: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a SIM is asked to sign (docs/sim-consent.md); the same question gives the same bytes.

    ``mode`` is the factor's: the SIM signs ``structure``, its SHA-256 ``digest``, or the UTF-8 of
    ``message``. ``message`` is what the phone shows in every mode. ``is_enough``: by the rule of
    the credential the SIM's signature alone is a consent.
    """

    mode: str
    structure: bytes
    digest: bytes
    message: str
    verification_code: str
    certificate: bytes
    is_enough: bool


@dataclass(frozen=True, slots=True)
class PasskeyQuestion:
    """What the credential's passkeys are asked: ``challenge`` is 32 bytes, for site ``rp_id``.

    ``passkeys`` are those that count now.
    """

    challenge: bytes
    rp_id: str
    passkeys: tuple[PasskeyName, ...]


@dataclass(frozen=True, slots=True)
class PasskeyBeginning:
    """A change of passkeys begins. ``token`` comes back with the change.

    To bind: ``challenge`` is the new passkey's; ``user_handle`` and ``algorithms`` (COSE) go into
    its making, ``known`` are those that must not be made twice. To drop: ``challenge`` is what the
    factors that stay are asked.
    """

    token: bytes
    challenge: bytes
    rp_id: str
    user_handle: bytes
    algorithms: tuple[int, ...]
    known: tuple[PasskeyName, ...]
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class BoundPasskey:
    """A credential with a new passkey that counts from ``usable_from_ms`` on.

    ``passkey_id`` is what browsers know it by, ``public_key`` SPKI DER; ``aaguid`` (16 bytes) names
    its model, if anything.
    """

    sealed: bytes
    version: int
    factor_id: str
    passkey_id: bytes
    public_key: bytes
    aaguid: bytes
    is_eligible: bool
    usable_from_ms: int
    code: TotpUse | None = None


@dataclass(frozen=True, slots=True)
class Activated:
    """Signature activation data for exactly the challenged hashes.

    ``totp_factor_id`` and ``totp_step`` name the one-time code that was used, so that the rssp
    can refuse its second use across all SAM hosts. ``evidence_statement`` is the canonical JSON
    whose SHA-256 is ``evidence_digest``; it holds no secret and may be kept and exported.
    ``added``, of one of several that were consented to together: what the SAM added to this
    request in its challenge, which the common statement names by its digest alone.
    """

    sad: bytes
    expires_at_ms: int
    evidence_digest: bytes
    totp_factor_id: str | None = None
    totp_step: int | None = None
    evidence_statement: bytes = b""
    added: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """``signatures`` in the order of the hashes; ECDSA as DER, RSA as the raw block."""

    signatures: tuple[bytes, ...]
    node: str


@dataclass(frozen=True, slots=True)
class SamStatus:
    """What the SAM says of itself. ``revocation_digest``: SHA-256 of the ids on its list."""

    cluster_id: str
    nodes: tuple[NodeReport, ...]
    revocation_number: int
    revocation_digest: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignRequest:
    """One use of a key: ``hashes`` are raw digests in the caller's order."""

    sealed: bytes
    sad: bytes
    activation_id: str
    client_id: str
    hashes: tuple[bytes, ...]
    sign_algo: str
    hash_algorithm_oid: str | None = None
    sign_algo_params: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """What the signer will be asked to consent to. ``hashes`` may be empty at SCAL1 only."""

    credential_id: str
    activation_id: str
    client_id: str
    hash_algorithm: str
    hashes: tuple[bytes, ...]
    count: int
    display_text: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """One entry of the CRL. ``reason`` is a CRLReason by its name (RFC 5280 cl. 5.3.1)."""

    serial: int
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class SignedCrl:
    """A CRL (DER) of the issuing authority, and the number in it."""

    crl: bytes
    number: int


@dataclass(frozen=True, slots=True)
class StatusClaim:
    """What an OCSP answer (RFC 6960) shall say; the SAM builds it and checks what it can.

    ``certificate`` (DER) for ``good`` and ``revoked``, ``serial`` for ``unknown``; ``at_ms`` and
    ``reason`` for ``revoked``. ``digest`` names the hash of the request's CertID.
    """

    state: Literal["good", "revoked", "unknown"]
    certificate: bytes | None = None
    serial: int | None = None
    at_ms: int | None = None
    reason: str | None = None
    digest: str = "sha1"
    nonce: bytes | None = None


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """What a time stamp (RFC 3161) is asked for. ``certificates``: certReq."""

    hash_algorithm_oid: str
    digest: bytes
    nonce: int | None = None
    policy_oid: str | None = None
    certificates: bool = True


@dataclass(frozen=True, slots=True)
class ServiceCertificates:
    """Of the services beside the authorities (DER): OCSP responder, time stamps; the root's CRL."""

    responder: bytes
    timestamps: bytes
    root_crl: bytes
