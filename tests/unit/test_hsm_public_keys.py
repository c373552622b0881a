from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute

from remote_signing.algorithms import ALGORITHMS
from remote_signing.errors import HsmFault
from remote_signing.sam.hsm.public_keys import (
    ec_public_object,
    read_public_key,
    rsa_public_object,
    spki,
)

if TYPE_CHECKING:
    import pkcs11

P256 = ALGORITHMS["p256"]


def in_token(attributes: dict[Attribute, object]) -> pkcs11.Object:
    """A token's object is read like a mapping."""
    return cast("pkcs11.Object", attributes)


@pytest.mark.parametrize("name", ["p256", "p384"])
def test_an_ec_key_comes_back_as_it_went_in(name: str) -> None:
    algorithm = ALGORITHMS[name]
    curve = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[name]
    key = ec.generate_private_key(curve).public_key()
    assert read_public_key(in_token(ec_public_object(key, algorithm)), algorithm) == spki(key)


def test_an_rsa_key_comes_back_as_it_went_in() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    attributes = in_token(rsa_public_object(key))
    assert read_public_key(attributes, ALGORITHMS["rsa2048"]) == spki(key)
    with pytest.raises(HsmFault, match="2048 bits for rsa3072"):
        read_public_key(attributes, ALGORITHMS["rsa3072"])


def test_a_point_without_an_octet_string_around_it_is_read() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert read_public_key(in_token({Attribute.EC_POINT: point}), P256) == spki(key)


@pytest.mark.parametrize(
    "point", [b"", b"\x04", bytes(65), b"\x04\x41" + b"\x04" + bytes(63) + b"\1"]
)
def test_something_that_is_no_point_is_a_fault(point: bytes) -> None:
    with pytest.raises(HsmFault, match="no p256 public key"):
        read_public_key(in_token({Attribute.EC_POINT: point}), P256)
