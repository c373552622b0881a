"""The part of the small rssp that lets signers in and shows what their account holds."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse, Response

from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.consent_api import FakeRssp

    Route = tuple[str, str, Callable[..., Awaitable[Response]]]

ACTIVATION_CODE = "7K3QX-9M2TB-W4HZP-6N8RV"
ENTRY = "01mcc5rm00mratbh8wk05wn2gp"
HELD = "01mcc5rm00mratbh8wk05wn2gq"
GOOD_ANSWER = {"signature": "good"}
CERTIFICATE = {
    "holder": "Nguyễn Thị Minh Khai",
    "organisation": "Sở Nội vụ thành phố Hà Nội",
    "issuer": "CA chuyên dùng Chính phủ",
    "serial": "5f3a9c1e7b2d4480a6c1e0f29b7d3311",
    "not_before": "2026-01-15T00:00:00Z",
    "not_after": "2029-01-14T16:59:59Z",
}


def held(**changes: Any) -> dict[str, Any]:
    """A certificate with everything that may approve with it."""
    return {
        "id": HELD,
        "description": "Ký văn bản hành chính",
        "state": "valid",
        "certificate": CERTIFICATE,
        "has_pin": True,
        "has_totp": True,
        "may_choose_pin": False,
        "sims": ["84912345678"],
        "passkeys": [],
        **changes,
    }


OPENED = "2026-11-26T01:02:03.456000Z"
"""When the session of these tests was opened."""


@dataclass
class FakeComingIn:
    """``entries`` are the passkeys that sign in; ``password`` is what a change needs."""

    password: str = "mật khẩu rất dài 2026"
    credentials: list[dict[str, Any]] = field(default_factory=lambda: [held()])
    entries: list[dict[str, Any]] = field(default_factory=list)
    added: list[Any] = field(default_factory=list)
    is_full: bool = False
    kinds: tuple[str, ...] = ("session.opened", "session.refused", "sign_in_passkey.added")
    at: tuple[str, ...] = (OPENED,)  # when those were; the others now
    provider: str = "https://dinh-danh.example"
    provider_away: bool = False
    provider_refuses: tuple[int, str] = (401, "sign_in_refused")
    bindings: dict[str, str] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    # Choices of a PIN as they came, and what refuses the next one.
    chosen: list[dict[str, str]] = field(default_factory=list)
    pin_refused: tuple[int, str, dict[str, object]] | None = None
    rssp: FakeRssp = field(init=False)

    def add_entry(self) -> None:
        now = datetime.now(UTC).isoformat()
        entry = {"id": ENTRY, "name": "Điện thoại", "registered_at": now, "last_used_at": now}
        self.entries.append(entry)

    def routes(self, rssp: FakeRssp) -> list[Route]:
        """What FastAPI adds; ``rssp`` knows the session."""
        self.rssp = rssp
        here = "/consent/v1"
        return [
            ("POST", f"{here}/sign-in/options", self._ask),
            ("POST", f"{here}/sign-in", self._sign_in),
            ("POST", f"{here}/sign-in/openid", self._to_provider),
            ("POST", f"{here}/sign-in/openid/answer", self._from_provider),
            ("POST", f"{here}/activate", self._activate),
            ("GET", f"{here}/account", self._show),
            ("GET", f"{here}/credentials/{{name}}/certificate", self._certificate),
            ("POST", f"{here}/credentials/{{name}}/first-pin", self._choose),
            ("POST", f"{here}/credentials/{{name}}/pin", self._choose),
            ("POST", f"{here}/sign-in/passkeys/options", self._begin),
            ("POST", f"{here}/sign-in/passkeys", self._change),
            ("POST", f"{here}/sign-in/passkeys/{{name}}/drop", self._change),
        ]

    async def _ask(self) -> Response:
        if self.rssp.away:
            return _problem(503, "temporarily_unavailable")
        return JSONResponse({"challenge": "AAAA", "rp_id": "localhost", "passkeys": []})

    async def _sign_in(self, request: Request) -> Response:
        is_good = await request.json() == GOOD_ANSWER
        return self.rssp.welcome() if is_good else _problem(401, "sign_in_refused")

    async def _to_provider(self, request: Request) -> Response:
        if self.rssp.away or self.provider_away:
            return _problem(503, "temporarily_unavailable" if self.rssp.away else "openid_away")
        given = await request.json()
        self.bindings[given["binding"]] = given["target"]
        return JSONResponse({"redirect_to": f"{self.provider}/authorize?state=s"})

    async def _from_provider(self, request: Request) -> Response:
        if self.rssp.away or self.provider_away:
            return _problem(503, "temporarily_unavailable" if self.rssp.away else "openid_away")
        given = await request.json()
        self.answers.append(given)
        target = self.bindings.pop(given["binding"], None)
        if target is None or given["code"] != "good":
            return _problem(self.provider_refuses[0], self.provider_refuses[1])
        return self.rssp.welcome(target=target)

    async def _activate(self, request: Request) -> Response:
        is_good = (await request.json())["code"] == ACTIVATION_CODE
        if self.rssp.fails_after:
            return Response("the connection to the back end broke", 502)
        return self.rssp.welcome() if is_good else _problem(401, "sign_in_refused")

    async def _show(self, request: Request) -> Response:
        return self.rssp.refused(request) or JSONResponse(self._account())

    async def _certificate(self, request: Request, name: str) -> Response:
        refused = self.rssp.refused(request)
        if refused is None and name != HELD:
            refused = _problem(404, "credential_unknown")
        der = base64.b64encode(b"\x30\x03\x02\x01\x07").decode()
        return refused or JSONResponse({"certificate": der})

    async def _choose(self, request: Request) -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        if self.pin_refused is not None:
            status, code, members = self.pin_refused
            return _problem(status, code, **members)
        self.chosen.append(await request.json())
        self.credentials = [held()]
        return JSONResponse({})

    async def _begin(self, request: Request) -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        if self.is_full:
            return _problem(403, "passkey_refused", reason="too_many")
        return JSONResponse({"challenge": "AAAA", "rp_id": "localhost", "passkeys": []})

    async def _change(self, request: Request, name: str = "") -> Response:
        if (refused := self.rssp.refused(request)) is not None:
            return refused
        given = await request.json()
        if not is_showable(given.get("name", "")):
            return _problem(400, "invalid_request", parameter="name")
        if given["password"] != self.password:
            return _problem(401, "sign_in_refused")
        if name:
            self.entries.clear()
        else:
            self.added.append(given)
            self.add_entry()
        return JSONResponse({}, 200 if name else 201)

    def _account(self) -> dict[str, Any]:
        from tests.support.consent_api import SIGNER  # noqa: PLC0415 - that module imports this one

        now = datetime.now(UTC).isoformat()
        return {
            "subscriber": SIGNER,
            "credentials": self.credentials,
            "sign_in_passkeys": self.entries,
            "password": {"is_own": True, "since": now},
            "events": [
                {"kind": kind, "at": at}
                for kind, at in itertools.zip_longest(
                    self.kinds, self.at[: len(self.kinds)], fillvalue=now
                )
            ],
        }


def _problem(status: int, code: str, **members: object) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, **members}
    return JSONResponse(body, status, media_type="application/problem+json")
