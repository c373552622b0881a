"""The rest of the rssp's consent API: history with receipts, sessions, the lost phone."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import AwareDatetime, Field

from consent_app.answers import (
    Answer,
    Certificate,
    Denial,
    Details,
    Document,
    Logo,
    Readable,
    Signer,
    State,
)
from consent_app.rssp import ConsentApi


class PastRequest(Answer):
    """A line of the history. ``at``: when it came to its state."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    client_name: str
    client_logo: Logo = None
    description: str | None
    details: Details | None
    num_signatures: int
    state: State
    denial: Denial | None
    created_at: AwareDatetime
    at: AwareDatetime


class History(Answer):
    """A page of it, the youngest first."""

    subscriber: Signer
    requests: list[PastRequest]
    after: str | None


class Record(Answer):
    """A row of the audit table. ``leaf_sha256`` is hexadecimal."""

    kind: str
    at: AwareDatetime
    number: int
    leaf_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Receipt(PastRequest):
    """What became of one request. ``factor``: what gave the consent."""

    subscriber: Signer
    documents: list[Document]
    hash_algorithm: str | None
    factor: str | None
    records: list[Record]


class OpenSession(Answer):
    """A session that has not ended."""

    id: str
    created_at: AwareDatetime
    last_used_at: AwareDatetime
    is_this: bool


class Account(Answer):
    """The signer's sessions, and how many of his keys are frozen."""

    subscriber: Signer
    sessions: list[OpenSession]
    frozen: int = Field(ge=0)


class Reviewed(Readable):
    """A request that was looked at, as the page of a batch shows it."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    client_name: str
    client_logo: Logo = None
    description: str | None
    details: Details | None
    num_signatures: int
    expires_at: AwareDatetime
    certificate: Certificate
    passkey_from: AwareDatetime | None = None


class Batch(Answer):
    """What may be approved together, and the rssp's time."""

    now: AwareDatetime
    subscriber: Signer
    requests: list[Reviewed]


class Result(Answer):
    """What became of one request of a batch."""

    id: str
    is_approved: bool


class Results(Answer):
    """What became of each."""

    results: list[Result]


class Frozen(Answer):
    """How many keys are frozen now."""

    frozen: int = Field(ge=0)


class AccountApi(ConsentApi):
    """The whole consent API. Every method raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    async def history(self, session: str, **wanted: str) -> History:
        """What was answered or is over. ``wanted``: ``portal``, ``q``, ``after``."""
        query = f"?{urlencode(wanted)}" if wanted else ""
        return await self.ask(History, "GET", f"history{query}", session)

    async def receipt(self, session: str, name: str) -> Receipt:
        """One of them. Refused: ``request_unknown``, also while it waits."""
        return await self.ask(Receipt, "GET", f"history/{name}", session)

    async def account(self, session: str) -> Account:
        """Sessions and frozen keys."""
        return await self.ask(Account, "GET", "sessions", session)

    async def sign_out_everywhere(self, session: str) -> None:
        """End every session, this one too."""
        await self.ask(Answer, "DELETE", "sessions", session)

    async def batch(self, session: str) -> Batch:
        """What was looked at and is not answered."""
        return await self.ask(Batch, "GET", "batch", session)

    async def approve_all(self, session: str, names: list[str], pin: str, otp: str) -> list[Result]:
        """Consent to all of them with both factors. Refused: as for one."""
        body: dict[str, str | list[str]] = {"ids": names, "pin": pin, "otp": otp}
        return (await self.ask(Results, "POST", "batch", session, body)).results

    async def freeze(self, session: str) -> int:
        """Freeze all keys; how many are frozen now."""
        return (await self.ask(Frozen, "POST", "freeze", session)).frozen
