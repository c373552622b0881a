"""CRL, OCSP and time stamps on a node in software: every refusal of the verbs."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from remote_signing.algorithms import DIGESTS, algorithm_named
from remote_signing.clock import FixedClock, as_datetime
from remote_signing.errors import (
    AlgorithmUnsupported,
    ClockSuspicious,
    DigestLengthInvalid,
    InvalidInput,
    OrderInvalid,
    PolicyUnaccepted,
    StatusContradicted,
)
from remote_signing.sam.certificate_status import CertificateStatus
from remote_signing.sam.config import AuthorityConfig, NodeConfig, SamConfig
from remote_signing.sam.revocation import RevocationList, certificate_entry
from remote_signing.sam.service_keys import ServiceKey
from remote_signing.sam.steady_clock import SteadyClock, uptime_ms
from remote_signing.sam.timestamps import Timestamps
from tests.support.certificates import self_signed
from tests.support.soft_node import ActiveKey as SoftKey
from tests.support.soft_node import SoftNode
from tests.support.verbs import Sam, enrol

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.hsm import Node
    from remote_signing.sam.hsm.signing import ActiveKey
    from remote_signing.sam.service_keys import ServiceKeys

_DER = Encoding.DER


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(value: object) -> bytes:
    return base64.b64decode(cast("str", value))


@dataclass
class Authority:
    """The verbs, the issuing authority behind them, and a certificate that it issued."""

    folder: Path
    algorithm: str = "p256"
    node: SoftNode = field(default_factory=SoftNode)
    clock: FixedClock = field(default_factory=FixedClock)
    uptime: int = 1_000_000

    def __post_init__(self) -> None:
        self.issuer = self.issue("CA", 1, self.node.issuing_key.public_key())
        made = self.node.generate(algorithm_named(self.algorithm))
        self.service_key = self.node.keys[made.wrapped]
        self.certificate = self.issue("ai đó", 0xABC, self.service_key.public_key())
        self.revoked = RevocationList(self.folder, cast("Node", self.node))
        config = SamConfig(
            nodes=(
                NodeConfig(
                    name="soft", module=self.folder, token_label="soft", pin_file=self.folder
                ),
            ),
            cluster_file=self.folder / "cluster.json",
            state_folder=self.folder,
            socket=self.folder,
            allowed_uids=frozenset(),
            registration_keys={},
            authority=AuthorityConfig(
                policy_oid="1.2.3",
                practice_statement_url="http://pki.example/cps",
                crl_url="http://pki.example/ca.crl",
                ocsp_url="http://pki.example/ocsp",
                issuer_url="http://pki.example/ca.crt",
                timestamp_accuracy_ms=2500,
            ),
        )
        keys = cast("ServiceKeys", self)
        node = cast("Node", self.node)
        status = CertificateStatus(config, node, keys, self.revoked, self.issuer, self.clock)
        steady = SteadyClock(self.folder, self.clock, lambda: self.uptime)
        stamps = Timestamps(config.authority, keys, self.issuer.public_bytes(_DER), steady)
        self.verbs = {**status.verbs, **stamps.verbs}

    def tick(self, seconds: float) -> None:
        """Clock and machine go on together."""
        self.clock.advance(seconds)
        self.uptime += round(seconds * 1000)

    def issue(self, name: str, serial: int, public_key: object) -> x509.Certificate:
        start = as_datetime(self.clock.now_ms())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
        ski = x509.SubjectKeyIdentifier.from_public_key(self.node.issuing_key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(public_key)  # type: ignore[arg-type]  # of either kind
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=30))
            .add_extension(ski, critical=False)
            .sign(self.node.issuing_key, hashes.SHA384())
        )

    # As ServiceKeys is asked:

    def key(self, _purpose: str, _now_ms: int) -> ServiceKey:
        algorithm = algorithm_named(self.algorithm)
        key = cast("ActiveKey", SoftKey(self.service_key))
        der = self.certificate.public_bytes(_DER)
        return ServiceKey(algorithm, key, self.certificate, der)

    def call(self, verb: str, **arguments: object) -> Answer:
        return self.verbs[verb](cast("Arguments", arguments))

    def ocsp(self, **changes: object) -> ocsp.OCSPResponse:
        arguments: dict[str, object] = {
            "state": "good",
            "certificate": b64(self.certificate.public_bytes(_DER)),
            "digest": "sha256",
            **changes,
        }
        return ocsp.load_der_ocsp_response(unb64(self.call("sign_ocsp", **arguments)["response"]))

    def crl(self, *entries: object) -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl(unb64(self.call("sign_crl", revoked=list(entries))["crl"]))

    def stamp(self, **changes: object) -> tsp.TSTInfo:
        arguments: dict[str, object] = {
            "hash_algorithm_oid": DIGESTS["sha256"].oid,
            "digest": b64(b"1" * 32),
            **changes,
        }
        token = unb64(self.call("timestamp", **arguments)["token"])
        return tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_crl_names_what_it_is_told_and_no_reason_that_says_nothing(authority: Authority) -> None:
    crl = authority.crl(["abc", 1_000, "unspecified"], ["2", 2_000, "superseded"])
    reasons = {entry.serial_number: len(entry.extensions) for entry in crl}
    assert reasons == {0xABC: 0, 2: 1}
    assert crl.is_signature_valid(authority.node.issuing_key.public_key())


@pytest.mark.parametrize(
    "revoked",
    [
        None,
        {},
        [7],
        [["1", 1]],
        [["1", 1, "superseded"], ["1", 2, "superseded"]],
        [["0", 1, "superseded"]],
        [["-1", 1, "superseded"]],
        [["01", 1, "superseded"]],
        [[1, 1, "superseded"]],
        [["f" * 41, 1, "superseded"]],
        [["f" * 40, 1, "superseded"]],
        [["1", -1, "superseded"]],
        [["1", True, "superseded"]],
        [["1", 2**51, "superseded"]],
        [["1", 1, "cACompromise"]],
        [["1", 1, "removeFromCRL"]],
        [["1", 1, None]],
        [["1", 1, ["superseded"]]],
        [["1", 1, "superseded"]] * 100_001,
    ],
    ids=range(19),
)
def test_entries_that_are_none_are_refused(authority: Authority, revoked: object) -> None:
    with pytest.raises(InvalidInput):
        authority.call("sign_crl", revoked=revoked)


def test_crl_numbers_rise_though_the_clock_stands_still_or_goes_back(authority: Authority) -> None:
    numbers = []
    for seconds in (0, 0, -3600, 5):
        authority.clock.advance(seconds)
        numbers.append(authority.call("sign_crl", revoked=[])["number"])
    assert numbers == sorted(set(cast("list[int]", numbers)))


def test_what_an_order_revoked_is_in_every_crl_until_it_ends(authority: Authority) -> None:
    end = authority.clock.now_ms() + 1_000
    authority.revoked.add([certificate_entry(0xABC, end), "some-factor"])
    with pytest.raises(StatusContradicted):
        authority.crl()
    assert authority.crl(["abc", 1, "superseded"]).get_revoked_certificate_by_serial_number(0xABC)
    authority.clock.advance(2)
    assert not list(authority.crl())


@pytest.mark.parametrize("state", ["good", "unknown"])
def test_what_an_order_revoked_is_nothing_else(authority: Authority, state: str) -> None:
    authority.revoked.add([certificate_entry(0xABC, 0)])
    with pytest.raises(StatusContradicted):
        authority.ocsp(state=state, serial="abc")
    answer = authority.ocsp(state="revoked", at_ms=1_000, reason="keyCompromise")
    assert answer.revocation_reason is x509.ReasonFlags.key_compromise


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "fine"},
        {"state": None},
        {"state": "unknown", "serial": "x"},
        {"state": "unknown"},
        {"digest": "md5"},
        {"certificate": None},
        {"nonce": ""},
        {"nonce": b64(b"n" * 129)},
        {"nonce": 7},
        {"state": "revoked"},
        {"state": "revoked", "at_ms": 1, "reason": "whim"},
        {"state": "revoked", "at_ms": 2**51, "reason": "superseded"},
    ],
    ids=range(12),
)
def test_a_claim_with_a_flaw_is_refused(authority: Authority, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        authority.ocsp(**changes)


def test_only_certificates_of_this_authority_are_good(authority: Authority) -> None:
    other = Authority(authority.folder)  # another key, the same name
    for certificate in (self_signed(), other.certificate.public_bytes(_DER), b"none"):
        for state in ("good", "revoked"):
            with pytest.raises(StatusContradicted):
                authority.ocsp(state=state, certificate=b64(certificate))


def test_unknown_and_nonce(authority: Authority) -> None:
    answer = authority.ocsp(state="unknown", serial="1234", nonce=b64(b"n"))
    assert (answer.certificate_status, answer.serial_number) == (
        ocsp.OCSPCertStatus.UNKNOWN,
        0x1234,
    )
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n"


# ------------------------------------------------------------------------ time stamps


@pytest.mark.parametrize("algorithm", ["p256", "rsa2048"])
def test_keys_of_either_kind_stamp(tmp_path: Path, algorithm: str) -> None:
    info = Authority(tmp_path, algorithm).stamp(nonce="ff", certificates=True)
    assert info["nonce"].native == 255
    assert info["accuracy"].native == {"seconds": 2, "millis": 500, "micros": None}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"hash_algorithm_oid": "1.3.14.3.2.26"}, AlgorithmUnsupported),
        ({"hash_algorithm_oid": None}, InvalidInput),
        ({"digest": b64(b"short")}, DigestLengthInvalid),
        ({"digest": None}, InvalidInput),
        ({"policy_oid": "1.2.3"}, PolicyUnaccepted),
        ({"nonce": "F"}, InvalidInput),
        ({"nonce": ""}, InvalidInput),
        ({"nonce": "f" * 65}, InvalidInput),
        ({"nonce": 1}, InvalidInput),
    ],
    ids=range(9),
)
def test_a_request_with_a_flaw_is_not_stamped(
    authority: Authority, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        authority.stamp(**changes)


def test_a_clock_that_goes_back_certifies_no_time(authority: Authority) -> None:
    authority.stamp()
    authority.clock.advance(-0.5)  # as a clock is corrected
    authority.stamp()
    authority.clock.advance(-2)
    with pytest.raises(ClockSuspicious, match="back"):
        authority.stamp()
    authority.clock.advance(2)
    assert authority.stamp()


def test_a_time_that_was_certified_is_never_undercut(authority: Authority) -> None:
    first = authority.stamp()["gen_time"].native
    authority.clock.advance(-0.9)
    assert authority.stamp()["gen_time"].native == first


def test_a_clock_that_jumps_certifies_no_time_until_somebody_looked(authority: Authority) -> None:
    authority.stamp()
    authority.clock.advance(3600)
    for _ in range(2):
        with pytest.raises(ClockSuspicious, match="off by"):
            authority.stamp()
    (authority.folder / "certified-time.json").unlink()
    assert authority.stamp()


@pytest.mark.parametrize("step", [0.9, -0.9])
def test_a_clock_that_is_moved_in_small_steps_certifies_no_time(
    authority: Authority, step: float
) -> None:
    authority.stamp()
    authority.tick(3600)
    authority.clock.advance(step)
    assert authority.stamp()
    authority.tick(3600)
    authority.clock.advance(step)
    with pytest.raises(ClockSuspicious, match="off by 1800 ms"):
        authority.stamp()


def test_a_clock_that_goes_as_fast_as_the_machine_counts_is_believed(authority: Authority) -> None:
    for _ in range(100):
        assert authority.stamp()
        authority.tick(86_400)


def test_after_a_restart_of_the_host_only_the_past_is_suspicious(authority: Authority) -> None:
    authority.stamp()
    file = authority.folder / "certified-time.json"
    text = file.read_text()
    boot = text.partition('"boot":"')[2].partition('"')[0]
    file.write_text(text.replace(boot, "another"))
    authority.clock.advance(600)
    authority.uptime = 5
    assert authority.stamp()


@pytest.mark.parametrize("text", ["{", "{}", '{"time_ms":"1","uptime_ms":1}', "[]"])
def test_a_record_that_cannot_be_read_is_suspicious(authority: Authority, text: str) -> None:
    (authority.folder / "certified-time.json").write_text(text)
    with pytest.raises(ClockSuspicious):
        authority.stamp()


def test_the_machines_own_count_rises() -> None:
    assert 0 < uptime_ms() <= uptime_ms()


# ------------------------------------------------------------------- the order to revoke


def test_a_revoked_credential_and_its_certificate_are_on_the_list(tmp_path: Path) -> None:
    sam = Sam(tmp_path)
    official = enrol(sam)
    order = sam.order("revoke", official.credential_id, serial="abc", not_after_ms=5)
    assert sam.call("revoke", order=order)["number"] == 1
    assert official.credential_id in sam.revoked
    assert sam.revoked.certificates() == {0xABC: 5}


@pytest.mark.parametrize(
    "members",
    [
        {"serial": "abc"},
        {"not_after_ms": 5},
        {"serial": "", "not_after_ms": 5},
        {"serial": "xyz", "not_after_ms": 5},
        {"serial": "abc", "not_after_ms": -1},
    ],
    ids=range(5),
)
def test_an_order_to_revoke_with_a_flaw_revokes_nothing(
    tmp_path: Path, members: dict[str, object]
) -> None:
    sam = Sam(tmp_path)
    official = enrol(sam)
    order = sam.order("revoke", official.credential_id, **members)
    with pytest.raises((OrderInvalid, InvalidInput)):
        sam.call("revoke", order=order)
    assert official.credential_id not in sam.revoked
