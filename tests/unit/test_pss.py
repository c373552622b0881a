import pytest
from asn1crypto import algos
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.errors import AlgorithmParametersInvalid
from remote_signing.pss import PssParameters, read_pss_parameters

SHA1 = "1.3.14.3.2.26"
SHA256 = "2.16.840.1.101.3.4.2.1"
SHA512 = "2.16.840.1.101.3.4.2.3"


def parameters(digest: str = "sha256", mask: str = "sha256", salt: int = 32) -> bytes:
    """RSASSA-PSS-params as asn1crypto, a second implementation, writes them."""
    value = algos.RSASSAPSSParams(
        {
            "hash_algorithm": {"algorithm": digest},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": mask}},
            "salt_length": salt,
        }
    )
    der: bytes = value.dump()
    return der


@pytest.mark.parametrize("salt", [0, 1, 32, 127, 128, 222, 255, 256, 65_535])
def test_what_asn1crypto_writes_is_read(salt: int) -> None:
    assert read_pss_parameters(parameters(salt=salt)) == PssParameters(SHA256, SHA256, salt)


def test_digests_of_hash_and_mask_are_told_apart() -> None:
    assert read_pss_parameters(parameters("sha512", "sha256")) == PssParameters(SHA512, SHA256, 32)


def test_absent_members_have_the_defaults_of_rfc_4055() -> None:
    assert read_pss_parameters(b"\x30\x00") == PssParameters(SHA1, SHA1, 20)


def test_digest_identifier_may_leave_its_parameters_out() -> None:
    with_null = parameters()
    identifier = bytes.fromhex("300d06096086480165030402010500")
    without = identifier[:-2].replace(b"\x30\x0d", b"\x30\x0b", 1)
    der = with_null.replace(b"\xa0\x0f" + identifier, b"\xa0\x0d" + without)
    der = der[:1] + bytes([der[1] - 2]) + der[2:]
    assert read_pss_parameters(der) == PssParameters(SHA256, SHA256, 32)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x31\x00",
        b"\x30\x01",
        b"\x30\x00\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x82\x00\x00",
        b"\x30\x81\x00",
        b"\x30\x81",
        parameters() + b"\x00",
        parameters()[:-1],
        b"\x30\x05\xa4\x03\x02\x01\x01",
        b"\x30\x05\x82\x03\x02\x01\x20",
        b"\x30\x0a\xa2\x03\x02\x01\x20\xa2\x03\x02\x01\x20",
        b"\x30\x0a\xa3\x03\x02\x01\x01\xa2\x03\x02\x01\x20",
        b"\x30\x05\xa3\x03\x02\x01\x02",
        b"\x30\x05\xa2\x03\x02\x01\x80",
        b"\x30\x06\xa2\x04\x02\x02\x00\x20",
        b"\x30\x04\xa2\x02\x02\x00",
        b"\x30\x05\xa2\x03\x04\x01\x20",
        b"\x30\x06\xa0\x04\x30\x02\x06\x00",
        b"\x30\x07\xa0\x05\x30\x03\x06\x01\x80",
        b"\x30\x08\xa0\x06\x30\x04\x06\x02\x80\x01",
        b"\x30\x0a\xa0\x08\x30\x06\x06\x01\x2a\x05\x01\x00",
        b"\x30\x09\xa0\x07\x30\x05\x06\x01\x2a\x04\x00",
        b"\x30\x09\xa1\x07\x30\x05\x06\x01\x2a\x05\x00",
        b"\x30" + b"\x81\xff" + bytes(255),
        bytes(300),
    ],
)
def test_anything_else_is_refused(der: bytes) -> None:
    with pytest.raises(AlgorithmParametersInvalid):
        read_pss_parameters(der)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_read_or_refused(der: bytes) -> None:
    try:
        read_pss_parameters(der)
    except AlgorithmParametersInvalid:
        return
    algos.RSASSAPSSParams.load(der, strict=True)


@given(st.integers(0, 75), st.integers(0, 255))
def test_one_changed_byte_never_crashes_the_reader(position: int, byte: int) -> None:
    der = bytearray(parameters())
    der[position % len(der)] = byte
    try:
        read_pss_parameters(bytes(der))
    except AlgorithmParametersInvalid:
        return
