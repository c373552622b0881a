"""Who we are to a push service: Voluntary Application Server Identification (RFC 8292).

A token is good at one push service, for half a day at most; with a message that has no content it
is all that is needed. The key is in a file of the configuration and in no database.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from remote_signing.rssp.config_tables import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

LIFETIME: Final = 12 * 3600
"""Seconds; RFC 8292 cl. 2 allows a day, and clocks differ."""
_LARGEST_FILE = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and whom to ask about its owner. ``public`` is what browsers subscribe with."""

    public: str  # uncompressed point, base64url
    contact: str
    _key: ECKey = field(repr=False)

    def authorization(self, endpoint: str, now_ms: int) -> str:
        """The header for one message to ``endpoint`` (RFC 8292 cl. 3)."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": now_ms // 1000 + LIFETIME,
            "sub": self.contact,
        }
        token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._key)
        return f"vapid t={token},k={self.public}"


def load(file: Path, contact: str) -> Identity:
    """The identity whose key is in ``file``.

    ``ConfigInvalid`` when it is none, or may be read by others.
    """
    try:
        # The group's bits mean nothing: Kubernetes sets them for the pod's own group.
        if file.stat().st_mode & stat.S_IRWXO:
            raise ConfigInvalid(f"push.key_file: {file} may be read by others: chmod 600")
        text = file.read_bytes()[:_LARGEST_FILE]
        key = serialization.load_pem_private_key(text, password=None)
    except (OSError, TypeError, ValueError) as error:
        # What the error of a PEM reader says may hold a piece of the file.
        raise ConfigInvalid(f"push.key_file: {file}: {type(error).__name__}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigInvalid(f"push.key_file: {file} is no key of P-256")
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    public = base64.urlsafe_b64encode(point).rstrip(b"=").decode("ascii")
    return Identity(public, contact, ECKey.import_key(text))


def make_key(file: Path) -> None:
    """A new key in the new ``file`` (mode 0600); ``FileExistsError`` when it is there."""
    text = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(text)
