"""Client of the rssp's consent API (``/consent/v1``): what the page may know and do.

The session that the rssp gave out is the only right; this program has none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from consent_app import request_id
from consent_app.answers import (
    Answer,
    Outcome,
    ServiceRequest,
    SignatureRequest,
    SignedIn,
    SimQuestion,
    Waiting,
)
from consent_app.faults import RsspAway
from consent_app.rssp_faults import fault_of

if TYPE_CHECKING:
    from consent_app.wire import Said, Wire

_Kind = TypeVar("_Kind", bound=Answer)
_Json = Mapping[str, object]

_CLIENT_ERROR = 400


class ConsentApi:
    """The consent API. Every method raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

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
        """Ask a SIM.

        Refused: ``sim_busy``, ``sim_asked_often``, ``sim_suspended``, ``sim_unknown``.
        """
        body = {"factor_id": factor_id, "lang": lang}
        return await self.ask(SimQuestion, "POST", f"requests/{name}/sim", session, body)

    async def sim_question(
        self, session: str, name: str, wait: int = 0, version: int = 0
    ) -> SimQuestion:
        """What the SIM was asked last, once it has changed or ``wait`` seconds are over."""
        path = f"requests/{name}/sim?wait={wait}&version={version}"
        return await self.ask(SimQuestion, "GET", path, session, is_long=wait > 0)

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
            response = await self._wire.client.get("/healthz", timeout=2.0)
        except httpx.HTTPError:
            return False
        return response.is_success

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def ask(  # noqa: PLR0913 - as many facts
        self,
        kind: type[_Kind],
        method: str,
        path: str,
        session: str | None = None,
        body: _Json | None = None,
        *,
        is_long: bool = False,
    ) -> _Kind:
        """The answer of ``kind`` to a request of the API.

        ``is_long``: it is held open until a phone has answered.
        """
        status, content = await self._send(method, path, session, body, is_long=is_long)
        if status >= _CLIENT_ERROR:
            raise fault_of(status, content)
        try:
            return kind.model_validate_json(content or b"{}")
        except ValidationError as error:
            cause = f"{method} {path}: {error.error_count()} members of the answer are wrong"
            raise RsspAway(cause, is_settled=False) from error

    async def open(self, path: str, session: str) -> httpx.Response:
        """An answer that is no JSON; its body is still to be read, and to be closed."""
        headers = {
            request_id.HEADER: request_id.current.get(),
            "Authorization": f"Bearer {session}",
        }
        http = self._wire.client
        asked = http.build_request("GET", f"/consent/v1/{path}", headers=headers)
        try:
            response = await http.send(asked, stream=True)
            if response.status_code >= _CLIENT_ERROR:
                await response.aread()
        except httpx.HTTPError as error:
            raise RsspAway(f"GET {path}: {error!r}", is_settled=True) from error
        if response.status_code >= _CLIENT_ERROR:
            raise fault_of(response.status_code, response.content)
        return response

    async def _send(
        self, method: str, path: str, session: str | None, body: _Json | None, *, is_long: bool
    ) -> Said:
        headers = {request_id.HEADER: request_id.current.get()}
        if session is not None:
            headers["Authorization"] = f"Bearer {session}"
        where = f"/consent/v1/{path}"
        try:
            return await self._wire.ask(method, where, headers, body, is_long=is_long)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RsspAway(f"{method} {path}: {error!r}", is_settled=True) from error
        except httpx.HTTPError as error:
            raise RsspAway(f"{method} {path}: {error!r}", is_settled=False) from error
