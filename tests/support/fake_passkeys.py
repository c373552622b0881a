"""The part of the small rssp that lists the passkeys that approve."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse, Response

from tests.support.fake_coming_in import CERTIFICATE, HELD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.consent_api import FakeRssp

    Route = tuple[str, str, Callable[..., Awaitable[Response]]]

PASSKEY = "01mcc5rm00mratbh8wk05wn2gr"
NOTICE = "01mcc5rm00mratbh8wk05wn2gs"


@dataclass
class FakePasskeys:
    """``there`` are the passkeys of the one certificate, ``notices`` what was not seen yet."""

    there: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    is_absent: bool = False  # a service that takes none
    rssp: FakeRssp = field(init=False)

    def add(self, name: str = "Điện thoại mới của cơ quan") -> None:
        """A passkey that waits until it counts, and the notice of it."""
        now = datetime.now(UTC)
        moments = {"registered_at": now.isoformat(), "usable_from": _later(now)}
        self.there.append({"factor_id": PASSKEY, "name": name, "is_synced": False, **moments})
        self.tell("passkey_added", name)

    def tell(self, kind: str, name: str) -> None:
        """Something to be seen."""
        now = datetime.now(UTC)
        until = _later(now) if kind == "passkey_added" else None
        moments = {"created_at": now.isoformat(), "usable_from": until}
        self.notices.append({"id": NOTICE, "kind": kind, "name": name, **moments})

    def routes(self, rssp: FakeRssp) -> list[Route]:
        """What FastAPI adds; ``rssp`` knows the session."""
        self.rssp = rssp
        here = "/consent/v1/passkeys"
        return [
            ("GET", here, self._all),
            ("POST", f"{here}/{{name}}/options", self._begin_drop),
            ("POST", "/consent/v1/requests/{name}/passkey/options", self._question),
        ]

    async def _all(self, request: Request) -> Response:
        from tests.support.consent_api import SIGNER  # noqa: PLC0415 - that module imports this one

        if (refused := self.rssp.refused(request)) is not None:
            return refused
        if self.is_absent:
            return JSONResponse({"code": "not_found"}, 404)
        holding = {"id": HELD, "description": None, "certificate": CERTIFICATE}
        members = {
            "now": datetime.now(UTC).isoformat(),
            "subscriber": SIGNER,
            "credentials": [{**holding, "passkeys": self.there}],
            "notices": self.notices,
        }
        return JSONResponse(members)

    async def _begin_drop(self, request: Request, name: str) -> Response:
        return self.rssp.refused(request) or JSONResponse({"token": name, "challenge": "AAAA"})

    async def _question(self, request: Request) -> Response:
        """None of them approves: a browser would have to answer."""
        from tests.support.consent_api import problem  # noqa: PLC0415 - as above

        return self.rssp.refused(request) or problem(404, "passkey_unknown")


def _later(now: datetime) -> str:
    return (now + timedelta(hours=24)).isoformat()
