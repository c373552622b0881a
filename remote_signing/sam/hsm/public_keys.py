"""Public keys: out of a token as SPKI (RFC 5280), and into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509 import ObjectIdentifier
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from remote_signing.errors import HsmFault
from remote_signing.sam.hsm.faults import faults

if TYPE_CHECKING:
    import pkcs11

    from remote_signing.algorithms import Algorithm

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_OCTET_STRING = 0x04


def load_spki(spki: bytes) -> PublicKey:
    """The key in ``spki``."""
    return cast("PublicKey", load_der_public_key(spki))


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(public: pkcs11.Object, algorithm: Algorithm) -> bytes:
    """SPKI of a public key object; ``HsmFault`` when it is no key of ``algorithm``."""
    with faults("reading a public key"):
        if algorithm.kind == "rsa":
            modulus, exponent = public[Attribute.MODULUS], public[Attribute.PUBLIC_EXPONENT]
        else:
            point = public[Attribute.EC_POINT]
    try:
        if algorithm.kind == "rsa":
            numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
            key: PublicKey = numbers.public_key()
        else:
            curve = ec.get_curve_for_oid(ObjectIdentifier(algorithm.curve_oid or ""))()
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, _raw_point(point, curve))
    except ValueError as error:
        raise HsmFault(f"the token gave no {algorithm.name} public key") from error
    if key.key_size != algorithm.bits:
        raise HsmFault(f"the token made a key of {key.key_size} bits for {algorithm.name}")
    return spki(key)


def _raw_point(value: bytes, curve: ec.EllipticCurve) -> bytes:
    """The last bytes of an EC_POINT: some tokens put an OCTET STRING around it, some do not."""
    return value[-(2 * coordinate_length(curve.key_size) + 1) :]


def coordinate_length(bits: int) -> int:
    """Bytes of one coordinate, and of r and s of a signature."""
    return (bits + 7) // 8


def curve_parameters(algorithm: Algorithm) -> bytes:
    """EC_PARAMS: the named curve's OID, DER."""
    return encode_named_curve_parameters(algorithm.curve_oid or "")


def rsa_public_object(key: rsa.RSAPublicKey) -> dict[Attribute, Any]:
    """The attributes by which a token takes an RSA key in."""
    numbers = key.public_numbers()
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.MODULUS: numbers.n.to_bytes((key.key_size + 7) // 8),
        Attribute.PUBLIC_EXPONENT: numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8),
    }


def ec_public_object(key: ec.EllipticCurvePublicKey, algorithm: Algorithm) -> dict[Attribute, Any]:
    """The attributes by which a token takes an EC key in (up to P-384: one byte of length)."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: curve_parameters(algorithm),
        Attribute.EC_POINT: bytes([_OCTET_STRING, len(point)]) + point,
    }
