"""A node on a real SoftHSM token: what it seals, signs and refuses."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import NameOID
from pkcs11 import Attribute

from remote_signing.algorithms import ALGORITHMS, DIGESTS, Algorithm, SignatureScheme
from remote_signing.errors import (
    AlgorithmUnsupported,
    DigestLengthInvalid,
    HsmFault,
    InvalidInput,
    SealBroken,
    SignatureFault,
)
from remote_signing.sam.cluster import verify_attestation
from remote_signing.sam.hsm import node as node_module
from remote_signing.sam.hsm.bench import measure
from remote_signing.sam.hsm.templates import REQUIRED_MECHANISMS, Templates
from tests.support.cluster import Founded, found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.sam.hsm import ActiveKey, GeneratedKey, Node
    from remote_signing.sam.softhsm import DevelopmentToken

DOMAINS = (b"credential", b"sad", b"challenge")
ECDSA = SignatureScheme("ecdsa", DIGESTS["sha256"])
DIGEST = hashlib.sha256(b"document").digest()
P256 = ALGORITHMS["p256"]


@pytest.fixture(scope="module")
def founded(
    make_tokens: Callable[[int], list[DevelopmentToken]], tmp_path_factory: pytest.TempPathFactory
) -> Founded:
    return found(make_tokens(2), tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def node_session(founded: Founded) -> Iterator[Node]:
    with founded.opened() as node:
        yield node


@pytest.fixture
def node(node_session: Node) -> Node:
    return node_session


@pytest.fixture(scope="module")
def generated(node_session: Node) -> dict[str, GeneratedKey]:
    """One key of each type: RSA keys take their time."""
    return {name: node_session.generate(algorithm) for name, algorithm in ALGORITHMS.items()}


def schemes(algorithm: Algorithm) -> list[SignatureScheme]:
    if algorithm.kind == "ec":
        return [SignatureScheme("ecdsa", digest) for digest in DIGESTS.values()]
    plain = [SignatureScheme("pkcs1", digest) for digest in DIGESTS.values()]
    pss = [
        SignatureScheme("pss", digest, digest.length) for digest in DIGESTS.values() if digest.mgf
    ]
    return plain + pss


def verify(public_key: bytes, scheme: SignatureScheme, digest: bytes, signature: bytes) -> None:
    """As a relying party would, with other code than the product's."""
    key: Any = load_der_public_key(public_key)
    prehashed = utils.Prehashed(scheme.digest.hash)
    if scheme.padding == "ecdsa":
        key.verify(signature, digest, ec.ECDSA(prehashed))
    elif scheme.padding == "pss":
        mask = padding.MGF1(scheme.digest.hash)
        key.verify(signature, digest, padding.PSS(mask, scheme.salt_length), prehashed)
    else:
        key.verify(signature, digest, padding.PKCS1v15(), prehashed)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        pytest.param(name, scheme, id=f"{name}-{scheme.padding}-{scheme.digest.name}")
        for name, algorithm in ALGORITHMS.items()
        for scheme in schemes(algorithm)
    ],
)
def test_every_algorithm_signs_with_every_scheme(
    node: Node, generated: dict[str, GeneratedKey], name: str, scheme: SignatureScheme
) -> None:
    key = generated[name]
    digest = secrets.token_bytes(scheme.digest.length)
    with node.activate(key.wrapped, ALGORITHMS[name], key.public_key) as active:
        verify(key.public_key, scheme, digest, active.sign(scheme, digest))


@pytest.mark.parametrize(("name", "salt"), [("rsa2048", 64), ("rsa3072", 48)])
def test_pss_salts_of_other_lengths_are_signed(
    node: Node, generated: dict[str, GeneratedKey], name: str, salt: int
) -> None:
    key, scheme = generated[name], SignatureScheme("pss", DIGESTS["sha256"], salt)
    with node.activate(key.wrapped, ALGORITHMS[name], key.public_key) as active:
        verify(key.public_key, scheme, DIGEST, active.sign(scheme, DIGEST))


@pytest.mark.parametrize("name", ["rsa2048", "p256", "p384", "p521"])
@pytest.mark.parametrize("count", [0, 1, 10, 11, 37])
def test_batches_keep_the_order_of_their_digests(
    node: Node, generated: dict[str, GeneratedKey], name: str, count: int
) -> None:
    key, algorithm = generated[name], ALGORITHMS[name]
    scheme = ECDSA if algorithm.kind == "ec" else SignatureScheme("pkcs1", DIGESTS["sha256"])
    digests = [secrets.token_bytes(32) for _ in range(count)]
    with node.activate(key.wrapped, algorithm, key.public_key) as active:
        signatures = active.sign_many(scheme, digests)
    assert len(signatures) == count
    for digest, signature in zip(digests, signatures, strict=True):
        verify(key.public_key, scheme, digest, signature)


@pytest.mark.parametrize("length", [0, 20, 31, 33, 48, 64])
@pytest.mark.parametrize("name", ["rsa2048", "p256"])
def test_a_digest_of_wrong_length_never_reaches_the_token(
    node: Node,
    generated: dict[str, GeneratedKey],
    name: str,
    length: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, algorithm = generated[name], ALGORITHMS[name]
    scheme = schemes(algorithm)[0]
    with node.activate(key.wrapped, algorithm, key.public_key) as active:
        monkeypatch.setattr(active, "_private", None)
        with pytest.raises(DigestLengthInvalid):
            active.sign_many(scheme, [DIGEST, bytes(length)])


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("p256", SignatureScheme("pkcs1", DIGESTS["sha256"])),
        ("rsa2048", ECDSA),
        ("rsa2048", SignatureScheme("pss", DIGESTS["sha3-256"], 32)),
    ],
)
def test_a_scheme_of_another_key_type_is_refused(
    node: Node, generated: dict[str, GeneratedKey], name: str, scheme: SignatureScheme
) -> None:
    key = generated[name]
    with (
        node.activate(key.wrapped, ALGORITHMS[name], key.public_key) as active,
        pytest.raises(AlgorithmUnsupported),
    ):
        active.sign(scheme, DIGEST)


@pytest.mark.parametrize("count", [1, 25])
def test_a_signature_that_does_not_verify_is_a_fault_of_the_node(
    node: Node, generated: dict[str, GeneratedKey], count: int
) -> None:
    key, stranger = generated["p256"], node.generate(P256)
    with (
        node.activate(key.wrapped, P256, stranger.public_key) as active,
        pytest.raises(SignatureFault),
    ):
        active.sign_many(ECDSA, [DIGEST] * count)


def test_generating_leaves_nothing_in_the_token(node: Node) -> None:
    before = len(node._session.all({}))  # noqa: SLF001 - the session's view of the token
    key = node.generate(P256)
    with node.activate(key.wrapped, P256, key.public_key) as active:
        active.sign(ECDSA, DIGEST)
    assert len(node._session.all({})) == before  # noqa: SLF001 - as above


def test_an_activated_key_is_destroyed_when_its_use_fails(
    node: Node, generated: dict[str, GeneratedKey]
) -> None:
    before = len(node._session.all({}))  # noqa: SLF001 - the session's view of the token
    key = generated["p256"]
    with (
        pytest.raises(DigestLengthInvalid),
        node.activate(key.wrapped, P256, key.public_key) as active,
    ):
        active.sign(ECDSA, b"")
    assert len(node._session.all({})) == before  # noqa: SLF001 - as above


@pytest.mark.parametrize("kept", [0, 1, 72, 79])
def test_a_shortened_wrapped_key_is_a_fault(
    node: Node, generated: dict[str, GeneratedKey], kept: int
) -> None:
    key = generated["p256"]
    with pytest.raises(HsmFault), node.activate(key.wrapped[:kept], P256, key.public_key):
        pytest.fail("unwrapped")
    node.canary()


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("plaintext", [b"", b"x", bytes(range(256)) * 40])
def test_what_is_sealed_opens(node: Node, domain: bytes, plaintext: bytes) -> None:
    sealed = node.seal(domain, plaintext, b"associated")
    assert node.unseal(domain, sealed, b"associated") == plaintext
    assert plaintext not in sealed or not plaintext.strip(b"x")
    assert len(sealed) == 1 + 12 + len(plaintext) + 16 + 32


def test_sealing_twice_gives_different_bytes(node: Node) -> None:
    assert node.seal(b"sad", b"text", b"") != node.seal(b"sad", b"text", b"")


def test_every_flipped_bit_of_something_sealed_is_refused_and_the_session_lives(
    node: Node,
) -> None:
    sealed = node.seal(b"credential", b"a credential", b"id and version")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            node.unseal(b"credential", bytes(changed), b"id and version")
    assert node.unseal(b"credential", sealed, b"id and version") == b"a credential"


@pytest.mark.parametrize("length", [0, 1, 12, 31, 32, 33, 60])
def test_something_too_short_to_be_sealed_is_refused(node: Node, length: int) -> None:
    with pytest.raises(SealBroken):
        node.unseal(b"sad", bytes(length), b"")


@pytest.mark.parametrize(
    ("domain", "associated"),
    [
        (b"challenge", b"ab"),
        (b"credential", b"ab"),
        (b"sad", b"a"),
        (b"sad", b""),
        (b"sad", b"abc"),
    ],
)
def test_something_sealed_for_another_use_is_refused(
    node: Node, domain: bytes, associated: bytes
) -> None:
    sealed = node.seal(b"sad", b"text", b"ab")
    with pytest.raises(SealBroken):
        node.unseal(domain, sealed, associated)


def test_a_seal_of_another_version_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("remote_signing.sam.hsm.node._VERSION", b"\x02")
        sealed = node.seal(b"sad", b"text", b"")
    with pytest.raises(SealBroken):
        node.unseal(b"sad", sealed, b"")


def test_macs_differ_by_domain_and_cannot_be_shifted_between_domain_and_data(node: Node) -> None:
    values = {
        node.mac(domain, data)
        for domain, data in ((b"pin", b"1"), (b"pin1", b""), (b"guess", b"1"), (b"pi", b"n1"))
    }
    assert len(values) == 4
    assert node.mac(b"pin", b"1") in values


def test_attestations_verify_for_their_domain_only(node: Node) -> None:
    signature = node.attest(b"domain", b"data")
    public_key = node.attest_public_key()
    verify_attestation(public_key, b"domain", b"data", signature)
    for domain, data in ((b"other", b"data"), (b"domain", b"date"), (b"domaind", b"ata")):
        with pytest.raises(InvalidSignature):
            verify_attestation(public_key, domain, data, signature)


@pytest.mark.parametrize("name", ["p256", "rsa2048"])
def test_an_activated_key_signs_a_certification_request(
    node: Node, generated: dict[str, GeneratedKey], name: str
) -> None:
    key = generated[name]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nguyễn Văn An")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    with node.activate(key.wrapped, ALGORITHMS[name], key.public_key) as active:
        request = builder.sign(active.private_key_for_csr(), hashes.SHA256())
    assert request.is_signature_valid


@pytest.mark.parametrize("name", ["p256", "rsa2048"])
def test_a_key_in_a_token_does_nothing_but_sign(
    node: Node, generated: dict[str, GeneratedKey], name: str
) -> None:
    key = generated[name]
    with node.activate(key.wrapped, ALGORITHMS[name], key.public_key) as active:
        handed: Any = active.private_key_for_csr()
        assert handed.public_key().key_size == handed.key_size == ALGORITHMS[name].bits
        for forbidden in ("private_numbers", "private_bytes", "__copy__", "__deepcopy__"):
            with pytest.raises(TypeError, match="stays in its token"):
                getattr(handed, forbidden)()


def test_a_key_in_a_token_signs_data_not_digests(
    node: Node, generated: dict[str, GeneratedKey]
) -> None:
    key = generated["rsa2048"]
    prehashed = utils.Prehashed(hashes.SHA256())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    with node.activate(key.wrapped, ALGORITHMS["rsa2048"], key.public_key) as active:
        handed = active.private_key_for_csr()
        assert isinstance(handed, rsa.RSAPrivateKey)
        with pytest.raises(AlgorithmUnsupported):
            handed.sign(DIGEST, padding.PKCS1v15(), prehashed)
        with pytest.raises(AlgorithmUnsupported):
            handed.sign(DIGEST, pss, hashes.SHA256())


def test_the_issuing_key_certifies(node: Node, founded: Founded) -> None:
    issuer = founded.cluster.issuing_certificate
    key = node.authority_key("rs-ca-issuing")
    assert key.curve.name == "secp384r1"
    builder = (
        x509.CertificateBuilder()
        .subject_name(issuer.subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
    )
    builder.sign(key, hashes.SHA384()).verify_directly_issued_by(issuer)


def test_a_canary_whose_public_key_is_another_is_a_fault(
    node: Node, generated: dict[str, GeneratedKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.canary()
    canary: ActiveKey = node._pairs["rs-canary"]  # noqa: SLF001 - swap what is held in memory
    stranger = load_der_public_key(generated["p256"].public_key)
    monkeypatch.setattr(canary, "_public", stranger)
    with pytest.raises(SignatureFault):
        node.canary()


def test_a_node_of_the_cluster_passes_its_check(node: Node, founded: Founded) -> None:
    founded.cluster.check_node(node)
    assert node.mechanisms() >= REQUIRED_MECHANISMS


def test_the_counter_rises_and_never_falls(node: Node) -> None:
    start = node.counter()
    node.raise_counter(start + 5)
    node.raise_counter(start + 2)
    node.raise_counter(start + 5)
    assert node.counter() == start + 5


def test_a_second_session_in_this_process_is_refused(node: Node, founded: Founded) -> None:
    with pytest.raises(HsmFault, match=f"session with node {node.name}"), founded.opened(1):
        pytest.fail("opened")
    node.canary()


def test_only_known_operations_are_measured(node: Node) -> None:
    for operation in ("dance", "C_Sign"):
        with pytest.raises(InvalidInput, match=operation):
            measure(node, operation, None, 0.01)


# What a key can do in the token

USES = {
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
    Attribute.SENSITIVE: True,
    Attribute.PRIVATE: True,
    Attribute.TOKEN: False,
    Attribute.MODIFIABLE: False,
}


def uses(key: Any) -> dict[Attribute, bool]:
    """As the token tells them; one that it lacks is false."""
    told = key.get_attributes(list(USES))
    return {attribute: told.get(attribute, False) for attribute in USES}


@pytest.mark.parametrize("name", ["p256", "rsa2048"])
def test_a_new_key_signs_and_does_nothing_else(
    node: Node, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    original = node._generate_pair  # noqa: SLF001 - the key object does not leave the node

    def noted(algorithm: Algorithm) -> Any:
        public, private = original(algorithm)
        told.append(uses(private))
        return public, private

    monkeypatch.setattr(node, "_generate_pair", noted)
    node.generate(ALGORITHMS[name])
    assert told == [USES]


@pytest.mark.parametrize("name", ["p256", "rsa2048"])
def test_an_activated_key_signs_does_nothing_else_and_cannot_leave(
    node: Node, generated: dict[str, GeneratedKey], name: str
) -> None:
    with node.unwrapped(generated[name].wrapped, ALGORITHMS[name]) as private:
        assert uses(private) == USES
        assert private[Attribute.EXTRACTABLE] is False


def test_a_new_key_that_could_do_more_is_refused_and_destroyed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(node._session.all({}))  # noqa: SLF001 - the session's view of the token
    monkeypatch.setattr(Templates, "_signing", lambda _self: {})  # this token's default: recover
    with pytest.raises(HsmFault, match="SIGN_RECOVER"):
        node.generate(ALGORITHMS["rsa2048"])
    assert len(node._session.all({})) == before  # noqa: SLF001 - as above


def test_a_new_key_that_does_not_fit_its_public_key_is_refused_and_destroyed(
    node: Node, generated: dict[str, GeneratedKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(node._session.all({}))  # noqa: SLF001 - the session's view of the token
    stranger = generated["p256"].public_key
    monkeypatch.setattr(node_module, "read_public_key", lambda *_: stranger)
    with pytest.raises(SignatureFault):
        node.generate(P256)
    assert len(node._session.all({})) == before  # noqa: SLF001 - as above
