"""Who calls: the check of the access token on a resource (RFC 6750, RFC 9449 cl. 7, RFC 8705).

Two steps, so that signing costs no statement more: :func:`read` looks at the header alone,
:func:`prove` checks the proof of possession; then either the caller's own statement checks the
token (``activation.sign_hash``), or :func:`identify` does with one of its own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import bindparam, null, select

from remote_signing.errors import AccessRefused, InvalidInput, Refusal, ReplayDetected
from remote_signing.identifiers import Ticket
from remote_signing.rssp import client_certificate, dpop, jose, replay, service_tokens
from remote_signing.rssp.models import (
    access_token,
    oauth_client,
    signature_activation,
    subscriber,
)
from remote_signing.rssp.service_tokens import ACCESS_PREFIX

if TYPE_CHECKING:
    from sqlalchemy import Row
    from starlette.requests import Request

    from remote_signing.rssp.client_certificate import ClientCertificate
    from remote_signing.rssp.deps import Services

Scope: TypeAlias = Literal["service", "credential"]
Scheme: TypeAlias = Literal["Bearer", "DPoP"]
Reason: TypeAlias = Literal["malformed", "invalid_token", "expired_token", "invalid_dpop_proof"]

_HEADER = re.compile(r"(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_LONGEST: Final = 512
_ALIVE = ("AUTHORIZED", "SIGNING", "SIGNED")


class BearerRefused(Refusal):
    """The token is missing, malformed, not good, or not proved. ``reason`` says which.

    ``challenge`` is the value of WWW-Authenticate; None where the request itself is malformed.
    """

    def __init__(
        self, cause: str = "", reason: Reason = "invalid_token", scheme: Scheme = "Bearer"
    ) -> None:
        super().__init__(cause, reason=reason)
        self.reason: Reason = reason
        self.challenge = None if reason == "malformed" else _challenge(reason, scheme)


@dataclass(frozen=True, slots=True)
class Presented:
    """What the request's headers say. Nothing is checked yet."""

    scheme: Scheme
    token: str = field(repr=False)
    proofs: tuple[str, ...] = field(repr=False)
    certificate: ClientCertificate | None
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Proved:
    """A token of the right shape with the keys that the request proved. Is it good? Not known yet.

    ``ticket`` is for the statement that uses it; ``jkt`` and ``x5t`` must be compared with those
    of the token's row there: a token bound to a key is refused without its proof.
    """

    scope: Scope
    ticket: Ticket
    scheme: Scheme
    jkt: str | None
    x5t: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is and what it is good for.

    ``subscriber_id`` is None with client_credentials: then ``agencies`` says for whose signers the
    client may act (it may hold ``"*"``). ``credential_id`` is the only credential that a token of
    scope ``credential`` may touch; None for scope ``service``.
    """

    scope: Scope
    client_id: str
    subscriber_id: str | None
    credential_id: str | None
    agencies: tuple[str, ...]
    proved: Proved


def read(services: Services, request: Request) -> Presented:
    """The token in the request's only ``Authorization`` header. No statement.

    Errors: ``BearerRefused`` with reason ``malformed``.
    """
    values = request.headers.getlist("authorization")
    match = _HEADER.fullmatch(values[0]) if len(values) == 1 else None
    if match is None or len(match[2]) > _LONGEST:
        raise BearerRefused(f"{len(values)} Authorization headers, or none of ours", "malformed")
    try:
        certificate = client_certificate.reported(services.config.proxy, request)
    except InvalidInput as error:
        raise BearerRefused(error.cause, "malformed") from None
    return Presented(
        scheme="DPoP" if match[1].lower() == "dpop" else "Bearer",
        token=match[2],
        proofs=tuple(request.headers.getlist("dpop")),
        certificate=certificate,
        method=request.method,
        path=request.scope["path"],
    )


def prove(services: Services, presented: Presented) -> Proved:
    """Check shape and proof of possession. No statement but the proof's row in ``replay``.

    That row is written for a token that was given out, bound to the key proved: anybody can make
    proofs, and must not fill the table with them. Errors: ``BearerRefused``.
    """
    service = service_tokens.parse(presented.token, ACCESS_PREFIX)
    ticket = service or Ticket.parse(presented.token)
    if ticket is None:
        raise BearerRefused("not one of our tokens", "invalid_token", presented.scheme)
    scope: Scope = "service" if service else "credential"
    is_dpop = presented.scheme == "DPoP"
    certificate = presented.certificate
    return Proved(
        scope=scope,
        ticket=ticket,
        scheme=presented.scheme,
        jkt=_proved_key(services, presented, scope, ticket) if is_dpop else None,
        x5t=None if certificate is None else certificate.thumbprint,
    )


def identify(services: Services, proved: Proved) -> Caller:
    """Look the token up. One statement. Errors: ``BearerRefused``."""
    parameters = {"the_id": proved.ticket.row_id, "the_secret": proved.ticket.secret_hash}
    statement = _SERVICE if proved.scope == "service" else _CREDENTIAL
    row = services.database.one(statement, parameters)
    if row is None or not _is_bound_to(row, proved):
        raise BearerRefused("unknown token, or another key", "invalid_token", proved.scheme)
    if row.client_state != "active" or row.subscriber_state not in {None, "active"}:
        raise BearerRefused("client or signer suspended", "invalid_token", proved.scheme)
    if row.is_over or row.expires_at <= services.now_ms():
        raise BearerRefused("the token is over", "expired_token", proved.scheme)
    return Caller(
        scope=proved.scope,
        client_id=row.client_id,
        subscriber_id=row.subscriber_id,
        credential_id=row.credential_id,
        agencies=tuple(json.loads(row.agencies)) if row.subscriber_id is None else (),
        proved=proved,
    )


def refused(reason: Reason, proved: Proved) -> BearerRefused:
    """The refusal for a statement elsewhere that found the token not good."""
    return BearerRefused("refused by the statement that used it", reason, proved.scheme)


def _proved_key(services: Services, presented: Presented, scope: Scope, ticket: Ticket) -> str:
    url = f"{services.config.urls.issuer}{presented.path}"
    try:
        proof = dpop.check(
            presented.proofs, presented.method, url, services.now_ms(), presented.token
        )
    except dpop.DpopProofInvalid as error:
        raise BearerRefused(error.cause, "invalid_dpop_proof", "DPoP") from error
    token = replay.Bound(scope, ticket.row_id, ticket.secret_hash, proof.jkt)
    try:
        replay.once_for_token(services.database, token, proof.mark)
    except ReplayDetected as error:
        raise BearerRefused(error.cause, "invalid_dpop_proof", "DPoP") from error
    except AccessRefused as error:
        raise BearerRefused(error.cause, "invalid_token", "DPoP") from error
    return proof.jkt


def _is_bound_to(row: Row[Any], proved: Proved) -> bool:
    """DPoP: exactly the key proved, none for none. Certificate: the one the token is bound to."""
    return row.jkt == proved.jkt and row.x5t in {None, proved.x5t}


def _challenge(reason: Reason, scheme: Scheme) -> str:
    # RFC 6750 cl. 3.1 knows no expired_token; CSC's code for it is in the body.
    error = "invalid_token" if reason == "expired_token" else reason
    algorithms = f', algs="{" ".join(jose.ALGORITHMS)}"' if scheme == "DPoP" else ""
    return f'{scheme} error="{error}"{algorithms}'


_SERVICE = (
    select(
        *(access_token.c.client_id, access_token.c.subscriber_id, access_token.c.expires_at),
        *(access_token.c.jkt, access_token.c.x5t, oauth_client.c.agencies),
        access_token.c.revoked_at.is_not(None).label("is_over"),
        oauth_client.c.state.label("client_state"),
        subscriber.c.state.label("subscriber_state"),
        null().label("credential_id"),
    )
    .join_from(access_token, oauth_client)
    .outerjoin(subscriber, subscriber.c.id == access_token.c.subscriber_id)
    .where(
        access_token.c.id == bindparam("the_id", type_=access_token.c.id.type),
        access_token.c.secret_hash
        == bindparam("the_secret", type_=access_token.c.secret_hash.type),
    )
)
_ROW = signature_activation.c
_CREDENTIAL = (
    select(
        *(_ROW.client_id, _ROW.subscriber_id, _ROW.credential_id, _ROW.expires_at),
        *(_ROW.token_jkt.label("jkt"), _ROW.token_x5t.label("x5t"), oauth_client.c.agencies),
        _ROW.state.not_in(_ALIVE).label("is_over"),
        oauth_client.c.state.label("client_state"),
        subscriber.c.state.label("subscriber_state"),
    )
    .join_from(signature_activation, oauth_client)
    .join(subscriber, subscriber.c.id == _ROW.subscriber_id)
    .where(
        _ROW.id == bindparam("the_id", type_=_ROW.id.type),
        _ROW.token_secret == bindparam("the_secret", type_=_ROW.token_secret.type),
        # What credentials/authorize gave out is a SAD: it signs beside a token, it is none.
        _ROW.channel == "oauth",
    )
)
