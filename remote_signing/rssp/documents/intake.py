"""A JSON body with documents in it, read as it streams in: long documents go to files, decoded.

What is left of the body is small and read as strictly as any other (:mod:`.edge.body`). A string
that went to a file is a marker there, with a random part that no client can know.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from remote_signing import strict_json
from remote_signing.errors import InvalidInput
from remote_signing.rssp.edge.body import MAX_BODY, BodyTooLarge, check_media_type

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from remote_signing.strict_json import JsonValue

LONGEST_TEXT: Final = 16 * 1024
"""Characters of a document that stays in memory."""
_STRING_ENDS = re.compile(rb'["\\]')
_DOCUMENT = re.compile(rb'"document"\s{0,8}:\s{0,8}"\Z')


@dataclass(frozen=True, slots=True)
class Body:
    """The members of the object; ``files`` by marker, None for what was no base64."""

    members: dict[str, JsonValue]
    files: dict[str, Path | None] = field(default_factory=dict)


async def read(request: Request, folder: Path, limit: int, *, strict: bool = False) -> Body:
    """The body of ``request``, at most ``limit`` bytes, its long documents in files of ``folder``.

    ``strict``: of base64 the standard's alone, the first alphabet, padded.

    Errors: as :func:`remote_signing.rssp.edge.body.read_object`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise BodyTooLarge(f"Content-Length {declared[:20]}")
    check_media_type(request.headers.get("content-type", ""))
    reader = Reader(folder, strict=strict)
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit:
            raise BodyTooLarge(f"more than {limit} bytes")
        reader.feed(chunk)
    return reader.close()


class Reader:
    """Tells strings from what is between them; knows no more of JSON than that."""

    def __init__(self, folder: Path, *, strict: bool = False) -> None:
        self._folder = folder
        self._strict = strict
        self._marker = secrets.token_hex(16)
        self._kept = bytearray()
        self._start: int | None = None  # where the string that is being read begins in _kept
        self._is_document = False
        self._escape = False
        self._spill: _Spill | None = None
        self._files: dict[str, Path | None] = {}

    def feed(self, chunk: bytes) -> None:
        """Read on. ``BodyTooLarge`` when too much of it is no long string."""
        place = 0
        while place < len(chunk):
            place = self._between(chunk, place) if self._start is None else self._in(chunk, place)
        if len(self._kept) > MAX_BODY:
            raise BodyTooLarge(f"more than {MAX_BODY} bytes beside the documents")

    def close(self) -> Body:
        """What was read. ``InvalidInput`` when it is no JSON object."""
        if self._spill is not None:
            self._spill.close()
            raise InvalidInput("the body ends inside a string")
        return Body(strict_json.loads_object(bytes(self._kept)), self._files)

    def _between(self, chunk: bytes, place: int) -> int:
        quote = chunk.find(b'"', place)
        end = len(chunk) if quote < 0 else quote + 1
        self._kept += chunk[place:end]
        if quote >= 0:
            self._start = len(self._kept)
            self._is_document = _DOCUMENT.search(self._kept[-40:]) is not None
        return end

    def _in(self, chunk: bytes, place: int) -> int:
        if self._escape:
            self._escape = False
            self._take(b"\\" + chunk[place : place + 1])
            return place + 1
        found = _STRING_ENDS.search(chunk, place)
        end = len(chunk) if found is None else found.start()
        self._take(chunk[place:end])
        if found is not None and found[0] == b'"':
            self._end()
        self._escape = found is not None and found[0] == b"\\"
        return end if found is None else end + 1

    def _take(self, text: bytes) -> None:
        if self._spill is not None:
            self._spill.write(text)
            return
        self._kept += text
        assert self._start is not None  # noqa: S101 - a string is being read
        if self._is_document and len(self._kept) - self._start > LONGEST_TEXT:
            path = self._folder / f"document-{len(self._files)}"
            self._spill = _Spill(path, strict=self._strict)
            self._spill.write(bytes(self._kept[self._start :]))
            del self._kept[self._start :]

    def _end(self) -> None:
        if self._spill is not None:
            name = f"{self._marker}:{len(self._files)}"
            self._files[name] = self._spill.close()
            self._kept += name.encode("ascii")
            self._spill = None
        self._kept += b'"'
        self._start = None


class _Spill:
    """Base64 on its way into a file; in either alphabet and padded or not, unless ``strict``."""

    def __init__(self, path: Path, *, strict: bool) -> None:
        self._path = path
        self._strict = strict
        self._stream: BinaryIO = path.open("xb")
        self._rest = b""
        self._good = True

    def write(self, text: bytes) -> None:
        """More of the text; some clients write a slash as JSON allows it, with a backslash."""
        if not self._good:
            return
        text = self._rest + text.replace(b"\\/", b"/")
        if not self._strict:
            text = text.translate(_FROM_URL)
        whole = len(text) - len(text) % 4
        # Four characters are kept back: padding is allowed at the very end alone.
        whole = max(0, whole - 4)
        self._rest = text[whole:]
        self._decode(text[:whole], ended=False)

    def close(self) -> Path | None:
        """The file; None when the text was no base64."""
        if not self._strict:
            bare = self._rest.rstrip(b"=")
            self._rest = bare + b"=" * (-len(bare) % 4)
        self._decode(self._rest, ended=True)
        self._stream.close()
        return self._path if self._good else None

    def _decode(self, text: bytes, *, ended: bool) -> None:
        try:
            self._good &= ended or b"=" not in text
            self._stream.write(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            self._good = False


_FROM_URL = bytes.maketrans(b"-_", b"+/")
