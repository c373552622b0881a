"""JSON with documents in it, written from files and read into files, a piece at a time."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from remote_signing.client.errors import AnswerUnusable
from remote_signing.client.exchange import Body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PIECE = 384 * 1024  # bytes of a document at a time; a multiple of three, for base64
_MOST_KEPT = 16 * 1024 * 1024  # bytes of an answer beside the documents
_KINDS = {b"DocumentWithSignature": "document", b"SignatureObject": "signature"}
# The answer so far ends in a new string of one of the two arrays.
_BEGINS = re.compile(rb'"(DocumentWithSignature|SignatureObject)"\s*:\s*\[[^\[\]]*"\Z')
_STRING_ENDS = re.compile(rb'["\\]')
_LOOK_BACK = 4096


@dataclass(frozen=True, slots=True)
class _File:
    """A document in base64, read anew at each try."""

    path: Path
    size: int

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield base64.b64encode(piece)

    @property
    def length(self) -> int:
        return (self.size + 2) // 3 * 4


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Texts and documents, one after the other."""

    parts: tuple[bytes | _File, ...]

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(
            (part,) if isinstance(part, bytes) else part for part in self.parts
        )


def order_body(
    members: Mapping[str, object], entries: Sequence[tuple[Mapping[str, object], Path]]
) -> Body:
    """``members`` and ``documents``: each entry's own members and the file of its document."""
    parts: list[bytes | _File] = [_opened(members), b',"documents":[']
    for number, (entry, path) in enumerate(entries):
        parts += [b"," if number else b"", _opened(entry), b',"document":"']
        parts += [_File(path, path.stat().st_size), b'"}']
    parts.append(b"]}")
    length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    return Body(_Pieces(tuple(parts)), length)


def _opened(members: Mapping[str, object]) -> bytes:
    """The object without its end."""
    return json.dumps(members, ensure_ascii=False).encode("utf-8")[:-1]


class Answer:
    """The answer of ``signDoc``: documents go to files in ``folder``, the rest is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = bytearray()
        self._in_string = self._escape = False
        self._spill: _Spill | None = None
        self._found: dict[str, list[Path]] = {kind: [] for kind in _KINDS.values()}

    def begin(self) -> None:
        """Forget what an earlier try left, files too."""
        if self._spill is not None:
            self._spill.close()
        for paths in self._found.values():
            for path in paths:
                path.unlink(missing_ok=True)
            paths.clear()
        self._kept.clear()
        self._in_string = self._escape = False
        self._spill = None

    def feed(self, piece: bytes) -> None:
        """Read on; it tells strings from what is between them and knows no more of JSON."""
        place = 0
        while place < len(piece):
            place = self._in(piece, place) if self._in_string else self._between(piece, place)
        if len(self._kept) > _MOST_KEPT:
            raise AnswerUnusable("signatures/signDoc: the answer is too long")

    def close(self) -> tuple[tuple[Path, ...], tuple[Path, ...], dict[str, Any] | None]:
        """Documents, signatures, ``validationInfo``; ``AnswerUnusable`` when it is no answer."""
        try:
            members = json.loads(self._kept)
        except ValueError:
            members = None
        if self._in_string or not isinstance(members, dict):
            raise AnswerUnusable("signatures/signDoc: no JSON object")
        info = members.get("validationInfo")
        found = self._found
        return (
            tuple(found["document"]),
            tuple(found["signature"]),
            info if isinstance(info, dict) else None,
        )

    def _between(self, piece: bytes, place: int) -> int:
        quote = piece.find(b'"', place)
        end = len(piece) if quote < 0 else quote + 1
        self._kept += piece[place:end]
        if quote >= 0:
            self._in_string = True
            match = _BEGINS.search(self._kept[-_LOOK_BACK:])
            if match is not None:
                kind = _KINDS[match[1]]
                paths = self._found[kind]
                paths.append(self._folder / f"{kind}-{len(paths) + 1}")
                self._spill = _Spill(paths[-1])
        return end

    def _in(self, piece: bytes, place: int) -> int:
        if self._escape:
            self._escape = False
            self._take(b"\\" + piece[place : place + 1])
            return place + 1
        found = _STRING_ENDS.search(piece, place)
        end = len(piece) if found is None else found.start()
        self._take(piece[place:end])
        if found is None:
            return end
        if found[0] == b"\\":
            self._escape = True
        else:
            self._end()
        return end + 1

    def _take(self, text: bytes) -> None:
        if self._spill is None:
            self._kept += text
        else:
            self._spill.write(text)

    def _end(self) -> None:
        if self._spill is not None:
            self._spill.end()
            self._spill = None
        self._kept += b'"'
        self._in_string = False


class _Spill:
    """Base64 on its way into a file."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = path.open("wb")
        self._rest = b""

    def write(self, text: bytes) -> None:
        """More of it; a slash may come as JSON allows it, with a backslash."""
        text = self._rest + text.replace(b"\\/", b"/")
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        self._decode(text[:whole])

    def end(self) -> None:
        """The document is whole."""
        self._decode(self._rest)
        self.close()

    def close(self) -> None:
        """Write no more, whole or not."""
        self._stream.close()

    def _decode(self, text: bytes) -> None:
        try:
            self._stream.write(base64.b64decode(text, validate=True))
        except ValueError:
            raise AnswerUnusable("signatures/signDoc: a document that is no base64") from None
