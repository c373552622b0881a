"""HTTP/1.1 to the one server that this program asks, as a transport of httpx.

httpx's own transport is made for any server, proxy and event loop; for that it runs a parser
written in Python and some dozen layers for each request, which was half of this program's time.
Here uvicorn's parser reads the answer, and a connection is a socket and what has been read of it.
A request is sent once: what became of one whose answer is missing only the rssp can tell.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import httptools
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    Seconds = float | None
    Origin = tuple[str, str, int]

MOST_CONNECTIONS: Final = 100
LONGEST_HEAD: Final = 64 * 1024
_PIECE = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_FINAL = 200  # what is below is no answer yet


class DirectTransport(httpx.AsyncBaseTransport):
    """Connections to servers, kept for the next request. ``context`` is for https."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: dict[Origin, list[_Connection]] = {}
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to ``request``; its body is still to be read. Errors: httpx's."""
        limits: Mapping[str, Seconds] = request.extensions.get("timeout", {})
        url = request.url
        origin = (url.scheme, url.host, url.port or _PORTS[url.scheme])
        sent = _head(request) + await request.aread()
        try:
            async with asyncio.timeout(limits.get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection is in use", request=request) from None
        connection: _Connection | None = None
        try:
            connection = self._kept(origin) or await self._connected(origin, limits.get("connect"))
            await connection.ask(sent, limits.get("read"))
        except BaseException:
            if connection is not None:
                connection.close()
            self._give_back(origin, connection)
            raise
        body = _Body(connection, limits.get("read"), lambda: self._give_back(origin, connection))
        return httpx.Response(connection.status, headers=connection.headers, stream=body)

    async def aclose(self) -> None:
        """Close the connections that nobody uses."""
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()

    def _kept(self, origin: Origin) -> _Connection | None:
        """A connection that the server has not closed meanwhile."""
        kept = self._idle.get(origin, [])
        while kept:
            connection = kept.pop()
            if not connection.is_over:
                return connection
            connection.close()
        return None

    async def _connected(self, origin: Origin, seconds: Seconds) -> _Connection:
        scheme, host, port = origin
        context = self._context if scheme == "https" else None
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, limit=_PIECE
                )
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection to {host}") from None
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return _Connection(reader, writer)

    def _give_back(self, origin: Origin, connection: _Connection | None) -> None:
        self._places.release()
        if connection is None:
            return
        if connection.is_reusable:
            self._idle.setdefault(origin, []).append(connection)
        else:
            connection.close()


class _Connection:
    """One socket, and the answer that is being read from it. The parser calls ``on_…``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser: Any = None
        self._has_head = self._is_whole = self._is_kept = False
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.pieces: deque[bytes] = deque()

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be asked: the server closed it, or said what nobody asked."""
        return self._reader.at_eof() or self._writer.is_closing() or self._has_unasked()

    @property
    def is_reusable(self) -> bool:
        """Whether its answer has been read to the end and another may follow."""
        return self._is_whole and self._is_kept and not self.is_over

    @property
    def is_whole(self) -> bool:
        """Whether the answer has arrived to its end."""
        return self._is_whole

    async def ask(self, sent: bytes, seconds: Seconds) -> None:
        """Send a request; returns when the answer's head is there."""
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = self._is_whole = False
        self.headers, self.status = [], 0
        self.pieces.clear()
        self._writer.write(sent)
        taken = 0
        while not self._has_head:
            taken += await self.read(seconds)
            if taken > LONGEST_HEAD and not self._has_head:
                raise httpx.RemoteProtocolError("the head of the answer is too long")
        if self.status < _FINAL:
            raise httpx.RemoteProtocolError(f"status {self.status}")

    async def read(self, seconds: Seconds) -> int:
        """Read on; how many bytes came."""
        try:
            async with asyncio.timeout(seconds):
                data = await self._reader.read(_PIECE)
            if not data:
                raise httpx.RemoteProtocolError("closed before the answer's end")
            self._parser.feed_data(data)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        except OSError as error:
            raise httpx.ReadError(str(error)) from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return len(data)

    def close(self) -> None:
        """Close the socket."""
        self._writer.close()

    def on_message_begin(self) -> None:
        """An answer begins; a second one to the same request would be nobody's."""
        if self._has_head:
            raise httpx.RemoteProtocolError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.status = self._parser.get_status_code()
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer is there. The parser knows only now whether another may follow."""
        self._is_whole, self._is_kept = True, self._parser.should_keep_alive()

    def _has_unasked(self) -> bool:
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to look without reading
        return bool(buffer)


class _Body(httpx.AsyncByteStream):
    """What follows the head of an answer, piece by piece; the connection goes back at the end."""

    def __init__(self, connection: _Connection, seconds: Seconds, done: Any) -> None:  # noqa: ANN401 - a callable without arguments
        self._connection = connection
        self._seconds = seconds
        self._done = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._connection
        while True:
            while connection.pieces:
                yield connection.pieces.popleft()
            if connection.is_whole:
                return
            try:
                await connection.read(self._seconds)
            except BaseException:
                connection.close()
                raise

    async def aclose(self) -> None:
        """Give the connection back, once."""
        done, self._done = self._done, None
        if done is not None:
            done()


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if b"\r" in value or b"\n" in value or b"\0" in value:
            raise httpx.LocalProtocolError(f"header {name!r} has a line of its own")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
