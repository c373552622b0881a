"""Telling a client that its signature is ready, at the address that it named.

Whoever may ask for a signature chooses this address, so it must not lead into our own network
(server-side request forgery): every address its name resolves to has to be on the public internet,
or in a network that the configuration names; the connection goes to the very address that was
looked at, so that a name which resolves differently a moment later gains nothing; redirects are not
followed, and nothing of the answer but its status is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from urllib.parse import SplitResult

    from remote_signing.rssp.config import AsynchronousConfig
    from remote_signing.strict_json import JsonValue

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST: Final = 2000
_SECONDS: Final = 5.0  # of looking up for a request, connecting, each wait for the receiver
_SECONDS_IN_ALL: Final = 10.0
_SUCCESS = range(200, 300)
_PORTS = {"https": 443, "http": 80}
# All that IANA has given out for global unicast. Site-local addresses, translators to IPv4 and what
# else a network may use inside are beyond it, though `is_global` takes some of them for public.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_lookups = ThreadPoolExecutor(4, thread_name_prefix="lookup")  # of names, for requests
_log = logging.getLogger(__name__)


def is_uri(text: str) -> bool:
    """Whether ``text`` has the form of an address that we could call back; leads it where it may.

    Absolute, http or https, printable ASCII, without user name and fragment.
    """
    return _parts(text) is not None


def check(config: AsynchronousConfig, uri: str) -> None:
    """``InvalidInput`` (parameter ``response_uri``) when ``uri`` leads where it must not.

    Takes five seconds at most: whose name servers are slow cannot hold the threads of requests.
    """
    looking = _lookups.submit(_resolve, config, uri)
    try:
        looking.result(_SECONDS)
    except TimeoutError:
        looking.cancel()
        raise _refused("does not resolve in time") from None


def notify(config: AsynchronousConfig, uri: str, members: dict[str, JsonValue]) -> bool:
    """POST ``members`` to ``uri``; whether the receiver took them (2xx). Takes some seconds."""
    body = json.dumps(members, separators=(",", ":")).encode()
    return post(config, uri, body, {}) is None


def post(
    config: AsynchronousConfig, uri: str, body: bytes, headers: Mapping[str, str]
) -> str | None:
    """POST the JSON ``body`` to ``uri``; None when the receiver took it (2xx), else why not.

    Takes ten seconds at most, however slowly the receiver answers, besides looking up its name.
    """
    told = exchange(config, uri, body, {"Content-Type": "application/json", **headers})
    if isinstance(told, str):
        return told
    return None if told in _SUCCESS else f"HTTP {told}"


def exchange(
    config: AsynchronousConfig,
    uri: str,
    body: bytes,
    headers: Mapping[str, str],
    ca: Path | None = None,
) -> int | str:
    """POST ``body`` to ``uri``; the status of the answer, or why there is none. Takes as long.

    ``ca``: PEM with the authorities that may speak for the receiver; None: those of the system.
    """
    try:
        parts, address = _resolve(config, uri)
        trust = _system_trust() if ca is None else ssl.create_default_context(cafile=ca)
        return asyncio.run(_exchange(parts, address, body, headers, trust))
    except (InvalidInput, httpx.HTTPError, OSError) as error:
        # TimeoutError is an OSError.
        cause = f"{type(error).__name__}: {error}"
        _log.info("callback failed", extra={"cause": cause})
        return cause


@cache
def _system_trust() -> ssl.SSLContext:
    """The system's authorities, read once: that takes longer (25 ms) than all else of a message."""
    return httpx.create_ssl_context(trust_env=False)


async def _exchange(
    parts: SplitResult,
    address: Address,
    body: bytes,
    headers: Mapping[str, str],
    trust: ssl.SSLContext,
) -> int:
    literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - the version of IP that needs brackets
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    url = f"{parts.scheme}://{literal}:{_port(parts)}{path}"
    # A limit for each read would let a receiver that sends a byte now and then hold us for ever.
    async with (
        asyncio.timeout(_SECONDS_IN_ALL),
        httpx.AsyncClient(
            trust_env=False, timeout=_SECONDS, follow_redirects=False, verify=trust
        ) as client,
        client.stream(
            "POST",
            url,
            content=body,
            headers={**headers, "Host": parts.netloc},
            # The certificate is checked against the name that the client gave.
            extensions={"sni_hostname": parts.hostname},
        ) as response,
    ):
        return response.status_code


def _resolve(config: AsynchronousConfig, uri: str) -> tuple[SplitResult, Address]:
    """The parts of ``uri`` and the address to connect to, with which all others were allowed."""
    parts = _parts(uri)
    if parts is None:
        raise _refused("not an http address")
    try:
        found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refused(f"does not resolve: {error}") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        _check_address(config, parts.scheme, address)
    return parts, addresses[0]


def _check_address(config: AsynchronousConfig, scheme: str, address: Address) -> None:
    allowed = any(address in ipaddress.ip_network(network) for network in config.callback_networks)
    if allowed:
        return
    if scheme != "https":
        raise _refused("http leads to a configured network only")
    if not _is_public(address):
        raise _refused(f"{address} is not on the public internet")


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        is_tunnel = address.sixtofour is not None or address.teredo is not None
        if address not in _PUBLIC_IPV6 or is_tunnel:
            return False  # also an IPv4 address in another's clothes: nobody needs it
    return address.is_global and not address.is_multicast


def _parts(text: str) -> SplitResult | None:
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in _PORTS and bool(parts.hostname) and _port(parts) > 0
    except ValueError:
        return None
    odd = "@" in parts.netloc or "#" in text or "\\" in text
    return parts if is_good and not odd else None


def _port(parts: SplitResult) -> int:
    return _PORTS[parts.scheme] if parts.port is None else parts.port


def _refused(cause: str) -> InvalidInput:
    return InvalidInput(f"response_uri {cause}", parameter="response_uri")
