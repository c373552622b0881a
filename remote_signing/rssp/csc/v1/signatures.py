"""``signatures/signHash`` of CSC API v1 (cl. 11.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cryptography import x509

from remote_signing.errors import CertificateExpired
from remote_signing.rssp import bearer
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2 import signatures
from remote_signing.rssp.csc.v2.credentials import reachable

if TYPE_CHECKING:
    from remote_signing.rssp.bearer import Presented, Proved
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.schemas import SignHashRequest
    from remote_signing.rssp.deps import Services


def sign_hash(
    services: Services, presented: Presented, wanted: SignHashRequest | CscError
) -> Outcome:
    """As in v2; v1 names the certificate that is expired. Two statements."""
    proved = bearer.prove(services, presented)
    try:
        return signatures.sign_hash_of(services, presented, proved, wanted)
    except CertificateExpired as error:
        asked = cast("SignHashRequest", wanted)  # a mistake in it would have been told before
        raise _expired(services, proved, asked.credential_id) from error


def _expired(services: Services, proved: Proved, credential_id: str) -> CscError:
    found = reachable(services, bearer.identify(services, proved), credential_id)
    subject = x509.load_der_x509_certificate(found.certificate or b"").subject
    parts = [
        f"{label}={attribute.value!s}"
        for label, oid in (
            ("O", x509.NameOID.ORGANIZATION_NAME),
            ("CN", x509.NameOID.COMMON_NAME),
        )
        for attribute in subject.get_attributes_for_oid(oid)
    ]
    return CscError(f"Signing certificate '{','.join(parts)}' is expired.")
