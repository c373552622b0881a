"""The connections to the rssp, and a question that is asked over them.

A question whose answer is small goes to httpcore's pool directly. What httpx has around it reads
each address into parts, keeps headers in a mapping of its own, keeps cookies, which must not pass
from one official's question to another's, and follows redirects: none of it is wanted here, and it
is half of the time of a question.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

import httpcore
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from consent_app.config import RsspConfig

_SECONDS_TO_CONNECT = 3.0  # also to wait for a free connection
# All stay open, until shortly before the rssp or a proxy between would close them.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=15)

_UNREACHED = (
    *(httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout),
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
)
_UNANSWERED = (
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
    httpx.HTTPError,
)


class Unanswered(Exception):
    """Nobody knows what the rssp made of the question."""


class Unreached(Unanswered):
    """The rssp was not asked."""


class Said(NamedTuple):
    """An answer, read to its end: the status of HTTP and the body."""

    status: int
    content: bytes


class Wire:
    """Connection pools to the rssp of ``config``.

    ``transport`` takes their place, for tests that bring their own rssp.
    """

    def __init__(
        self, config: RsspConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        parts = urlsplit(config.url)
        self._scheme, self._host, self._port = parts.scheme, parts.hostname or "", parts.port
        self._base = parts.path
        timeout = httpx.Timeout(
            config.timeout, connect=_SECONDS_TO_CONNECT, pool=_SECONDS_TO_CONNECT
        )
        self._timeout = timeout.as_dict()
        context = ssl.create_default_context(cafile=config.ca)
        self._pool = (
            httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=_LIMITS.max_connections,
                max_keepalive_connections=_LIMITS.max_keepalive_connections,
                keepalive_expiry=_LIMITS.keepalive_expiry,
            )
            if transport is None
            else _Through(transport)
        )
        # For bodies that pass through here in pieces. A proxy named by the environment must not
        # see them, nor PINs; the pool asks no environment.
        self.client = httpx.AsyncClient(
            base_url=config.url,
            timeout=timeout,
            transport=transport
            or httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_LIMITS),
            trust_env=False,
        )

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: object | None = None
    ) -> Said:
        """What the rssp says. ``path`` begins with a slash; ``body`` becomes JSON.

        It is not asked for a compressed answer, so there is none. Errors: ``Unreached``,
        ``Unanswered``.
        """
        url = httpcore.URL(
            scheme=self._scheme, host=self._host, port=self._port, target=self._base + path
        )
        given: list[tuple[bytes | str, bytes | str]] = [*headers.items()]
        content = None if method == "GET" else b""
        if body is not None:
            given.append(("Content-Type", "application/json"))
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        try:
            answer = await self._pool.request(
                method,
                url,
                headers=given,
                content=content,
                extensions={"timeout": self._timeout},
            )
        except _UNREACHED as error:
            raise Unreached(repr(error)) from error
        except _UNANSWERED as error:
            raise Unanswered(repr(error)) from error
        return Said(answer.status, answer.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
        await self.client.aclose()


class _Through(httpcore.AsyncConnectionPool):
    """A transport of httpx where httpcore's pool would be."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__()
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The transport's answer. Errors: ``httpx.HTTPError``."""
        url, stream = request.url, cast("AsyncIterable[bytes]", request.stream)
        port = b"" if url.port is None else b":%d" % url.port
        asked = httpx.Request(
            request.method.decode("ascii"),
            b"".join((url.scheme, b"://", url.host, port, url.target)).decode("ascii"),
            headers=request.headers,
            content=b"".join([part async for part in stream]),
            extensions=request.extensions,
        )
        answer = await self._transport.handle_async_request(asked)
        return httpcore.Response(
            answer.status_code, headers=answer.headers.raw, content=answer.stream
        )
