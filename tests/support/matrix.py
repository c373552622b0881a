"""The matrix of signed documents: format, level, envelope, algorithm, and who judges a format.

A further format is one more entry in :data:`FORMATS`; it brings its judge.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asn1crypto import cms
from pyhanko.sign.ades.report import AdESPassed

from remote_signing.rssp.documents.model import ENVELOPES, LEVELS
from tests.support import cades
from tests.support import xades as xml
from tests.support.documents import DECISION, TEXT
from tests.support.jades import JadesJudge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from remote_signing.rssp.documents.model import Format, Level
    from tests.support.documents import DocumentPortal

    Judge = Callable[["DocumentPortal", "Cell", bytes, Path], None]

_SHA2 = {bits: f"2.16.840.1.101.3.4.2.{last}" for bits, last in ((256, 1), (384, 2), (512, 3))}
ALGORITHMS: dict[str, tuple[str, dict[str, str]]] = {
    **{
        f"RS{bits}": ("rsa2048", {"signAlgo": f"1.2.840.113549.1.1.{last}"})
        for bits, last in ((256, 11), (384, 12), (512, 13))
    },
    **{
        f"PS{bits}": ("rsa3072", {"signAlgo": "1.2.840.113549.1.1.10", "hashAlgorithmOID": oid})
        for bits, oid in _SHA2.items()
    },
    **{
        f"ES{bits}": (kind, {"signAlgo": f"1.2.840.10045.4.3.{last}"})
        for bits, kind, last in ((256, "p256", 2), (384, "p384", 3), (512, "p521", 4))
    },
}
"""Name → kind of key, and the members of ``signDoc`` that ask for it."""
BY_DIGEST = "by digest"
"""In the place of an envelope: only the document's digest is sent."""


@dataclass(frozen=True)
class Judged:
    """Who judges a format, and what it is judged by; ``judge`` raises when somebody says no.

    ``apart`` is asked for too where the signature stands alone.
    """

    judges: str
    judge: Judge
    content: bytes = TEXT
    apart: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One signature of the matrix."""

    format: Format
    level: Level
    envelope: str
    algorithm: str

    @property
    def is_apart(self) -> bool:
        """Whether the answer has it in ``SignatureObject``."""
        return self.envelope in {"Detached", BY_DIGEST}

    def entry(self, signed: bytes) -> dict[str, Any]:
        """What ``signDoc`` is asked for; ``signed`` is what a Parallel signature is beside."""
        kind = FORMATS[self.format]
        content = signed if self.envelope == "Parallel" else kind.content
        asked = {
            "signature_format": self.format,
            "conformance_level": f"Ades-{self.level}",
            **ALGORITHMS[self.algorithm][1],
        }
        if self.is_apart:
            asked |= kind.apart
        if self.envelope == BY_DIGEST:
            digest = hashlib.new(f"sha{self.algorithm[2:]}", content).digest()
            return asked | {"hashes": [base64.b64encode(digest).decode()]}
        text = base64.b64encode(content).decode()
        return asked | {"document": text, "signed_envelope_property": self.envelope}


def cells(algorithms: Sequence[str]) -> Iterator[Cell]:
    """Every cell of these algorithms. B-LTA is over the document, so no digest has it."""
    for kind, level, algorithm in itertools.product(FORMATS, LEVELS, algorithms):
        for envelope in (*ENVELOPES[kind], BY_DIGEST):
            if not (envelope == BY_DIGEST and level == "B-LTA"):
                yield Cell(kind, level, envelope, algorithm)


def few() -> list[Cell]:
    """Each format, level and envelope once; the algorithms take turns within a format."""
    names = list(ALGORITHMS)
    turns = {kind: itertools.cycle(names[start:] + names[:start]) for start, kind in _starts()}
    return [
        Cell(each.format, each.level, each.envelope, next(turns[each.format]))
        for each in cells(["any"])
    ]


def _starts() -> Iterator[tuple[int, Format]]:
    """So that the same level of two formats is not made by the same algorithms."""
    return ((number * 2 % len(ALGORITHMS), kind) for number, kind in enumerate(FORMATS))


def _cades(portal: DocumentPortal, cell: Cell, signed: bytes, folder: Path) -> None:
    former = ["B-LTA"] if cell.envelope == "Parallel" else []
    cades.accepted(portal, signed, [*former, cell.level], TEXT, folder)


def _pades(portal: DocumentPortal, cell: Cell, signed: bytes, _folder: Path) -> None:
    if cell.envelope != BY_DIGEST:
        assert signed.startswith(DECISION.read_bytes())
        assert portal.judge.pades(signed, cell.level) == AdESPassed.OK
        return
    # The client puts the status into the PDF, so what is judged here has B-T at most.
    digest = hashlib.new(f"sha{cell.algorithm[2:]}", DECISION.read_bytes()).digest()
    level = "B-B" if cell.level == "B-B" else "B-T"
    data = cms.ContentInfo.load(signed)["content"]
    assert portal.judge.cms(data, level, digest) == AdESPassed.OK


def _jades(portal: DocumentPortal, cell: Cell, signed: bytes, _folder: Path) -> None:
    judge = JadesJudge(portal.app.state.status.root_certificate())
    found = judge.accepts(signed, cell.level, TEXT)
    assert found.header["alg"] == cell.algorithm
    assert found.payload == (b"" if cell.is_apart else TEXT)
    if cell.envelope == "Parallel":
        judge.accepts(signed, "B-LTA", TEXT, 0)


def _xades(portal: DocumentPortal, cell: Cell, signed: bytes, _folder: Path) -> None:
    digest = f"sha{cell.algorithm[2:]}"
    xml.accepted(portal.app.state.status.root_certificate(), signed, cell.level, digest)
    if cell.envelope == "Enveloped":
        assert signed.startswith(xml.CONTENT.removesuffix(b"</VanBan>"))


FORMATS: dict[Format, Judged] = {
    "C": Judged("pyHanko and OpenSSL", _cades),
    "P": Judged("pyHanko", _pades, DECISION.read_bytes()),
    "X": Judged(
        "xmlsec, signxml and the schemas of ETSI", _xades, xml.CONTENT, {"referenceUri": xml.NAME}
    ),
    "J": Judged("joserfc, jwcrypto and rfc3161-client", _jades),
}
