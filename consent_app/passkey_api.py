"""Client of the rssp's consent API for passkeys. What a browser says is handed on as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AwareDatetime, ConfigDict, Field

from consent_app.answers import Answer, Certificate, Happening, Outcome, Signer
from consent_app.rssp_account import Results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_app.rssp import ConsentApi
    from consent_app.rssp_account import Result

_ID = r"^[0-9a-z]{26}$"


class Passkey(Answer):
    """A passkey as its owner called it. It counts from ``usable_from`` on."""

    factor_id: str = Field(pattern=_ID)
    name: str
    is_synced: bool
    registered_at: AwareDatetime
    usable_from: AwareDatetime


class Holding(Answer):
    """A certificate and the passkeys that approve with it."""

    id: str = Field(pattern=_ID)
    description: str | None
    certificate: Certificate
    passkeys: list[Passkey]


class Passkeys(Answer):
    """All passkeys of a signer, and the rssp's time."""

    now: AwareDatetime
    subscriber: Signer
    credentials: list[Holding]
    notices: list[Happening]

    def holding(self, credential_id: str) -> Holding | None:
        """The certificate with that id."""
        return next((each for each in self.credentials if each.id == credential_id), None)

    def of_passkey(self, factor_id: str) -> tuple[Holding, Passkey] | None:
        """The passkey with that id, and whose it is."""
        found = (
            (holding, passkey)
            for holding in self.credentials
            for passkey in holding.passkeys
            if passkey.factor_id == factor_id
        )
        return next(found, None)


class Options(Answer):
    """What a browser asks a passkey, or needs to make one; only handed on."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


Json = dict[str, object]


class PasskeyApi:
    """The methods for passkeys. Every one raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    def __init__(self, api: ConsentApi) -> None:
        self._api = api

    async def question(self, session: str, name: str) -> Options:
        """What passkeys are asked to approve a request. Refused: ``passkey_unknown``."""
        path = f"requests/{name}/passkey/options"
        return await self._api.ask(Options, "POST", path, session, {})

    async def approve(self, session: str, name: str, answer: Mapping[str, object]) -> Outcome:
        """Consent with a passkey. Refused: ``evidence_invalid``, ``passkey_too_new`` and others."""
        path = f"requests/{name}/passkey"
        return await self._api.ask(Outcome, "POST", path, session, answer)

    async def question_all(self, session: str, names: list[str]) -> Options:
        """What passkeys are asked to approve all of ``names`` by one touch."""
        body = {"ids": names}
        return await self._api.ask(Options, "POST", "batch/passkey/options", session, body)

    async def approve_all(
        self, session: str, names: list[str], answer: Mapping[str, object]
    ) -> list[Result]:
        """Consent to all of them. Refused: as for one."""
        body: Json = {"ids": names, "answer": answer}
        return (await self._api.ask(Results, "POST", "batch/passkey", session, body)).results

    async def all(self, session: str) -> Passkeys:
        """The signer's passkeys."""
        return await self._api.ask(Passkeys, "GET", "passkeys", session)

    async def begin(self, session: str, credential_id: str) -> Options:
        """What a browser needs to make a passkey. Refused: ``passkey_refused``."""
        body = {"credential_id": credential_id}
        return await self._api.ask(Options, "POST", "passkeys/options", session, body)

    async def confirm(self, session: str, credential_id: str, made: Json) -> Options:
        """What a passkey that is there is asked about the new one."""
        body = {"credential_id": credential_id, "passkey": made}
        return await self._api.ask(Options, "POST", "passkeys/confirm", session, body)

    async def bind(self, session: str, credential_id: str, made: Json, more: Json) -> None:
        """Let a passkey in; ``more`` has its name and the proof."""
        body = {"credential_id": credential_id, "passkey": made, **more}
        await self._api.ask(Answer, "POST", "passkeys", session, body)

    async def begin_drop(self, session: str, factor_id: str) -> Options:
        """What is needed to remove a passkey. Its ``token`` comes back with the proof."""
        return await self._api.ask(Options, "POST", f"passkeys/{factor_id}/options", session, {})

    async def drop(self, session: str, factor_id: str, token: str, proof: Json) -> None:
        """Remove a passkey."""
        body = {"token": token, "proof": proof}
        await self._api.ask(Answer, "POST", f"passkeys/{factor_id}/drop", session, body)

    async def seen(self, session: str, newest: str) -> None:
        """The signer has seen all notices up to ``newest``."""
        await self._api.ask(Answer, "POST", "notices/seen", session, {"newest": newest})
