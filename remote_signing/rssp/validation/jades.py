"""JSON signatures (JWS, RFC 7515; JAdES, ETSI TS 119 182-1), in all three serialisations."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from remote_signing import strict_json
from remote_signing.errors import InvalidInput
from remote_signing.rssp.validation import raw_signature
from remote_signing.rssp.validation.cms import inner_values
from remote_signing.rssp.validation.model import (
    BROKEN,
    Document,
    Found,
    Material,
    Octets,
    Problem,
    Scope,
    Stamp,
    sha256,
    unusable,
)
from remote_signing.rssp.validation.raw_signature import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.validation.file_content import FileContent
    from remote_signing.strict_json import JsonValue

    Members = dict[str, JsonValue]

_COMPACT: Final = re.compile(rb"\s*([\w-]+)\.([\w-]*)\.([\w-]+)\s*", re.ASCII)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_CURVES: Final = {"256": "secp256r1", "384": "secp384r1", "512": "secp521r1"}
# A closed list: neither "none" nor a MAC, and one curve for each name.
_METHODS: Final = {
    **{f"RS{n}": Method("rsassa_pkcs1v15", f"sha{n}") for n in _CURVES},
    **{f"PS{n}": Method("rsassa_pss", f"sha{n}") for n in _CURVES},
    **{f"ES{n}": Method("ecdsa", f"sha{n}", curve) for n, curve in _CURVES.items()},
    "EdDSA": Method("ed25519", "sha512"),
    "Ed25519": Method("ed25519", "sha512"),
}
_UNDERSTOOD: Final = frozenset(
    {"b64", "sigD", "sigT", "x5t#S256", "x5t#o", "sigX5ts", "srCms", "sigPl", "srAts", "sigPId"}
)
_BY_HASH: Final = "http://uri.etsi.org/19182/ObjectIdByURIHash"
_BY_URI: Final = "http://uri.etsi.org/19182/ObjectIdByURI"
_DIGESTS: Final = {"S256": "sha256", "S384": "sha384", "S512": "sha512"}
_MOST_STAMPS = 40
_LONGEST_TIME = 40


@dataclass(frozen=True, slots=True)
class _Part:
    """One signature as it stands there: everything in base64url but the unprotected header."""

    protected: str
    signature: str
    header: Members


def read(data: bytes, content: FileContent | None, most: int) -> Document:
    """The signatures of a JWS; ``content`` is what a detached one is over.

    Raises ``DocumentUnusable``: ``damaged``, ``unknown_format``, ``too_many_signatures``,
    ``content_missing``, ``content_superfluous``.
    """
    payload, parts = _taken_apart(data)
    if len(parts) > most:
        raise unusable("too_many_signatures")
    if payload and content is not None:
        raise unusable("content_superfluous")
    if not payload and content is None:
        raise unusable("content_missing")
    warnings = ("content_inside",) if payload else ()
    found = [_signature(payload, each, content, f"{n}") for n, each in enumerate(parts, 1)]
    return Document("JWS", tuple(found), warnings)


def _taken_apart(data: bytes) -> tuple[str, list[_Part]]:
    match = _COMPACT.fullmatch(data)
    if match is not None:
        protected, payload, signature = (each.decode("ascii") for each in match.groups())
        return payload, [_Part(protected, signature, {})]
    try:
        members = strict_json.loads_object(data)
    except InvalidInput as error:
        raise unusable("damaged", error.cause) from error
    listed = members.get("signatures", [members] if "signature" in members else None)
    payload = members.get("payload", "")
    if not isinstance(listed, list) or not isinstance(payload, str):
        raise unusable("unknown_format")
    return payload, [_part(each) for each in listed]


def _part(value: JsonValue) -> _Part:
    if not isinstance(value, dict):
        raise unusable("damaged")
    protected, signature = value.get("protected"), value.get("signature")
    header = value.get("header", {})
    if not isinstance(protected, str) or not isinstance(signature, str):
        raise unusable("damaged")
    if not isinstance(header, dict):
        raise unusable("damaged")
    return _Part(protected, signature, header)


def _signature(payload: str, part: _Part, content: FileContent | None, name: str) -> Found:
    try:
        return _Reader(payload, part, content).found(name)
    except (*BROKEN, InvalidInput):
        return Found(name, "JAdES", problem=Problem("FORMAT_FAILURE", "malformed"))


class _Reader:
    def __init__(self, payload: str, part: _Part, content: FileContent | None) -> None:
        self._payload, self._part, self._content = payload, part, content
        self._header = strict_json.loads_object(_decoded(part.protected))
        self._certificates = [
            base64.b64decode(_text(each), validate=True) for each in _list(self._header, "x5c")
        ]
        self._is_plain = self._header.get("b64", True) is False

    def found(self, name: str) -> Found:
        """The facts."""
        method = _METHODS.get(str(self._header.get("alg")))
        certificate, is_bound = self._certificate()
        found = Found(
            name,
            "JAdES" if is_bound else "JWS",
            value=self._part.signature.encode("ascii"),
            certificate=certificate,
            bound=is_bound,
            claimed=self._claimed(),
            scopes=(Scope(""),),
        )
        if method is None or not self._is_understood():
            return replace(found, problem=Problem("GENERIC", "not_supported"))
        problem = self._referred()
        if certificate is not None and problem is None:
            value = _decoded(self._part.signature)
            problem = raw_signature.check(method, certificate, value, self._signed())
        return replace(
            found,
            problem=problem,
            digest=method.digest,
            scheme=method.scheme,
            material=self._material(),
            stamps=tuple(self._stamps()),
        )

    def _is_understood(self) -> bool:
        """RFC 7515 cl. 4.1.11; and nothing protected is said again where it is not (cl. 4)."""
        critical = self._header.get("crit", [])
        if not isinstance(critical, list) or self._part.header.keys() & self._header.keys():
            return False
        # RFC 7797 cl. 6: b64 must be among what must be understood.
        is_b64_told = "b64" not in self._header or "b64" in critical
        return is_b64_told and all(isinstance(e, str) and e in _UNDERSTOOD for e in critical)

    def _certificate(self) -> tuple[bytes | None, bool]:
        """The signer's certificate: the first of x5c; x5t#S256 and x5t#o bind it."""
        if not self._certificates:
            return None, False
        certificate = self._certificates[0]
        named = []
        if "x5t#S256" in self._header:
            named.append(("sha256", _text(self._header["x5t#S256"])))
        other = self._header.get("x5t#o")
        if isinstance(other, dict):
            algorithm = _DIGESTS.get(str(other.get("digAlg")), "")
            named.append((algorithm, _text(other.get("digVal", ""))))
        fits = [
            bool(algorithm) and hashlib.new(algorithm, certificate).digest() == _decoded(value)
            for algorithm, value in named
        ]
        if not all(fits):
            return None, False
        # x5c is in the protected header, so it is signed, with or without its digest beside it.
        return certificate, bool(named)

    def _claimed(self) -> datetime | None:
        """``iat``, or ``sigT`` of earlier versions."""
        seconds, text = self._header.get("iat"), self._header.get("sigT")
        try:
            if isinstance(seconds, int) and not isinstance(seconds, bool):
                return datetime.fromtimestamp(seconds, UTC)
            moment = datetime.fromisoformat(str(text)[:_LONGEST_TIME])
        except (ValueError, OverflowError, OSError):
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _referred(self) -> Problem | None:
        """Whether ``sigD`` by hash fits the file beside (cl. 5.2.8.3.3)."""
        reference = self._header.get("sigD")
        if reference is None:
            return None
        if not isinstance(reference, dict) or self._payload or self._content is None:
            return Problem("GENERIC", "reference_unsafe")
        if reference.get("mId") == _BY_URI and len(_list(reference, "pars")) == 1:
            return None
        algorithm = _DIGESTS.get(str(reference.get("hashM")))
        digests = _list(reference, "hashV")
        if reference.get("mId") != _BY_HASH or len(digests) != 1 or algorithm is None:
            return Problem("GENERIC", "not_supported")
        fits = self._digest(self._content, algorithm) == _decoded(_text(digests[0]))
        return None if fits else Problem("HASH_FAILURE", "content_changed")

    def _digest(self, content: FileContent, algorithm: str) -> bytes:
        """Of the file as it counts: encoded, unless ``b64`` is false."""
        if self._is_plain:
            return content.digest(algorithm)
        return Octets(_encoded(content.path.read_bytes())).digest(algorithm)

    def _signed(self) -> bytes:
        """The JWS Signing Input (RFC 7515 cl. 5.1, RFC 7797)."""
        return self._part.protected.encode("ascii") + b"." + self._counted()

    def _counted(self) -> bytes:
        """The payload as it is signed; what is referred to by its hash counts as empty."""
        reference = self._header.get("sigD")
        if isinstance(reference, dict) and reference.get("mId") == _BY_HASH:
            return b""
        if self._content is not None:
            data = self._content.path.read_bytes()
            return data if self._is_plain else _encoded(data)
        if not self._is_plain:
            _decoded(self._payload)  # what is no base64url would be read by each in another way
        return self._payload.encode("utf-8")

    def _elements(self) -> list[tuple[str, JsonValue, str | None]]:
        """Those of ``etsiU``: name, value, and how it is written if it is in base64url."""
        found = []
        for each in _list(self._part.header, "etsiU"):
            text = each if isinstance(each, str) else None
            value = each if text is None else strict_json.loads(_decoded(text))
            ((name, inner),) = cast("Members", value).items()
            found.append((name, inner, text))
        return found

    def _material(self) -> Material:
        found = Material(certificates=tuple(self._certificates))
        for name, value, _ in self._elements():
            found += _material(name, value)
        return found

    def _stamps(self) -> Iterator[Stamp]:
        """From the inside out, which is their order."""
        signature = self._part.signature.encode("ascii")
        covered = {sha256(signature), *map(sha256, self._certificates)}
        before: list[str | None] = []
        for name, value, text in self._elements():
            for token in _tokens(value) if name in {"sigTst", "arcTst"} else ():
                if name == "sigTst":
                    own = frozenset({sha256(signature)})
                    yield Stamp("signature", token, Octets(signature), own)
                else:
                    yield Stamp("archive", token, self._archived(before), frozenset(covered))
                covered |= inner_values(token)
            covered |= _material(name, value).digests()
            before.append(text)

    def _archived(self, before: list[str | None]) -> Octets | None:
        """What ``arcTst`` is over (cl. 5.3.6.3.1); None where it would need canonical JSON."""
        if None in before:
            return None
        content = self._payload.encode("ascii")
        if self._content is not None:
            content = self._content.path.read_bytes()
        own = ("", self._part.protected, self._part.signature, "")
        return Octets(content + ".".join(own).encode("ascii") + "".join(map(str, before)).encode())


def _material(name: str, value: JsonValue) -> Material:
    """``xVals``, ``rVals``, or both in ``tstVD``."""
    if name == "tstVD" and isinstance(value, dict):
        parts = [_material(each, value[each]) for each in ("xVals", "rVals") if each in value]
        return sum(parts, Material())
    if name == "xVals" and isinstance(value, list):
        inner = [cast("Members", each).get("x509Cert") for each in value]
        return Material(certificates=tuple(_pki_object(each) for each in inner if each))
    if name == "rVals" and isinstance(value, dict):
        return Material(
            ocsp=tuple(map(_pki_object, _list(value, "ocspVals"))),
            crls=tuple(map(_pki_object, _list(value, "crlVals"))),
        )
    return Material()


def _tokens(value: JsonValue) -> list[bytes]:
    tokens = _list(cast("Members", value), "tstTokens")
    if len(tokens) > _MOST_STAMPS:
        raise ValueError("so many time stamps")
    return [_pki_object(each) for each in tokens]


def _pki_object(value: JsonValue) -> bytes:
    """``pkiOb`` (cl. 5.4.2)."""
    return base64.b64decode(_text(cast("Members", value)["val"]), validate=True)


def _list(members: Members, name: str) -> list[JsonValue]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise TypeError(f"{name} is no array")
    return value


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _decoded(text: str) -> bytes:
    """Base64url without padding, and in the one way only that encodes its bytes."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("no base64url")
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(value).decode("ascii") != text:
        raise ValueError("base64url with bits left over")
    return value


def _encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
