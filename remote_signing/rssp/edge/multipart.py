"""Files in a form (``multipart/form-data``, RFC 7578), written to disk as they come in.

What browsers and curl send, and no more: every part has a name that was asked for and comes once,
there is nothing before the first boundary and after the last, no encoding but the bytes
themselves, and a bound on everything.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, BinaryIO, Final

from remote_signing.errors import InvalidInput
from remote_signing.rssp.edge.body import BodyTooLarge, FormExpected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from starlette.requests import Request

SECONDS: Final = 300
"""In which a body must have come in: 100 MB at 3 Mbit/s."""
_LONGEST_HEAD = 4096  # bytes of a part's header
_BOUNDARY: Final = re.compile(
    r"""multipart/form-data\s*;\s*boundary=(?:"([^"\r\n]{1,70})"|([!#-'*+.0-9A-Z^-z|~-]{1,70}))\s*""",
    re.IGNORECASE,
)
_NAME: Final = re.compile(rb'form-data;\s*name="([a-z_]{1,40})"\s*(?:;.*)?', re.IGNORECASE)


async def read(
    request: Request, folder: Path, names: Collection[str], limit: int
) -> dict[str, Path]:
    """The parts of the body by name, as files in ``folder``; at most ``limit`` bytes in all.

    Errors: ``FormExpected``, ``BodyTooLarge``, ``InvalidInput`` (parameter ``body``).
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise BodyTooLarge(f"Content-Length {declared[:20]}")
    match = _BOUNDARY.fullmatch(request.headers.get("content-type", ""))
    if match is None:
        raise FormExpected("not multipart/form-data with a boundary")
    reader = Reader((match[1] or match[2]).encode("latin-1"), folder, names)
    length = 0
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                length += len(chunk)
                if length > limit:
                    raise BodyTooLarge(f"more than {limit} bytes")
                await asyncio.to_thread(reader.feed, chunk)
        return reader.close()
    except TimeoutError:
        raise _malformed("it did not arrive in time") from None
    finally:
        reader.end()


class Reader:
    """Fed in pieces of any size. Errors: ``InvalidInput``."""

    def __init__(self, boundary: bytes, folder: Path, names: Collection[str]) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._folder = folder
        self._names = set(names)
        self._rest = b"\r\n"  # so that the first boundary is found like all others
        self._read: Callable[[], bool] = self._before
        self._stream: BinaryIO | None = None
        self._found: dict[str, Path] = {}

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        self._rest += chunk
        while self._read():
            pass

    def close(self) -> dict[str, Path]:
        """The files, when all of the body is there."""
        if self._read != self._after:
            raise _malformed("it ends too early")
        return self._found

    def end(self) -> None:
        """Close what is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    # Each of these reads what it can of the rest; whether there may be more for the next.

    def _before(self) -> bool:
        """Nothing is allowed in front of the first boundary."""
        if len(self._rest) < len(self._delimiter):
            return False
        if not self._rest.startswith(self._delimiter):
            raise _malformed("it does not begin with the boundary")
        self._rest = self._rest[len(self._delimiter) :]
        self._read = self._boundary
        return True

    def _boundary(self) -> bool:
        """After a boundary: a line end, or two hyphens and the end."""
        if len(self._rest) < len(b"--"):
            return False
        ending, self._rest = self._rest[:2], self._rest[2:]
        if ending == b"--":
            self._read = self._after
        elif ending == b"\r\n":
            self._read = self._head
        else:
            raise _malformed("a boundary goes on")
        return True

    def _head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise _malformed("the header of a part is too long")
            return False
        self._open(self._rest[:end])
        self._rest = self._rest[end + 4 :]
        self._read = self._content
        return True

    def _content(self) -> bool:
        end = self._rest.find(self._delimiter)
        # What could be the beginning of a boundary is kept until more is there.
        certain = end if end >= 0 else max(0, len(self._rest) - len(self._delimiter) + 1)
        assert self._stream is not None  # noqa: S101 - a part is open
        self._stream.write(self._rest[:certain])
        self._rest = self._rest[certain:]
        if end < 0:
            return False
        self.end()
        self._rest = self._rest[len(self._delimiter) :]
        self._read = self._boundary
        return True

    def _after(self) -> bool:
        """A line end may follow; some senders write one."""
        if self._rest not in {b"", b"\r", b"\r\n"}:
            raise _malformed("it goes on after its end")
        return False

    def _open(self, head: bytes) -> None:
        fields = [line.partition(b":") for line in head.split(b"\r\n")]
        kinds = [value.strip() for field, _, value in fields if _is(field, b"content-disposition")]
        if any(_is(field, b"content-transfer-encoding") for field, _, _ in fields):
            raise _malformed("a part is encoded")
        match = _NAME.fullmatch(kinds[0]) if len(kinds) == 1 else None
        name = "" if match is None else match[1].decode("ascii")
        if name not in self._names or name in self._found:
            raise _malformed("a part is not expected, or comes twice")
        self._found[name] = self._folder / name
        self._stream = self._found[name].open("xb")


def _is(field: bytes, name: bytes) -> bool:
    return field.strip().lower() == name


def _malformed(cause: str) -> InvalidInput:
    return InvalidInput(f"the form: {cause}", parameter="body")
