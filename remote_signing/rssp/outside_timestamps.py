"""A time-stamping authority somewhere else (RFC 3161 over HTTP), whose answers are not believed.

A token counts when it stamps exactly our digest with our nonce, its signature verifies, and its
certificate, meant for time stamps and nothing else, leads to an anchor of the configuration.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
from asn1crypto import algos, tsp, x509
from cryptography import x509 as certificates
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext

from remote_signing.errors import TimestampUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remote_signing.algorithms import Digest

MAX_ANSWER = 64 * 1024  # bytes; a token with its chain has five to ten thousand
_GRANTED = ("granted", "granted_with_mods")
_MEDIA_TYPE = "application/timestamp-reply"
_SKEW = 300  # seconds that the other clock may differ from ours


class OutsideAuthority:
    """One authority. ``timeout`` (seconds) bounds the whole exchange; ``anchors`` are DER."""

    def __init__(self, url: str, timeout: float, anchors: Sequence[bytes]) -> None:
        self.url = url
        self._timeout = timeout
        self._tls = ssl.create_default_context()  # once: it reads all of the system's authorities
        self._anchors = [x509.Certificate.load(anchor) for anchor in anchors]

    def stamp(self, digest: bytes, algorithm: Digest) -> bytes:
        """A TimeStampToken (DER) over ``digest``; ``TimestampUnavailable`` says what is wrong."""
        nonce = secrets.randbits(63)
        request = tsp.TimeStampReq(
            {
                "version": 1,
                "message_imprint": {
                    "hash_algorithm": algos.DigestAlgorithm({"algorithm": algorithm.oid}),
                    "hashed_message": digest,
                },
                "nonce": nonce,
                "cert_req": True,
            }
        )
        answer = self._post(request.dump())
        try:
            return self._checked(answer, digest, nonce)
        except TimestampUnavailable:
            raise
        except (SignatureValidationError, ValueError, TypeError, KeyError) as error:
            raise TimestampUnavailable(f"{self.url}: {error}") from error

    def _post(self, request: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout
        body = bytearray()
        try:
            with (
                httpx.Client(timeout=self._timeout, verify=self._tls, trust_env=False) as client,
                client.stream(
                    "POST",
                    self.url,
                    content=request,
                    headers={"Content-Type": "application/timestamp-query"},
                ) as answer,
            ):
                kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                if answer.status_code != httpx.codes.OK or kind != _MEDIA_TYPE:
                    raise TimestampUnavailable(f"{self.url}: {answer.status_code} {kind[:60]}")
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER or time.monotonic() > deadline:
                        raise TimestampUnavailable(f"{self.url}: too long an answer")
        except httpx.HTTPError as error:
            raise TimestampUnavailable(f"{self.url}: {error!r}") from error
        return bytes(body)

    def _checked(self, answer: bytes, digest: bytes, nonce: int) -> bytes:
        response = tsp.TimeStampResp.load(answer, strict=True)
        status = response["status"]["status"].native
        if status not in _GRANTED:
            raise TimestampUnavailable(f"{self.url} answers {status}")
        token = response["time_stamp_token"]
        signed = token["content"]
        info = signed["encap_content_info"]["content"].parsed
        if info["nonce"].native != nonce:
            raise TimestampUnavailable(f"{self.url} answers with another nonce")
        stamped: Any = info["gen_time"].native
        if abs(stamped.timestamp() - time.time()) > _SKEW:
            raise TimestampUnavailable(f"{self.url} tells the time as {stamped}")
        # Which key purposes a certificate has, and that they are critical, is checked in there
        # for the certificate; that it has no other one is the standard's and ours.
        found = asyncio.run(
            validate_tst_signed_data(
                signed,
                ValidationContext(trust_roots=self._anchors, allow_fetching=False),
                lambda _algorithm: digest,
            )
        )
        self._check_purpose(found["signing_cert"])
        if not (found["intact"] and found["valid"] and found["trust_problem_indic"] is None):
            raise TimestampUnavailable(f"{self.url}: the token does not hold")
        return bytes(token.dump())

    def _check_purpose(self, certificate: x509.Certificate) -> None:
        """RFC 3161 cl. 2.3: the purpose is time stamps alone, and critical."""
        parsed = certificates.load_der_x509_certificate(certificate.dump())
        try:
            found = parsed.extensions.get_extension_for_class(certificates.ExtendedKeyUsage)
        except certificates.ExtensionNotFound:
            raise TimestampUnavailable(f"{self.url}: certificate without a purpose") from None
        purposes = list(found.value)
        if purposes != [ExtendedKeyUsageOID.TIME_STAMPING] or not found.critical:
            raise TimestampUnavailable(f"{self.url}: certificate with another purpose")


def read_anchors(path: Path) -> tuple[bytes, ...]:
    """The certificates (DER) of a PEM file."""
    found = certificates.load_pem_x509_certificates(path.read_bytes())
    return tuple(each.public_bytes(Encoding.DER) for each in found)
