"""The table ``[openid]``: signing in by a national identity provider (docs/sign-in.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the table is read by what the hints name
from typing import Final
from urllib.parse import urlsplit

from remote_signing.rssp.config_tables import ConfigInvalid

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA", "RS256")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class OpenidConfig:
    """One OpenID Connect provider. Secrets are files. Without this table nobody comes in that way.

    ``claim`` of the ID token says who it is; what the registration bound to a signer is an HMAC of
    its value under the key in ``subject_key_file`` (32 bytes or more). ``acr_values`` are the
    levels of assurance that are asked for and taken, best first; none: any level.
    """

    issuer: str
    client_id: str
    subject_key_file: Path
    key_file: Path | None = None  # PEM: private_key_jwt
    client_secret_file: Path | None = None  # client_secret_basic, where that is all there is
    claim: str = "sub"
    scopes: tuple[str, ...] = ("openid",)
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None  # seconds since the person was asked by the provider
    algorithms: tuple[str, ...] = ("ES256", "PS256", "RS256")  # of ID tokens
    # Whom private_key_jwt is for: the issuer, which cannot be passed off as another provider's, or
    # the endpoint that is asked, where a provider takes nothing else.
    assertion_audience: str = "issuer"
    ca: Path | None = None  # PEM; None: the system's certificate authorities
    timeout: float = 5.0  # seconds, of each exchange as a whole

    def __post_init__(self) -> None:
        if (
            not is_safe(self.issuer)
            or urlsplit(self.issuer).query
            or urlsplit(self.issuer).fragment
        ):
            raise ConfigInvalid(f"openid.issuer: {self.issuer!r} is not an https URL")
        if (self.key_file is None) == (self.client_secret_file is None):
            raise ConfigInvalid("openid: name either key_file or client_secret_file")
        if "openid" not in self.scopes:
            raise ConfigInvalid("openid.scopes: openid is missing")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ConfigInvalid(f"openid.algorithms: not some of {', '.join(ALGORITHMS)}")
        if self.assertion_audience not in {"issuer", "endpoint"}:
            raise ConfigInvalid("openid.assertion_audience: neither issuer nor endpoint")
        if not 0 < self.timeout < math.inf or (self.max_age or 0) < 0 or not self.claim:
            raise ConfigInvalid("openid: timeout, max_age or claim")

    def subject_key(self) -> bytes:
        """The key in ``subject_key_file``; ``ConfigInvalid`` when it is short."""
        key = self.subject_key_file.read_bytes().strip()
        if len(key) < _SHORTEST_KEY:
            raise ConfigInvalid(f"openid.subject_key_file: fewer than {_SHORTEST_KEY} bytes")
        return key


def is_safe(url: str) -> bool:
    """Whether ``url`` is https with a host, or http on loopback; nobody's name in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_local = parts.scheme == "http" and host in _LOOPBACK
    return (parts.scheme == "https" or is_local) and bool(host) and "@" not in parts.netloc
