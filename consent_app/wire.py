"""The connections to the rssp, and a question that is asked over them.

A question whose answer is small goes to httpx's transport directly. The client around it keeps
cookies, which must not pass from one official's question to another's, follows redirects and
merges addresses: none of it is wanted here, and it is a third of the time of a question.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import httpx

from consent_app.lanes import Lanes
from consent_app.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_app.config import RsspConfig

_SECONDS_TO_CONNECT = 3.0  # also to wait for a free connection
# As many questions at a time as the rssp can use; more would only wait there, and cost.
_BRIEF = 32
# Questions that the rssp holds open until a phone has answered, and documents on their way.
_LONG = 400
_LONG_OF_ONE = 8  # of one session: some pages at once, on some devices
# A page without script asks for five pictures at once: those of a reload wait for the first.
_SECONDS_FOR_SHARE = 15.0
# Files that anybody sends, as fast or slowly as he likes: as many as the rssp takes at a time.
_STRANGERS = 40
# A lane's only connection is open until shortly before the rssp or a proxy between would close it.
_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=15)


class Said(NamedTuple):
    """An answer, read to its end: the status of HTTP and the body."""

    status: int
    content: bytes


class Wire:
    """The connections to the rssp of ``config``."""

    def __init__(
        self, config: RsspConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url, self._timeout = config.url, config.timeout
        # Once: a context reads all the authorities that it trusts.
        make = partial(_connection, ssl.create_default_context(cafile=config.ca))
        self._brief = transport or Lanes(_BRIEF, make)
        self._long = transport or Shares(_LONG_OF_ONE, Lanes(_LONG, make))
        timeout = httpx.Timeout(
            config.timeout, connect=_SECONDS_TO_CONNECT, pool=_SECONDS_TO_CONNECT
        )
        self._extensions = {"timeout": timeout.as_dict()}
        # For bodies that pass through here in pieces: those of a session, and what anybody sends.
        self.client = self._client(_SECONDS_FOR_SHARE, self._long)
        self.strangers = self._client(_SECONDS_TO_CONNECT, transport or Lanes(_STRANGERS, make))

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: object | None = None,
        *,
        is_long: bool = False,
    ) -> Said:
        """What the rssp says. ``path`` begins with a slash; ``body`` becomes JSON.

        ``is_long``: the answer may wait for a phone, and so must not keep others from asking.
        It is not asked for a compressed answer, so there is none. Errors: ``httpx.HTTPError``.
        """
        asked = httpx.Request(
            method,
            f"{self._url}{path}",
            headers=headers,
            json=body,
            # A copy: the transport may add to it.
            extensions=dict(self._extensions),
        )
        transport = self._long if is_long else self._brief
        response = await transport.handle_async_request(asked)
        stream = cast("httpx.AsyncByteStream", response.stream)
        try:
            return Said(response.status_code, b"".join([part async for part in stream]))
        finally:
            await stream.aclose()  # the connection is free for the next question

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
        await self.strangers.aclose()
        await self._brief.aclose()

    def _client(self, patience: float, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        timeout = httpx.Timeout(self._timeout, connect=_SECONDS_TO_CONNECT, pool=patience)
        return httpx.AsyncClient(
            base_url=self._url, timeout=timeout, transport=transport, trust_env=False
        )


def _connection(context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    # A proxy named by the environment must not see PINs.
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=_LIMITS)
