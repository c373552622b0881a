"""The elements of ``etsiU``, the unsigned header of JAdES (ETSI TS 119 182-1 V1.2.1 cl. 5.3).

Each is in base64url, so that what an archive time stamp covers needs no canonical JSON.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from asn1crypto import cms, ocsp, x509

from remote_signing import strict_json
from remote_signing.rssp.documents import jws

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from remote_signing.rssp.documents.model import Material
    from remote_signing.strict_json import JsonValue


def signature_stamp(token: bytes) -> bytes:
    """``sigTst`` (cl. 5.3.4) with a TimeStampToken."""
    return _element("sigTst", _container(token))


def archive_stamp(token: bytes) -> bytes:
    """``arcTst`` (cl. 5.3.6.2) with a TimeStampToken."""
    return _element("arcTst", _container(token))


def validation_data(material: Material, stamp: bytes, known: Collection[bytes]) -> list[bytes]:
    """``xVals`` and ``rVals`` for the signer, ``tstVD`` for the authority of ``stamp``.

    Without the certificates (DER) that are ``known`` from the header.
    """
    serial = _stamper(stamp)
    signer = [each for each in material.certificates if _certified(each) != serial]
    stamper = [each for each in material.certificates if _certified(each) == serial]
    told = [each for each in material.ocsp if _told_of(each) != serial]
    others = [each for each in material.ocsp if _told_of(each) == serial]
    return [
        _element("xVals", _certificates([each for each in signer if each not in known])),
        _element("rVals", _status(told, material.crls)),
        _element("tstVD", {"xVals": _certificates(stamper), "rVals": _status(others, ())}),
    ]


def _element(name: str, value: JsonValue) -> bytes:
    return jws.encode(strict_json.canonical({name: value}))


def _container(token: bytes) -> JsonValue:
    return {"tstTokens": [_object(token)]}


def _object(der: bytes) -> dict[str, JsonValue]:
    """``pkiOb`` (cl. 5.4.2) of DER, which is its default encoding."""
    return {"val": base64.b64encode(der).decode("ascii")}


def _certificates(values: Sequence[bytes]) -> list[JsonValue]:
    return [{"x509Cert": _object(each)} for each in values]


def _status(answers: Sequence[bytes], lists: Sequence[bytes]) -> JsonValue:
    """``rVals`` (cl. 5.3.5.2); a member that would be empty is left out."""
    found: dict[str, JsonValue] = {}
    if lists:
        found["crlVals"] = [_object(each) for each in lists]
    if answers:
        found["ocspVals"] = [_object(each) for each in answers]
    return found


def _stamper(token: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """The serial number of the certificate that a TimeStampToken was signed with."""
    (info,) = cms.ContentInfo.load(token)["content"]["signer_infos"]
    return info["sid"].chosen["serial_number"].native


def _certified(der: bytes) -> Any:  # noqa: ANN401 - as above
    return x509.Certificate.load(der).serial_number


def _told_of(der: bytes) -> Any:  # noqa: ANN401 - as above
    """The serial number that an OCSPResponse tells of."""
    (told,) = ocsp.OCSPResponse.load(der).response_data["responses"]
    return told["cert_id"]["serial_number"].native
