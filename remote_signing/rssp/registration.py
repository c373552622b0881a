"""A registration authority's desk: its key, its orders to the SAM, and the secrets that come back.

In production this stands on another machine, in the hands of the authority's officers; the key
file here is for development and for small installations. Whoever holds the key can enrol signers,
so the file must be readable by its owner only, and the rssp's own processes never open it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from remote_signing import strict_json
from remote_signing.errors import OrderInvalid, SealBroken
from remote_signing.identifiers import new_id
from remote_signing.sap import b64

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sap import Order
    from remote_signing.strict_json import JsonValue

ORDER_LIFETIME_MS = 5 * 60 * 1000  # the SAM accepts ten minutes
_KEY_ID_LENGTH = 16
_SECRETS_INFO = b"remote-signing/factor-secrets/v1|"
_SECRETS_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_RAW = (Encoding.Raw, PublicFormat.Raw)


class RegistrationAuthority:
    """Signs orders with an Ed25519 key whose public part is pinned in the SAM's configuration."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key: bytes = key.public_key().public_bytes(*_RAW)  # 32 bytes, to be pinned
        self.key_id: str = hashlib.sha256(self.public_key).hexdigest()[:_KEY_ID_LENGTH]

    @classmethod
    def create(cls, path: Path) -> RegistrationAuthority:
        """A new key in the new file ``path`` (mode 0600); ``FileExistsError`` when it is there."""
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> RegistrationAuthority:
        """The key in ``path``; ``OrderInvalid`` when others may read it or it is no such key."""
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise OrderInvalid(f"{path} may be read by others: chmod 600")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise OrderInvalid(f"{path} is no PEM private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OrderInvalid(f"{path} is no Ed25519 key")
        return cls(key)

    def order(
        self,
        kind: str,
        credential_id: str,
        now_ms: int,
        members: dict[str, JsonValue],
        lifetime_ms: int = ORDER_LIFETIME_MS,
    ) -> Order:
        """An order of that kind about one credential, good for ``lifetime_ms`` from ``now_ms``."""
        payload = strict_json.canonical(
            {
                **members,
                "order_id": new_id(now_ms),
                "kind": kind,
                "ra_key": self.key_id,
                "credential_id": credential_id,
                "issued_at_ms": now_ms,
                "expires_at_ms": now_ms + lifetime_ms,
            }
        )
        return {"payload": b64(payload), "signature": b64(self._key.sign(payload))}


@dataclass(frozen=True, slots=True)
class FactorSecrets:
    """What is handed to the signer, once: factor id → PIN, and factor id → base32 TOTP secret."""

    pins: dict[str, str] = field(repr=False)
    totp: dict[str, str] = field(repr=False)


class Recipient:
    """A one-time key that the SAM encrypts new factor secrets to (HPKE, RFC 9180)."""

    def __init__(self) -> None:
        self._key = X25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """The member ``recipient`` of an order."""
        return b64(self._key.public_key().public_bytes(*_RAW))

    def open(self, secrets: bytes, credential_id: str) -> FactorSecrets:
        """The secrets of ``credential_id``; ``SealBroken`` when they are for somebody else."""
        info = _SECRETS_INFO + credential_id.encode("ascii")
        try:
            plaintext = _SECRETS_SUITE.decrypt(secrets, self._key, info=info)
        except InvalidTag as error:
            raise SealBroken("secrets are not for this recipient and credential") from error
        members = strict_json.loads_object(plaintext)
        return FactorSecrets(
            pins=cast("dict[str, str]", members["pins"]),
            totp=cast("dict[str, str]", members["totp"]),
        )


def new_factors(kinds: tuple[str, ...], now_ms: int) -> list[JsonValue]:
    """The member ``factors`` of an order: a fresh id for each kind (``pin``, ``totp``)."""
    return [{"id": new_id(now_ms), "kind": kind} for kind in kinds]


def otpauth_uri(service: str, username: str, secret: str) -> str:
    """What an authenticator app scans: issuer, account and base32 secret (30 s, six digits)."""
    label = quote(f"{service}:{username}", safe=":")
    members = urlencode({"secret": secret, "issuer": service}, quote_via=quote)
    return f"otpauth://totp/{label}?{members}"


def public_key_text(raw: bytes) -> str:
    """How the SAM's configuration spells a pinned key."""
    return base64.b64encode(raw).decode("ascii")
