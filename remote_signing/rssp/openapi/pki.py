"""Certificates, CRLs, OCSP and time stamps described (RFC 5280, 6960, 3161)."""

from __future__ import annotations

from remote_signing.rssp.openapi.operation import Answer, Asked, Operation, in_path
from remote_signing.rssp.openapi.problems import problem
from remote_signing.rssp.openapi.schema import text

_TAG = "PKI"
_OCSP, _TSA = "application/ocsp-response", "application/timestamp-reply"
_FILES = {
    "issuing.crt": ("Chứng thư của CA cấp phát", "The issuing authority's certificate"),
    "root.crt": ("Chứng thư của CA gốc", "The root's certificate"),
    "issuing.crl": ("CRL của CA cấp phát", "The issuing authority's CRL"),
    "root.crl": ("CRL của CA gốc", "The root's CRL"),
}
_KINDS = {"crt": "application/pkix-cert", "crl": "application/pkix-crl"}
_SHARED = {500: "Fault", 503: "Unavailable"}


def operations() -> list[Operation]:
    """What relying parties ask; nobody has to authorise."""
    encoded = in_path("encoded", "The request (DER) in base64.", text(minLength=1))
    answer = {200: Answer("OCSPResponse (DER), of every status.", None, _OCSP)}
    titles = ("Trạng thái của một chứng thư", "The status of a certificate (OCSP)")
    return [
        *(_file(name, *title) for name, title in _FILES.items()),
        Operation(
            "POST",
            "/pki/ocsp",
            _TAG,
            *titles,
            answer,
            asked=Asked(None, "application/ocsp-request"),
            shared=_SHARED,
        ),
        Operation(
            "GET",
            "/pki/ocsp/{encoded}",
            _TAG,
            *titles,
            answer,
            parameters=(encoded,),
            shared=_SHARED,
        ),
        Operation(
            "POST",
            "/tsa",
            _TAG,
            "Cấp dấu thời gian",
            "A time stamp (RFC 3161)",
            {
                200: Answer("TimeStampResp (DER); a refusal too.", None, _TSA),
                415: problem(415),
            },
            asked=Asked(None, "application/timestamp-query"),
            shared=_SHARED,
        ),
    ]


def _file(name: str, vi: str, en: str) -> Operation:
    media = _KINDS[name.rpartition(".")[2]]
    answer = Answer("DER", None, media, ("Cache-Control",))
    return Operation("GET", f"/pki/{name}", _TAG, vi, en, {200: answer}, shared=_SHARED)
