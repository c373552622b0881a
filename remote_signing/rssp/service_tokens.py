"""Tokens of scope ``service``: issue, rotate, revoke. Opaque, kept as SHA-256 only.

On the wire an access token is ``s.`` and a refresh token ``r.`` before the ticket; a token of scope
``credential`` is a bare ticket of its signature activation. So what a token is shows without a
look at the database, and each use of one costs one statement.

All tokens that grew from one consent form a family. A refresh token is good once; when a used one
comes again, somebody else has it, and the whole family ends (RFC 9700 cl. 4.14.2). It ends by
itself too: its id tells when it began, and no refresh token outlives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, exists, func, insert, select, update

from remote_signing.errors import AccessRefused, ReplayDetected
from remote_signing.identifiers import Ticket, made_at_ms, new_id
from remote_signing.rssp import activation, audit
from remote_signing.rssp.models import access_token, refresh_token, subscriber

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from remote_signing.rssp.deps import Services

SERVICE: Final = "service"
ACCESS_PREFIX: Final = "s."
REFRESH_PREFIX: Final = "r."

_ACCESS = access_token.c
_REFRESH = refresh_token.c


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a token is, and the keys it is bound to: DPoP thumbprint, certificate thumbprint."""

    client_id: str
    subscriber_id: str | None = None
    jkt: str | None = None
    x5t: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """What the token endpoint gives out. ``expires_in`` is in seconds."""

    access: str = field(repr=False)
    expires_in: int
    scope: str = SERVICE
    refresh: str | None = field(default=None, repr=False)


def issue_to_client(services: Services, holder: Holder) -> ServiceToken:
    """A token of client_credentials: no signer, no refresh token. One statement."""
    values, token = _new_access(services, holder, None)
    services.database.run(insert(access_token), values)
    return token


def issue_family(
    services: Services, connection: Connection, holder: Holder, family_id: str, *, refresh: bool
) -> ServiceToken:
    """The tokens that a consent becomes, or the next of its family. One or two statements."""
    values, token = _new_access(services, holder, family_id)
    connection.execute(insert(access_token), values)
    if not refresh:
        return token
    now, lifetimes = services.now_ms(), services.config.lifetimes
    family_ends = made_at_ms(family_id) + lifetimes.refresh_family * 1000
    ticket = Ticket.issue(new_id(now))
    connection.execute(
        insert(refresh_token),
        {
            "id": ticket.row_id,
            "family_id": family_id,
            "secret_hash": ticket.secret_hash,
            "client_id": holder.client_id,
            "subscriber_id": holder.subscriber_id,
            "scope": SERVICE,
            "created_at": now,
            "expires_at": min(now + lifetimes.refresh_token * 1000, family_ends),
            "jkt": holder.jkt,
            "x5t": holder.x5t,
        },
    )
    return ServiceToken(token.access, token.expires_in, refresh=f"{REFRESH_PREFIX}{ticket}")


def rotate(services: Services, text: str, holder: Holder) -> ServiceToken:
    """A new pair for a refresh token, which is then used up. Three statements, one transaction.

    Errors: ``AccessRefused`` with public ``reason`` ``unknown`` (also another client's, revoked,
    bound to another key, or of a suspended signer) or ``expired``; ``ReplayDetected``: it was used
    before, and its family has ended.
    """
    ticket = parse(text, REFRESH_PREFIX)
    if ticket is None:
        raise AccessRefused("not a refresh token", reason="unknown")
    with services.database.transaction() as connection:
        row = connection.execute(_USE_UP, _parameters(services, ticket, holder)).one_or_none()
        if row is not None:
            next_holder = Holder(holder.client_id, row.subscriber_id, holder.jkt, holder.x5t)
            return issue_family(services, connection, next_holder, row.family_id, refresh=True)
    raise _why_not(services, ticket, holder)


def revoke(services: Services, text: str, client_id: str) -> bool:
    """End a token of any kind (RFC 7009); False when it is none of this client's.

    A refresh token takes its family along; an access token ends alone; a credential token, SAD,
    code or handle ends its activation. One to four statements.
    """
    for prefix, end in ((ACCESS_PREFIX, _end_access), (REFRESH_PREFIX, _end_refresh)):
        if ticket := parse(text, prefix):
            return end(services, ticket, client_id)
    bare = Ticket.parse(text)
    return bare is not None and activation.revoke(services, bare, client_id)


def end_family(connection: Connection, family_id: str, now_ms: int) -> None:
    """Revoke every token that grew from one consent. Three statements.

    Refresh tokens first, until none is left: a rotation that runs at this moment holds its row, so
    the first round waits for it, and the next sees what it has made. After that none can start.
    """
    parameters = {"the_family": family_id, "now": now_ms}
    while connection.execute(_END_FAMILY["refresh_token"], parameters).rowcount:
        pass
    connection.execute(_END_FAMILY["access_token"], parameters)


def parse(text: str, prefix: str) -> Ticket | None:
    """The ticket behind ``prefix``, or None."""
    return Ticket.parse(text[len(prefix) :]) if text.startswith(prefix) else None


def _new_access(
    services: Services, holder: Holder, family_id: str | None
) -> tuple[dict[str, object], ServiceToken]:
    now = services.now_ms()
    ticket = Ticket.issue(new_id(now))
    lifetime = services.config.lifetimes.service_token
    values: dict[str, object] = {
        "id": ticket.row_id,
        "secret_hash": ticket.secret_hash,
        "client_id": holder.client_id,
        "subscriber_id": holder.subscriber_id,
        "scope": SERVICE,
        "created_at": now,
        "expires_at": now + lifetime * 1000,
        "jkt": holder.jkt,
        "x5t": holder.x5t,
        "family_id": family_id,
    }
    return values, ServiceToken(f"{ACCESS_PREFIX}{ticket}", lifetime)


def _parameters(services: Services, ticket: Ticket, holder: Holder) -> dict[str, object]:
    return {
        "the_id": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "the_client": holder.client_id,
        "the_jkt": holder.jkt or "",
        "now": services.now_ms(),
    }


def _why_not(services: Services, ticket: Ticket, holder: Holder) -> AccessRefused | ReplayDetected:
    row = services.database.one(_LOOK, _parameters(services, ticket, holder))
    if row is None or row.revoked_at is not None:
        return AccessRefused("refresh token unknown or revoked", reason="unknown")
    if row.used_at is not None:
        _end_reused(services, row, holder.client_id)
        return ReplayDetected("a used refresh token came again")
    if row.expires_at <= services.now_ms():
        return AccessRefused("refresh token is over", reason="expired")
    return AccessRefused("refresh token bound to another key, or signer gone", reason="unknown")


def _end_reused(services: Services, row: Row[Any], client_id: str) -> None:
    now = services.now_ms()
    event = audit.Event(
        "token.reused",
        "client",
        client_id=client_id,
        subscriber_id=row.subscriber_id,
        detail={"family_id": row.family_id},
    )
    with services.database.transaction() as connection:
        end_family(connection, row.family_id, now)
        audit.record(connection, event, now)


def _end_access(services: Services, ticket: Ticket, client_id: str) -> bool:
    parameters = _parameters(services, ticket, Holder(client_id))
    return services.database.one(_END_ACCESS, parameters) is not None


def _end_refresh(services: Services, ticket: Ticket, client_id: str) -> bool:
    now = services.now_ms()
    with services.database.transaction() as connection:
        parameters = _parameters(services, ticket, Holder(client_id))
        row = connection.execute(_END_REFRESH, parameters).one_or_none()
        if row is None:
            return False
        end_family(connection, row.family_id, now)
        event = audit.Event(
            "token.revoked",
            "client",
            client_id=client_id,
            subscriber_id=row.subscriber_id,
            detail={"family_id": row.family_id},
        )
        audit.record(connection, event, now)
    return True


_NOW = bindparam("now", type_=_ACCESS.expires_at.type)
_THIS = {
    table.name: and_(
        table.c.id == bindparam("the_id", type_=table.c.id.type),
        table.c.secret_hash == bindparam("the_secret", type_=table.c.secret_hash.type),
        table.c.client_id == bindparam("the_client", type_=table.c.client_id.type),
    )
    for table in (access_token, refresh_token)
}
_END_FAMILY = {
    table.name: update(table)
    .where(
        table.c.family_id == bindparam("the_family", type_=table.c.family_id.type),
        table.c.revoked_at.is_(None),
    )
    .values(revoked_at=_NOW)
    for table in (access_token, refresh_token)
}
_USE_UP = (
    update(refresh_token)
    .where(
        _THIS["refresh_token"],
        _REFRESH.used_at.is_(None),
        _REFRESH.revoked_at.is_(None),
        _REFRESH.expires_at > _NOW,
        # Whoever once proved a key proves it again: no step down to a bearer token. A certificate
        # is not compared: it was checked when the client authenticated, and may be a renewed one.
        func.coalesce(_REFRESH.jkt, "") == bindparam("the_jkt", type_=_REFRESH.jkt.type),
        exists(
            select(subscriber.c.id).where(
                subscriber.c.id == _REFRESH.subscriber_id, subscriber.c.state == "active"
            )
        ),
    )
    .values(used_at=_NOW)
    .returning(_REFRESH.family_id, _REFRESH.subscriber_id)
)
_LOOK = select(
    *(_REFRESH.family_id, _REFRESH.subscriber_id),
    *(_REFRESH.used_at, _REFRESH.revoked_at, _REFRESH.expires_at),
).where(_THIS["refresh_token"])
_END_ACCESS = (
    update(access_token)
    .where(_THIS["access_token"], _ACCESS.revoked_at.is_(None), _ACCESS.expires_at > _NOW)
    .values(revoked_at=_NOW)
    .returning(_ACCESS.id)
)
_END_REFRESH = (
    update(refresh_token)
    .where(_THIS["refresh_token"], _REFRESH.revoked_at.is_(None), _REFRESH.expires_at > _NOW)
    .values(revoked_at=_NOW)
    .returning(_REFRESH.family_id, _REFRESH.subscriber_id)
)
