"""Demonstrating Proof of Possession (RFC 9449): the check of one proof.

A proof binds a request (method, address, for resources also the token) to a key. Whether a proof
was seen before is a matter of the database, see :mod:`remote_signing.rssp.replay`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from remote_signing.errors import InvalidInput, Refusal
from remote_signing.rssp import jose
from remote_signing.rssp.replay import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.strict_json import JsonValue

OLDEST_MS: Final = 60_000
FUTURE_MS: Final = 30_000  # FAPI 2.0 cl. 5.3.2.1: 10 s must be accepted, 60 s must not
_LONGEST_ID = 255
_JKT = re.compile(r"[A-Za-z0-9_-]{43}")
_PORTS = {"http": 80, "https": 443}
_UNRESERVED_AND_RESERVED = "/:@!$&'()*+,;=~-._"


class DpopProofInvalid(Refusal):
    """The request has no proof, more than one, or one that does not prove what it must."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A good proof. ``jkt`` is the RFC 7638 thumbprint of its key; ``mark`` is for its one use."""

    jkt: str
    mark: Mark


def check(
    headers: Sequence[str], method: str, url: str, now_ms: int, token: str | None = None
) -> Proof:
    """The proof in the request's only ``DPoP`` header (RFC 9449 cl. 4.3).

    ``url`` is how the world names the address asked. With ``token`` the proof must be for it.
    Errors: ``DpopProofInvalid``.
    """
    if len(headers) != 1:
        raise DpopProofInvalid(f"{len(headers)} DPoP headers")
    try:
        jws = jose.parse(headers[0], key_in_header=True)
        key, jkt = jose.brought_key(jws)
    except InvalidInput as error:
        raise DpopProofInvalid(error.cause) from None
    if jws.header.get("typ") != "dpop+jwt":
        raise DpopProofInvalid("typ is not dpop+jwt")
    if not jws.is_signed_by(key):
        raise DpopProofInvalid("the signature is not of the key in the header")
    issued_at_ms = _check_request(jws.claims, method, url, now_ms)
    if token is not None:
        _check_token(jws.claims, token)
    jti = str(jws.claims["jti"])
    once = hashlib.sha256(b"\0".join([b"dpop", jkt.encode(), jti.encode()])).digest()
    # The margin is for hosts whose clocks differ: one must not forget what another still accepts.
    return Proof(jkt, Mark(once, issued_at_ms + OLDEST_MS + FUTURE_MS))


def is_thumbprint(text: str) -> bool:
    """Whether ``text`` has the shape of a ``jkt``: base64url of 256 bits."""
    return _JKT.fullmatch(text) is not None


def _check_request(claims: dict[str, JsonValue], method: str, url: str, now_ms: int) -> int:
    """When the proof for this request was made (ms)."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
        raise DpopProofInvalid("jti is missing or too long")
    if claims.get("htm") != method:
        raise DpopProofInvalid("htm is another method")
    htu = claims.get("htu")
    if not isinstance(htu, str) or not _is_same(htu, url):
        raise DpopProofInvalid("htu is another address")
    try:
        issued_at_ms = jose.time_claim(claims, "iat")
    except InvalidInput as error:
        raise DpopProofInvalid(error.cause) from None
    if issued_at_ms is None or not now_ms - OLDEST_MS <= issued_at_ms <= now_ms + FUTURE_MS:
        raise DpopProofInvalid("iat is missing, too old or in the future")
    return issued_at_ms


def _check_token(claims: dict[str, JsonValue], token: str) -> None:
    digest = hashlib.sha256(token.encode("ascii")).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    ath = claims.get("ath")
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), expected.encode()):
        raise DpopProofInvalid("ath is of another token")


def _is_same(htu: str, url: str) -> bool:
    # Most clients spell the address as we do.
    return htu == url or (normalised(htu) is not None and normalised(htu) == normalised(url))


def normalised(url: str) -> str | None:
    """``url`` without query and fragment, in one spelling (RFC 3986 cl. 6.2.2, 6.2.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return _spell(parts, port)


def _spell(parts: SplitResult, port: int | None) -> str:
    scheme = parts.scheme.lower()
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    where = host if port in {None, _PORTS[scheme]} else f"{host}:{port}"
    path = quote(unquote(parts.path), safe=_UNRESERVED_AND_RESERVED) or "/"
    path = path.replace("//oauth2/", "/oauth2/")  # served as one, see edge.middleware
    return f"{scheme}://{where}{path}"
