"""The two clients, blocking and asyncio: they do what a flow yields, with httpx, and know no more.

Every method is a flow of :mod:`.oauth`, :mod:`.credentials`, :mod:`.signatures` or
:mod:`.documents`, which tells what it takes, gives and raises.
"""

from __future__ import annotations

import asyncio
import functools
import time
from contextlib import closing
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Self, TypeVar

import httpx

from remote_signing.client import credentials, documents, oauth, signatures
from remote_signing.client.caller import Caller
from remote_signing.client.errors import AnswerUnusable
from remote_signing.client.exchange import Incoming, Lost, Outgoing, Pause, Retry

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from remote_signing.client.caller import Service
    from remote_signing.client.exchange import Body, Flow
    from remote_signing.client.identity import Identity, SigningKey

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
"""Seconds for each step of one try: 5 to connect, 30 between two pieces of anything else."""
_MOST = 16 * 1024 * 1024  # bytes of an answer that goes to no file
# Nothing has left when one of these is raised.
_NOT_SENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
    *(httpx.ProxyError, httpx.UnsupportedProtocol),
)
_OK = 200


def _blocking(
    flow: Callable[Concatenate[Caller, P], Flow[T]],
) -> Callable[Concatenate[SigningClient, P], T]:
    """The method of :class:`SigningClient` that does ``flow``."""

    @functools.wraps(flow)
    def method(self: SigningClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(flow(self.caller, *args, **kwargs))

    return method


def _awaited(
    flow: Callable[Concatenate[Caller, P], Flow[T]],
) -> Callable[Concatenate[AsyncSigningClient, P], Awaitable[T]]:
    """The method of :class:`AsyncSigningClient` that does ``flow``."""

    @functools.wraps(flow)
    async def method(self: AsyncSigningClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(flow(self.caller, *args, **kwargs))

    return method


class SigningClient:
    """Blocking. Threads may share one.

    ``verify`` is a TLS context: with the certificate for mutual TLS, or with roots of your own.
    """

    def __init__(  # noqa: PLR0913 - each is something that an installation sets
        self,
        service: Service,
        identity: Identity | None = None,
        *,
        proof_key: SigningKey | None = None,
        retry: Retry = Retry(),  # noqa: B008 - a frozen value
        timeout: httpx.Timeout = TIMEOUT,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.caller = Caller(service, identity, proof_key, retry)
        self._http = httpx.Client(timeout=timeout, verify=verify, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Do what ``flow`` yields; its result."""
        event: Incoming | Lost | None = None
        with closing(flow):
            while True:
                try:
                    step = flow.send(event)
                except StopIteration as done:
                    result: T = done.value
                    return result
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    event = None
                else:
                    event = self._send(step)

    def _send(self, outgoing: Outgoing) -> Incoming | Lost:
        try:
            request = self._http.build_request(
                "POST", outgoing.url, headers=_headers(outgoing), content=outgoing.body.pieces
            )
            answer = self._http.send(request, stream=True)
            try:
                taker = _Taker(outgoing, answer)
                for piece in answer.iter_bytes():
                    taker.take(piece)
                return taker.incoming()
            finally:
                answer.close()
        except httpx.TransportError as error:
            return _lost(error)

    info = _blocking(credentials.info)
    service_token = _blocking(oauth.service_token)
    ask_consent = _blocking(oauth.ask_consent)
    ask_access = _blocking(oauth.ask_access)
    redeem = _blocking(oauth.redeem)
    refresh = _blocking(oauth.refresh)
    revoke = _blocking(oauth.revoke)
    list_credentials = _blocking(credentials.list_credentials)
    credential_info = _blocking(credentials.credential_info)
    authorize = _blocking(credentials.authorize)
    authorize_check = _blocking(credentials.authorize_check)
    await_sad = _blocking(credentials.await_sad)
    extend_transaction = _blocking(credentials.extend_transaction)
    call = _blocking(credentials.call)
    sign_hash = _blocking(signatures.sign_hash)
    sign_hash_later = _blocking(signatures.sign_hash_later)
    poll = _blocking(signatures.poll)
    timestamp = _blocking(signatures.timestamp)
    prepare_doc = _blocking(documents.prepare_doc)
    sign_doc = _blocking(documents.sign_doc)


class AsyncSigningClient:
    """For asyncio; otherwise as :class:`SigningClient`."""

    def __init__(  # noqa: PLR0913 - as SigningClient
        self,
        service: Service,
        identity: Identity | None = None,
        *,
        proof_key: SigningKey | None = None,
        retry: Retry = Retry(),  # noqa: B008 - a frozen value
        timeout: httpx.Timeout = TIMEOUT,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.caller = Caller(service, identity, proof_key, retry)
        self._http = httpx.AsyncClient(timeout=timeout, verify=verify, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Do what ``flow`` yields; its result."""
        event: Incoming | Lost | None = None
        with closing(flow):
            while True:
                try:
                    step = flow.send(event)
                except StopIteration as done:
                    result: T = done.value
                    return result
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    event = None
                else:
                    event = await self._send(step)

    async def _send(self, outgoing: Outgoing) -> Incoming | Lost:
        try:
            request = self._http.build_request(
                "POST", outgoing.url, headers=_headers(outgoing), content=_pieces(outgoing.body)
            )
            answer = await self._http.send(request, stream=True)
            try:
                taker = _Taker(outgoing, answer)
                async for piece in answer.aiter_bytes():
                    taker.take(piece)
                return taker.incoming()
            finally:
                await answer.aclose()
        except httpx.TransportError as error:
            return _lost(error)

    info = _awaited(credentials.info)
    service_token = _awaited(oauth.service_token)
    ask_consent = _awaited(oauth.ask_consent)
    ask_access = _awaited(oauth.ask_access)
    redeem = _awaited(oauth.redeem)
    refresh = _awaited(oauth.refresh)
    revoke = _awaited(oauth.revoke)
    list_credentials = _awaited(credentials.list_credentials)
    credential_info = _awaited(credentials.credential_info)
    authorize = _awaited(credentials.authorize)
    authorize_check = _awaited(credentials.authorize_check)
    await_sad = _awaited(credentials.await_sad)
    extend_transaction = _awaited(credentials.extend_transaction)
    call = _awaited(credentials.call)
    sign_hash = _awaited(signatures.sign_hash)
    sign_hash_later = _awaited(signatures.sign_hash_later)
    poll = _awaited(signatures.poll)
    timestamp = _awaited(signatures.timestamp)
    prepare_doc = _awaited(documents.prepare_doc)
    sign_doc = _awaited(documents.sign_doc)


class _Taker:
    """Takes an answer's body: to the sink when it is the one wanted, else to memory."""

    def __init__(self, outgoing: Outgoing, answer: httpx.Response) -> None:
        self._answer = answer
        self._sink = outgoing.sink if answer.status_code == _OK else None
        self._kept = bytearray()
        if self._sink is not None:
            self._sink.begin()

    def take(self, piece: bytes) -> None:
        if self._sink is not None:
            self._sink.feed(piece)
            return
        self._kept += piece
        if len(self._kept) > _MOST:
            raise AnswerUnusable(f"{self._answer.url.path}: the answer is too long")

    def incoming(self) -> Incoming:
        headers = {name.lower(): value for name, value in self._answer.headers.items()}
        return Incoming(self._answer.status_code, headers, bytes(self._kept))


def _headers(outgoing: Outgoing) -> dict[str, str]:
    """With the length, which httpx cannot know of pieces: else it would send chunks."""
    return {**outgoing.headers, "Content-Length": str(outgoing.body.length)}


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    """As asyncio's httpx wants it. A piece of a file takes about a millisecond to read."""
    for piece in body.pieces:
        yield piece


def _lost(error: httpx.TransportError) -> Lost:
    return Lost(was_sent=not isinstance(error, _NOT_SENT), cause=error)
