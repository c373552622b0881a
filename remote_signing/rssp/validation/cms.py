"""CMS signatures (RFC 5652, CAdES EN 319 122-1), and everything else that is made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asn1crypto import cms, core, pem
from pyhanko.sign.general import check_ess_certid
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import (
    extract_certs_for_validation,
    get_signing_cert_attr,
    validate_sig_integrity,
)

from remote_signing.rssp.validation import archive_stamp
from remote_signing.rssp.validation.model import (
    BROKEN,
    STRONG,
    Document,
    Found,
    Material,
    Octets,
    Problem,
    Stamp,
    sha256,
    unusable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from remote_signing.rssp.validation.model import Content, StampKind, Untyped

_MOST_STAMPS = 40  # of one signature
_SHARED = ("version", "digest_algorithms", "encap_content_info", "certificates", "crls")
_FORMAT = Problem("FORMAT_FAILURE", "malformed")
_STAMPS: dict[str, StampKind] = {
    "1.2.840.113549.1.9.16.2.14": "signature",
    "0.4.0.1733.2.4": "archive",  # archive-time-stamp-v3
    "1.2.840.113549.1.9.16.2.48": "archive",  # …-v2: known, and not judged
    "1.2.840.113549.1.9.16.2.27": "archive",  # the first one: as v2
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A SignerInfo whose cryptography was looked at; certificates are DER."""

    certificate: bytes | None
    problem: Problem | None
    digest: str
    scheme: str
    bound: bool
    claimed: datetime | None
    value: bytes


def read(data: bytes, content: Content | None, most: int) -> Document:
    """The signatures of a ContentInfo (DER or BER); ``content`` is what a detached one is over.

    Raises ``DocumentUnusable``: ``damaged``, ``too_many_signatures``, ``content_missing``,
    ``content_superfluous``.
    """
    try:
        signed = cms.ContentInfo.load(data)["content"]
        infos = list(signed["signer_infos"])
        attached = _attached(signed)
    except BROKEN as error:
        raise unusable("damaged", f"{type(error).__name__}: {error}") from error
    if len(infos) > most:
        raise unusable("too_many_signatures")
    if attached is not None and content is not None:
        raise unusable("content_superfluous")
    over = content if attached is None else Octets(attached)
    if over is None and infos:
        raise unusable("content_missing")
    warnings = () if attached is None else ("content_inside",)
    found = [
        signature(alone(signed, info), over, f"{number}", "CAdES")
        for number, info in enumerate(infos, 1)
    ]
    return Document("CMS", tuple(found), warnings)


def read_pem(data: bytes, content: Content | None, most: int) -> Document:
    """The same in PEM (RFC 7468)."""
    try:
        _, _, der = pem.unarmor(data)
    except BROKEN as error:
        raise unusable("damaged", str(error)) from error
    return read(der, content, most)


def alone(signed: Untyped, info: Untyped) -> Untyped:
    """SignedData with one of its signers only: what pyHanko can look at."""
    if len(signed["signer_infos"]) == 1:
        return signed
    members = {name: signed[name] for name in _SHARED if not isinstance(signed[name], core.Void)}
    return cms.SignedData(members | {"signer_infos": [info]})


def signature(signed: Untyped, content: Content | None, name: str, kind: str) -> Found:
    """The only signature of ``signed``, over ``content``; never raises for what is in it."""
    try:
        (info,) = signed["signer_infos"]
        found = Found(name, kind, value=info["signature"].native)
    except BROKEN:
        return Found(name, kind, problem=_FORMAT)
    try:
        checked = check(signed, content)
        material = material_of(signed)
        stamps = tuple(_stamps(signed, info, content))
    except BROKEN:
        return replace(found, problem=_FORMAT)
    if len(stamps) > _MOST_STAMPS:
        stamps, checked = (), replace(checked, problem=Problem("FORMAT_FAILURE", "too_many_stamps"))
    return replace(
        found,
        certificate=checked.certificate,
        material=material,
        problem=checked.problem,
        claimed=checked.claimed,
        digest=checked.digest,
        scheme=checked.scheme,
        bound=checked.bound,
        stamps=stamps,
    )


def check(signed: Untyped, content: Content | None) -> Checked:
    """Whether the only signer of ``signed`` signed ``content`` (None: what is inside).

    Raises one of :data:`.model.BROKEN` when it is too malformed to tell.
    """
    (info,) = signed["signer_infos"]
    digest = info["digest_algorithm"]["algorithm"].native
    weakest = _weakest(info, digest)
    checked = Checked(None, None, weakest, _scheme(info), False, None, info["signature"].native)  # noqa: FBT003 - positions as declared
    attributes = info["signed_attrs"]
    if isinstance(attributes, core.Void) or not len(attributes):
        # A signature straight over the content can be made to fit other content (RFC 9336 cl. 7:
        # the content may itself be the encoding of signed attributes).
        return replace(checked, problem=Problem("SIG_CONSTRAINTS_FAILURE", "no_signed_attributes"))
    try:
        certificate = extract_certs_for_validation(signed).signer_cert
        bound = _is_bound(attributes, certificate)
        checked = replace(
            checked,
            certificate=certificate.dump(),
            bound=bound,
            claimed=_claimed(attributes),
        )
        return replace(checked, problem=_broken(signed, info, certificate, content, digest))
    except SignatureValidationError as error:
        return replace(checked, problem=_problem(error))


def _broken(
    signed: Untyped, info: Untyped, certificate: Untyped, content: Content | None, digest: str
) -> Problem | None:
    over = content or Octets(bytes(signed["encap_content_info"]["content"]))
    kind = signed["encap_content_info"]["content_type"].native
    fits, valid = validate_sig_integrity(info, certificate, kind, over.digest(digest))
    if not fits:
        return Problem("HASH_FAILURE", "content_changed")
    return None if valid else Problem("SIG_CRYPTO_FAILURE", "signature_wrong")


def _problem(error: SignatureValidationError) -> Problem:
    sub: Untyped = error.ades_subindication  # None where pyHanko names none
    name = "GENERIC" if sub is None else sub.standard_name
    reasons = {"NO_SIGNING_CERTIFICATE_FOUND": "no_certificate", "FORMAT_FAILURE": "malformed"}
    return Problem(name, reasons.get(name, "malformed"))


def _is_bound(attributes: Untyped, certificate: Untyped) -> bool:
    """Whether signing-certificate(-v2) is there and names this certificate."""
    attribute = get_signing_cert_attr(attributes)
    return attribute is not None and bool(check_ess_certid(certificate, attribute["certs"][0]))


def _claimed(attributes: Untyped) -> datetime | None:
    times = [each for each in attributes if each["type"].native == "signing_time"]
    if len(times) != 1 or len(times[0]["values"]) != 1:
        return None
    found: datetime = times[0]["values"][0].native
    return found


def _weakest(info: Untyped, digest: str) -> str:
    """The content may be hashed with one algorithm, and what is signed with another."""
    try:
        other = str(info["signature_algorithm"].hash_algo)
    except ValueError:  # its name has none in it
        return digest
    return digest if other in STRONG else other


def _scheme(info: Untyped) -> str:
    try:
        return str(info["signature_algorithm"].signature_algo)
    except ValueError:
        return str(info["signature_algorithm"]["algorithm"].native)


def material_of(signed: Untyped) -> Material:
    """Certificates, CRLs and OCSP responses inside SignedData."""
    certificates = [
        each.chosen.untag().dump() for each in signed["certificates"] if each.name == "certificate"
    ]
    crls, ocsp = [], []
    for each in signed["crls"] or ():
        chosen = each.chosen
        if each.name == "crl":
            crls.append(chosen.untag().dump())
        elif each.name == "other" and chosen["other_rev_info_format"].native == "ocsp_response":
            ocsp.append(chosen["other_rev_info"].dump())
    return Material(tuple(certificates), tuple(ocsp), tuple(crls))


def inner_values(token: bytes) -> set[bytes]:
    """What a later time stamp over this TimeStampToken (DER) proves; nothing if it is none."""
    try:
        signed = cms.ContentInfo.load(token)["content"]
        (info,) = signed["signer_infos"]
        return {sha256(info["signature"].native), *material_of(signed).digests()}
    except BROKEN:
        return set()


def _attached(signed: Untyped) -> bytes | None:
    content = signed["encap_content_info"]["content"]
    return None if isinstance(content, core.Void) or content.contents is None else bytes(content)


def _stamps(signed: Untyped, info: Untyped, content: Content | None) -> Iterator[Stamp]:
    """From the inside out: content, signature, archive."""
    value = info["signature"].native
    over = content or Octets(bytes(signed["encap_content_info"]["content"]))
    for attribute in info["signed_attrs"]:
        if attribute["type"].native == "content_time_stamp":
            for token in attribute["values"]:
                yield Stamp("content", token.dump(), over)
    archives = []
    for attribute in info["unsigned_attrs"] or ():
        kind = _STAMPS.get(attribute["type"].dotted)
        for token in attribute["values"] if kind else ():
            if kind == "signature":
                yield Stamp("signature", token.dump(), Octets(value), frozenset({sha256(value)}))
            else:
                archives.append((attribute["type"].dotted, token))
    for oid, token in archives:
        yield archive_stamp.read(signed, info, over, oid, token)
