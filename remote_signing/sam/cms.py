"""CMS SignedData (RFC 5652) as operators wrap the signature of a SIM: read strictly, one signer.

Everything in it is either checked here, handed to the caller who checks it, or refused, so that no
bit of an accepted message is without meaning: no unsigned attributes, no embedded revocation
lists, no second signer. Signed attributes are demanded, and contentType and messageDigest once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from remote_signing.algorithms import (
    ALGORITHMS,
    DIGESTS,
    EC_PUBLIC_KEY,
    RSASSA_PSS,
    implied_digest,
)
from remote_signing.sam import der
from remote_signing.sam.der import DerInvalid, Value

if TYPE_CHECKING:
    from remote_signing.algorithms import Digest

Kind = Literal["rsa", "ec"]

_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_DATA = der.oid("1.2.840.113549.1.7.1")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_NULL = der.write(der.NULL)
_VERSION_BY_SIGNER: Final = {der.SEQUENCE: 1, der.PRIMITIVE_0: 3}  # RFC 5652 cl. 5.3
_DIGESTS: Final = {
    der.oid(digest.oid): digest
    for digest in (DIGESTS["sha256"], DIGESTS["sha384"], DIGESTS["sha512"])
}
_SIGNATURES: Final[dict[bytes, tuple[Kind, Digest | None]]] = {
    der.oid(dotted): (algorithm.kind, implied_digest(dotted))
    for algorithm in (ALGORITHMS["rsa2048"], ALGORITHMS["p256"])
    for dotted in algorithm.sign_oids
    if dotted not in {RSASSA_PSS, EC_PUBLIC_KEY}
}


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """One signer's message. ``signer`` is the DER of IssuerAndSerialNumber, or the raw key id.

    ``attributes`` is the DER of the SET OF signed attributes: what the signature is over.
    ``content`` is None when it is detached.
    """

    content: bytes | None
    certificates: tuple[bytes, ...]
    signer: bytes
    kind: Kind
    digest: Digest
    message_digest: bytes
    attributes: bytes
    signature: bytes


def read(data: bytes) -> SignedMessage:
    """The message that ``data`` is; ``DerInvalid`` when it is not exactly one."""
    outer = der.items(der.read(data, der.SEQUENCE))
    if len(outer) != 2 or outer[0].encoded != _SIGNED_DATA:  # noqa: PLR2004 - type, content
        raise DerInvalid("not SignedData")
    signed = der.items(der.read(der.expect(outer[1], der.CONTEXT_0).content, der.SEQUENCE))
    if not 4 <= len(signed) <= 5:  # noqa: PLR2004 - only the certificates may be absent
        raise DerInvalid("members of SignedData")
    version, digests, content, *optional, signers = signed
    certificates = [x for bag in optional for x in der.items(der.expect(bag, der.CONTEXT_0))]
    algorithm = _digest(_only(der.expect(digests, der.SET)))
    info = _signer_info(_only(der.expect(signers, der.SET)))
    if der.natural(version) != info.version or info.digest is not algorithm:
        raise DerInvalid("message and signer disagree")
    return SignedMessage(
        content=_content(content),
        certificates=tuple(der.expect(item, der.SEQUENCE).encoded for item in certificates),
        signer=info.signer,
        kind=info.kind,
        digest=info.digest,
        message_digest=info.message_digest,
        attributes=info.attributes,
        signature=info.signature,
    )


@dataclass(frozen=True, slots=True)
class _SignerInfo:
    version: int
    signer: bytes
    kind: Kind
    digest: Digest
    message_digest: bytes
    attributes: bytes
    signature: bytes


def _signer_info(value: Value) -> _SignerInfo:
    members = der.items(der.expect(value, der.SEQUENCE))
    if len(members) != 6:  # noqa: PLR2004 - with signed attributes, without unsigned ones
        raise DerInvalid("members of SignerInfo")
    version, signer, digest_value, attributes, algorithm, signature = members
    by_key_id = signer.tag == der.PRIMITIVE_0
    if der.natural(version) != _VERSION_BY_SIGNER.get(signer.tag):
        raise DerInvalid("version of SignerInfo")
    digest = _digest(digest_value)
    kind, implied = _signature_algorithm(algorithm)
    if implied is not None and implied is not digest:
        raise DerInvalid("signature and digest algorithms disagree")
    return _SignerInfo(
        version=der.natural(version),
        signer=signer.content if by_key_id else signer.encoded,
        kind=kind,
        digest=digest,
        message_digest=_message_digest(der.expect(attributes, der.CONTEXT_0)),
        attributes=der.write(der.SET, attributes.content),
        signature=der.expect(signature, der.OCTETS).content,
    )


def _message_digest(attributes: Value) -> bytes:
    """messageDigest, when the signed attributes are what RFC 5652 cl. 11 demands."""
    found: dict[bytes, Value] = {}
    for attribute in der.set_items(attributes):
        members = der.items(der.expect(attribute, der.SEQUENCE))
        if len(members) != 2:  # noqa: PLR2004 - type, values
            raise DerInvalid("members of an attribute")
        name, values = der.expect(members[0], der.OID).encoded, der.expect(members[1], der.SET)
        if name in found:
            raise DerInvalid("an attribute twice")
        found[name] = values
    if _CONTENT_TYPE not in found or _MESSAGE_DIGEST not in found:
        raise DerInvalid("contentType or messageDigest is missing")
    if _only(found[_CONTENT_TYPE]).encoded != _DATA:
        raise DerInvalid("contentType is not id-data")
    return der.expect(_only(found[_MESSAGE_DIGEST]), der.OCTETS).content


def _content(value: Value) -> bytes | None:
    members = der.items(der.expect(value, der.SEQUENCE))
    if not 1 <= len(members) <= 2 or members[0].encoded != _DATA:  # noqa: PLR2004 - type, content
        raise DerInvalid("content is not id-data")
    if len(members) == 1:
        return None
    return der.read(der.expect(members[1], der.CONTEXT_0).content, der.OCTETS).content


def _digest(value: Value) -> Digest:
    digest = _DIGESTS.get(_algorithm(value))
    if digest is None:
        raise DerInvalid("digest algorithm")
    return digest


def _signature_algorithm(value: Value) -> tuple[Kind, Digest | None]:
    found = _SIGNATURES.get(_algorithm(value))
    if found is None:
        raise DerInvalid("signature algorithm")
    return found


def _algorithm(value: Value) -> bytes:
    """The OID of an AlgorithmIdentifier, whose parameters are absent or NULL."""
    name, *parameters = der.items(der.expect(value, der.SEQUENCE)) or [value]
    if [item.encoded for item in parameters] not in ([], [_NULL]):
        raise DerInvalid("parameters of an algorithm")
    return name.encoded


def _only(value: Value) -> Value:
    members = der.items(value)
    if len(members) != 1:
        raise DerInvalid(f"{len(members)} values where one should be")
    return members[0]
