"""What the facts about one signature prove (EN 319 102-1 cl. 5.3, 5.5, 5.6), for every format.

The time stamps are gone through from the outside in. The outermost is judged as of now; each one
that holds proves that what it covers existed at its time, which may be what the next one, or the
signature in the end, needs: that it is older than a certificate's end or revocation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from remote_signing.rssp.validation import algorithms, token
from remote_signing.rssp.validation.model import Material, Problem
from remote_signing.rssp.validation.trust import SIGNER, STAMPER, Trust, Verdict, prove

if TYPE_CHECKING:
    from datetime import datetime

    from pyhanko_certvalidator.ltv.poe import POEManager

    from remote_signing.rssp.validation.algorithms import Strength
    from remote_signing.rssp.validation.model import Found, Stamp, StampKind
    from remote_signing.rssp.validation.token import Token
    from remote_signing.rssp.validation.trust import Knowledge


@dataclass(frozen=True, slots=True)
class JudgedStamp:
    """A time stamp with what became of it; ``token`` is None for what could not be read."""

    kind: StampKind
    token: Token | None
    problem: Problem | None
    covers: frozenset[bytes] = frozenset()
    path: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """``proven``: the earliest moment at which the signature certainly existed; None: only now.

    ``verdict`` is of the signer's certificate, and there also when the signature does not fit.
    ``problems``: none means TOTAL-PASSED; the first decides.
    """

    found: Found
    problems: tuple[Problem, ...]
    verdict: Verdict
    strength: Strength
    proven: datetime | None = None
    stamps: tuple[JudgedStamp, ...] = ()
    material: Material = field(default_factory=Material)


def judge(found: Found, knowledge: Knowledge, now: datetime) -> Judgement:
    """Judge one signature as of ``now``."""
    read = [(stamp, token.read(stamp)) for stamp in found.stamps]
    material = found.material
    for _, each in read:
        material += each.material if each else Material()
    trust = Trust(knowledge, material, now)
    proofs = trust.no_proofs()
    stamps = tuple(reversed([_stamp(*each, trust, proofs) for each in reversed(read)]))
    proven = _proven(stamps)
    strength = algorithms.strength(found.certificate, found.scheme, found.digest)
    verdict = _signer(found, trust, proofs, proven or now)
    verdict = _certain(verdict, stamps)
    problems = [
        *([found.problem] if found.problem else []),
        *([_WEAK] if found.certificate and found.digest and not strength.enough else []),
        *([verdict.problem] if verdict.problem else []),
        *([] if _in_order(stamps) else [Problem("TIMESTAMP_ORDER_FAILURE", "stamps_in_disorder")]),
        *_changed(found),
    ]
    return Judgement(
        found, tuple(_worst_first(problems)), verdict, strength, proven, stamps, material
    )


_WEAK = Problem("CRYPTO_CONSTRAINTS_FAILURE", "weak_algorithm")
_FUTURE = Problem("TIMESTAMP_ORDER_FAILURE", "stamp_of_the_future")
_SKEW = timedelta(minutes=5)  # that another clock may be ahead of ours


def _stamp(stamp: Stamp, read: Token | None, trust: Trust, proofs: POEManager) -> JudgedStamp:
    """Judge one; when it holds, what it covers is proven from its time on."""
    if read is None:
        return JudgedStamp(stamp.kind, None, Problem("FORMAT_FAILURE", "malformed"))
    if read.problem is not None or read.certificate is None:
        missing = Problem("NO_SIGNING_CERTIFICATE_FOUND", "no_certificate")
        return JudgedStamp(stamp.kind, read, read.problem or missing)
    strength = algorithms.strength(read.certificate, read.scheme, read.digest)
    if not strength.enough:
        return JudgedStamp(stamp.kind, read, _WEAK)
    if read.time > trust.now + _SKEW:
        return JudgedStamp(stamp.kind, read, _FUTURE)
    # Since when the token itself is proven to exist: by a later one that covers it, or from now.
    used = proofs[read.value]
    verdict = trust.judge(read.certificate, STAMPER, proofs, used)
    if verdict.problem is None and stamp.kind != "content":
        prove(proofs, stamp.covers, read.time)
    return JudgedStamp(stamp.kind, read, verdict.problem, stamp.covers, verdict.path)


def _proven(stamps: tuple[JudgedStamp, ...]) -> datetime | None:
    """By the earliest time stamp that holds and covers the signature: all but content's do."""
    times = [
        each.token.time
        for each in stamps
        if each.token and each.problem is None and each.kind != "content"
    ]
    return min(times, default=None)


def _signer(found: Found, trust: Trust, proofs: POEManager, used: datetime) -> Verdict:
    if found.certificate is None:
        return Verdict(Problem("NO_SIGNING_CERTIFICATE_FOUND", "no_certificate"))
    return trust.judge(found.certificate, SIGNER, proofs, used)


def _certain(verdict: Verdict, stamps: tuple[JudgedStamp, ...]) -> Verdict:
    """A content time stamp proves that a signature is younger: it may be so after a revocation."""
    times = [
        each.token.time
        for each in stamps
        if each.token and each.problem is None and each.kind == "content"
    ]
    problem, revoked = verdict.problem, verdict.revoked_at
    if not times or problem is None or problem.sub != "REVOKED_NO_POE" or revoked is None:
        return verdict
    if max(times) < revoked:
        return verdict
    certain = Problem("REVOKED", "revoked")
    return Verdict(certain, verdict.path, revoked, verdict.revocation_reason)


def _in_order(stamps: tuple[JudgedStamp, ...]) -> bool:
    """From the inside out no time stamp that holds is older than one inside it (cl. 5.5.4)."""
    latest: dict[str, datetime] = {}
    inside = {"content": 0, "signature": 1, "archive": 2, "document": 2}
    for each in stamps:
        if each.token is None or each.problem is not None:
            continue
        rank = inside[each.kind]
        earlier = [time for name, time in latest.items() if inside[name] < rank]
        if any(each.token.time < time for time in earlier):
            return False
        latest[each.kind] = max(each.token.time, latest.get(each.kind, each.token.time))
    return True


def _changed(found: Found) -> list[Problem]:
    if found.changes is None or found.changes.allowed:
        return []
    return [Problem("SIG_CONSTRAINTS_FAILURE", "changed_after_signing")]


def _worst_first(problems: list[Problem]) -> list[Problem]:
    """What fails comes before what cannot be told; else in the order of checking."""
    return sorted(problems, key=lambda each: each.main != "TOTAL-FAILED")


def covered(judgement: Judgement, digest: bytes) -> bool:
    """Whether a time stamp that fits covers what has this SHA-256 digest."""
    return any(
        digest in each.covers
        for each in judgement.stamps
        if each.kind in {"archive", "document"} and each.token and each.token.problem is None
    )
