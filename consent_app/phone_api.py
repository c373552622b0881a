"""Client of the rssp's consent API for the phone: how much waits, and being told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from consent_app.answers import Answer, Signer

if TYPE_CHECKING:
    from consent_app.rssp import ConsentApi


class Count(Answer):
    """How much waits; ``mark`` changes when that does."""

    waiting: int = Field(ge=0)
    mark: str = Field(pattern=r"^[0-9]{1,4}\.[0-9a-z]{0,26}$")


class Push(Answer):
    """What a browser needs to be told (None: nobody is), and how many of the signer's are."""

    subscriber: Signer
    public_key: str | None = Field(pattern=r"^[A-Za-z0-9_-]{87}$")
    browsers: int = Field(ge=0)


class PhoneApi:
    """Every method raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    def __init__(self, api: ConsentApi) -> None:
        self._api = api

    async def look(self, session: str) -> Count:
        """How much waits. The session does not count as used."""
        return await self._api.ask(Count, "GET", "waiting", session)

    async def push(self, session: str) -> Push:
        """How it stands with telling this signer's browsers."""
        return await self._api.ask(Push, "GET", "push", session)

    async def subscribe(self, session: str, endpoint: str) -> None:
        """Tell this browser. Refused: ``invalid_request``, an address of no known push service."""
        await self._api.ask(Answer, "POST", "push", session, {"endpoint": endpoint})

    async def unsubscribe(self, session: str, endpoint: str) -> None:
        """Tell this browser no more; once more is the same as once."""
        await self._api.ask(Answer, "POST", "push/end", session, {"endpoint": endpoint})

    async def unsubscribe_all(self, session: str) -> None:
        """Tell none of the signer's browsers any more."""
        await self._api.ask(Answer, "DELETE", "push", session)
