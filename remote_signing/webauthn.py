"""What authenticators and browsers write (WebAuthn Level 3), read strictly and within bounds.

Client data (cl. 5.8.1), authenticator data (cl. 6.1), attestation objects (cl. 6.5.4) and the three
kinds of public key that are accepted (RFC 9053: ES256, EdDSA with Ed25519, RS256). Nothing here
decides whether an answer is good: the SAM does for consents (``sam.passkeys``), the rssp for
signing in (``rssp.sign_in_passkeys``). Whatever cannot be read is ``WebauthnInvalid``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remote_signing import cbor, strict_json
from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.cbor import CborValue

LONGEST_CLIENT_DATA: Final = 2048
LONGEST_AUTHENTICATOR_DATA: Final = 2048
LONGEST_ATTESTATION: Final = 16 * 1024
LONGEST_SIGNATURE: Final = 512  # RSA of 4,096 bits
LONGEST_ID: Final = 1023  # WebAuthn cl. 4, "Credential ID"
LONGEST_USER_HANDLE: Final = 64
LONGEST_KEY: Final = 640

ES256, EDDSA, RS256 = -7, -8, -257  # IANA "COSE Algorithms"
ALGORITHMS: Final = (ES256, EDDSA, RS256)

_RP_ID_HASH, _FLAGS, _COUNTER = slice(0, 32), 32, slice(33, 37)
_AAGUID, _ID_LENGTH, _ID = slice(37, 53), slice(53, 55), 55
_USER_PRESENT, _USER_VERIFIED, _ELIGIBLE, _BACKED_UP = 0x01, 0x04, 0x08, 0x10
_ATTESTED, _EXTENDED = 0x40, 0x80
_COORDINATE = 32
_SHORTEST_RSA, _LONGEST_RSA, _EXPONENT = 2048, 4096, 65537

PublicKey: TypeAlias = "ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey"


class WebauthnInvalid(Exception):
    """The bytes are not what an authenticator or a browser writes."""


@dataclass(frozen=True, slots=True)
class ClientData:
    """What the browser says it asked for, and where. ``is_framed``: inside another's page."""

    kind: str
    challenge: bytes
    origin: str
    is_framed: bool


@dataclass(frozen=True, slots=True)
class Attested:
    """A new credential. ``public_key`` is the COSE key as the authenticator wrote it."""

    aaguid: bytes
    credential_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """What the authenticator says. ``is_eligible``: the passkey may be copied (BE, BS)."""

    rp_id_hash: bytes
    is_present: bool
    is_verified: bool
    is_eligible: bool
    is_backed_up: bool
    counter: int
    attested: Attested | None


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attestation object: its format, its statement, and the data that it is about."""

    form: str
    statement: Mapping[int | str, CborValue]
    authenticator_data: bytes


def read_client_data(encoded: bytes) -> ClientData:
    """The client data in ``encoded`` (UTF-8 JSON). Members that are not known are passed over.

    ``topOrigin`` stands there only inside another site's page; so does a true ``crossOrigin``.
    """
    if len(encoded) > LONGEST_CLIENT_DATA:
        raise WebauthnInvalid("client data is too long")
    try:
        members = strict_json.loads_object(encoded)
    except InvalidInput as error:
        raise WebauthnInvalid(f"client data: {error.cause}") from None
    kind, challenge, origin = (members.get(name) for name in ("type", "challenge", "origin"))
    if not (isinstance(kind, str) and isinstance(challenge, str) and isinstance(origin, str)):
        raise WebauthnInvalid("client data lacks type, challenge or origin")
    is_framed = members.get("crossOrigin", False) is not False or "topOrigin" in members
    return ClientData(kind, unb64url(challenge), origin, is_framed)


def unb64url(text: str) -> bytes:
    """The bytes that ``text`` spells in base64url without padding, and in one way only."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise WebauthnInvalid("not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise WebauthnInvalid("not the one spelling in base64url")
    return decoded


def read_authenticator_data(data: bytes) -> AuthenticatorData:
    """The authenticator data that ``data`` is, to its last byte."""
    if not _COUNTER.stop <= len(data) <= LONGEST_AUTHENTICATOR_DATA:
        raise WebauthnInvalid("authenticator data of a length that there is not")
    flags, end = data[_FLAGS], _COUNTER.stop
    attested = None
    if flags & _ATTESTED:
        attested, end = _read_attested(data)
    if flags & _EXTENDED:
        end = _skip_extensions(data, end)
    if end != len(data):
        raise WebauthnInvalid("bytes after the authenticator data")
    if flags & _BACKED_UP and not flags & _ELIGIBLE:
        raise WebauthnInvalid("backed up, and yet not to be")
    return AuthenticatorData(
        rp_id_hash=data[_RP_ID_HASH],
        is_present=bool(flags & _USER_PRESENT),
        is_verified=bool(flags & _USER_VERIFIED),
        is_eligible=bool(flags & _ELIGIBLE),
        is_backed_up=bool(flags & _BACKED_UP),
        counter=int.from_bytes(data[_COUNTER]),
        attested=attested,
    )


def _read_attested(data: bytes) -> tuple[Attested, int]:
    """The new credential, and where it ends."""
    length = int.from_bytes(data[_ID_LENGTH])
    start = _ID + length
    if not 0 < length <= LONGEST_ID or start >= len(data):
        raise WebauthnInvalid("a credential id of a length that there is not")
    try:
        _, size = cbor.read_first(data[start:])
    except cbor.CborInvalid as error:
        raise WebauthnInvalid(f"public key: {error}") from None
    key = data[start : start + size]
    load_key(key)
    return Attested(data[_AAGUID], data[_ID:start], key), start + size


def _skip_extensions(data: bytes, start: int) -> int:
    """Where the extensions end: none was asked for, so none says anything to us."""
    try:
        value, size = cbor.read_first(data[start:])
    except cbor.CborInvalid as error:
        raise WebauthnInvalid(f"extensions: {error}") from None
    if not isinstance(value, dict):
        raise WebauthnInvalid("extensions are not a map")
    return start + size


def read_attestation(encoded: bytes) -> Attestation:
    """The attestation object that ``encoded`` is."""
    if len(encoded) > LONGEST_ATTESTATION:
        raise WebauthnInvalid("an attestation object is too long")
    try:
        members = cbor.read_map(encoded)
    except cbor.CborInvalid as error:
        raise WebauthnInvalid(f"attestation object: {error}") from None
    if members.keys() != {"fmt", "attStmt", "authData"}:
        raise WebauthnInvalid("an attestation object of other members")
    form, statement, data = (members[name] for name in ("fmt", "attStmt", "authData"))
    if not (isinstance(form, str) and isinstance(statement, dict) and isinstance(data, bytes)):
        raise WebauthnInvalid("an attestation object of other kinds")
    return Attestation(form, statement, data)


def load_key(encoded: bytes) -> tuple[int, PublicKey]:
    """Algorithm and key of a COSE key (RFC 9052 cl. 7) with no member but those it needs."""
    if len(encoded) > LONGEST_KEY:
        raise WebauthnInvalid("a public key is too long")
    try:
        members = cbor.read_map(encoded)
    except cbor.CborInvalid as error:
        raise WebauthnInvalid(f"public key: {error}") from None
    algorithm = members.get(3)
    loader = _LOADERS.get(algorithm) if isinstance(algorithm, int) else None
    if loader is None:
        raise WebauthnInvalid("a public key of another algorithm")
    return cast("int", algorithm), loader(members)


def _load_p256(members: dict[int | str, CborValue]) -> PublicKey:
    x, y = members.get(-2), members.get(-3)
    is_plain = members.keys() == {1, 3, -1, -2, -3} and _are(members, {1: 2, -1: 1})
    if not is_plain or not _is_coordinate(x) or not _is_coordinate(y):
        raise WebauthnInvalid("not a P-256 key")
    point = b"\x04" + cast("bytes", x) + cast("bytes", y)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise WebauthnInvalid("a point that is not on the curve") from None


def _load_ed25519(members: dict[int | str, CborValue]) -> PublicKey:
    x = members.get(-2)
    is_plain = members.keys() == {1, 3, -1, -2} and _are(members, {1: 1, -1: 6})
    if not is_plain or not _is_coordinate(x):
        raise WebauthnInvalid("not an Ed25519 key")
    return Ed25519PublicKey.from_public_bytes(cast("bytes", x))


def _load_rsa(members: dict[int | str, CborValue]) -> PublicKey:
    modulus, exponent = members.get(-1), members.get(-2)
    is_plain = members.keys() == {1, 3, -1, -2} and _are(members, {1: 3})
    if not is_plain or not isinstance(modulus, bytes) or not isinstance(exponent, bytes):
        raise WebauthnInvalid("not an RSA key")
    n = int.from_bytes(modulus)
    is_strong = _SHORTEST_RSA <= n.bit_length() <= _LONGEST_RSA and n % 2
    if not is_strong or int.from_bytes(exponent) != _EXPONENT:
        raise WebauthnInvalid("an RSA key of another size")
    return rsa.RSAPublicNumbers(_EXPONENT, n).public_key()


_LOADERS: Final[dict[int, Callable[[dict[int | str, CborValue]], PublicKey]]] = {
    ES256: _load_p256,
    EDDSA: _load_ed25519,
    RS256: _load_rsa,
}


def _are(members: dict[int | str, CborValue], wanted: Mapping[int, int]) -> bool:
    # True == 1 in Python, and is no number in CBOR.
    return all(type(members[name]) is int and members[name] == wanted[name] for name in wanted)


def _is_coordinate(value: CborValue | None) -> bool:
    return isinstance(value, bytes) and len(value) == _COORDINATE


def spki(public_key: bytes) -> bytes:
    """The COSE key as everybody else writes it: SPKI, DER."""
    _, key = load_key(public_key)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def verifies(public_key: bytes, signature: bytes, data: bytes, client_data: bytes) -> bool:
    """Whether the COSE key has signed authenticator data and client data (WebAuthn cl. 6.3.3)."""
    _, key = load_key(public_key)
    signed = data + hashlib.sha256(client_data).digest()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
