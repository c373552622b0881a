"""A registration authority for tests: signs orders, opens the secrets that come back."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from remote_signing import strict_json
from remote_signing.identifiers import new_id

if TYPE_CHECKING:
    from remote_signing.sap import Order

_RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class TestAuthority:
    __test__ = False

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes(*_RAW)
        self.name = hashlib.sha256(self.public).hexdigest()[:16]
        self._recipient = X25519PrivateKey.generate()

    @property
    def pinned(self) -> dict[str, bytes]:
        return {self.name: self.public}

    def order(self, kind: str, credential_id: str, now_ms: int, **members: object) -> Order:
        payload = {
            "order_id": new_id(now_ms),
            "kind": kind,
            "ra_key": self.name,
            "credential_id": credential_id,
            "issued_at_ms": now_ms,
            "expires_at_ms": now_ms + 600_000,
            "recipient": base64.b64encode(
                self._recipient.public_key().public_bytes(*_RAW)
            ).decode(),
            **members,
        }
        return self.sign(strict_json.canonical(payload))

    def sign(self, payload: bytes) -> Order:
        return {
            "payload": base64.b64encode(payload).decode(),
            "signature": base64.b64encode(self._key.sign(payload)).decode(),
        }

    def open(self, secrets: bytes, credential_id: str) -> dict[str, dict[str, str]]:
        suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
        info = b"remote-signing/factor-secrets/v1|" + credential_id.encode()
        plaintext = suite.decrypt(secrets, self._recipient, info=info)
        return cast("dict[str, dict[str, str]]", json.loads(plaintext))
