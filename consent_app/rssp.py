"""Client of the rssp's consent API (``/consent/v1``): what the page may know and do.

The session that the rssp gave out is the only right; this program has none of its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from consent_app import request_id
from consent_app.direct import DirectTransport
from consent_app.faults import RsspAway
from consent_app.rssp_faults import fault_of

if TYPE_CHECKING:
    from consent_app.config import RsspConfig

State = Literal[
    "PENDING", "AUTHORIZED", "SIGNING", "SIGNED", "DENIED", "EXPIRED", "REVOKED", "FAILED"
]
ServiceState = Literal["PENDING", "GRANTED", "REDEEMED", "DENIED", "EXPIRED"]


class Answer(BaseModel):
    """What the rssp says."""

    # A newer rssp may say more. Input stays out of error texts: it may hold a session.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Signer(Answer):
    """Who is signed in. ``full_name`` is family name first."""

    full_name: str
    position: str | None = None
    agency: str | None = None


class SignedIn(Answer):
    """A new session: a secret for the cookie."""

    session: str = Field(repr=False, pattern=r"^[0-9a-z]{26}\.[A-Za-z0-9_-]{43}$")
    expires_at: AwareDatetime
    subscriber: Signer


class Details(Answer):
    """What a portal says beside the hashes. ``reference`` is number and symbol together."""

    urgency: Literal["normal", "urgent", "veryUrgent", "express"]
    deadline: AwareDatetime | None
    label: str | None
    reference: str | None
    document_name: str | None
    agency_names: list[str]


class Denial(Answer):
    """How the signer said no; ``text`` is his own."""

    kind: Literal["refused", "returned"]
    reason: str
    text: str | None


class WaitingRequest(Answer):
    """A line of the list of waiting requests. No code: it is still to be picked."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    client_name: str
    description: str | None
    details: Details | None = None
    num_signatures: int
    verification_code: str | None
    expires_at: AwareDatetime


class Happening(Answer):
    """What the signer must hear of: a passkey came, went, or seems to have been copied."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    kind: str
    name: str | None
    created_at: AwareDatetime
    usable_from: AwareDatetime | None


class Portal(Answer):
    """A portal with something in the list."""

    id: str
    name: str


class Waiting(Answer):
    """The list, and the rssp's time when it was made."""

    now: AwareDatetime
    subscriber: Signer
    requests: list[WaitingRequest]
    notices: list[Happening] = []
    total: int = Field(ge=0)
    waiting: int = Field(ge=0)
    after: str | None = None
    portals: list[Portal] = []


class Attached(Answer):
    """The bytes that the signer can see. ``pages`` of a PDF; ``basis`` leads to the hash."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    media_type: Literal["application/pdf", "image/png", "image/jpeg", "text/plain"]
    basis: str
    pages: int | None = None
    remarks: list[str] = []


class Document(Answer):
    """One thing to sign. ``digest`` is hexadecimal; ``attached`` None: only the hash is known."""

    label: str | None
    digest: str
    attached: Attached | None = None


class Certificate(Answer):
    """The signer's certificate. ``serial`` is hexadecimal."""

    holder: str
    organisation: str | None
    issuer: str | None
    serial: str
    not_before: AwareDatetime
    not_after: AwareDatetime


class SimOffer(Answer):
    """A SIM that may be asked; ``cause`` says in words why it is not at present."""

    factor_id: str = Field(pattern=r"^[0-9a-z]{26}$")
    number: str
    is_active: bool
    cause: str | None


class SimQuestion(Answer):
    """What a SIM was asked last. ``cause`` says in words how it ended without consent."""

    state: Literal["WAITING", "APPROVED", "REFUSED", "EXPIRED", "CANCELLED", "FAILED"]
    version: int = Field(ge=0)
    number: str
    display_text: str
    verification_code: str
    expires_at: AwareDatetime
    is_delivered: bool
    cause: str | None


class _Question(Answer):
    now: AwareDatetime
    expires_at: AwareDatetime
    subscriber: Signer
    client_name: str
    redirect_origin: str | None

    @property
    def time_left(self) -> timedelta:
        """From now to the deadline, on the rssp's clock; negative when it is over."""
        return self.expires_at - self.now


class SignatureRequest(_Question):
    """What the signer is asked to sign, with what, for whom, until when."""

    id: str
    state: State
    description: str | None
    documents: list[Document]
    hash_algorithm: str | None
    num_signatures: int
    verification_code: str | None
    codes: list[str] = []
    details: Details | None = None
    denial: Denial | None = None
    certificate: Certificate
    sims: list[SimOffer] = []
    sim: SimQuestion | None = None
    passkey_from: AwareDatetime | None = None

    @property
    def attached(self) -> list[tuple[int, Document]]:
        """The documents that can be read here, with their positions."""
        return [(place, item) for place, item in enumerate(self.documents) if item.attached]

    @property
    def hash_only(self) -> int:
        """Of how many documents only the hash is known."""
        return len(self.documents) - len(self.attached)

    @property
    def has_passkey(self) -> bool:
        """Whether a passkey counts now."""
        return self.passkey_from is not None and self.passkey_from <= self.now

    @property
    def shown_state(self) -> State:
        """``state``; a request whose time is over is expired before anybody has written it down."""
        return (
            "EXPIRED" if self.state == "PENDING" and self.time_left <= timedelta() else self.state
        )


class ServiceRequest(_Question):
    """A portal's wish to see the signer's list of certificates (scope ``service``)."""

    id: str
    state: ServiceState

    @property
    def shown_state(self) -> ServiceState:
        """As for :class:`SignatureRequest`."""
        return (
            "EXPIRED" if self.state == "PENDING" and self.time_left <= timedelta() else self.state
        )


class Outcome(Answer):
    """Where the browser goes next; None where no portal waits for this browser."""

    redirect_to: str | None = Field(repr=False, pattern=r"^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$")


_Kind = TypeVar("_Kind", bound=Answer)
_Json = Mapping[str, object]

_CLIENT_ERROR = 400


def open_client(
    config: RsspConfig, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """A connection pool to the rssp of ``config``."""
    return httpx.AsyncClient(
        base_url=config.url,
        timeout=httpx.Timeout(config.timeout, connect=3.0, pool=3.0),
        transport=transport or DirectTransport(ssl.create_default_context(cafile=config.ca)),
        trust_env=False,  # a proxy named by the environment must not see PINs
    )


class ConsentApi:
    """The consent API. Every method raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def sign_in(self, username: str, password: str) -> SignedIn:
        """A new session. Refused: ``sign_in_refused``."""
        body = {"username": username, "password": password}
        return await self.ask(SignedIn, "POST", "sessions", body=body)

    async def sign_out(self, session: str) -> None:
        """End ``session``; one that is over already counts as ended."""
        await self.ask(Answer, "DELETE", "sessions/current", session)

    async def waiting(self, session: str, **wanted: str) -> Waiting:
        """What waits for this signer. ``wanted``: ``portal``, ``urgency``, ``q``, ``after``."""
        query = f"?{urlencode(wanted)}" if wanted else ""
        return await self.ask(Waiting, "GET", f"requests{query}", session)

    async def match(self, session: str, name: str, code: str) -> None:
        """Pick the portal's code. Refused: ``code_mismatched``, and the request with it."""
        await self.ask(Answer, "POST", f"requests/{name}/match", session, {"code": code})

    async def signature_request(self, session: str, name: str) -> SignatureRequest:
        """One request, in whatever state. Refused: ``request_unknown``."""
        return await self.ask(SignatureRequest, "GET", f"requests/{name}", session)

    async def approve(self, session: str, name: str, pin: str, otp: str) -> Outcome:
        """Consent with both factors. Refused: see :mod:`consent_app.routes.requests`."""
        body = {"pin": pin, "otp": otp}
        return await self.ask(Outcome, "POST", f"requests/{name}/approve", session, body)

    async def refuse(
        self, session: str, name: str, denial: dict[str, str] | None = None
    ) -> Outcome:
        """Refuse or return for good; ``denial`` says how and why."""
        return await self.ask(Outcome, "POST", f"requests/{name}/deny", session, denial)

    async def ask_sim(self, session: str, name: str, factor_id: str, lang: str) -> SimQuestion:
        """Ask a SIM. Refused: ``sim_busy``, ``sim_suspended``, ``sim_unknown``."""
        body = {"factor_id": factor_id, "lang": lang}
        return await self.ask(SimQuestion, "POST", f"requests/{name}/sim", session, body)

    async def sim_question(
        self, session: str, name: str, wait: int = 0, version: int = 0
    ) -> SimQuestion:
        """What the SIM was asked last, once it has changed or ``wait`` seconds are over."""
        path = f"requests/{name}/sim?wait={wait}&version={version}"
        return await self.ask(SimQuestion, "GET", path, session)

    async def cancel_sim(self, session: str, name: str) -> SimQuestion:
        """Withdraw the open question; what became of it, which may be a consent."""
        return await self.ask(SimQuestion, "POST", f"requests/{name}/sim/cancel", session)

    async def resume(self, session: str, name: str) -> Outcome:
        """Where the browser goes after the SIM's consent. Refused: ``conflict``."""
        return await self.ask(Outcome, "POST", f"requests/{name}/resume", session)

    async def service_request(self, session: str, name: str) -> ServiceRequest:
        """One wish for access, in whatever state. Refused: ``request_unknown``."""
        return await self.ask(ServiceRequest, "GET", f"services/{name}", session)

    async def allow_service(self, session: str, name: str) -> Outcome:
        """Let the portal see the list of certificates."""
        return await self.ask(Outcome, "POST", f"services/{name}/approve", session)

    async def refuse_service(self, session: str, name: str) -> Outcome:
        """Refuse it."""
        return await self.ask(Outcome, "POST", f"services/{name}/deny", session)

    async def is_reachable(self) -> bool:
        """Whether the rssp answers at all."""
        try:
            response = await self._http.get("/healthz", timeout=2.0)
        except httpx.HTTPError:
            return False
        return response.is_success

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self,
        kind: type[_Kind],
        method: str,
        path: str,
        session: str | None = None,
        body: _Json | None = None,
    ) -> _Kind:
        """The answer of ``kind`` to a request of the API."""
        response = await self._send(method, path, session, body)
        if response.status_code >= _CLIENT_ERROR:
            raise fault_of(response)
        try:
            return kind.model_validate_json(response.content or b"{}")
        except ValidationError as error:
            cause = f"{method} {path}: {error.error_count()} members of the answer are wrong"
            raise RsspAway(cause, is_settled=False) from error

    async def open(self, path: str, session: str) -> httpx.Response:
        """An answer that is no JSON; its body is still to be read, and to be closed."""
        headers = {
            request_id.HEADER: request_id.current.get(),
            "Authorization": f"Bearer {session}",
        }
        asked = self._http.build_request("GET", f"/consent/v1/{path}", headers=headers)
        try:
            response = await self._http.send(asked, stream=True)
            if response.status_code >= _CLIENT_ERROR:
                await response.aread()
        except httpx.HTTPError as error:
            raise RsspAway(f"GET {path}: {error!r}", is_settled=True) from error
        if response.status_code >= _CLIENT_ERROR:
            raise fault_of(response)
        return response

    async def _send(
        self, method: str, path: str, session: str | None, body: _Json | None
    ) -> httpx.Response:
        headers = {request_id.HEADER: request_id.current.get()}
        if session is not None:
            headers["Authorization"] = f"Bearer {session}"
        try:
            return await self._http.request(
                method, f"/consent/v1/{path}", headers=headers, json=body
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RsspAway(f"{method} {path}: {error!r}", is_settled=True) from error
        except httpx.HTTPError as error:
            raise RsspAway(f"{method} {path}: {error!r}", is_settled=False) from error
