"""CRLs and OCSP answers by a real SAM, read by OpenSSL; and what the SAM refuses to say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from remote_signing.clock import SystemClock
from remote_signing.errors import RecordRevoked, StatusContradicted
from remote_signing.sam.revocation import read_published
from remote_signing.sap import RevokedCertificate, StatusClaim
from tests.support.certificates import Certified, OpenSsl, certified, revocation, self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.sap import SapClient
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam


@pytest.fixture
def sam(running_sam: RunningSam) -> Iterator[SapClient]:
    client = running_sam.client()
    yield client
    client.close()


@pytest.fixture
def signer(sam: SapClient, registration: TestAuthority) -> Certified:
    return certified(sam, registration)


@pytest.fixture
def openssl(sam: SapClient, tmp_path: Path) -> OpenSsl:
    return OpenSsl(sam.status().chain, tmp_path)


def hold(signer: Certified) -> RevokedCertificate:
    return RevokedCertificate(signer.serial, SystemClock().now_ms(), "certificateHold")


def test_openssl_reads_a_crl_and_finds_the_entry(
    sam: SapClient, signer: Certified, openssl: OpenSsl
) -> None:
    made = sam.sign_crl([hold(signer)])
    text = openssl.run("crl", "-inform", "DER", "-noout", "-text", stdin=made.crl)
    assert f"{signer.serial:X}" in text.replace(":", "")
    assert "Certificate Hold" in text
    verify = ("crl", "-inform", "DER", "-noout", "-CAfile", str(openssl.issuing))
    assert "verify OK" in openssl.run(*verify, stdin=made.crl)
    crl = x509.load_der_x509_crl(made.crl)
    found = crl.extensions.get_extension_for_class(x509.CRLNumber).value
    assert found.crl_number == made.number
    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc == timedelta(days=1)


def test_openssl_checks_a_whole_path_against_both_crls(
    sam: SapClient, signer: Certified, openssl: OpenSsl
) -> None:
    good = sam.sign_crl([]).crl
    root_crl = sam.service_certificates().root_crl
    assert openssl.path_is_good(signer.certificate, good, root_crl)
    revoked = sam.sign_crl([hold(signer)]).crl
    assert not openssl.path_is_good(signer.certificate, revoked, root_crl)


def test_crl_numbers_rise_whoever_asks(sam: SapClient) -> None:
    numbers = [sam.sign_crl([]).number for _ in range(20)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("nonce", [None, b"n" * 32], ids=["plain", "nonce"])
def test_openssl_believes_the_delegated_responder(
    sam: SapClient, signer: Certified, openssl: OpenSsl, digest: str, nonce: bytes | None
) -> None:
    claim = StatusClaim("good", signer.certificate, digest=digest, nonce=nonce)
    response = sam.sign_ocsp(claim)
    assert openssl.ocsp_says(signer.certificate, response, digest) == "good"
    parsed = ocsp.load_der_ocsp_response(response)
    if nonce is not None:
        assert parsed.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert parsed.next_update_utc is not None
    assert parsed.next_update_utc - parsed.this_update_utc == timedelta(hours=1)
    responder = parsed.certificates[0]
    usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert not responder.extensions.get_extension_for_class(x509.OCSPNoCheck).critical


def test_openssl_reads_revoked_and_unknown(
    sam: SapClient, signer: Certified, openssl: OpenSsl
) -> None:
    claim = StatusClaim(
        "revoked", signer.certificate, at_ms=SystemClock().now_ms(), reason="superseded"
    )
    assert openssl.ocsp_says(signer.certificate, sam.sign_ocsp(claim)) == "revoked"
    unknown = StatusClaim("unknown", serial=signer.serial)
    assert openssl.ocsp_says(signer.certificate, sam.sign_ocsp(unknown)) == "unknown"


def test_an_unspecified_reason_is_not_written(sam: SapClient, signer: Certified) -> None:
    claim = StatusClaim(
        "revoked", signer.certificate, at_ms=SystemClock().now_ms(), reason="unspecified"
    )
    parsed = ocsp.load_der_ocsp_response(sam.sign_ocsp(claim))
    assert parsed.revocation_reason is None


def test_a_certificate_of_another_authority_has_no_status_here(sam: SapClient) -> None:
    for certificate in (self_signed(), b"no certificate"):
        with pytest.raises(StatusContradicted):
            sam.sign_ocsp(StatusClaim("good", certificate))


def test_what_an_order_revoked_is_never_good_and_signs_nothing(
    start_sam: Callable[..., RunningSam], registration: TestAuthority
) -> None:
    running = start_sam(workers=1)
    sam = running.client()
    signer = certified(sam, registration)
    assert sam.revoke(revocation(registration, signer)) == 1
    assert read_published(running.folder / "state")[0] == 1
    for claim in (
        StatusClaim("good", signer.certificate),
        StatusClaim("unknown", serial=signer.serial),
    ):
        with pytest.raises(StatusContradicted):
            sam.sign_ocsp(claim)
    with pytest.raises(StatusContradicted):
        sam.sign_crl([])
    now_ms = SystemClock().now_ms()
    entry = RevokedCertificate(signer.serial, now_ms, "keyCompromise")
    assert x509.load_der_x509_crl(sam.sign_crl([entry]).crl)
    assert sam.sign_ocsp(
        StatusClaim("revoked", signer.certificate, at_ms=now_ms, reason="keyCompromise")
    )
    with pytest.raises(RecordRevoked):
        sam.activate(signer.sealed, b"", [])
    sam.close()
