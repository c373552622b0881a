"""The client's TLS certificate as the proxy that ends TLS reports it (RFC 8705)."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from remote_signing.rssp.config import ProxyConfig

_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """``thumbprint`` is x5t#S256 (base64url SHA-256 of the DER); ``subject`` is RFC 4514 text."""

    thumbprint: str
    subject: str

    def is_of(self, thumbprint: str | None, subject: str | None) -> bool:
        """Whether it is the certificate registered so; a thumbprint decides when there is one."""
        if thumbprint:
            return hmac.compare_digest(self.thumbprint.encode(), thumbprint.encode())
        return bool(subject) and self.subject == subject


def reported(proxy: ProxyConfig, request: HTTPConnection) -> ClientCertificate | None:
    """The certificate of this connection's client, or None.

    The header counts only when the peer is a trusted proxy; anybody else may write what he likes.
    Errors: ``InvalidInput`` when a trusted proxy says something that cannot be read, or says it
    twice: then it lets clients' own headers through, and nothing it says can be believed.
    """
    values = request.headers.getlist(proxy.certificate_header)
    peer = request.client.host if request.client else None
    if not any(values) or not proxy.trusts(peer):
        return None
    if len(values) != 1:
        raise InvalidInput("the proxy reports more than one client certificate")
    return read(values[0])


def read(header: str) -> ClientCertificate:
    """The certificate in URL-escaped PEM; ``InvalidInput`` when it is none."""
    try:
        if len(header) > _LONGEST:
            raise InvalidInput("client certificate too long")
        certificate = x509.load_pem_x509_certificate(unquote(header).encode("ascii"))
        subject = certificate.subject.rfc4514_string()
    except ValueError as error:
        raise InvalidInput(f"client certificate: {error}") from None
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256()))
    return ClientCertificate(thumbprint.rstrip(b"=").decode("ascii"), subject)
