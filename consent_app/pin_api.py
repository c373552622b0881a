"""Client of the rssp's consent API for signing PINs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent_app.answers import Answer

if TYPE_CHECKING:
    from consent_app.rssp import ConsentApi


class PinApi:
    """Every method raises ``RsspAway`` or ``RsspRefused`` when it fails.

    Refused: ``pin_refused`` with a reason, ``evidence_invalid``, ``credential_locked``,
    ``credential_unknown``, ``conflict``; the first also ``pin_not_offered``.
    """

    def __init__(self, api: ConsentApi) -> None:
        self._api = api

    async def choose(self, session: str, name: str, **typed: str) -> None:
        """A first PIN: ``new_pin``, ``code``, ``otp``."""
        path = f"credentials/{name}/first-pin"
        await self._api.ask(Answer, "POST", path, session, dict(typed))

    async def change(self, session: str, name: str, **typed: str) -> None:
        """Another PIN: ``new_pin``, ``pin``, ``otp``."""
        await self._api.ask(Answer, "POST", f"credentials/{name}/pin", session, dict(typed))
