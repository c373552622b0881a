"""CMS SignedData after ETSI EN 319 122-1 and EN 319 142-1, built around a signature made elsewhere.

Nothing is random here: the attributes depend on the recipe and the content's digest alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from asn1crypto import algos, cms, core, crl, ocsp, tsp, x509

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents.model import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remote_signing.rssp.documents.model import Ending, Material, Recipe

_SIGNATURES = {"pkcs1": "{}_rsa", "ecdsa": "{}_ecdsa"}


def prepare(
    recipe: Recipe, content_digest: bytes, *, with_time: bool, further: Iterable[bytes] = ()
) -> Prepared:
    """The signed attributes over ``content_digest``, the SDR, and their digest, the DTBS/R.

    ``further`` are attributes in DER.
    """
    made = [
        _attribute("content_type", "data"),
        _attribute("message_digest", content_digest),
        _attribute("signing_certificate_v2", _signing_certificate(recipe)),
    ]
    if with_time:
        made.append(_attribute("signing_time", cms.Time({"utc_time": recipe.claimed})))
    made += [cms.CMSAttribute.load(each) for each in further]
    attributes: bytes = cms.CMSAttributes(made).dump()
    return Prepared(attributes, hashlib.new(recipe.digest, attributes).digest())


def stamped(_recipe: Recipe, _prepared: Prepared, signature: bytes) -> bytes:
    """What signature-time-stamp is over: the signature itself (EN 319 122-1 cl. 5.3)."""
    return signature


def signed_data(
    recipe: Recipe, prepared: Prepared, ending: Ending, content: bytes | None = None
) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """The ContentInfo; ``content`` is put into it when the signature is to be attached."""
    enclosed: dict[str, object] = {"content_type": "data"}
    if content is not None:
        enclosed["content"] = content
    certificates = dict.fromkeys([recipe.certificate, *recipe.chain[:-1]])
    members: dict[str, object] = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": recipe.digest}],
        "encap_content_info": enclosed,
        "certificates": [_certificate(each) for each in certificates],
        "signer_infos": [_signer_info(recipe, prepared, ending)],
    }
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(members)})


def read(message: bytes) -> tuple[Any, bytes]:
    """A ContentInfo with SignedData that others made, and the content in it.

    Its signatures are not verified here: who signs beside them signs the content. Raises
    ``DocumentUnusable`` for what is none, or has no data inside.
    """
    try:
        found = cms.ContentInfo.load(message, strict=True)
        if found["content_type"].native != "signed_data":
            raise DocumentUnusable("content type", reason="it is no signed CMS")
        data = found["content"]
        for name in ("certificates", "crls"):
            _ = [each.dump() for each in data[name]]
        _ = [each["algorithm"].native for each in data["digest_algorithms"]]
        _ = [each["signed_attrs"].untag().dump() for each in data["signer_infos"]]
        enclosed = data["encap_content_info"]
        kind, content = enclosed["content_type"].native, enclosed["content"].native
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise DocumentUnusable(cause, reason="it is no signed CMS") from error
    if kind != "data" or not isinstance(content, bytes):
        raise DocumentUnusable(kind, reason="the CMS has no data inside")
    return found, content


def add_signer(message: Any, recipe: Recipe, prepared: Prepared, ending: Ending) -> None:  # noqa: ANN401 - as above
    """Another signature beside those in ``message``, which stay as they are."""
    data = message["content"]
    algorithms = {each["algorithm"].native for each in data["digest_algorithms"]}
    if recipe.digest not in algorithms:
        added = algos.DigestAlgorithm({"algorithm": recipe.digest})
        data["digest_algorithms"] = [*data["digest_algorithms"], added]
    _add_certificates(data, [recipe.certificate, *recipe.chain[:-1]])
    data["signer_infos"] = [*data["signer_infos"], _signer_info(recipe, prepared, ending)]


def add_material(message: Any, material: Material) -> None:  # noqa: ANN401 - as above
    """Certificates and revocation data into SignedData (EN 319 122-1 cl. 6.3, level B-LT)."""
    data = message["content"]
    _add_certificates(data, material.certificates)
    known = {each.dump() for each in data["crls"]}
    more = (
        *(cms.RevocationInfoChoice({"crl": crl.CertificateList.load(e)}) for e in material.crls),
        *(_ocsp_choice(each) for each in material.ocsp),
    )
    data["crls"] = [*data["crls"], *(each for each in more if each.dump() not in known)]
    # RFC 5652 cl. 5.1: other revocation information makes it version 5.
    data["version"] = "v5"


def _signer_info(recipe: Recipe, prepared: Prepared, ending: Ending) -> Any:  # noqa: ANN401 - as above
    info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier({"issuer_and_serial_number": _serial(recipe)}),
            "digest_algorithm": {"algorithm": recipe.digest},
            "signed_attrs": cms.CMSAttributes.load(prepared.attributes),
            "signature_algorithm": signature_algorithm(recipe),
            "signature": ending.signature,
        }
    )
    if ending.stamp is not None:
        token = cms.ContentInfo.load(ending.stamp)
        info["unsigned_attrs"] = [_attribute("signature_time_stamp_token", token)]
    return info


def _add_certificates(data: Any, certificates: Iterable[bytes]) -> None:  # noqa: ANN401 - as above
    known = {each.dump() for each in data["certificates"]}
    more = [each for each in dict.fromkeys(certificates) if each not in known]
    data["certificates"] = [*data["certificates"], *map(_certificate, more)]


def _own(data: Any, prepared: Prepared) -> int:  # noqa: ANN401 - as above
    """The place of our signature in ``signer_infos``: a set, so it is sorted when it is written."""
    attributes = [each["signed_attrs"].untag().dump() for each in data["signer_infos"]]
    return attributes.index(prepared.attributes)


def signature_algorithm(recipe: Recipe) -> Any:  # noqa: ANN401 - as above
    """The AlgorithmIdentifier of the signature."""
    scheme = recipe.scheme
    if scheme.padding != "pss":
        return algos.SignedDigestAlgorithm(
            {"algorithm": _SIGNATURES[scheme.padding].format(recipe.digest)}
        )
    parameters = algos.RSASSAPSSParams(
        {
            "hash_algorithm": {"algorithm": recipe.digest},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": recipe.digest}},
            "salt_length": scheme.salt_length,
        }
    )
    return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})


def _signing_certificate(recipe: Recipe) -> Any:  # noqa: ANN401 - as above
    """ESSCertIDv2 (RFC 5035): the certificate is part of what is signed."""
    identity: dict[str, object] = {
        "cert_hash": hashlib.new(recipe.digest, recipe.certificate).digest()
    }
    if recipe.digest != "sha256":  # the DEFAULT, which DER leaves out
        identity["hash_algorithm"] = {"algorithm": recipe.digest}
    return tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2(identity)]})


def _serial(recipe: Recipe) -> Any:  # noqa: ANN401 - as above
    certificate = x509.Certificate.load(recipe.certificate)
    members = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    return cms.IssuerAndSerialNumber(members)


def _certificate(der: bytes) -> Any:  # noqa: ANN401 - as above
    return cms.CertificateChoices({"certificate": x509.Certificate.load(der)})


def _ocsp_choice(der: bytes) -> Any:  # noqa: ANN401 - as above
    members = {
        "other_rev_info_format": "ocsp_response",
        "other_rev_info": ocsp.OCSPResponse.load(der),
    }
    other = cms.OtherRevocationInfoFormat(members)
    return cms.RevocationInfoChoice({"other": other})


def _attribute(kind: str, value: object) -> Any:  # noqa: ANN401 - as above
    return cms.CMSAttribute({"type": kind, "values": (value,)})


class _Digests(core.SequenceOf):  # type: ignore[misc]  # asn1crypto has no types
    _child_spec = core.OctetString


class HashIndex(core.Sequence):  # type: ignore[misc]  # as above
    """ATSHashIndexV3 (EN 319 122-1 cl. 5.5.2): what a time stamp covers beside the signature."""

    _fields = [  # noqa: RUF012 - asn1crypto's way
        ("hash_ind_algorithm", algos.DigestAlgorithm),
        ("certificates", _Digests),
        ("crls", _Digests),
        ("unsigned_attributes", _Digests),
    ]


def archive_input(message: Any, prepared: Prepared, content_digest: bytes) -> tuple[bytes, bytes]:  # noqa: ANN401 - as above
    """What archive-time-stamp-v3 is over, and its hash index (DER) (EN 319 122-1 cl. 5.5.3).

    ``content_digest`` is SHA-256 of the content, which is the time stamp's own algorithm.
    """
    data = message["content"]
    info = data["signer_infos"][_own(data, prepared)]
    attributes = [
        each["type"].dump() + value.dump()
        for each in info["unsigned_attrs"]
        for value in each["values"]
    ]
    index = HashIndex(
        {
            "hash_ind_algorithm": {"algorithm": "sha256"},
            "certificates": [_sha256(each.dump()) for each in data["certificates"]],
            "crls": [_sha256(each.dump()) for each in data["crls"]],
            "unsigned_attributes": [_sha256(each) for each in attributes],
        }
    ).dump()
    fields = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm")
    covered = [info[name].dump() for name in (*fields, "signature")]
    kind = data["encap_content_info"]["content_type"].dump()
    return b"".join([kind, content_digest, *covered, index]), index


def add_archive_stamp(message: Any, prepared: Prepared, stamp: bytes, index: bytes) -> None:  # noqa: ANN401 - as above
    """Put archive-time-stamp-v3 with its hash index into the unsigned attributes."""
    token = cms.ContentInfo.load(stamp)
    (stamper,) = token["content"]["signer_infos"]
    noted = cms.CMSAttribute(
        {"type": "0.4.0.19122.1.5", "values": [HashIndex.load(index)]}  # id-aa-ATSHashIndex-v3
    )
    present = [] if not stamper["unsigned_attrs"] else list(stamper["unsigned_attrs"])
    stamper["unsigned_attrs"] = [*present, noted]
    # asn1crypto writes what was changed deep inside anew at each level above, twice: 2.5 s here.
    # Read again, the token is one piece.
    token = cms.ContentInfo.load(token.dump())
    data = message["content"]
    info = data["signer_infos"][_own(data, prepared)]
    archived = cms.CMSAttribute({"type": "0.4.0.1733.2.4", "values": [token]})
    info["unsigned_attrs"] = [*info["unsigned_attrs"], archived]


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
