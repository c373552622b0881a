"""The public side of the embedded authority: certificates, CRLs, OCSP, time stamps.

``/pki/issuing.crt``, ``/pki/root.crt``, ``/pki/issuing.crl``, ``/pki/root.crl``, ``/pki/ocsp``
(RFC 6960, lightweight after RFC 5019) and ``/tsa`` (RFC 3161). Relying parties come without a
token, so everything is bounded: bodies, nonces, what is kept.
"""

from __future__ import annotations

import base64
import binascii
import logging
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from remote_signing import errors
from remote_signing.rssp import timestamp_query
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads it at run time
from remote_signing.rssp.edge.body import BodyTooLarge, MediaTypeUnsupported, read_body
from remote_signing.rssp.timestamp_query import QueryRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.certificate_status import Status
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.timestamp_query import Failure

_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

MAX_QUERY = 4096  # bytes; requests have 70 to 300
_LONGEST_NONCE = 128  # RFC 9654 cl. 2.1
_LARGEST_SERIAL = 1 << 159
_SHARED_SECONDS = 600  # the longest that a proxy may keep an answer, so that revocations are seen
_OCSP, _TSA = "application/ocsp-response", "application/timestamp-reply"


@router.get("/pki/issuing.crl")
async def issuing_crl(request: Request) -> Response:
    """The CRL of the issuing authority."""
    return await _published(request, lambda status: status.crl(), "application/pkix-crl")


@router.get("/pki/root.crl")
async def root_crl(request: Request) -> Response:
    """The CRL of the root."""
    return await _published(request, lambda status: status.root_crl(), "application/pkix-crl")


@router.get("/pki/issuing.crt")
async def issuing_certificate(request: Request) -> Response:
    """The certificate of the issuing authority."""
    return await _published(
        request, lambda status: status.issuing_certificate(), "application/pkix-cert"
    )


@router.get("/pki/root.crt")
async def root_certificate(request: Request) -> Response:
    """The certificate of the root."""
    return await _published(
        request, lambda status: status.root_certificate(), "application/pkix-cert"
    )


@router.post("/pki/ocsp")
async def ocsp_post(request: Request, services: ServicesDep) -> Response:
    """An OCSP answer (RFC 6960 appendix A.1)."""
    try:
        body = await read_body(request, MAX_QUERY)
    except BodyTooLarge:
        return _ocsp_failed(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    return await run_in_threadpool(_ocsp, services, _status(request), body)


@router.get("/pki/ocsp/{encoded:path}")
async def ocsp_get(request: Request, services: ServicesDep, encoded: str) -> Response:
    """The same for a request in the URL, which caches understand."""
    try:
        body = base64.b64decode(encoded[: 2 * MAX_QUERY], validate=True)
    except (binascii.Error, ValueError):
        return _ocsp_failed(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    return await run_in_threadpool(_ocsp, services, _status(request), body)


@router.post("/tsa")
async def tsa(request: Request, services: ServicesDep) -> Response:
    """A time stamp; a refusal is an answer of the protocol too, with status 200."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/timestamp-query":
        raise MediaTypeUnsupported(f"Content-Type {kind[:80]!r}")
    try:
        body = await read_body(request, MAX_QUERY)
    except BodyTooLarge:
        return Response(timestamp_query.rejection("bad_data_format"), media_type=_TSA)
    return Response(await run_in_threadpool(_stamped, services, body), media_type=_TSA)


def _status(request: Request) -> Status:
    return cast("Status", request.app.state.status)


async def _published(request: Request, find: Callable[[Status], bytes], kind: str) -> Response:
    content = await run_in_threadpool(find, _status(request))
    headers = {"Cache-Control": f"public, max-age={_SHARED_SECONDS}"}
    return Response(content, headers=headers, media_type=kind)


def _ocsp(services: Services, status: Status, body: bytes) -> Response:
    try:
        question = ocsp.load_der_ocsp_request(body)
        nonce = _nonce(question)
        digest = question.hash_algorithm.name
        serial = question.serial_number
    except (ValueError, TypeError, RuntimeError, UnsupportedAlgorithm):
        # A RuntimeError: about several certificates, which RFC 5019 cl. 2.1.1 does without.
        return _ocsp_failed(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if not 0 < serial < _LARGEST_SERIAL:
        return _ocsp_failed(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    try:
        if not status.is_ours(question.issuer_name_hash, question.issuer_key_hash, digest):
            return _ocsp_failed(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        found = status.about(serial, digest, nonce)
    except errors.Unavailable as error:
        _log.warning("no OCSP answer", extra={"cause": error.cause})
        return _ocsp_failed(ocsp.OCSPResponseStatus.TRY_LATER)
    seconds = max(0, found.fresh_until_ms - services.now_ms()) // 1000
    shared = f"public, max-age={min(seconds, _SHARED_SECONDS)}, no-transform, must-revalidate"
    headers = {"Cache-Control": shared} if found.fresh_until_ms else {}
    return Response(found.response, headers=headers, media_type=_OCSP)


def _nonce(question: ocsp.OCSPRequest) -> bytes | None:
    """The nonce to give back. ``ValueError`` for one that is too long, or what we must not skip."""
    nonce = None
    for extension in question.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
            if not 0 < len(nonce) <= _LONGEST_NONCE:
                raise ValueError("nonce")
        elif extension.critical:
            raise ValueError("critical extension")
    return nonce


def _ocsp_failed(failure: ocsp.OCSPResponseStatus) -> Response:
    """RFC 6960 cl. 2.3: not signed, so not to be kept."""
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(failure)
    return Response(response.public_bytes(Encoding.DER), media_type=_OCSP)


def _stamped(services: Services, body: bytes) -> bytes:
    try:
        return timestamp_query.granted(services.sam.timestamp(timestamp_query.read(body)))
    except QueryRefused as refused:
        return timestamp_query.rejection(refused.failure)
    except (errors.InvalidInput, errors.Unavailable) as error:
        _log.info("no time stamp", extra={"error": type(error).__name__, "cause": error.cause})
        return timestamp_query.rejection(_failure(error))


# The most exact class on the way up the tree counts.
_FAILURES: dict[type[Exception], Failure] = {
    errors.AlgorithmUnsupported: "bad_alg",
    errors.DigestLengthInvalid: "bad_data_format",
    errors.PolicyUnaccepted: "unaccepted_policy",
    errors.InvalidInput: "bad_request",
    errors.ClockSuspicious: "time_not_available",
    errors.Unavailable: "system_failure",
}


def _failure(error: errors.RemoteSigningError) -> Failure:
    return next(_FAILURES[kind] for kind in type(error).__mro__ if kind in _FAILURES)
