"""Whether a certificate was good when it was used: path, purpose, revocation, at its time.

Paths and revocation are pyHanko's certvalidator (RFC 5280, RFC 6960); what was known when is the
judge's (:mod:`.judge`). Nothing is fetched: what is known is what came along, what the service's
own authority says now, and what the installation keeps in its folder.
"""

from __future__ import annotations

import asyncio
import logging
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from asn1crypto import crl, ocsp, x509
from pyhanko.sign.validation.generic_cms import handle_certvalidator_errors
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import find_valid_path
from pyhanko_certvalidator.context import (
    CertValidationPolicySpec,
    bootstrap_validation_data_handlers,
)
from pyhanko_certvalidator.errors import (
    InsufficientRevinfoError,
    InvalidCertificateError,
    PathBuildingError,
)
from pyhanko_certvalidator.ltv.ades_past import past_validate
from pyhanko_certvalidator.ltv.poe import POEManager, POEType
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import PathBuilder, SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from remote_signing.rssp.validation.model import BROKEN, Material, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from remote_signing.rssp.validation.model import Untyped

# pyHanko logs each certificate that fails, with its names; the report tells it.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)

SIGNER = KeyUsageConstraints(key_usage={"non_repudiation", "digital_signature"})
STAMPER = KeyUsageConstraints(
    key_usage={"non_repudiation", "digital_signature"}, extd_key_usage={"time_stamping"}
)
_LONGEST_PATH_TRIES = 8  # candidate paths of one certificate

_REASONS = {
    "NO_CERTIFICATE_CHAIN_FOUND": "not_trusted",
    "CHAIN_CONSTRAINTS_FAILURE": "certificate_purpose",
    "REVOKED": "revoked",
    "REVOKED_NO_POE": "revoked",
    "REVOKED_CA_NO_POE": "authority_revoked",
    "OUT_OF_BOUNDS_NO_POE": "expired",
    "CRYPTO_CONSTRAINTS_FAILURE": "weak_algorithm",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "weak_algorithm",
    "TRY_LATER": "no_status",
    "NO_POE": "no_proof",
}
# What a proof that the signature is older can mend (EN 319 102-1 cl. 5.6.3.4).
_MENDABLE = {
    *("REVOKED_NO_POE", "REVOKED_CA_NO_POE", "OUT_OF_BOUNDS_NO_POE"),
    *("OUT_OF_BOUNDS_NOT_REVOKED", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "TRY_LATER"),
    "CERTIFICATE_CHAIN_GENERAL_FAILURE",
}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known before a document is looked at (DER). Only ``anchors`` are trusted."""

    anchors: tuple[bytes, ...] = ()
    material: Material = field(default_factory=Material)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``path``: certificates (DER), the signer's first, the anchor last; empty: there is none."""

    problem: Problem | None
    path: tuple[bytes, ...] = ()
    revoked_at: datetime | None = None
    revocation_reason: str | None = None


class Trust:
    """Paths to anchors of ``knowledge``, with the ``material`` of one signature, as of ``now``."""

    def __init__(self, knowledge: Knowledge, material: Material, now: datetime) -> None:
        self.now = now
        together = knowledge.material + material
        anchors = list(_readable(x509.Certificate.load, knowledge.anchors))
        self._policy = CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build(anchors),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        )
        self._certificates = list(_readable(x509.Certificate.load, together.certificates))
        self._crls = list(_readable(_crl, together.crls))
        self._ocsp = [each for found in _readable(_answers, together.ocsp) for each in found]

    def no_proofs(self) -> POEManager:
        """Nothing is proven to have existed before now."""
        return POEManager(current_dt_override=self.now)

    def judge(
        self, certificate: bytes, usage: KeyUsageConstraints, proofs: POEManager, used: datetime
    ) -> Verdict:
        """Whether ``certificate`` was good when used, at ``used`` at the latest.

        ``proofs``: since when certificates and their status are proven to exist.
        """
        try:
            parsed = x509.Certificate.load(certificate)
            return asyncio.run(self._judge(parsed, usage, proofs, used))
        except BROKEN:
            return Verdict(Problem("CERTIFICATE_CHAIN_GENERAL_FAILURE", "certificate_malformed"))

    async def _judge(
        self, certificate: Untyped, usage: KeyUsageConstraints, proofs: POEManager, used: datetime
    ) -> Verdict:
        try:
            usage.validate(certificate)
        except InvalidCertificateError:
            return Verdict(Problem("CHAIN_CONSTRAINTS_FAILURE", "certificate_purpose"))
        present = await self._at(self.now, self._policy, certificate, proofs, used)
        if used < certificate.not_valid_before:
            before = Problem("NOT_YET_VALID", "before_certificate")
            return Verdict(before, present.path)
        if present.problem is None or present.problem.sub not in _MENDABLE or used >= self.now:
            return present
        if present.revoked_at is not None and used < present.revoked_at:
            path = await self._before_revocation(certificate, used)
        else:
            path = await self._past(certificate, proofs, used)
        if not path:
            return present
        return Verdict(None, path, present.revoked_at, present.revocation_reason)

    async def _before_revocation(self, certificate: Untyped, used: datetime) -> tuple[bytes, ...]:
        """The path as it was when the certificate was used, by what is known of it today.

        A list of today that names the moment of the revocation tells that there was none before.
        """
        revocation = CertRevTrustPolicy(REQUIRE_REVINFO, retroactive_revinfo=True)
        policy = replace(self._policy, revinfo_policy=revocation)
        found = await self._at(used, policy, certificate, self.no_proofs(), used)
        return () if found.problem else found.path

    async def _at(
        self,
        moment: datetime,
        policy: Untyped,
        certificate: Untyped,
        proofs: POEManager,
        used: datetime,
    ) -> Verdict:
        """The basic building block (EN 319 102-1 cl. 5.2.6)."""
        context = policy.build_validation_context(
            timing_info=ValidationTimingInfo(moment, used, point_in_time_validation=False),
            handlers=self._handlers(proofs),
        )
        paths = context.path_builder.async_build_paths_lazy(certificate)
        try:
            work = _without_status_apart(find_valid_path(certificate, paths, context))
            found = await handle_certvalidator_errors(certificate, work)
        except _NoStatusError as error:
            return Verdict(problem_of("TRY_LATER"), _der(error.path))
        if found.error_subindic is None:
            return Verdict(None, _der(found.success_result))
        path = () if found.error_path is None else _der(found.error_path)
        details = found.revo_details
        return Verdict(
            problem_of(found.error_subindic.standard_name),
            path,
            None if details is None else details.revocation_date,
            None if details is None else str(details.revocation_reason.native),
        )

    async def _past(
        self, certificate: Untyped, proofs: POEManager, used: datetime
    ) -> tuple[bytes, ...]:
        """A path that was good at a time before which the use is proven (cl. 5.6.2.1).

        What tells the status must be proven to be older than the end of every certificate on the
        path: after that, authorities may forget a revocation.
        """
        builder = PathBuilder(self._policy.trust_manager, self._handlers(proofs).cert_registry)
        paths = builder.async_build_paths_lazy(certificate)
        tried = 0
        try:
            async for path in paths:
                tried += 1
                ends = [each.not_valid_after for each in path.iter_certs(include_root=False)]
                work = past_validate(
                    path,
                    self._policy,
                    self._handlers(proofs),
                    init_control_time=min([self.now, *ends]),
                    best_signature_time=used,
                )
                control = (await handle_certvalidator_errors(certificate, work)).success_result
                if control is not None and used <= control:
                    return _der(path)
                if tried == _LONGEST_PATH_TRIES:
                    break
        except PathBuildingError:
            pass
        finally:
            await paths.cancel()  # type: ignore[no-untyped-call]  # unannotated
        return ()

    def _handlers(self, proofs: POEManager) -> Untyped:
        return bootstrap_validation_data_handlers(
            fetchers=None,
            crls=self._crls,
            ocsps=self._ocsp,
            certs=self._certificates,
            poe_manager=copy(proofs),
        )


class _NoStatusError(Exception):
    def __init__(self, path: Untyped) -> None:
        super().__init__()
        self.path = path


async def _without_status_apart(work: Awaitable[Untyped]) -> Untyped:
    """Told apart by pyHanko: stale status, which is TRY_LATER, and none at all."""
    try:
        return await work
    except InsufficientRevinfoError as error:
        raise _NoStatusError(error.original_path) from error


def problem_of(sub: str) -> Problem:
    """The problem with this sub-indication of a path."""
    return Problem(sub, _REASONS.get(sub, "path_invalid"))


def prove(proofs: POEManager, digests: Iterable[bytes], moment: datetime) -> None:
    """Note that what has these SHA-256 digests existed at ``moment``."""
    for each in digests:
        proofs.register_by_digest(each, POEType.VALIDATION, moment)


def _der(path: Untyped) -> tuple[bytes, ...]:
    """From the leaf to the anchor."""
    return tuple(each.dump() for each in reversed(list(path.iter_certs(include_root=True))))


def _crl(der: bytes) -> Untyped:
    return CRLContainer(crl.CertificateList.load(der))


def _answers(der: bytes) -> list[Untyped]:
    return list(OCSPContainer.load_multi(ocsp.OCSPResponse.load(der)))


def _readable(load: Callable[[bytes], Untyped], values: Iterable[bytes]) -> Iterable[Untyped]:
    """What can be read of it: one bad certificate beside a signature is not its fault."""
    for value in values:
        try:
            found = load(value)
            if hasattr(found, "native"):
                _ = found.native  # asn1crypto reads late; what breaks shall break here
            yield found
        except BROKEN:
            continue
