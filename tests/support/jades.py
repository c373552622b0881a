"""What foreign programs say of a JAdES signature.

joserfc and jwcrypto judge the JWS, rfc3161-client its time stamps; the rest, which no Python
program knows, is worked out here from the standard.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.ocsp import load_der_ocsp_response
from joserfc import jws as joserfc
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import HeaderParameter
from jwcrypto import jwk as jwcrypto_key
from jwcrypto import jws as jwcrypto
from jwcrypto.common import JWSEHeaderParameter
from rfc3161_client import VerifierBuilder, decode_timestamp_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from joserfc.jws import FlattenedJSONSerialization

ELEMENTS = {
    "B-B": [],
    "B-T": ["sigTst"],
    "B-LT": ["sigTst", "xVals", "rVals", "tstVD"],
    "B-LTA": ["sigTst", "xVals", "rVals", "tstVD", "arcTst"],
}
ALGORITHMS = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)]
_OWN = ("sigD", "iat", "etsiU", "srCms", "sigPl", "srAts", "sigPId")
_WORDS = {"S256": "sha256", "S384": "sha384", "S512": "sha512"}


class _Registry(joserfc.JWSRegistry):
    """With room for certificates in the header."""

    max_header_length = 16_384
    max_payload_length = 1 << 28


@dataclass(frozen=True)
class Found:
    """A signature of a JWS: its protected header, and the elements of ``etsiU`` in their order."""

    header: dict[str, Any]
    payload: bytes
    elements: list[tuple[str, Any]] = field(default_factory=list)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def members(signed: bytes) -> dict[str, Any]:
    """The general form of a JWS in any serialisation."""
    if signed.startswith(b"{"):
        value: dict[str, Any] = json.loads(signed)
    else:
        protected, payload, signature = signed.decode("ascii").split(".")
        value = {"payload": payload, "protected": protected, "signature": signature}
    if "signatures" in value:
        return value
    payload = value.pop("payload")
    return {"payload": payload, "signatures": [value]}


class JadesJudge:
    """With our root (DER) as its only anchor."""

    def __init__(self, root: bytes) -> None:
        self._root = x509.load_der_x509_certificate(root)

    def accepts(self, signed: bytes, level: str, document: bytes | None, number: int = -1) -> Found:
        """The signature ``number`` of ``signed``; an assertion or a library's error is its "no".

        ``document`` is what a detached one is over.
        """
        value = members(signed)
        one = {"payload": value["payload"], **value["signatures"][number]}
        header = json.loads(_unpadded(one["protected"]))
        chain = [x509.load_der_x509_certificate(base64.b64decode(e)) for e in header["x5c"]]
        self._path(chain, header)
        payload = self._signature(one, header, chain[0])
        if "sigD" in header:
            _reference(header, one, document)
        unsigned = one.get("header", {}).get("etsiU", [])
        elements = [next(iter(json.loads(_unpadded(each)).items())) for each in unsigned]
        assert [name for name, _ in elements] == ELEMENTS[level]
        self._stamps(one, unsigned, elements, document)
        if level in {"B-LT", "B-LTA"}:
            _complete(dict(elements), chain)
        return Found(header, payload, elements)

    def _path(self, chain: Sequence[x509.Certificate], header: dict[str, Any]) -> None:
        """Each certificate by the next, the last by the root; the first is the signed one."""
        leaf = chain[0].public_bytes(Encoding.DER)
        assert _unpadded(header["x5t#S256"]) == hashlib.sha256(leaf).digest()
        for certificate, issuer in zip(chain, [*chain[1:], self._root], strict=True):
            certificate.verify_directly_issued_by(issuer)
        now = datetime.now(UTC).timestamp()
        assert abs(now - header["iat"]) < 3600

    def _signature(
        self, one: dict[str, Any], header: dict[str, Any], leaf: x509.Certificate
    ) -> bytes:
        spki = leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        known = {name: HeaderParameter(name, lambda _value: None) for name in _OWN}
        registry = _Registry(known, algorithms=ALGORITHMS)
        kind = RSAKey if header["alg"][0] in "RP" else ECKey
        flattened = cast("FlattenedJSONSerialization", one)
        key = kind.import_key(spki.decode())
        found = joserfc.deserialize_json(flattened, key, registry=registry)
        own = JWSEHeaderParameter
        parameters = {
            name: own(name, mustprotect=False, supported=True, check_fn=None) for name in _OWN
        }
        second = jwcrypto.JWS(header_registry=parameters)
        second.allowed_algs = ALGORITHMS
        second.deserialize(json.dumps(one), jwcrypto_key.JWK.from_pem(spki))
        assert (second.payload or b"") == (found.payload or b"")
        return found.payload or b""

    def _stamps(
        self,
        one: dict[str, Any],
        unsigned: list[str],
        elements: list[tuple[str, Any]],
        document: bytes | None,
    ) -> None:
        signature = one["signature"].encode()
        for number, (name, content) in enumerate(elements):
            if name == "sigTst":
                self._stamp(content, signature)
            if name == "arcTst":
                payload = one["payload"].encode() or document or b""
                covered = b".".join([payload, one["protected"].encode(), signature, b""])
                self._stamp(content, covered + "".join(unsigned[:number]).encode())

    def _stamp(self, container: dict[str, Any], covered: bytes) -> None:
        ((token,),) = (container["tstTokens"],)
        info = tsp.ContentInfo.load(base64.b64decode(token["val"]))
        answer = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": info})
        verifier = VerifierBuilder().add_root_certificate(self._root).build()
        assert verifier.verify_message(decode_timestamp_response(answer.dump()), covered)


def _reference(header: dict[str, Any], one: dict[str, Any], document: bytes | None) -> None:
    """``sigD`` (cl. 5.2.8.3.3): the payload counts as empty and the digest is the document's."""
    assert one["payload"] == ""
    assert header["crit"] == ["b64", "sigD"]
    assert header["b64"] is False
    reference = header["sigD"]
    assert reference["mId"] == "http://uri.etsi.org/19182/ObjectIdByURIHash"
    assert document is not None
    digest = hashlib.new(_WORDS[reference["hashM"]], document).digest()
    assert [_unpadded(each) for each in reference["hashV"]] == [digest]
    assert len(reference["pars"]) == 1


def _complete(elements: dict[str, Any], chain: Sequence[x509.Certificate]) -> None:
    """Everything on the path to the root, and the status of all but the root, is inside."""
    stored = [
        x509.load_der_x509_certificate(base64.b64decode(each["x509Cert"]["val"]))
        for each in [*elements["xVals"], *elements["tstVD"]["xVals"]]
    ]
    (stamper,) = elements["tstVD"]["xVals"]
    assert any(each.subject == each.issuer for each in stored)
    answers = {
        load_der_ocsp_response(base64.b64decode(each["val"])).serial_number
        for each in [*elements["rVals"]["ocspVals"], *elements["tstVD"]["rVals"]["ocspVals"]]
    }
    told = x509.load_der_x509_certificate(base64.b64decode(stamper["x509Cert"]["val"]))
    assert answers == {chain[0].serial_number, told.serial_number}
    assert len(elements["rVals"]["crlVals"]) == 2
