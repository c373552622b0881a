"""From a signature request to an order for a card, and from its answer to a signature.

=================  ==================  ==========================================================
data to be signed  form asked for      what the card signs
=================  ==================  ==========================================================
text               PKCS1               the text, as it was shown
bytes              PKCS1               the consent structure, which the card reads and shows
digest             PKCS1               the digest
any                CMS                 the digest of the signed attributes, which hold the digest
=================  ==================  ==========================================================

CMS needs a signature over its attributes, so with it the person trusts the operator for the link
between the text on the screen and what is signed.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from sim_adapter.errors import InvalidInput
from sim_adapter.mss import codes
from sim_adapter.mss.model import (
    ENCODING_BYTES,
    FORMAT_CMS,
    FORMAT_PKCS1,
    FORMAT_PKCS7,
    MIME_BYTES,
    MIME_SHA256,
    MIME_TEXT,
    MssFault,
    Signature,
    SignatureReq,
)
from sim_adapter.mss.values import read_base64
from sim_adapter.mssp import cms
from sim_adapter.ota.errors import TextUnfit
from sim_adapter.ota.orders import (
    DIGEST_OCTETS,
    TRANSACTION_ID_OCTETS,
    TS_102_204_CODES,
    Mode,
    NotDone,
    Signed,
    SignOrder,
)

if TYPE_CHECKING:
    from sim_adapter.mssp.subscribers import Subscriber
    from sim_adapter.ota.gateway_port import SimGateway

PROFILE = "urn:remote-signing:test-mssp:profile"
PROFILE_ATTACHED = f"{PROFILE}:attached"
PROFILE_DETACHED = f"{PROFILE}:detached"
PROFILES = (PROFILE, PROFILE_ATTACHED, PROFILE_DETACHED)
_PKCS1 = frozenset({FORMAT_PKCS1, "http://www.methics.fi/KiuruMSSP/v3.2.0#PKCS1"})
_CMS = frozenset({FORMAT_CMS, FORMAT_PKCS7})


@dataclass(frozen=True, slots=True)
class Wish:
    """A request, understood. ``content`` is what was given: text octets, structure or digest."""

    mode: Mode
    text: str
    code: str
    content: bytes
    not_after: int  # seconds since 1970 UTC
    is_cms: bool
    is_attached: bool


def understand(request: SignatureReq, not_after: int) -> Wish:
    """What ``request`` wants; the faults of the standard for what cannot be done."""
    dtbs = request.dtbs
    mode = {MIME_TEXT: Mode.TEXT, MIME_BYTES: Mode.STRUCTURE, MIME_SHA256: Mode.DIGEST}.get(
        dtbs.mime_type or MIME_TEXT
    )
    if mode is None or (mode is not Mode.TEXT and dtbs.encoding != ENCODING_BYTES):
        raise MssFault(codes.INAPPROPRIATE_DATA, "MimeType or Encoding", 1016)
    shown = dtbs if mode is Mode.TEXT else request.dtbd
    if shown is None:
        raise MssFault(codes.MISSING_PARAM, "DataToBeDisplayed", 1021)
    if request.profile not in {None, *PROFILES}:
        raise MssFault(codes.UNSUPPORTED_PROFILE, "no such profile")
    if request.format not in {None, *_PKCS1, *_CMS}:
        raise MssFault(codes.INAPPROPRIATE_DATA, "MSS_Format", 1017)
    event = next((item.event_id for item in request.services if item.event_id), None)
    if event is None:
        raise MssFault(codes.MISSING_PARAM, "EventID")
    return Wish(
        mode=mode,
        text=shown.value,
        code=event,
        content=_content(mode, dtbs.value),
        not_after=not_after,
        is_cms=request.format not in _PKCS1,
        is_attached=request.profile != PROFILE_DETACHED,
    )


def _content(mode: Mode, value: str) -> bytes:
    if mode is Mode.TEXT:
        return value.encode()
    try:
        content = read_base64(value, "DataToBeSigned")
    except InvalidInput as error:
        raise MssFault(codes.INAPPROPRIATE_DATA, error.cause) from None
    if mode is Mode.DIGEST and len(content) != DIGEST_OCTETS:
        raise MssFault(codes.WRONG_DATA_LENGTH, "not a SHA-256")
    return content


async def sign(gateway: SimGateway, subscriber: Subscriber, wish: Wish) -> tuple[int, Signature]:
    """The status code and the signature; ``MssFault`` when there is none."""
    certificate = subscriber.certificate
    if certificate is None:
        raise MssFault(codes.NO_CERT_FOUND, "no certificate for this number")
    if wish.is_cms:
        made, digest = await _with_attributes(gateway, subscriber, wish, certificate)
        signature = Signature(made)
    else:
        signed = await _ask(gateway, subscriber, wish, wish.mode, wish.content)
        signature, digest = Signature(signed.signature, certificate), signed
    if subscriber.is_revoked:
        return codes.REVOKED_CERTIFICATE, signature
    good = is_good(certificate, digest)
    return (codes.VALID_SIGNATURE if good else codes.INVALID_SIGNATURE), signature


async def _with_attributes(
    gateway: SimGateway, subscriber: Subscriber, wish: Wish, certificate: bytes
) -> tuple[bytes, Signed]:
    is_detached_digest = wish.mode is Mode.DIGEST and not wish.is_attached
    digest = wish.content if is_detached_digest else hashlib.sha256(wish.content).digest()
    attributes = cms.signed_attributes(digest)
    to_sign = cms.digest_to_sign(attributes)
    signed = await _ask(gateway, subscriber, wish, Mode.DIGEST, to_sign)
    content = wish.content if wish.is_attached else None
    value = cms.value_for_cms(signed)
    return cms.signed_data(attributes, value, certificate, content), signed


async def _ask(
    gateway: SimGateway, subscriber: Subscriber, wish: Wish, mode: Mode, content: bytes
) -> Signed:
    order = SignOrder(
        transaction_id=secrets.token_bytes(TRANSACTION_ID_OCTETS),
        mode=mode,
        text=wish.text,
        code=wish.code,
        not_after=wish.not_after,
        digest=content if mode is Mode.DIGEST else b"",
        structure=content if mode is Mode.STRUCTURE else b"",
    )
    try:
        outcome = await gateway.sign(subscriber.card, order)
    except TextUnfit as error:
        raise MssFault(codes.INAPPROPRIATE_DATA, str(error)) from None
    if isinstance(outcome, NotDone):
        raise MssFault(TS_102_204_CODES[outcome.cause], outcome.cause.name)
    return outcome


def is_good(certificate: bytes, signed: Signed) -> bool:
    """Whether the card's value is a signature of the certificate's key over the digest."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    prehashed = Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.digest, padding.PKCS1v15(), prehashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(cms.value_for_cms(signed), signed.digest, ec.ECDSA(prehashed))
        else:
            return False
    except InvalidSignature:
        return False
    return True
