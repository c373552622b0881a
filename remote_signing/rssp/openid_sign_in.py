"""Signing in by an identity provider (OpenID Connect, authorization code with PKCE).

A sign-in is bound to the browser that began it: the page keeps a secret in a cookie, and nonce and
code verifier follow from that secret and the state. The state is used up by one guarded DELETE, in
that browser only. What this gives is a session, as a password does: never a factor that signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from sqlalchemy import delete, insert

from remote_signing.errors import OpenidAway, OpenidMisbehaved, SignInRefused
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import (
    activation,
    audit,
    openid_subjects,
    openid_token,
    sessions,
    subscribers,
)
from remote_signing.rssp.models import openid_sign_in
from remote_signing.rssp.openid_token import Expected

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.openid_client import OpenidProvider
    from remote_signing.rssp.sessions import Opened

LIFETIME_MS: Final = 10 * 60 * 1000
LONGEST_CODE: Final = 2048
LONGEST_TARGET: Final = 200
CALLBACK: Final = "/sign-in/openid/callback"
_STRANGERS: Final = "who comes by the identity provider"  # with spaces: no client is called so
_ROW = openid_sign_in.c


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brought back from the provider. ``issuer``: RFC 9207; None when absent."""

    binding: str = field(repr=False)
    state: str = field(repr=False)
    code: str | None = field(repr=False)
    issuer: str | None
    error: str | None = None


def begin(services: Services, binding: str, target: str) -> str:
    """Where the browser is to go. One statement, and an exchange with the provider now and then.

    Errors: ``OpenidNotOffered``, ``OpenidAway``.
    """
    provider = openid_subjects.provider(services)
    now = services.now_ms()
    ticket = Ticket.issue(new_id(now))
    values = {
        "id": ticket.row_id,
        "secret_hash": ticket.secret_hash,
        "binding_hash": _hash(binding),
        "issuer": provider.config.issuer,
        "target": target,
        "expires_at": now + LIFETIME_MS,
    }
    try:
        address = _address(services, provider, _request(services, provider, binding, str(ticket)))
    except OpenidMisbehaved as error:
        raise OpenidAway(error.cause) from error
    services.database.run(insert(openid_sign_in), values)
    return address


def finish(services: Services, answer: Answer) -> tuple[Opened, str]:
    """Open a session, once; and where the visitor was going. Two statements and six to open it.

    Errors: ``OpenidNotOffered``, ``OpenidAway``, and ``SignInRefused`` for every other reason.
    """
    provider = openid_subjects.provider(services)
    begun = _taken(services, answer)
    try:
        _check_answer(provider, begun, answer)
        subscriber_id = _known(services, _subject(services, provider, answer))
    except SignInRefused as error:
        _note(services, error)
        raise
    with services.database.transaction() as connection:
        owner = subscribers.get_in(connection, subscriber_id)
        if owner.state != "active":
            raise SignInRefused("suspended")
        return sessions.open_for(services, connection, owner, "openid"), str(begun.target)


def prune(services: Services) -> int:
    """Remove sign-ins that nobody finished in time; how many. One statement."""
    return services.database.run(delete(openid_sign_in).where(_ROW.expires_at <= services.now_ms()))


def _request(
    services: Services, provider: OpenidProvider, binding: str, state: str
) -> dict[str, str]:
    config = provider.config
    request = {
        "response_type": "code",
        "redirect_uri": _callback(services),
        "scope": " ".join(config.scopes),
        "state": state,
        "nonce": _derived("nonce", binding, state),
        "code_challenge": activation.s256(_derived("verifier", binding, state)),
        "code_challenge_method": "S256",
    }
    if config.acr_values:
        request["acr_values"] = " ".join(config.acr_values)
    if config.max_age is not None:
        request["max_age"] = str(config.max_age)
    return request


def _address(services: Services, provider: OpenidProvider, request: dict[str, str]) -> str:
    """The provider's page with the request, pushed before where it takes that (RFC 9126)."""
    metadata, client_id = provider.metadata(), provider.config.client_id
    if metadata.pushed_endpoint is not None:
        # OpenID Connect wants what is required in the address, too; none of it is a secret.
        again = {name: request[name] for name in ("response_type", "scope", "redirect_uri")}
        request = {**again, "request_uri": provider.push(request)}
    response_type = request.pop("response_type")
    asked: Any = prepare_grant_uri(
        metadata.authorization_endpoint,
        client_id,
        response_type,
        ui_locales=services.config.service.lang,
        **request,
    )
    return cast("str", asked)


def _taken(services: Services, answer: Answer) -> Row[Any]:
    """The sign-in that ``answer`` ends, used up; ``SignInRefused`` in any other browser."""
    ticket = Ticket.parse(answer.state)
    if ticket is None:
        raise SignInRefused("a state that is none of ours")
    once = (
        delete(openid_sign_in)
        .where(
            _ROW.id == ticket.row_id,
            _ROW.secret_hash == ticket.secret_hash,
            _ROW.binding_hash == _hash(answer.binding),
            _ROW.expires_at > services.now_ms(),
        )
        .returning(_ROW.issuer, _ROW.target)
    )
    row = services.database.one(once)
    if row is None:
        raise SignInRefused("a state that is used, too old, or another browser's")
    return row


def _check_answer(provider: OpenidProvider, begun: Row[Any], answer: Answer) -> None:
    if begun.issuer != provider.config.issuer:
        raise OpenidMisbehaved("begun at another provider")
    required = provider.metadata().names_issuer
    if answer.issuer != begun.issuer and (required or answer.issuer is not None):
        raise OpenidMisbehaved("the answer is not this provider's (RFC 9207)")
    if answer.error is not None or answer.code is None:
        raise SignInRefused(f"the provider says {answer.error}")


def _subject(services: Services, provider: OpenidProvider, answer: Answer) -> str:
    verifier = _derived("verifier", answer.binding, answer.state)
    tokens = provider.redeem(cast("str", answer.code), verifier, _callback(services))
    nonce = _derived("nonce", answer.binding, answer.state)
    expected = Expected(nonce, tokens.access_token, services.now_ms())
    return openid_token.subject_of(tokens.id_token, provider.config, expected, provider.signer)


def _known(services: Services, subject: str) -> str:
    subscriber_id = openid_subjects.subscriber_of(services, subject)
    if subscriber_id is None:
        raise SignInRefused("nobody whom the registration has bound to a signer")
    return subscriber_id


def _note(services: Services, error: SignInRefused) -> None:
    """On record, within the share of all who come this way: anybody can bring about a refusal."""
    detail = {"reason": type(error).__name__, "cause": error.cause[:200]}
    event = audit.Event("openid.refused", "signer", detail=detail)

    def write(text: str) -> None:
        audit.write(services.database, event, text, services.now_ms())

    services.refusals.keep(_STRANGERS, detail, write)


def _callback(services: Services) -> str:
    return services.config.urls.consent + CALLBACK


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8")).digest()


def _derived(name: str, binding: str, state: str) -> str:
    """A value of 256 bits that only holders of both secrets know."""
    said = f"remote-signing/openid/{name}/v1\0{state}".encode()
    digest = hmac.digest(binding.encode("utf-8"), said, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
