"""What ``signatures/signDoc`` takes (CSC API v2.2 cl. 11.14), read into values of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from remote_signing.algorithms import digest_by_oid, implied_digest, known_sign_algorithm
from remote_signing.errors import AlgorithmUnsupported
from remote_signing.rssp.csc.errors import CscError, invalid, missing
from remote_signing.rssp.csc.v2 import appearance_order, container_order
from remote_signing.rssp.csc.v2.schemas import read_credential_id, read_later
from remote_signing.rssp.documents.formats import CONTAINERS, FORMATS
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.csc.v2.schemas import Later
    from remote_signing.rssp.documents.appearance import Appearance
    from remote_signing.rssp.documents.intake import Body
    from remote_signing.rssp.documents.model import Format, Level
    from remote_signing.strict_json import JsonValue

DIGESTS = ("sha256", "sha384", "sha512")
"""What signed documents are made with: what every validator knows."""
_MOST = 100  # entries, and hashes in all
_URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){1,500}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """``signAlgo`` with its companions; the same for all entries of a call."""

    sign_algo: str
    params: bytes | None
    hash_oid: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One signature: of the document in ``path``, or of the digest ``sdr`` where that is None.

    With ``names`` it is of all documents of a container, and ``path`` is their folder.
    """

    format: Format
    level: Level
    envelope: str
    path: Path | None = None
    sdr: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    reference_uri: str | None = None
    names: tuple[str, ...] = ()
    appearance: Appearance | None = None


@dataclass(frozen=True, slots=True)
class DocumentOrder:
    """``signDoc``. ``claimed_ms`` is None where the time of the call is to be claimed.

    ``later`` is for asynchronous mode, and ``body`` what it was read from, to be read again then.
    """

    credential_id: str | None
    qualifier: str | None
    sad: str | None = field(repr=False)
    algorithm: Algorithm
    entries: tuple[Entry, ...]
    wants_info: bool
    claimed_ms: int | None
    later: Later | None
    body: Body = field(repr=False)


def read(parameters: Parameters, body: Body, folder: Path) -> DocumentOrder:
    """The order in ``body``, whose ``parameters`` these are; small documents go to ``folder``."""
    qualifier = parameters.optional_text("signatureQualifier")
    has_id = parameters.value("credentialID") is not None or qualifier is None
    credential_id = read_credential_id(parameters) if has_id else None
    sad = parameters.optional_text("SAD")
    documents = _objects(parameters, "documents", "array")
    digests = _objects(parameters, "documentDigests", "object")
    if documents and digests:
        raise CscError("Both documentDigests and documents parameters passed")
    if not documents and not digests:
        raise CscError("Empty documentDigests and documents objects")
    reader = _Reader(body, folder)
    contained = container_order.wanted(parameters, documents)
    found = [reader.document(each, contained=contained) for each in documents]
    found += [pair for each in digests for pair in reader.digests(each)]
    algorithms = {algorithm for algorithm, _ in found}
    if len(algorithms) > 1:
        raise invalid("signAlgo")
    if len(found) > _MOST:
        raise CscError("Numbers of signatures is too high")
    entries = tuple(entry for _, entry in found)
    if contained:
        names = container_order.names(documents)
        entries = (container_order.together(entries, names, folder / "container"),)
    order = DocumentOrder(
        credential_id=credential_id,
        qualifier=qualifier,
        sad=sad,
        algorithm=algorithms.pop(),
        entries=entries,
        wants_info=parameters.flag("returnValidationInfo"),
        claimed_ms=_claimed(parameters),
        later=read_later(parameters),
        body=body,
    )
    parameters.client_data()
    return order


def _objects(parameters: Parameters, name: str, kind: str) -> list[Parameters]:
    values = parameters.value(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise CscError(f"Invalid {kind} parameter {name}")
    return [parameters.within(each) for each in cast("list[dict[str, JsonValue]]", values)]


class _Reader:
    """Reads entries; documents that were short enough to stay in the body become files here."""

    def __init__(self, body: Body, folder: Path) -> None:
        self._body = body
        self._folder = folder
        self._count = 0

    def document(self, members: Parameters, *, contained: bool) -> tuple[Algorithm, Entry]:
        path = self._file(members)
        kind, level, algorithm = _kind(members), _level(members), _algorithm(members)
        if contained and kind not in CONTAINERS:
            raise invalid("container")
        envelope = _envelope(members, ("Detached",) if contained else ENVELOPES[kind])
        texts = _texts(members, kind, has_document=True)
        if contained and "DataObjectFormat" in texts:  # each of the documents has its own
            raise _bad_props(["DataObjectFormat"])
        appearance = appearance_order.read(members)
        if appearance is not None and kind != "P":
            raise invalid("appearance")
        uri = None if contained else _reference_uri(members, kind, envelope)
        entry = Entry(
            *(kind, level, envelope, path),
            texts=texts,
            reference_uri=uri,
            appearance=appearance,
        )
        return algorithm, entry

    @staticmethod
    def digests(members: Parameters) -> list[tuple[Algorithm, Entry]]:
        values = _hashes(members)
        kind, level, algorithm = _kind(members), _level(members), _algorithm(members)
        # The document is not here: a signature that has it inside cannot be made, and what is over
        # the whole of it (B-LTA) is made by who has it.
        envelope = _envelope(members, ENVELOPES[kind] if kind == "P" else ("Detached",))
        if level == "B-LTA":
            raise invalid("conformance_level")
        texts = _texts(members, kind, has_document=False)
        length = digest_by_oid(cast("str", algorithm.hash_oid)).length
        if any(len(value) != length for value in values):
            raise CscError("Invalid digest value length")
        uri = _reference_uri(members, kind, envelope)
        if uri is not None and len(values) > 1:
            raise invalid("referenceUri")
        return [
            (algorithm, Entry(kind, level, envelope, sdr=value, texts=texts, reference_uri=uri))
            for value in values
        ]

    def _file(self, members: Parameters) -> Path:
        value = members.value("document")
        if value is None or value == "" or not isinstance(value, str):
            raise CscError("Invalid array parameter documents")
        if value in self._body.files:
            path = self._body.files[value]
        else:
            path = self._written(members.decoded(value))
        if path is None:
            raise CscError("Invalid Base64 documents string parameter")
        return path

    def _written(self, content: bytes | None) -> Path | None:
        if content is None:
            return None
        self._count += 1
        path = self._folder / f"short-{self._count}"
        path.write_bytes(content)
        return path


def _hashes(members: Parameters) -> list[bytes]:
    values = members.value("hashes")
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list) or not values:
        raise CscError("Invalid object parameter documentDigests")
    found = [members.decoded(each) if isinstance(each, str) else None for each in values]
    if None in found:
        raise CscError("Invalid Base64 hashes string parameter")
    return [each for each in found if each is not None]


def _kind(members: Parameters) -> Format:
    value = members.text("signature_format")
    if value not in ENVELOPES:
        raise invalid("signature_format")
    return value


def _level(members: Parameters) -> Level:
    """Upper or lower case: the standard itself writes both (docs/csc-divergences.md)."""
    value = members.value("conformance_level")
    known: dict[Any, Level] = {f"ades-{level}".lower(): level for level in LEVELS}
    found = known.get("ades-b-b" if value is None else str(value).lower())
    if found is None:
        raise invalid("conformance_level")
    return found


def _envelope(members: Parameters, allowed: tuple[str, ...]) -> str:
    return members.choice("signed_envelope_property", allowed)


def _reference_uri(members: Parameters, kind: Format, envelope: str) -> str | None:
    """How XAdES and JAdES that are detached name it (``referenceUri`` of CSC 2.2's data model)."""
    uri = members.optional_text("referenceUri")
    takes = kind in {"X", "J"} and envelope == "Detached"
    if uri is not None and not (takes and _URI.fullmatch(uri)):
        raise invalid("referenceUri")
    return uri


def _algorithm(members: Parameters) -> Algorithm:
    sign_algo = members.text("signAlgo")
    if not known_sign_algorithm(sign_algo):
        raise invalid("signAlgo")
    named, implied = members.optional_text("hashAlgorithmOID"), implied_digest(sign_algo)
    if implied is not None and named not in {None, implied.oid}:
        raise CscError("String parameter hashAlgorithmOID contradicts with signAlgo parameter")
    if implied is None and named is None:
        raise missing("string", "hashAlgorithmOID")
    try:
        digest = implied or digest_by_oid(cast("str", named))
    except AlgorithmUnsupported:
        raise invalid("hashAlgorithmOID") from None
    if digest.name not in DIGESTS:
        raise invalid("signAlgo" if implied is not None else "hashAlgorithmOID")
    return Algorithm(sign_algo, members.binary("signAlgoParams"), digest.oid)


def _texts(members: Parameters, kind: Format, *, has_document: bool) -> dict[str, str]:
    """``signed_props``, as the format takes them."""
    texts: dict[str, str] = {}
    bad = []
    for name, value in _props(members):
        content = members.decoded(value) if isinstance(value, str) else None
        text = FORMATS[kind].property_text(name, content, has_document=has_document)
        if text is None or name in texts:
            bad.append(name)
        else:
            texts[name] = text
    if bad:
        raise _bad_props(bad)
    return texts


def _bad_props(names: list[str]) -> CscError:
    listed = ", ".join(name[:80] for name in names[:10])
    return CscError(f"Invalid parameter signed_props ({listed})")


def _props(members: Parameters) -> list[tuple[str, JsonValue]]:
    values = members.array("signed_props") or []
    found = []
    for each in values:
        name = each.get("attribute_name") if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(name, str):
            raise invalid("signed_props")
        found.append((name, each.get("attribute_value")))
    return found


def _claimed(parameters: Parameters) -> int | None:
    """``claimedTime``, our own member: the time that ``prepareDoc`` counted on."""
    value = parameters.optional_text("claimedTime")
    if value is None:
        return None
    try:
        if _TIME.fullmatch(value) is None:
            raise invalid("claimedTime")
        moment = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise invalid("claimedTime") from None
    return int(moment.timestamp()) * 1000
