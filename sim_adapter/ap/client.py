"""Calls to one operator's MSSP: mutual TLS, bounded in time and size, answers that match."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, TypeVar

import httpx

from sim_adapter.ap.wires import WIRES
from sim_adapter.config import read_secret
from sim_adapter.errors import (
    InvalidInput,
    OperatorAnswerInvalid,
    OperatorAnswerMismatch,
    OperatorSlow,
    OperatorUnreachable,
)
from sim_adapter.mss.model import (
    Answer,
    Fault,
    Message,
    ProfileResp,
    ReceiptResp,
    RegistrationResp,
    Request,
    SignatureResp,
    StatusResp,
)
from sim_adapter.mss.soap import operation_of

if TYPE_CHECKING:
    from sim_adapter.config import OperatorConfig

_MAX_BYTES = 1024 * 1024
_ASIDE = 50  # connections beside those of the dispatcher: profiles, receipts, certificates
_LONGEST_WAIT = 1.0  # seconds for one of them: what the question says of its time must stay true
_READABLE = frozenset({200, 500})  # faults come with 500 on both wires
_TURNED_AWAY = frozenset({429, 503})
_LOST_BEHIND = frozenset({502, 504})  # a proxy that got no answer: whether it was taken is unknown

Kind = TypeVar("Kind", SignatureResp, StatusResp, ReceiptResp, ProfileResp, RegistrationResp)


class OperatorClient:
    """One operator. Nothing is repeated here: only the caller knows what may be."""

    def __init__(
        self,
        config: OperatorConfig,
        transport: httpx.AsyncBaseTransport | None = None,
        concurrency: int = 200,
    ) -> None:
        self.config = config
        self._wire = WIRES[config.wire]
        limits = httpx.Limits(max_connections=concurrency + _ASIDE, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(
            verify=_tls(config) if config.url.startswith("https:") else _no_tls(),
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            limits=limits,
        )
        self.password = (
            "not-needed" if config.password_file is None else read_secret(config.password_file)
        )
        secret = config.notification_secret_file
        self.notification_secret = None if secret is None else read_secret(secret)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self, request: Request, kind: type[Kind], patience: float, msisdn: str | None = None
    ) -> Kind | Fault:
        """The answer to ``request`` within ``patience`` seconds, or the operator's fault.

        ``msisdn`` is whose answer it has to be, where the request does not say it. Errors: the
        subclasses of ``OperatorFault``.
        """
        operation = operation_of(request)
        body = await self._post(operation, self._wire.write(request), patience)
        try:
            answer = self._wire.read(body, operation)
        except InvalidInput as error:
            raise OperatorAnswerInvalid(f"{operation}: {error}") from error
        if isinstance(answer, Fault):
            return answer
        if not isinstance(answer, kind):
            raise OperatorAnswerInvalid(f"{operation}: {type(answer).__name__}")
        check_answer(request, answer)
        if msisdn is not None and getattr(answer, "msisdn", msisdn) != msisdn:
            raise OperatorAnswerMismatch("msisdn of another request")
        return answer

    async def _post(self, operation: str, body: bytes, patience: float) -> bytes:
        config = self.config
        url = config.url.replace("{port}", self._wire.ports[operation])
        headers = {
            "Content-Type": f"{self._wire.media_type}; charset=utf-8",
            "Accept-Encoding": "identity",  # a small answer that unpacks to a huge one is refused
            "Accept": ", ".join(self._wire.accepted),
        }
        timeout = httpx.Timeout(patience, connect=config.connect_timeout, pool=_LONGEST_WAIT)
        try:
            async with (
                asyncio.timeout(patience + config.connect_timeout),
                self._http.stream(
                    "POST", url, content=body, headers=headers, timeout=timeout
                ) as response,
            ):
                return await self._read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise OperatorUnreachable(f"{config.name}: {type(error).__name__} {error}") from error
        # OSError: TLS 1.3 refuses a certificate after the handshake; httpx passes that on as it is.
        except (httpx.TransportError, OSError) as error:
            raise OperatorSlow(f"{config.name}: {type(error).__name__} {error}") from error
        except httpx.HTTPError as error:  # an encoding that lies, and the like
            raise OperatorAnswerInvalid(f"{config.name}: {error}") from error

    async def _read(self, response: httpx.Response) -> bytes:
        name, status = self.config.name, response.status_code
        if status in _TURNED_AWAY:
            raise OperatorUnreachable(f"{name}: HTTP {status}")
        if status in _LOST_BEHIND:
            raise OperatorSlow(f"{name}: HTTP {status}")
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if "content-encoding" in response.headers:
            raise OperatorAnswerInvalid(f"{name}: a content encoding that was not asked for")
        if status not in _READABLE or media_type not in self._wire.accepted:
            raise OperatorAnswerInvalid(f"{name}: HTTP {status} {media_type[:60]!r}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise OperatorAnswerInvalid(f"{name}: more than {_MAX_BYTES} bytes")
        return bytes(body)


def check_answer(request: Request, answer: Answer) -> None:
    """``OperatorAnswerMismatch`` unless ``answer`` speaks of what ``request`` asked about."""
    asked, told = request.head.ap, answer.head.ap
    if (asked.trans_id, asked.ap_id) != (told.trans_id, told.ap_id):
        raise OperatorAnswerMismatch("AP_TransID or AP_ID of another request")
    for name in ("msisdn", "trans_id"):
        _check_same(request, answer, name)


def _check_same(request: Message, answer: Message, name: str) -> None:
    """A member that both messages have and fill says the same."""
    asked, told = getattr(request, name, None), getattr(answer, name, None)
    if asked is not None and told is not None and asked != told:
        raise OperatorAnswerMismatch(f"{name} of another request")


def _no_tls() -> ssl.SSLContext:
    """For plain HTTP on the loopback: trusts nobody, and costs nothing to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _tls(config: OperatorConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate is not None:
        context.load_cert_chain(config.certificate, config.key)
    return context
