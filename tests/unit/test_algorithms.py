import hashlib

import pytest
from asn1crypto import algos
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from remote_signing import algorithms
from remote_signing.errors import (
    AlgorithmParametersInvalid,
    AlgorithmUnsupported,
    DigestLengthInvalid,
)
from tests.unit.test_pss import parameters

RSA = algorithms.ALGORITHMS["rsa2048"]
EC = algorithms.ALGORITHMS["p256"]
SHA256 = "2.16.840.1.101.3.4.2.1"
SHA1 = "1.3.14.3.2.26"


@pytest.mark.parametrize("digest", algorithms.DIGESTS.values(), ids=lambda digest: digest.name)
def test_digest_info_is_what_another_implementation_signs(digest: algorithms.Digest) -> None:
    """PKCS#1 v1.5 by cryptography, opened with the public key, must hold our DigestInfo."""
    if digest.name == "sha512-256":
        name = algos.DigestAlgorithmId("sha512_256")
        info = algos.DigestInfo({"digest_algorithm": {"algorithm": name}, "digest": bytes(32)})
        assert info.dump().endswith(bytes(32))
        assert digest.digest_info[4:17] == bytes.fromhex("06096086480165030402060500")[:13]
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    value = bytes(range(digest.length))
    signature = key.sign(value, padding.PKCS1v15(), utils.Prehashed(digest.hash))
    numbers = key.public_key().public_numbers()
    block = pow(int.from_bytes(signature), numbers.e, numbers.n).to_bytes(256)
    assert block.endswith(b"\x00" + digest.digest_info + value)


@pytest.mark.parametrize("digest", algorithms.DIGESTS.values(), ids=lambda digest: digest.name)
def test_digest_length_is_that_of_the_algorithm(digest: algorithms.Digest) -> None:
    python_name = {"sha512-256": "sha512_256"}.get(digest.name, digest.name.replace("-", "_"))
    assert hashlib.new(python_name).digest_size == digest.length == digest.hash.digest_size
    algorithms.check_digests(digest, (bytes(digest.length),) * 2)
    for wrong in range(200):
        if wrong != digest.length:
            with pytest.raises(DigestLengthInvalid):
                algorithms.check_digests(digest, (bytes(digest.length), bytes(wrong)))


def test_sha_1_and_sha_224_are_refused() -> None:
    for oid in (SHA1, "2.16.840.1.101.3.4.2.4", "", "nonsense"):
        with pytest.raises(AlgorithmUnsupported):
            algorithms.digest_by_oid(oid)


def test_names_lead_to_entries_and_others_are_refused() -> None:
    assert algorithms.algorithm_named("p384").bits == 384
    assert algorithms.digest_named("sha3-256").length == 32
    assert algorithms.digest_by_oid(SHA256).name == "sha256"
    with pytest.raises(AlgorithmUnsupported):
        algorithms.algorithm_named("rsa1024")
    with pytest.raises(AlgorithmUnsupported):
        algorithms.digest_named("md5")


def test_sign_algorithm_that_fixes_the_digest_ignores_the_digest_beside_it() -> None:
    scheme = algorithms.resolve_scheme(EC, "1.2.840.10045.4.3.3", SHA256, None)
    assert (scheme.padding, scheme.digest.name) == ("ecdsa", "sha384")
    scheme = algorithms.resolve_scheme(RSA, "1.2.840.113549.1.1.11", SHA1, None)
    assert (scheme.padding, scheme.digest.name) == ("pkcs1", "sha256")


def test_generic_sign_algorithm_needs_the_digest_beside_it() -> None:
    assert (
        algorithms.resolve_scheme(RSA, algorithms.RSA_ENCRYPTION, SHA256, None).padding == "pkcs1"
    )
    assert algorithms.resolve_scheme(EC, algorithms.EC_PUBLIC_KEY, SHA256, None).padding == "ecdsa"
    with pytest.raises(AlgorithmUnsupported) as refusal:
        algorithms.resolve_scheme(EC, algorithms.EC_PUBLIC_KEY, None, None)
    assert refusal.value.public == {"parameter": "hashAlgorithmOID", "missing": True}


def test_sign_algorithm_of_another_key_type_is_refused() -> None:
    for algorithm, sign_algo in ((RSA, "1.2.840.10045.4.3.2"), (EC, "1.2.840.113549.1.1.11")):
        with pytest.raises(AlgorithmUnsupported):
            algorithms.resolve_scheme(algorithm, sign_algo, SHA256, None)
        assert algorithms.known_sign_algorithm(sign_algo)
    assert not algorithms.known_sign_algorithm("1.2.3")


def test_pss_takes_digest_and_salt_from_its_parameters() -> None:
    scheme = algorithms.resolve_scheme(RSA, algorithms.RSASSA_PSS, None, parameters(salt=222))
    assert (scheme.padding, scheme.digest.name, scheme.salt_length) == ("pss", "sha256", 222)


def test_pss_without_parameters_takes_the_digest_beside_it() -> None:
    scheme = algorithms.resolve_scheme(RSA, algorithms.RSASSA_PSS, SHA256, None)
    assert (scheme.padding, scheme.salt_length) == ("pss", 32)
    with pytest.raises(AlgorithmParametersInvalid) as refusal:
        algorithms.resolve_scheme(RSA, algorithms.RSASSA_PSS, None, None)
    assert refusal.value.public == {"missing": True}


@pytest.mark.parametrize(
    ("params", "beside"),
    [
        (parameters(salt=223), None),
        (parameters(salt=20), None),
        (parameters("sha512", "sha256"), None),
        (parameters(), "2.16.840.1.101.3.4.2.3"),
    ],
)
def test_pss_parameters_that_contradict_or_do_not_fit_are_refused(
    params: bytes, beside: str | None
) -> None:
    with pytest.raises(AlgorithmParametersInvalid):
        algorithms.resolve_scheme(RSA, algorithms.RSASSA_PSS, beside, params)


def test_pss_with_a_digest_that_tokens_do_not_know_is_refused() -> None:
    for params, beside in ((None, "2.16.840.1.101.3.4.2.8"), (b"\x30\x00", None)):
        with pytest.raises(AlgorithmUnsupported):
            algorithms.resolve_scheme(RSA, algorithms.RSASSA_PSS, beside, params)
