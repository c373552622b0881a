"""A small rssp for tests of the consent page: its consent API, in memory, and ways to hurt it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from PIL import Image, ImageDraw
from starlette.responses import JSONResponse, Response

from remote_signing.rssp.showable import is_showable
from tests.support.fake_coming_in import OPENED, FakeComingIn
from tests.support.fake_passkeys import FakePasskeys
from tests.support.fake_phone import FakePhone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

REQUEST = "01mcc5rm00mratbh8wk05wn2gg"
OTHER_REQUEST = "01mcc5rm00mratbh8wk05wn2gh"
SERVICE = "01mcc5rm00mratbh8wk05wn2gj"
SIM = "01mcc5rm00mratbh8wk05wn2gm"
SESSION = "01mcc5rm00mratbh8wk05wn2gk." + "s" * 43
PASSWORD = "mật khẩu rất dài 2026"
PIN = "90817263"
OTP = "246802"
CODE = "4821"


def _logo() -> bytes:
    """A portal's logo as the rssp draws it."""
    square = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(square).ellipse((4, 4, 92, 92), (143, 20, 23, 255), (255, 217, 100, 255), 6)
    target = io.BytesIO()
    square.save(target, "PNG")
    return target.getvalue()


LOGO = _logo()
LOGO_DIGEST = hashlib.sha256(LOGO).hexdigest()
DETAILS = {
    "urgency": "veryUrgent",
    "deadline": "2026-11-27T10:00:00Z",
    "label": "Trình ký lần 2",
    "number": "1234",
    "symbol": "QĐ-SNV",
    "reference": "1234/QĐ-SNV",
    "document_name": "Quyết định về việc bổ nhiệm viên chức quản lý",
    "agency_names": ["Sở Nội vụ thành phố Hà Nội", "Văn phòng UBND thành phố"],
}
"""A request that came by itself has these, and three codes to pick from."""
CAME_BY_ITSELF: dict[str, Any] = {
    "details": DETAILS,
    "codes": ["0357", CODE, "9146"],
    "verification_code": None,
    "redirect_origin": None,
}
PORTAL = "https://motcua.example.gov.vn"
SIGNER = {
    "person": "Zm9yLWNvbXBhcmluZy1vbm",
    "full_name": "Nguyễn Thị Minh Khai",
    "position": "Phó Giám đốc",
    "agency": "Sở Nội vụ thành phố Hà Nội",
}


def documents(count: int) -> list[dict[str, str | None]]:
    names = (
        "Số 1234/QĐ-SNV ngày 24/11/2026 – Quyết định về việc bổ nhiệm viên chức quản lý",
        "Số 87/TTr-SNV – Tờ trình kèm theo",
        None,
    )
    return [
        {"label": names[number % 3], "digest": f"{number + 10:02x}" * 32} for number in range(count)
    ]


@dataclass
class FakeRssp:
    """``requests`` and ``services`` are what is stored; ``away`` makes every answer a 503."""

    portal: str | None = PORTAL
    away: bool = False
    session: str = SESSION
    pause: Callable[[], Awaitable[None]] | None = None  # before a sign-in is answered
    fails_after: bool = False  # it is done, and the answer gets lost
    sim_is_busy: bool = False
    sim_is_away: bool = False
    resume_fault: str | None = None
    attempts_left: int = 5
    session_is_valid: bool = True
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[tuple[str, int], bytes] = field(default_factory=dict)  # what is sent of a document
    calls: list[tuple[str, str]] = field(default_factory=list)
    validated: Response | None = None  # the answer about any file; without it, not now
    sent: bytes = b""  # what was to be validated
    past: dict[str, dict[str, Any]] = field(default_factory=dict)
    frozen: int = 0
    gone: set[str] = field(default_factory=set)  # what a batch comes too late for
    after: str | None = None
    denials: list[Any] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    coming_in: FakeComingIn = field(default_factory=FakeComingIn)
    phone: FakePhone = field(default_factory=FakePhone)
    passkeys: FakePasskeys = field(default_factory=FakePasskeys)

    def add_request(self, name: str = REQUEST, count: int = 2, **changes: Any) -> None:
        now = datetime.now(UTC)
        self.requests[name] = {
            "id": name,
            "state": "PENDING",
            "now": now.isoformat(),
            "expires_at": (now + timedelta(minutes=4, seconds=32)).isoformat(),
            "subscriber": SIGNER,
            "client_name": "Cổng một cửa Sở Nội vụ",
            "client_logo": LOGO_DIGEST,
            "description": "Ký ban hành quyết định bổ nhiệm",
            "documents": documents(count),
            "hash_algorithm": "sha256",
            "num_signatures": count,
            "verification_code": "4821",
            "certificate": {
                "holder": "Nguyễn Thị Minh Khai",
                "organisation": "Sở Nội vụ thành phố Hà Nội",
                "issuer": "CA chuyên dùng Chính phủ",
                "serial": "5f3a9c1e7b2d4480a6c1e0f29b7d3311",
                "not_before": "2026-01-15T00:00:00Z",
                "not_after": "2029-01-14T16:59:59Z",
            },
            "redirect_origin": self.portal,
            **changes,
        }

    def add_service(self, name: str = SERVICE, **changes: Any) -> None:
        now = datetime.now(UTC)
        self.services[name] = {
            "id": name,
            "state": "PENDING",
            "now": now.isoformat(),
            "expires_at": (now + timedelta(minutes=5)).isoformat(),
            "subscriber": SIGNER,
            "client_name": "Cổng một cửa Sở Nội vụ",
            "redirect_origin": self.portal,
            **changes,
        }

    def count(self, method: str, ending: str) -> int:
        return sum(1 for call in self.calls if call[0] == method and call[1].endswith(ending))

    def app(self) -> FastAPI:
        app = FastAPI()
        routes: list[tuple[str, str, Callable[..., Awaitable[Response]]]] = [
            ("POST", "/consent/v1/sessions", self._sign_in),
            ("DELETE", "/consent/v1/sessions/current", self._sign_out),
            ("GET", "/consent/v1/requests", self._waiting),
            ("POST", "/consent/v1/requests/{name}/match", self._match),
            ("GET", "/consent/v1/history", self._history),
            ("GET", "/consent/v1/history/{name}", self._receipt),
            ("GET", "/consent/v1/sessions", self._sessions),
            ("DELETE", "/consent/v1/sessions", self._sessions),
            ("POST", "/consent/v1/freeze", self._freeze),
            ("GET", "/consent/v1/batch", self._batch),
            ("POST", "/consent/v1/batch", self._approve_all),
            ("DELETE", "/consent/v1/sessions/{name}", self._end_session),
            *self.coming_in.routes(self),
            *self.phone.routes(self),
            *self.passkeys.routes(self),
            ("GET", "/consent/v1/requests/{name}/sim", self._sim),
            ("POST", "/consent/v1/requests/{name}/sim", self._ask_sim),
            ("POST", "/consent/v1/requests/{name}/sim/cancel", self._cancel_sim),
            ("POST", "/consent/v1/requests/{name}/resume", self._resume),
            ("GET", "/consent/v1/requests/{name}/documents/{position}", self._content),
            ("GET", "/consent/v1/requests/{name}/documents/{position}/pages/{page}", self._picture),
            ("GET", "/consent/v1/logos/{digest}", self._logo),
            ("GET", "/consent/v1/{kind}/{name}", self._show),
            ("POST", "/consent/v1/{kind}/{name}/{verb}", self._answer),
            ("POST", "/validate", self._validate),
            ("GET", "/healthz", self._health),
        ]
        for method, path, handler in routes:
            app.add_api_route(path, handler, methods=[method])
        return app

    async def _validate(self, request: Request) -> Response:
        self.calls.append(("POST", request.url.path))
        self.sent = await request.body()
        return self.validated or problem(503, "temporarily_unavailable")

    async def _health(self) -> Response:
        return JSONResponse({}, 503 if self.away else 200)

    async def _sign_in(self, request: Request) -> Response:
        self.calls.append(("POST", request.url.path))
        body = await request.json()
        if self.pause is not None:
            await self.pause()
        if self.away:
            return problem(503, "temporarily_unavailable")
        if body != {"username": "minhkhai", "password": PASSWORD}:
            return problem(401, "sign_in_refused")
        return self.welcome()

    async def _sign_out(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        self.session_is_valid = False
        return Response(status_code=204)

    async def _waiting(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        waiting = [item for item in self.requests.values() if item["state"] == "PENDING"]
        now = datetime.now(UTC).isoformat()
        found = [item for item in waiting if self._is_wanted(item, request.query_params)]
        counts = {"total": len(found), "waiting": len(waiting), "after": self.after}
        counts["mark"] = self.phone.mark()[1]
        portals = [{"id": "motcua", "name": "Cổng một cửa Sở Nội vụ"}] if waiting else []
        members = {"now": now, "subscriber": SIGNER, "requests": found, "portals": portals}
        members["notices"] = self.passkeys.notices
        return JSONResponse(members | counts)

    @staticmethod
    def _is_wanted(item: dict[str, Any], wanted: Mapping[str, str]) -> bool:
        return wanted.get("q", "") in f"{item['description']}{item.get('details')}"

    async def _match(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        item = self.requests[name]
        if (await request.json())["code"] != CODE:
            item["state"] = "DENIED"
            item["denial"] = {"kind": "refused", "reason": "code_mismatch", "text": None}
            item["codes"] = []
            return problem(403, "code_mismatched", mismatches=2)
        item |= {"codes": [], "verification_code": CODE}
        return JSONResponse({"state": "PENDING"})

    async def _logo(self, request: Request, digest: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if digest != LOGO_DIGEST:
            return problem(404, "logo_unknown")
        return Response(LOGO, media_type="image/png")

    def add_past(self, name: str = REQUEST, **changes: Any) -> None:
        """What was answered, with its receipt."""
        now = datetime.now(UTC).isoformat()
        records = [
            {"kind": kind, "at": now, "number": 1200 + number, "leaf_sha256": f"{number:02x}" * 32}
            for number, kind in enumerate(("activation.requested", "consent.given", "signing.done"))
        ]
        self.past[name] = {
            "id": name,
            "subscriber": SIGNER,
            "client_name": "Cổng một cửa Sở Nội vụ",
            "description": "Ký ban hành quyết định bổ nhiệm",
            "details": DETAILS,
            "num_signatures": 2,
            "state": "SIGNED",
            "denial": None,
            "created_at": now,
            "at": now,
            "documents": documents(2),
            "hash_algorithm": "sha256",
            "factor": "pin_totp",
            "records": records,
            **changes,
        }

    async def _history(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        found = [item for item in self.past.values() if self._is_wanted(item, request.query_params)]
        return JSONResponse({"subscriber": SIGNER, "requests": found, "after": self.after})

    async def _receipt(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        item = self.past.get(name)
        return problem(404, "request_unknown") if item is None else JSONResponse(item)

    async def _sessions(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if request.method == "DELETE":
            self.session_is_valid = False
            return JSONResponse({"ended": 2})
        now = datetime.now(UTC).isoformat()
        opened = [
            {"id": f"{number:026}", "created_at": at, "last_used_at": now, "is_this": not number}
            for number, at in enumerate((OPENED, now))
        ]
        members = {"subscriber": SIGNER, "sessions": opened, "frozen": self.frozen}
        return JSONResponse(members)

    async def _batch(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        reviewed = [
            item
            for item in self.requests.values()
            if item["state"] == "PENDING" and item.get("details") and not item["codes"]
        ]
        now = datetime.now(UTC).isoformat()
        return JSONResponse({"now": now, "subscriber": SIGNER, "requests": reviewed})

    async def _approve_all(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        sent = await request.json()
        if (sent["pin"], sent["otp"]) != (PIN, OTP):
            return self._wrong()
        results = []
        for name in sent["ids"]:
            is_approved = name not in self.gone
            results.append({"id": name, "is_approved": is_approved})
            self.requests[name]["state"] = "AUTHORIZED" if is_approved else "EXPIRED"
        return JSONResponse({"results": results})

    async def _end_session(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        self.ended.append(name)
        return Response(status_code=204)

    def welcome(self, **more: str) -> Response:
        """A session, however it was opened."""
        self.session_is_valid = True
        until = datetime.now(UTC) + timedelta(hours=12)
        members = {"session": self.session, "expires_at": until.isoformat(), "subscriber": SIGNER}
        return JSONResponse({**members, **more}, 201)

    async def _freeze(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        self.frozen = 2
        return broken() if self.fails_after else JSONResponse({"frozen": 2})

    async def _show(self, request: Request, kind: str, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        item = self._items(kind).get(name)
        return problem(404, "request_unknown") if item is None else JSONResponse(item)

    def attach(
        self, content: bytes, media_type: str = "text/plain", position: int = 0, **changes: Any
    ) -> None:
        """The request has a document that can be read."""
        self.files[REQUEST, position] = content
        self.requests[REQUEST]["documents"][position]["attached"] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "media_type": media_type,
            "basis": "file",
            "pages": None,
            "remarks": [],
        } | changes

    async def _content(self, request: Request, name: str, position: int) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        content = self.files.get((name, position))
        if content is None:
            return problem(404, "document_unknown")
        return Response(content, media_type="application/octet-stream")

    async def _picture(self, request: Request, name: str, position: int, page: int) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        drawn = Image.new("RGB", (1100, 1556), "white")
        ImageDraw.Draw(drawn).text((90, 90), f"{name} {position} {page}", "black")
        target = io.BytesIO()
        drawn.save(target, "PNG")
        return Response(target.getvalue(), media_type="image/png")

    def add_sim(self, name: str = REQUEST, **changes: Any) -> None:
        """The request may be answered by a SIM."""
        offer = {"factor_id": SIM, "number": "+84 *** *** 678", "is_active": True, "cause": None}
        self.requests[name] |= {"sims": [offer | changes], "sim": None}

    def sim_says(self, state: str, cause: str | None = None, name: str = REQUEST) -> None:
        """What becomes of the question."""
        question = self.requests[name]["sim"]
        question |= {"state": state, "cause": cause, "version": question["version"] + 1}
        if state == "APPROVED":
            self.requests[name]["state"] = "AUTHORIZED"

    async def _ask_sim(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if self.sim_is_busy:
            return problem(409, "sim_busy")
        assert (await request.json())["factor_id"] == SIM
        item = self.requests[name]
        item["sim"] = {
            "state": "WAITING",
            "version": 1,
            "number": "+84 *** *** 678",
            "display_text": "Cổng một cửa Sở Nội vụ: ký 2 văn bản: Số 1234/QĐ-SNV ngày 24/11/2026…",
            "verification_code": item["verification_code"],
            "expires_at": (datetime.now(UTC) + timedelta(minutes=2)).isoformat(),
            "is_delivered": False,
            "outcome": None,
            "cause": None,
        }
        return JSONResponse(item["sim"], 201)

    async def _sim(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if self.sim_is_away:
            return problem(503, "temporarily_unavailable")
        if name not in self.requests:
            return problem(404, "request_unknown")
        question = self.requests[name]["sim"]
        for _ in range(100):
            is_new = question["version"] > int(request.query_params["version"])
            if is_new or request.query_params["wait"] == "0":
                break
            await asyncio.sleep(0.05)
        return JSONResponse(question)

    async def _cancel_sim(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if self.sim_is_away:
            return problem(503, "temporarily_unavailable")
        if self.requests[name]["sim"]["state"] == "WAITING":
            self.sim_says("CANCELLED", "Bạn đã hủy yêu cầu trên SIM.", name)
        return JSONResponse(self.requests[name]["sim"])

    async def _resume(self, request: Request, name: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        if self.resume_fault is not None:
            is_used = self.resume_fault == "used"
            code = "conflict" if is_used else "temporarily_unavailable"
            return problem(409 if is_used else 503, code)
        back = f"{self.portal}/callback?code=abc&state=xyz"
        return JSONResponse({"redirect_to": back, "state": self.requests[name]["state"]})

    async def _answer(self, request: Request, kind: str, name: str, verb: str) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        body = await request.body()
        item = self._items(kind)[name]
        if item["state"] != "PENDING":
            return problem(409, "conflict")
        if verb == "approve" and kind == "requests":
            sent = await request.json() if body else {}
            if sent != {"pin": PIN, "otp": OTP}:
                return self._wrong()
        if verb == "deny" and not is_showable((json.loads(body or b"{}").get("text")) or ""):
            return problem(400, "invalid_request", parameter="text")
        item["state"] = self._after(kind, verb)
        if verb == "deny" and kind == "requests":
            item["denial"] = {"text": None} | await request.json() if body else None
            self.denials.append(item["denial"])
        if self.fails_after:
            return broken()
        answer = "code=abc&state=xyz" if verb == "approve" else "error=access_denied&state=xyz"
        target = None if self.portal is None else f"{self.portal}/callback?{answer}"
        return JSONResponse({"redirect_to": target, "state": item["state"]})

    def _after(self, kind: str, verb: str) -> str:
        if verb != "approve":
            return "DENIED"
        return "AUTHORIZED" if kind == "requests" else "GRANTED"

    def _wrong(self) -> Response:
        self.attempts_left -= 1
        if self.attempts_left <= 0:
            return problem(403, "credential_locked")
        return problem(403, "evidence_invalid", attempts_left=self.attempts_left)

    def _items(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.requests if kind == "requests" else self.services

    def refused(self, request: Request) -> Response | None:
        self.calls.append((request.method, request.url.path))
        if self.away:
            return problem(503, "temporarily_unavailable")
        if (
            not self.session_is_valid
            or request.headers.get("authorization") != f"Bearer {self.session}"
        ):
            return problem(401, "session_invalid")
        return None


def broken() -> Response:
    """What a proxy says when it has sent the question on and lost the answer."""
    return Response("the connection to the back end broke", 502)


def problem(status: int, code: str, **members: object) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, **members}
    return JSONResponse(body, status, media_type="application/problem+json")
