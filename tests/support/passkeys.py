"""An authenticator and a browser in software, byte by byte from WebAuthn Level 3 and CTAP 2.1.

Nothing of the code under test is used here, and every field can be made wrong. ``fido2`` (Yubico's
own library) judges in the tests what this writes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RP_ID = "ky-so.example"
ORIGIN = "https://ky-so.example"
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
Key: TypeAlias = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


def head(major: int, argument: int) -> bytes:
    """The head of a CBOR data item (RFC 8949 cl. 3), as short as can be."""
    if argument < 24:
        return bytes([major << 5 | argument])
    size = next(size for size in (1, 2, 4, 8) if argument < 1 << 8 * size)
    information = {1: 24, 2: 25, 4: 26, 8: 27}[size]
    return bytes([major << 5 | information]) + argument.to_bytes(size)


def cbor(value: Any) -> bytes:
    """Canonical CBOR (CTAP 2.1 cl. 8) of what authenticators write."""
    if isinstance(value, bool) or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted(
        ((cbor(name), cbor(member)) for name, member in value.items()),
        key=lambda pair: (pair[0][0] >> 5, len(pair[0]), pair[0]),
    )
    return head(5, len(pairs)) + b"".join(name + member for name, member in pairs)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def cose(key: Key) -> dict[int, Any]:
    """The COSE key (RFC 9053) of the public part."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
    if isinstance(key, rsa.RSAPrivateKey):
        modulus = key.public_key().public_numbers().n
        return {1: 3, 3: -257, -1: modulus.to_bytes(key.key_size // 8), -2: b"\x01\x00\x01"}
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {1: 1, 3: -8, -1: 6, -2: raw}


def client_data(kind: str, challenge: bytes, **changes: Any) -> bytes:
    """What Chromium writes (WebAuthn cl. 5.8.1.1); a member that is None is left out."""
    members = {
        "type": kind,
        "challenge": b64url(challenge),
        "origin": ORIGIN,
        "crossOrigin": False,
        **changes,
    }
    told = {name: value for name, value in members.items() if value is not None}
    return json.dumps(told, separators=(",", ":")).encode()


@dataclass
class Authenticator:
    """One passkey. ``flags`` are every answer's, ``step`` is added to the counter each time."""

    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    rp_id: str = RP_ID
    flags: int = UP | UV
    counter: int = 0
    step: int = 0
    aaguid: bytes = bytes(16)

    def data(self, flags: int | None = None, tail: bytes = b"") -> bytes:
        """Authenticator data (WebAuthn cl. 6.1)."""
        shown = bytes([self.flags if flags is None else flags])
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return rp_id_hash + shown + self.counter.to_bytes(4) + tail

    def attested(self) -> bytes:
        """Attested credential data (WebAuthn cl. 6.5.1)."""
        size = len(self.credential_id).to_bytes(2)
        return self.aaguid + size + self.credential_id + cbor(cose(self.key))

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data)

    def make(self, challenge: bytes, form: str = "none", **changes: Any) -> dict[str, Any]:
        """``navigator.credentials.create``: client data and attestation object in base64."""
        said = client_data("webauthn.create", challenge, **changes)
        data = self.data(self.flags | AT, self.attested())
        statement: dict[str, Any] = {}
        if form == "packed":
            signature = self.sign(data + hashlib.sha256(said).digest())
            statement = {"alg": cose(self.key)[3], "sig": signature}
        made = cbor({"fmt": form, "attStmt": statement, "authData": data})
        return {
            "client_data": b64(said),
            "attestation_object": b64(made),
            "transports": ["internal", "hybrid"],
        }

    def answer(
        self,
        challenge: bytes,
        *,
        user_handle: bytes | None = None,
        data: bytes | None = None,
        kind: str = "webauthn.get",
        **changes: Any,
    ) -> tuple[bytes, dict[str, Any]]:
        """``navigator.credentials.get``: the signature, and what belongs to it in base64."""
        self.counter += self.step
        said = client_data(kind, challenge, **changes)
        shown = self.data() if data is None else data
        signature = self.sign(shown + hashlib.sha256(said).digest())
        return signature, {
            "credential_id": b64(self.credential_id),
            "authenticator_data": b64(shown),
            "client_data": b64(said),
            "user_handle": None if user_handle is None else b64(user_handle),
        }
