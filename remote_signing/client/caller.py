"""Where the service is and who calls it; how a call to it looks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from remote_signing.client.answers import Members, read
from remote_signing.client.exchange import Body, Call, Outgoing, Retry, exchange
from remote_signing.client.identity import Authentication, proof

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.client.exchange import Flow, Sink
    from remote_signing.client.identity import Identity, SigningKey

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
DPOP = "DPoP"


@dataclass(frozen=True, slots=True)
class Service:
    """``issuer`` of the authorization server, without a final slash; the rest is found from it."""

    issuer: str
    csc: str = ""
    oauth: str = ""

    def method(self, name: str) -> str:
        """The address of a method of CSC API v2."""
        return f"{self.csc or self.issuer + '/csc/v2'}/{name}"

    def endpoint(self, name: str) -> str:
        """The address of an endpoint of the authorization server."""
        return f"{self.oauth or self.issuer + '/oauth2'}/{name}"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. ``scope`` is ``service`` or ``credential``, ``expires_in`` in seconds."""

    value: str = field(repr=False)
    kind: str = "Bearer"
    scope: str = "service"
    expires_in: int = 0
    refresh: str | None = field(default=None, repr=False)
    credential_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """``identity`` None: a program that is given its tokens and gets none by itself."""

    service: Service
    identity: Identity | None = None
    proof_key: SigningKey | None = None
    retry: Retry = field(default_factory=Retry)

    def csc(
        self,
        name: str,
        members: Mapping[str, object],
        token: Token | None = None,
        *,
        repeatable: bool,
    ) -> Flow[Members]:
        """The answer of a method to ``members``. The bytes sent are the same at each try."""
        body = Body.of(json.dumps(members, ensure_ascii=False))
        return (yield from self.csc_body(name, body, token, repeatable=repeatable))

    def csc_body(
        self,
        name: str,
        body: Body,
        token: Token | None,
        *,
        repeatable: bool,
        sink: Sink | None = None,
    ) -> Flow[Members]:
        """As :meth:`csc`, with a body of any length; ``sink`` takes the answer's."""
        url = self.service.method(name)

        def outgoing() -> Outgoing:
            headers = {"Content-Type": _JSON, "Accept": _JSON}
            return Outgoing(url, headers | self._authorization(url, token), body, sink)

        return read(name, (yield from exchange(Call(name, outgoing, repeatable), self.retry)))

    def form(self, name: str, parameters: Mapping[str, str], *, repeatable: bool) -> Flow[Members]:
        """The answer of an endpoint of the authorization server, to this client."""
        url = self.service.endpoint(name)

        def outgoing() -> Outgoing:
            given = self.authentication()
            headers = {"Content-Type": _FORM, "Accept": _JSON, **given.headers}
            if self.proof_key is not None:
                headers[DPOP] = proof(self.proof_key, url)
            return Outgoing(url, headers, Body.of(urlencode({**parameters, **given.form})))

        name = f"oauth2/{name}"
        return read(name, (yield from exchange(Call(name, outgoing, repeatable), self.retry)))

    def authentication(self) -> Authentication:
        """For one request; ``ValueError`` for a caller without an identity."""
        return self.identified.authenticate(self.service.issuer)

    @property
    def identified(self) -> Identity:
        """The identity; ``ValueError`` where there is none."""
        if self.identity is None:
            raise ValueError("this client has no identity, so it cannot ask for tokens")
        return self.identity

    def _authorization(self, url: str, token: Token | None) -> dict[str, str]:
        if token is None:
            return {}
        if token.kind.lower() != DPOP.lower():
            return {"Authorization": f"Bearer {token.value}"}
        if self.proof_key is None:
            raise ValueError("the token is bound to a key (DPoP) that this client does not have")
        shown = proof(self.proof_key, url, token.value)
        return {"Authorization": f"DPoP {token.value}", DPOP: shown}
