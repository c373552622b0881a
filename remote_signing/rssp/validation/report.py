"""The report as JSON (docs/validate.md). Its names are stable: programs read them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from asn1crypto import crl, ocsp, x509

from remote_signing.rssp.validation.judge import covered
from remote_signing.rssp.validation.model import BROKEN, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from remote_signing.rssp.validation.judge import JudgedStamp, Judgement
    from remote_signing.rssp.validation.model import Document, Main, Problem, Untyped

VERSION = 1
_MS = 1000
_ORDER: tuple[Main, ...] = ("TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED")
Json = dict[str, Any]


def write(document: Document, judgements: Iterable[Judgement], now: datetime, about: Json) -> Json:
    """The report; ``indication`` is the worst of the signatures', or ``NOT-SIGNED``.

    ``about`` is the file: size and SHA-256, by which a reader knows that it was this one.
    """
    signatures = [signature(each) for each in judgements]
    worst = max((each["indication"] for each in signatures), key=_ORDER.index, default="NOT-SIGNED")
    return {
        "version": VERSION,
        "validated_at": _time(now),
        "document": about,
        "format": document.kind,
        "indication": worst,
        "warnings": list(document.warnings),
        "signatures": signatures,
    }


def signature(judged: Judgement) -> Json:
    """One signature."""
    found, problems = judged.found, judged.problems
    return {
        "name": found.name,
        "format": found.format,
        "level": level(judged),
        "indication": problems[0].main if problems else "TOTAL-PASSED",
        "sub_indication": problems[0].sub if problems else None,
        "reasons": list(dict.fromkeys(each.reason for each in problems)),
        "warnings": _warnings(judged),
        "signer": None if found.certificate is None else certificate(found.certificate),
        "integrity": _integrity(judged),
        "path": _path(judged),
        "revocation": _revocation(judged),
        "times": {"claimed": _time(found.claimed), "proven": _time(judged.proven)},
        "time_stamps": [_stamp(each) for each in judged.stamps],
        "changes": None
        if found.changes is None
        else {"level": found.changes.level, "allowed": found.changes.allowed},
        "algorithm": {
            "key": judged.strength.key,
            "scheme": found.scheme,
            "digest": found.digest,
            "strong": judged.strength.enough,
        },
        "stated": dict(found.texts),
        "decree": _decree(judged),
    }


def _warnings(judged: Judgement) -> list[str]:
    found = judged.found
    told = []
    if found.certificate is not None and not found.bound:
        told.append("certificate_not_signed")
    if found.stamps and judged.proven is None:
        told.append("no_time_stamp_holds")
    return told


def certificate(der: bytes) -> Json:
    """What a certificate says, in words that are there or null."""
    try:
        parsed = x509.Certificate.load(der)
        subject, issuer = parsed.subject.native, parsed.issuer.native
        return {
            "name": _word(subject, "common_name"),
            "organisation": _word(subject, "organization_name"),
            "unit": _word(subject, "organizational_unit_name"),
            "title": _word(subject, "title"),
            "email": _word(subject, "email_address"),
            "issuer": _word(issuer, "common_name"),
            "issuer_organisation": _word(issuer, "organization_name"),
            "serial": f"{parsed.serial_number:x}",
            "not_before": _time(parsed.not_valid_before),
            "not_after": _time(parsed.not_valid_after),
            "sha256": sha256(der).hex(),
        }
    except BROKEN:
        return dict.fromkeys(_NO_CERTIFICATE) | {"sha256": sha256(der).hex()}


_NO_CERTIFICATE = (
    *("name", "organisation", "unit", "title", "email", "issuer", "issuer_organisation"),
    *("serial", "not_before", "not_after"),
)


def _word(name: Untyped, entry: str) -> str | None:
    value = name.get(entry)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None else str(value)


def _integrity(judged: Judgement) -> Json:
    problem = judged.found.problem
    broken = problem is not None and problem.main == "TOTAL-FAILED"
    unclear = problem is not None and not broken
    return {
        "intact": None if unclear else not broken,
        "covers": [{"name": e.name, "whole": e.whole} for e in judged.found.scopes],
    }


def _path(judged: Judgement) -> Json:
    path = judged.verdict.path
    return {
        "trusted": bool(path) and judged.verdict.problem is None,
        "certificates": [certificate(each) for each in path],
    }


def _stamp(judged: JudgedStamp) -> Json:
    token, problem = judged.token, judged.problem
    authority = None if token is None or token.certificate is None else token.certificate
    return {
        "kind": judged.kind,
        "time": None if token is None else _time(token.time),
        "authority": None if authority is None else certificate(authority),
        "indication": _indication(problem),
        "sub_indication": None if problem is None else problem.sub,
        "reason": None if problem is None else problem.reason,
    }


def _indication(problem: Problem | None) -> str:
    """EN 319 102-1 cl. 5.4: of a part, not of the whole."""
    return "PASSED" if problem is None else problem.main.removeprefix("TOTAL-")


def _revocation(judged: Judgement) -> Json:
    """The status of the signer's certificate for this signature."""
    verdict = judged.verdict
    state = "unknown"
    if verdict.problem is None:
        state = "good"
    elif verdict.problem.sub in {"REVOKED", "REVOKED_NO_POE"}:
        state = "revoked"
    return {
        "state": state,
        "revoked_at": _time(verdict.revoked_at),
        "reason": verdict.revocation_reason,
    }


def _decree(judged: Judgement) -> Json:
    """What a verifier must be told (Decree 68/2024/NĐ-CP); null: it cannot be told."""
    verdict, problem = judged.verdict, judged.verdict.problem
    no_path = {"NO_CERTIFICATE_CHAIN_FOUND", "NO_SIGNING_CERTIFICATE_FOUND"}
    unclear = problem is not None and problem.sub in {"TRY_LATER", "NO_POE", *no_path}
    return {
        "certificate_valid_at_signing": None if unclear else problem is None,
        "path_valid": bool(verdict.path) and (problem is None or problem.sub not in no_path),
        "content_intact": _integrity(judged)["intact"],
        "attached": _attached(judged),
    }


def _attached(judged: Judgement) -> Json:
    """What is kept beside the signature, so that it can be checked later."""
    return {
        "certificate": judged.found.certificate is not None,
        "path": _has_path(judged),
        "status": _has_status(judged),
        "time_stamp": any(each.token for each in judged.stamps if each.kind != "content"),
    }


def level(judged: Judgement) -> str | None:
    """B-B to B-LTA by what is there and fits; None: it is no AdES signature."""
    if not judged.found.bound:
        return None
    fitting = [e for e in judged.stamps if e.token and e.token.problem is None]
    if not any(each.kind != "content" for each in fitting):
        return "B-B"
    if not (_has_path(judged) and _has_status(judged)):
        return "B-T"
    leaf = judged.verdict.path[0]
    status = [sha256(each) for each in (*judged.found.material.crls, *judged.found.material.ocsp)]
    sealed = covered(judged, sha256(leaf)) and any(covered(judged, each) for each in status)
    return "B-LTA" if sealed else "B-LT"


def _has_path(judged: Judgement) -> bool:
    path, there = judged.verdict.path, set(judged.found.material.certificates)
    return bool(path) and all(each in there for each in path[:-1])


def _has_status(judged: Judgement) -> bool:
    """Whether for each certificate below the anchor a CRL or an OCSP answer came along."""
    path, material = judged.verdict.path, judged.found.material
    try:
        told = _serials(material.ocsp)
        issuers = {crl.CertificateList.load(each).issuer.hashable for each in material.crls}
        parsed = [x509.Certificate.load(each) for each in path[:-1]]
        return bool(parsed) and all(
            each.serial_number in told or each.issuer.hashable in issuers for each in parsed
        )
    except BROKEN:
        return False


def _serials(answers: Iterable[bytes]) -> set[int]:
    found = set()
    for each in answers:
        data = ocsp.OCSPResponse.load(each).response_data
        found |= {one["cert_id"]["serial_number"].native for one in data["responses"]}
    return found


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
