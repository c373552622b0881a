"""JSON Web Signatures (RFC 7515, RFC 7518, RFC 7797) around a signature that is made elsewhere."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from asn1crypto import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from remote_signing import strict_json
from remote_signing.errors import (
    AlgorithmParametersInvalid,
    AlgorithmUnsupported,
    DocumentUnusable,
    InvalidInput,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.algorithms import SignatureScheme
    from remote_signing.strict_json import JsonValue

_FAMILIES: Final = {"pkcs1": "RS", "pss": "PS", "ecdsa": "ES"}
# RFC 7518 cl. 3.4: curve → the digest that goes with it, and the bytes of each half.
_CURVES: Final = {
    "secp256r1": ("sha256", 32),
    "secp384r1": ("sha384", 48),
    "secp521r1": ("sha512", 66),
}
_PIECE: Final = 3 * 64 * 1024  # bytes whose base64url needs no padding
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_MOST_SIGNATURES: Final = 100


def algorithm(scheme: SignatureScheme, certificate: bytes) -> str:
    """``alg`` (RFC 7518 cl. 3.1) of a signature by the key of ``certificate`` (DER).

    JWA ties a curve to its digest and a salt to the digest's length. ``AlgorithmUnsupported`` or
    ``AlgorithmParametersInvalid`` for what it has no name for.
    """
    name = f"{_FAMILIES[scheme.padding]}{scheme.digest.length * 8}"
    if scheme.padding == "pss" and scheme.salt_length != scheme.digest.length:
        raise AlgorithmParametersInvalid(f"{name} with a salt of {scheme.salt_length}")
    if scheme.padding == "ecdsa" and _curve(certificate)[0] != scheme.digest.name:
        raise AlgorithmUnsupported(f"{name} with another curve", parameter="signAlgo")
    return name


def value(scheme: SignatureScheme, certificate: bytes, signature: bytes) -> bytes:
    """The JWS Signature Value in base64url: of ECDSA r and s (RFC 7518 cl. 3.4)."""
    if scheme.padding == "ecdsa":
        length = _curve(certificate)[1]
        signature = b"".join(n.to_bytes(length, "big") for n in decode_dss_signature(signature))
    return encode(signature)


def _curve(certificate: bytes) -> tuple[str, int]:
    _, name = x509.Certificate.load(certificate).public_key.curve
    return _CURVES[name]


def encode(data: bytes) -> bytes:
    """BASE64URL of RFC 7515 cl. 2: without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def encoded(path: Path) -> Iterator[bytes]:
    """BASE64URL of a file, in pieces."""
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield encode(piece)


@dataclass(frozen=True, slots=True)
class Signed:
    """A JWS: ``payload`` in base64url, ``signatures`` as in the general form of JSON."""

    payload: str = field(repr=False)
    signatures: tuple[dict[str, JsonValue], ...]


def read(data: bytes) -> Signed:
    """The JWS in ``data``, in any of the three serialisations (RFC 7515 cl. 7).

    Its signatures are not verified here: who signs beside them signs the payload. Raises
    ``DocumentUnusable`` for what is no JWS, has no payload inside, or an unencoded one.
    """
    compact = data.strip().split(b".")
    if len(compact) == 3:  # noqa: PLR2004 - header, payload and signature
        header, payload, signature = (part.decode("ascii", "replace") for part in compact)
        return _checked(payload, [{"protected": header, "signature": signature}])
    try:
        members = strict_json.loads_object(data)
    except InvalidInput as error:
        raise _no_jws(error.cause) from error
    if "signatures" in members:
        return _checked(members.get("payload"), members["signatures"])
    known = ("protected", "header", "signature")
    only = {name: members[name] for name in known if name in members}
    return _checked(members.get("payload"), [only])


def _checked(payload: JsonValue, signatures: JsonValue) -> Signed:
    if payload is None or payload == "":
        raise DocumentUnusable("detached", reason="the JWS has no payload inside")
    if not _is_base64url(payload) or not isinstance(payload, str):
        raise _no_jws("payload")
    if not isinstance(signatures, list) or not 0 < len(signatures) < _MOST_SIGNATURES:
        raise _no_jws("signatures")
    return Signed(payload, tuple(map(_signature, signatures)))


def _signature(each: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(each, dict) or not _is_base64url(each.get("signature")):
        raise _no_jws("a signature")
    protected = each.get("protected")
    if not isinstance(protected, str) or not _is_base64url(protected):
        raise _no_jws("a header")
    try:
        header = strict_json.loads_object(base64.urlsafe_b64decode(protected + "=="))
    except ValueError as error:
        raise _no_jws(str(error)) from error
    except InvalidInput as error:
        raise _no_jws(error.cause) from error
    # RFC 7797 cl. 3: b64 is the same for all signatures of a JWS.
    if header.get("b64", True) is not True:
        raise DocumentUnusable("b64", reason="the payload of the JWS is not encoded")
    return each


def _is_base64url(text: JsonValue) -> bool:
    return isinstance(text, str) and _BASE64URL.fullmatch(text) is not None


def _no_jws(cause: str) -> DocumentUnusable:
    return DocumentUnusable(cause, reason="it is no JWS")
