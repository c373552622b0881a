"""The adapter with an operator that answers as it is told to, driven step by step.

Nothing here runs by itself: :meth:`World.work` does what is due at the clock's time.
"""

from __future__ import annotations

import base64
import contextlib
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from remote_signing.clock import FixedClock
from sim_adapter.app import create_app
from sim_adapter.config import SimAdapterConfig, read
from sim_adapter.deps import Services, open_services
from sim_adapter.dispatcher import Dispatcher
from sim_adapter.mss import rest, soap
from sim_adapter.mss.codes import meaning_of
from sim_adapter.mss.model import (
    Fault,
    Message,
    ProfileReq,
    ProfileResp,
    ReceiptReq,
    ReceiptResp,
    RegistrationReq,
    RegistrationResp,
    Signature,
    SignatureReq,
    SignatureResp,
    Status,
    StatusReq,
    StatusResp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

NUMBER = "84900000001"
BEARER = "test-bearer-secret"
NOTIFICATION_SECRET = "test-notification-secret"
WEBHOOK_SECRETS = tuple("whsec_" + base64.b64encode(bytes([at]) * 32).decode() for at in (1, 2))
CMS = Signature(b"\x30\x03abc")
BASE = "http://sim-adapter.test"


def config(folder: Path, url: str, **operator: Any) -> SimAdapterConfig:
    """One operator, ``canned``; ``operator`` changes its row. ``callback`` is there."""
    secrets = {"bearer": BEARER, "notification": NOTIFICATION_SECRET, "hook-1": WEBHOOK_SECRETS[0]}
    for name, value in {**secrets, "hook-2": WEBHOOK_SECRETS[1]}.items():
        (folder / name).write_text(value + "\n", encoding="utf-8")
    row = {
        "name": "canned",
        "url": "http://127.0.0.1:9/{port}",
        "ap_id": "urn:test:ap",
        "prefixes": ["84900"],
        "first_poll": 10,
        "poll": 5,
        "notification_url": "http://127.0.0.1:9/mss/notification",
        "notification_secret_file": "notification",
    }
    members: dict[str, Any] = {
        "database": {"url": url},
        "api": {"secret_files": ["bearer"]},
        "callback": {"url": "http://127.0.0.1:9/hook", "secret_files": ["hook-1", "hook-2"]},
        "timing": {"tick": 0.01},
        "operators": [row | operator],
    }
    return read(members, folder)


@dataclass
class CannedOperator:
    """Answers with the next step of its script; the last one goes on for ever.

    A step is a code, a signature (code 500), or a function of the request.
    """

    wire: str = "soap"
    script: deque[Any] = field(default_factory=deque)
    asked: list[Message] = field(default_factory=list)

    def plan(self, *steps: Any) -> None:
        """What comes next."""
        self.script = deque(steps)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer over HTTP."""
        if request.url.path == "/hook":
            return httpx.Response(204)
        codec: Any = rest if self.wire == "json" else soap
        operation, message = codec.read_request(request.content)
        self.asked.append(message)
        step = self.script.popleft() if len(self.script) > 1 else self.script[0]
        answer = step(message) if callable(step) else self.answer(message, step)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return self.written(operation, answer)

    def written(self, operation: str, answer: Message | Fault) -> httpx.Response:
        """``answer`` on the wire."""
        headers = {"Content-Type": (rest if self.wire == "json" else soap).MEDIA_TYPE}
        if isinstance(answer, Fault):
            write = rest.write_fault if self.wire == "json" else soap.write_fault
            return httpx.Response(500, content=write(answer), headers=headers)
        if self.wire == "json":
            return httpx.Response(200, content=rest.write_message(answer), headers=headers)
        return httpx.Response(200, content=soap.write_answer(operation, answer), headers=headers)

    def answer(self, message: Message, step: Any) -> Message | Fault:
        """The honest answer that ``step`` means."""
        if isinstance(step, Signature):
            return answered(message, 500, step)
        if meaning_of(step).carried == "fault":
            return Fault(step)
        return answered(message, step, CMS if 500 <= step <= 503 else None)


def answered(message: Message, code: int, signature: Signature | None = None) -> Message:
    """An answer to ``message`` with everything copied that has to be."""
    status = Status(code, meaning_of(code).name)
    match message:
        case SignatureReq():
            return SignatureResp(message.head, "M1", message.msisdn, status, signature)
        case StatusReq():
            return StatusResp(message.head, NUMBER, status, signature)
        case ReceiptReq():
            return ReceiptResp(message.head, status)
        case ProfileReq():
            return ProfileResp(message.head, ("urn:p",), status)
        case RegistrationReq():
            return RegistrationResp(message.head, status)
    raise AssertionError(message)


def other(**changes: Any) -> Callable[[Message], Message]:
    """An answer with code 500 in which ``changes`` make it somebody else's."""
    names = ("trans_id_of_ap", "ap_id")
    ap: dict[str, Any] = {name: changes.pop(name) for name in names if name in changes}
    if "trans_id_of_ap" in ap:
        ap["trans_id"] = ap.pop("trans_id_of_ap")

    def answer(message: Message) -> Message:
        good: Any = answered(message, 500, CMS)
        head = replace(good.head, ap=replace(good.head.ap, **ap))
        return replace(good, head=head, **changes)  # type: ignore[no-any-return]  # Any by design

    return answer


@dataclass
class World:
    """The adapter, its clock, its operator, and a client that has the secret."""

    services: Services
    clock: FixedClock
    operator: CannedOperator
    dispatcher: Dispatcher
    http: httpx.AsyncClient

    async def work(self) -> None:
        """Do everything that is due now."""
        while await self.dispatcher.look():
            await self.dispatcher.settled()

    def order(self, **changes: Any) -> dict[str, Any]:
        """A body for PUT."""
        return {
            "msisdn": f"+{NUMBER}",
            "mode": "digest",
            "display_text": "Bộ Nội vụ: ký 12/QĐ-BNV",
            "verification_code": "4821",
            "consent": base64.b64encode(b"consent structure").decode(),
            "deadline": self.clock.now_ms() + 120_000,
            **changes,
        }

    async def put(self, name: str = "transaction-1", **changes: Any) -> httpx.Response:
        """Make a transaction."""
        return await self.http.put(f"/v1/transactions/{name}", json=self.order(**changes))

    async def get(self, name: str = "transaction-1", **query: Any) -> dict[str, Any]:
        """Read it."""
        response = await self.http.get(f"/v1/transactions/{name}", params=query)
        assert response.status_code == 200, response.text
        members: dict[str, Any] = response.json()
        return members

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        """Ask for something about the transaction."""
        return await self.http.post(f"/v1/{path}", json=body)

    async def until(
        self, *states: str, name: str = "transaction-1", seconds: int = 400
    ) -> dict[str, Any]:
        """Let time pass, second by second, until the transaction is in one of ``states``."""
        for _ in range(seconds):
            await self.work()
            members = await self.get(name)
            if members["state"] in states:
                return members
            self.clock.advance(1)
        raise AssertionError(members)


@contextlib.asynccontextmanager
async def world(folder: Path, url: str, **operator: Any) -> AsyncIterator[World]:
    """A world on the database ``url``; ``operator`` changes the operator's row."""
    canned = CannedOperator(operator.get("wire", "soap"))
    loaded = config(folder, url, **operator)
    clock, transport = FixedClock(), httpx.MockTransport(canned)
    services = open_services(loaded, clock, transport)
    app = create_app(loaded, services)
    dispatcher = app.state.dispatcher = Dispatcher(services, transport)
    headers = {"Authorization": f"Bearer {BEARER}"}
    asgi = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=asgi, base_url=BASE, headers=headers) as http:
        try:
            yield World(services, clock, canned, dispatcher, http)
        finally:
            await dispatcher.stop(1)
            await services.close()
