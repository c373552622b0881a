"""Telling the rssp of an ending: at least once, signed, with pauses that grow.

The shape is Standard Webhooks: ``webhook-id`` (the same at each delivery, so that the receiver can
drop a repeat), ``webhook-timestamp`` (seconds), ``webhook-signature`` (``v1,`` and base64 of
HMAC-SHA256 over ``id.timestamp.body``, one for each secret, space between). The message says which
transaction changed, never how the person signed: the rssp reads that itself.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import update

from sim_adapter.config import ConfigInvalid, read_secret
from sim_adapter.models import callback as table

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.config import CallbackConfig
    from sim_adapter.deps import Services

_log = logging.getLogger(__name__)
LONGEST_PAUSE = 300  # seconds
_PREFIX = "whsec_"
_SECRET_LENGTHS = range(24, 65)


def read_secrets(config: CallbackConfig) -> tuple[bytes, ...]:
    """The secrets that sign; ``ConfigInvalid`` for one that is not of the shape."""
    return tuple(_secret(read_secret(path), str(path)) for path in config.secret_files)


def _secret(text: str, name: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) not in _SECRET_LENGTHS:
        raise ConfigInvalid(f"{name}: not {_PREFIX} and base64 of 24 to 64 bytes")
    return secret


def sign(secrets: tuple[bytes, ...], identifier: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    macs = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return " ".join("v1," + base64.b64encode(mac).decode() for mac in macs)


class Courier:
    """Delivers the rows of ``callback``."""

    def __init__(
        self,
        services: Services,
        config: CallbackConfig,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._services = services
        self._config = config
        self._secrets = read_secrets(config)
        self._http = httpx.AsyncClient(
            timeout=config.timeout, transport=transport, trust_env=False, follow_redirects=False
        )

    @property
    def lease_ms(self) -> int:
        """How long a delivery may take."""
        return int(self._config.timeout * 3000) + 5_000

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def deliver(self, row: Row[Any]) -> None:
        """Try once; what is not answered with 2xx is tried again after a pause."""
        body, now = row.body.encode(), self._services.now_ms()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": row.id,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": sign(self._secrets, row.id, now // 1000, body),
        }
        try:
            response = await self._http.post(self._config.url, content=body, headers=headers)
            refused = None if response.is_success else f"HTTP {response.status_code}"
        except httpx.HTTPError as error:
            refused = f"{type(error).__name__} {error}"
        await asyncio.to_thread(self._note, row, refused)

    def _note(self, row: Row[Any], refused: str | None) -> None:
        now = self._services.now_ms()
        statement = update(table).where(table.c.id == row.id)
        if refused is None:
            done = {"delivered_at": now, "next_at": None}
            self._services.database.all(statement.values(done))
            return
        about = {"transaction": row.transaction_id, "tries": row.tries + 1, "cause": refused}
        pause = min(2**row.tries, LONGEST_PAUSE) * 1000
        if now + pause > row.created_at + self._config.give_up * 1000:
            _log.error("alarm: a call-back was given up", extra=about)
            self._services.database.all(statement.values(next_at=None))
            return
        _log.warning("a call-back was not taken", extra=about)
        step = {"tries": table.c.tries + 1, "next_at": now + pause}
        self._services.database.all(statement.values(step))
