"""Time stamps by a real SAM, judged by OpenSSL, rfc3161-client and pyHanko."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

import pytest
from asn1crypto import tsp, x509
from cryptography.x509 import load_der_x509_certificate
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from remote_signing.algorithms import DIGESTS
from remote_signing.errors import AlgorithmUnsupported, DigestLengthInvalid, PolicyUnaccepted
from remote_signing.sap import TimestampRequest
from tests.support.certificates import OpenSsl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.sap import SapClient
    from tests.support.sam import RunningSam

CONTENT = "Quyết định số 12/QĐ-BNV".encode()
SHA256 = DIGESTS["sha256"]
BASELINE_POLICY = "0.4.0.2023.1.1"


@pytest.fixture
def sam(running_sam: RunningSam) -> Iterator[SapClient]:
    client = running_sam.client()
    yield client
    client.close()


@pytest.fixture
def openssl(sam: SapClient, tmp_path: Path) -> OpenSsl:
    return OpenSsl(sam.status().chain, tmp_path)


def request(**changes: object) -> TimestampRequest:
    members: dict[str, object] = {
        "hash_algorithm_oid": SHA256.oid,
        "digest": hashlib.sha256(CONTENT).digest(),
        **changes,
    }
    return TimestampRequest(**members)  # type: ignore[arg-type]  # names are checked when called


def info(token: bytes) -> tsp.TSTInfo:
    signed = tsp.ContentInfo.load(token)["content"]
    return signed["encap_content_info"]["content"].parsed


def reply(token: bytes) -> bytes:
    """The token as a TimeStampResp, which verifiers want."""
    status = {"status": "granted"}
    encoded: bytes = tsp.TimeStampResp(
        {"status": status, "time_stamp_token": tsp.ContentInfo.load(token)}
    ).dump()
    return encoded


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_openssl_verifies_a_time_stamp(sam: SapClient, openssl: OpenSsl, algorithm: str) -> None:
    digest = hashlib.new(algorithm, CONTENT).digest()
    token = sam.timestamp(request(hash_algorithm_oid=DIGESTS[algorithm].oid, digest=digest))
    text = openssl.run(
        *("ts", "-verify", "-digest", digest.hex()),
        *("-in", openssl.file("reply.tsr", reply(token))),
        *("-CAfile", str(openssl.root), "-untrusted", str(openssl.issuing)),
    )
    assert "Verification: OK" in text


def test_openssl_refuses_it_for_other_content(sam: SapClient, openssl: OpenSsl) -> None:
    token = sam.timestamp(request())
    text = openssl.run(
        *("ts", "-verify", "-digest", hashlib.sha256(b"other").hexdigest()),
        *("-in", openssl.file("reply.tsr", reply(token))),
        *("-CAfile", str(openssl.root), "-untrusted", str(openssl.issuing)),
        status=1,
    )
    assert "message imprint mismatch" in text


def test_rfc3161_client_verifies_nonce_policy_and_path(sam: SapClient) -> None:
    token = sam.timestamp(request(nonce=2**200 + 1))
    issuing, root = map(load_der_x509_certificate, sam.status().chain)
    stamp = load_der_x509_certificate(sam.service_certificates().timestamps)
    verifier = (
        VerifierBuilder()
        .tsa_certificate(stamp)
        .add_intermediate_certificate(issuing)
        .add_root_certificate(root)
        .nonce(2**200 + 1)
        .build()
    )
    assert verifier.verify_message(decode_timestamp_response(reply(token)), CONTENT)


def test_pyhanko_believes_it(sam: SapClient) -> None:
    token = sam.timestamp(request())
    root = x509.Certificate.load(sam.status().chain[1])
    found = asyncio.run(
        validate_tst_signed_data(
            tsp.ContentInfo.load(token)["content"],
            ValidationContext(trust_roots=[root], allow_fetching=False),
            lambda _algorithm: hashlib.sha256(CONTENT).digest(),
        )
    )
    assert found["intact"]
    assert found["valid"]
    assert found["trust_problem_indic"] is None


def test_what_a_time_stamp_says(sam: SapClient) -> None:
    before = int(time.time())
    said = info(sam.timestamp(request(nonce=5, policy_oid=BASELINE_POLICY)))
    assert said["policy"].native == BASELINE_POLICY
    assert said["nonce"].native == 5
    assert said["accuracy"].native == {"seconds": 1, "millis": None, "micros": None}
    assert said["ordering"].native is False
    assert before <= said["gen_time"].native.timestamp() <= time.time()
    assert said["message_imprint"]["hashed_message"].native == hashlib.sha256(CONTENT).digest()


def test_its_certificate_has_one_purpose_and_comes_when_asked_for(sam: SapClient) -> None:
    with_them = tsp.ContentInfo.load(sam.timestamp(request()))["content"]
    without = tsp.ContentInfo.load(sam.timestamp(request(certificates=False)))["content"]
    assert len(with_them["certificates"]) == 2
    assert without["certificates"].native is None
    own = sam.service_certificates().timestamps
    certificate = next(
        each.chosen for each in with_them["certificates"] if each.chosen.dump() == own
    )
    assert certificate.extended_key_usage_value.native == ["time_stamping"]
    assert "extended_key_usage" in certificate.critical_extensions


def test_serial_numbers_never_repeat(sam: SapClient) -> None:
    serials = [info(sam.timestamp(request()))["serial_number"].native for _ in range(50)]
    assert len(set(serials)) == 50
    assert all(0 < serial < 2**160 for serial in serials)


def test_what_is_not_ours_is_refused(sam: SapClient) -> None:
    with pytest.raises(PolicyUnaccepted):
        sam.timestamp(request(policy_oid="1.2.3"))
    with pytest.raises(AlgorithmUnsupported):
        sam.timestamp(request(hash_algorithm_oid="1.3.14.3.2.26", digest=b"1" * 20))
    with pytest.raises(DigestLengthInvalid):
        sam.timestamp(request(digest=b"short"))
