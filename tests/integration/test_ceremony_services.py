"""Keys of OCSP and time stamps: made for a cluster that has none, replaced while a SAM runs."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from remote_signing.clock import FixedClock, SystemClock
from remote_signing.errors import HsmFault, SealBroken, ServicesUncertified
from remote_signing.sam.ceremony import (
    CeremonyRefused,
    Services,
    certify_services,
    verify_transcript,
)
from remote_signing.sam.cluster import load_cluster
from remote_signing.sam.config import AuthorityConfig
from remote_signing.sap import SignRequest, StatusClaim, TimestampRequest
from tests.support.certificates import OpenSsl, certified
from tests.support.cluster import found
from tests.support.sam import POLICY, certify, copied, node_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from remote_signing.sam.softhsm import DevelopmentToken
    from tests.support.cluster import Founded
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam

STAMP = TimestampRequest("2.16.840.1.101.3.4.2.1", b"1" * 32)


@pytest.fixture(scope="module")
def founded(
    make_tokens: Callable[[int], list[DevelopmentToken]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Founded:
    return found(make_tokens(2), tmp_path_factory.mktemp("founded"))


@pytest.fixture
def plan(founded: Founded, tmp_path: Path) -> Services:
    return Services(
        node=founded.nodes[1],
        lock_folder=founded.state,
        cluster_file=founded.out / "cluster.json",
        services_file=tmp_path / "service-keys.json",
        authority=AuthorityConfig(**POLICY),
        transcript_file=tmp_path / "transcript.json",
        operators=("Phạm Quốc Dũng",),
        witnesses=("Hoàng Thị Em",),
    )


def test_any_node_makes_them_and_the_transcript_says_so(plan: Services) -> None:
    told: list[str] = []
    outcome = certify_services(plan, SystemClock(), told.append)
    assert [line for line in told if "certified a key for" in line]
    cluster = load_cluster(plan.cluster_file)
    content = verify_transcript(plan.transcript_file.read_bytes(), cluster.attest_public_key)
    assert content["ceremony"] == "hsm services"
    assert set(outcome.files) == {"service-keys.json", "transcript.json"}
    document = json.loads(plan.services_file.read_bytes())
    assert set(document["content"]["keys"]) == {"responder", "timestamps"}


def test_what_the_certificates_are_for(plan: Services) -> None:
    certify_services(plan, SystemClock())
    keys = json.loads(plan.services_file.read_bytes())["content"]["keys"]
    purposes = {
        "responder": (ExtendedKeyUsageOID.OCSP_SIGNING, False),
        "timestamps": (ExtendedKeyUsageOID.TIME_STAMPING, True),
    }
    for name, (purpose, critical) in purposes.items():
        certificate = x509.load_pem_x509_certificate(pem(keys[name]["certificate"]))
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert (list(usage.value), usage.critical) == ([purpose], critical)
        key_usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert key_usage.critical
        assert key_usage.value.digital_signature
        assert not key_usage.value.key_cert_sign
        assert not key_usage.value.crl_sign


def pem(base64_der: str) -> bytes:
    return f"-----BEGIN CERTIFICATE-----\n{base64_der}\n-----END CERTIFICATE-----\n".encode()


def test_a_plan_with_a_flaw_makes_nothing(plan: Services, tmp_path: Path) -> None:
    taken = tmp_path / "taken.json"
    taken.write_text("{}")
    for changes, error in (
        ({"operators": ()}, CeremonyRefused),
        ({"transcript_file": taken}, CeremonyRefused),
    ):
        with pytest.raises(error):
            certify_services(replace(plan, **changes), SystemClock())
    assert not plan.services_file.exists()


def test_a_node_of_another_cluster_is_refused(plan: Services, running_sam: RunningSam) -> None:
    with pytest.raises(HsmFault, match="disagrees"):
        certify_services(replace(plan, cluster_file=running_sam.cluster_file), SystemClock())
    assert not plan.services_file.exists()


def test_a_changed_file_is_refused(
    start_sam: Callable[..., RunningSam], running_sam: RunningSam, tmp_path: Path
) -> None:
    changed = tmp_path / "service-keys.json"
    document = json.loads(running_sam.cluster_file.with_name("service-keys.json").read_bytes())
    document["content"]["made_at_ms"] += 1
    changed.write_text(json.dumps(document))
    client = start_sam(workers=1, services_file=changed).client()
    with pytest.raises(SealBroken):
        client.timestamp(STAMP)
    client.close()


def test_an_older_cluster_gets_them_and_they_are_replaced_while_it_runs(
    start_sam: Callable[..., RunningSam],
    registration: TestAuthority,
    running_sam: RunningSam,
    tmp_path: Path,
) -> None:
    place = tmp_path / "keys" / "service-keys.json"
    place.parent.mkdir()
    sam = start_sam(workers=1, services_file=place)
    client = sam.client()
    for ask in (client.service_certificates, lambda: client.timestamp(STAMP)):
        with pytest.raises(ServicesUncertified):
            ask()
    assert client.sign_crl([]).crl  # needs none of them
    shutil.copy(running_sam.cluster_file.with_name("service-keys.json"), place)
    first = client.service_certificates()
    signer = certified(client, registration)
    openssl = OpenSsl(client.status().chain, tmp_path)
    old_token = client.timestamp(STAMP)

    certify(
        node_config(sam.tokens[0]),
        sam.folder / "state",
        sam.cluster_file.parent,
        services_file=place,
        transcript_file=tmp_path / "second.json",
        algorithm="rsa3072",
    )
    second = client.service_certificates()
    assert second.responder != first.responder
    assert second.timestamps != first.timestamps
    response = client.sign_ocsp(StatusClaim("good", signer.certificate))
    assert openssl.ocsp_says(signer.certificate, response) == "good"
    for token in (old_token, client.timestamp(STAMP)):
        text = openssl.run(
            *("ts", "-verify", "-digest", STAMP.digest.hex(), "-token_in"),
            *("-in", openssl.file("token", token)),
            *("-CAfile", str(openssl.root), "-untrusted", str(openssl.issuing)),
        )
        assert "Verification: OK" in text
    client.close()


def test_the_verb_sign_cannot_reach_a_service_key(running_sam: RunningSam) -> None:
    document = json.loads(running_sam.cluster_file.with_name("service-keys.json").read_bytes())
    client = running_sam.client()
    for key in document["content"]["keys"].values():
        for sealed in (base64.b64decode(key["wrapped"]), json.dumps(key).encode()):
            request = SignRequest(
                sealed=sealed,
                sad=b"",
                activation_id="a",
                client_id="portal",
                hashes=(b"1" * 32,),
                sign_algo="1.2.840.10045.4.3.2",
            )
            with pytest.raises(SealBroken):
                client.sign(request)
    client.close()


def test_ended_certificates_certify_nothing(
    plan: Services, start_sam: Callable[..., RunningSam], running_sam: RunningSam, tmp_path: Path
) -> None:
    token = copied(running_sam.tokens[0], tmp_path / "copy")
    long_ago = FixedClock(SystemClock().now_ms() - 6 * 366 * 86_400_000)
    old = replace(
        plan,
        node=node_config(token),
        cluster_file=running_sam.cluster_file,
        services_file=tmp_path / "old.json",
    )
    certify_services(old, long_ago)
    client = start_sam(workers=1, services_file=tmp_path / "old.json").client()
    with pytest.raises(ServicesUncertified):
        client.timestamp(STAMP)
    client.close()
