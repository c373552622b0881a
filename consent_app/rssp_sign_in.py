"""Client of the rssp's consent API for coming in, and for what an account holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from consent_app.answers import Answer, Certificate, SignedIn, Signer
from consent_app.passkey_api import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_app.rssp import ConsentApi

_ID = r"^[0-9a-z]{26}$"


class Held(Answer):
    """A certificate with what approves with it. ``state``: valid, frozen, locked, and others."""

    id: str = Field(pattern=_ID)
    description: str | None
    state: str
    certificate: Certificate | None
    has_pin: bool
    has_totp: bool
    may_choose_pin: bool
    sims: list[str]
    passkeys: list[str]


class SignInPasskey(Answer):
    """A passkey that signs in and approves nothing."""

    id: str = Field(pattern=_ID)
    name: str
    registered_at: AwareDatetime
    last_used_at: AwareDatetime | None


class Happened(Answer):
    """Something that changed who may come in or sign."""

    kind: str
    at: AwareDatetime


class Password(Answer):
    """How old the password is. ``is_own``: its owner chose it; else the operator set it."""

    is_own: bool
    since: AwareDatetime


class Holdings(Answer):
    """All of an account but its sessions. ``password`` is None when its age is not on record."""

    subscriber: Signer
    credentials: list[Held]
    sign_in_passkeys: list[SignInPasskey]
    password: Password | None = None
    events: list[Happened]


class WhereTo(Answer):
    """The identity provider's page."""

    redirect_to: str = Field(max_length=4096)


class SignedInBy(SignedIn):
    """A new session, and where its visitor was going."""

    target: str


class CertificateFile(Answer):
    """DER in base64."""

    certificate: str


class SignInApi:
    """Every method raises ``RsspAway`` or ``RsspRefused`` when it fails."""

    def __init__(self, api: ConsentApi) -> None:
        self._api = api

    async def question(self) -> Options:
        """What whichever passkey the visitor picks is asked."""
        return await self._api.ask(Options, "POST", "sign-in/options", body={})

    async def sign_in(self, answer: Mapping[str, object]) -> SignedIn:
        """A new session. Refused: ``sign_in_refused``."""
        return await self._api.ask(SignedIn, "POST", "sign-in", body=answer)

    async def begin_openid(self, binding: str, target: str) -> str:
        """The address where the browser goes."""
        body = {"binding": binding, "target": target}
        found = await self._api.ask(WhereTo, "POST", "sign-in/openid", body=body)
        return found.redirect_to

    async def finish_openid(self, binding: str, answer: Mapping[str, str | None]) -> SignedInBy:
        """A new session. Refused: ``sign_in_refused``."""
        body = {"binding": binding, **answer}
        return await self._api.ask(SignedInBy, "POST", "sign-in/openid/answer", body=body)

    async def activate(self, code: str, password: str) -> SignedIn:
        """Set the password with a one-time code; a new session. Refused: ``sign_in_refused``."""
        body = {"code": code, "password": password}
        return await self._api.ask(SignedIn, "POST", "activate", body=body)

    async def holdings(self, session: str) -> Holdings:
        """Certificates, passkeys, what happened last."""
        return await self._api.ask(Holdings, "GET", "account", session)

    async def certificate(self, session: str, name: str) -> CertificateFile:
        """A certificate as a file. Refused: ``credential_unknown``."""
        path = f"credentials/{name}/certificate"
        return await self._api.ask(CertificateFile, "GET", path, session)

    async def end_session(self, session: str, name: str) -> None:
        """End another of the signer's sessions."""
        await self._api.ask(Answer, "DELETE", f"sessions/{name}", session)

    async def begin(self, session: str) -> Options:
        """What a browser needs to make a passkey. Refused: ``passkey_refused``."""
        return await self._api.ask(Options, "POST", "sign-in/passkeys/options", session, {})

    async def add(self, session: str, made: Mapping[str, object], name: str, password: str) -> None:
        """Let one in. Refused: ``sign_in_refused`` (the password), ``passkey_refused``."""
        body = {"passkey": made, "name": name, "password": password}
        await self._api.ask(Answer, "POST", "sign-in/passkeys", session, body)

    async def drop(self, session: str, name: str, password: str) -> None:
        """Remove one. Refused: ``sign_in_refused`` (the password), ``passkey_unknown``."""
        path = f"sign-in/passkeys/{name}/drop"
        await self._api.ask(Answer, "POST", path, session, {"password": password})
