"""A signer's session at the consent page: a spell of work, not a right to sign.

The session shows what waits for the signer and carries his answers; each approval proves the
factors anew. It ends after 30 minutes without use, after 12 hours at the latest (configurable), by
signing out, and with the subscriber's suspension.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, exists, insert, select, update

from remote_signing.errors import SessionInvalid, SignInRefused
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import audit, subscribers
from remote_signing.rssp.commits import without_waiting
from remote_signing.rssp.models import agency, login_session, push_subscription, subscriber

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Label, Row
    from sqlalchemy.sql.dml import ReturningUpdate

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.subscribers import Subscriber

LONGEST_USERNAME = 100
LONGEST_PASSWORD = 256
"""Characters; what is longer was never registered."""
MOST_SESSIONS = 8
"""Of one signer at a time: a new one ends the oldest."""

_PERSON = "remote-signing/person/v1"
_PERSON_LENGTH = 22
_ROW, _PUSH = login_session.c, push_subscription.c


@dataclass(frozen=True, slots=True)
class Signer:
    """Who is signed in. ``full_name`` is written family name first."""

    subscriber_id: str
    full_name: str
    position: str | None
    agency: str

    @property
    def person(self) -> str:
        """The same for this official in every session, and good for nothing but comparing."""
        digest = hashlib.sha256(f"{_PERSON}|{self.subscriber_id}".encode()).digest()
        return base64.urlsafe_b64encode(digest)[:_PERSON_LENGTH].decode("ascii")


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session. ``expires_at_ms`` is its end however busy it is."""

    ticket: Ticket
    expires_at_ms: int
    signer: Signer


def sign_in(services: Services, username: str, password: str) -> Opened:
    """Open a session. Three statements to check, two in one transaction to open.

    Errors: ``SignInRefused`` for every reason alike (unknown, suspended, paused, wrong).
    """
    if not 0 < len(username) <= LONGEST_USERNAME or not 0 < len(password) <= LONGEST_PASSWORD:
        raise SignInRefused("of a length that nobody has registered")
    found = subscribers.sign_in(services, username, password)
    with services.database.transaction() as connection:
        return open_for(services, connection, found, "password")


def open_for(services: Services, connection: Connection, found: Subscriber, by: str) -> Opened:
    """Open a session in the caller's transaction. Three statements.

    ``by`` says what it was opened with. Of one signer's sessions only the youngest stay open.
    """
    now = services.now_ms()
    ticket = Ticket.issue(new_id(now))
    end = now + services.config.lifetimes.session * 1000
    values = {
        "id": ticket.row_id,
        "secret_hash": ticket.secret_hash,
        "subscriber_id": found.id,
        "created_at": now,
        "last_used_at": now,
        "expires_at": end,
    }
    connection.execute(insert(login_session), values)
    connection.execute(_END_OLDEST, {"the_owner": found.id, "now": now})
    audit.record(connection, _event("session.opened", ticket.row_id, found.id, by=by), now)
    signer = Signer(found.id, found.full_name, found.position, found.agency_name)
    return Opened(ticket, end, signer)


def use(services: Services, ticket: Ticket) -> Signer:
    """The signer whose session this is; it counts as used. One statement, which does not wait.

    Errors: ``SessionInvalid``.
    """
    return signer_of(services.database.one(USE, parameters(services, ticket)))


def signer_of(row: Row[Any] | None) -> Signer:
    """The signer that :data:`USE` found. Errors: ``SessionInvalid``: none."""
    if row is None:
        raise SessionInvalid("session is unknown or over, or its signer suspended")
    return Signer(row.subscriber_id, row.full_name, row.position, row.agency_name)


def sign_out(services: Services, ticket: Ticket) -> bool:
    """End the session; False when it was over already. Three statements, one transaction.

    Its browser is not told any more that something waits, also when it was over by itself.
    """
    its = parameters(services, ticket)
    now = services.now_ms()
    with services.database.transaction() as connection:
        connection.execute(_UNPUSH_THIS, its)
        ended = connection.execute(_END, its).one_or_none()
        if ended is None:
            return False
        audit.record(connection, _event("session.ended", ticket.row_id, ended.subscriber_id), now)
    return True


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not ended. ``is_this``: the one that asks."""

    session_id: str
    created_at_ms: int
    last_used_at_ms: int
    is_this: bool


def opened(services: Services, ticket: Ticket, subscriber_id: str) -> list[OpenSession]:
    """The signer's sessions, the one used last first. One statement."""
    its = parameters(services, ticket) | {"the_owner": subscriber_id}
    return [
        OpenSession(row.id, row.created_at, row.last_used_at, row.id == ticket.row_id)
        for row in services.database.all(_OPENED, its)
    ]


def end_one(services: Services, ticket: Ticket, session_id: str) -> bool:
    """End another session of this one's signer; False when there is none open of that id.

    Three statements. Errors: ``SessionInvalid``.
    """
    signer = use(services, ticket)
    now = services.now_ms()
    named = update(login_session).where(
        _ROW.id == session_id,
        _ROW.subscriber_id == signer.subscriber_id,
        _ROW.revoked_at.is_(None),
    )
    with services.database.transaction() as connection:
        if connection.execute(named.values(revoked_at=now)).rowcount == 0:
            return False
        audit.record(connection, _event("session.ended", session_id, signer.subscriber_id), now)
    return True


def sign_out_everywhere(services: Services, ticket: Ticket) -> int:
    """End every session of this one's signer, this one too; how many.

    Two statements for all sessions and one for each that ended, one transaction. Errors:
    ``SessionInvalid``.
    """
    signer = use(services, ticket)
    with services.database.transaction() as connection:
        return _end(services, connection, signer.subscriber_id, "")


def end_others(
    services: Services, connection: Connection, ticket: Ticket, subscriber_id: str
) -> int:
    """End every session of the signer but this one, in the caller's transaction; how many."""
    return _end(services, connection, subscriber_id, ticket.row_id)


def _end(services: Services, connection: Connection, subscriber_id: str, kept: str) -> int:
    now = services.now_ms()
    its = {
        "the_owner": subscriber_id,
        "now": now,
        "idle_since": now - services.config.lifetimes.session_idle * 1000,
        "the_kept": kept,
    }
    # Also browsers whose sessions were over by themselves: those no trigger sees.
    connection.execute(_UNPUSH_ALL, its)
    rows = connection.execute(_END_ALL, its).all()
    for row in rows:
        audit.record(connection, _event("session.ended", row.id, subscriber_id), now)
    return len(rows)


def _event(kind: str, session_id: str, subscriber_id: str, **more: str) -> audit.Event:
    detail = {"session_id": session_id, **more}
    return audit.Event(kind, "signer", subscriber_id=subscriber_id, detail=detail)


def parameters(services: Services, ticket: Ticket) -> dict[str, object]:
    """What a statement that looks for a live session needs."""
    now = services.now_ms()
    return {
        "the_session": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "now": now,
        "idle_since": now - services.config.lifetimes.session_idle * 1000,
    }


_NOW = bindparam("now", type_=BigInteger())
_IS_LIVE = (
    _ROW.id == bindparam("the_session", type_=_ROW.id.type),
    _ROW.secret_hash == bindparam("the_secret", type_=LargeBinary()),
    _ROW.revoked_at.is_(None),
    _ROW.expires_at > _NOW,
    _ROW.last_used_at > bindparam("idle_since", type_=BigInteger()),
)
_HIS = subscriber.c.id == _ROW.subscriber_id


def _his(column: ColumnElement[Any]) -> Label[Any]:
    # For RETURNING: there, SQLAlchemy writes columns without their tables for SQLite, so that each
    # (sub)query in it must name one table only.
    return select(column).where(_HIS).correlate(login_session).scalar_subquery().label(column.name)


LIVE = (
    select(_ROW.subscriber_id)
    .join_from(login_session, subscriber, _HIS)
    .where(*_IS_LIVE, subscriber.c.state == "active")
)
"""The signer of a live session, with :func:`parameters`; looking at it does not use it."""
_HIS_AGENCY_ID = select(subscriber.c.agency_id).where(_HIS).correlate(login_session)
_HIS_AGENCY = select(agency.c.name).where(agency.c.id == _HIS_AGENCY_ID.scalar_subquery())
USE: ReturningUpdate[Any] = (
    update(login_session)
    .where(
        *_IS_LIVE,
        exists(select(subscriber.c.id).where(_HIS, subscriber.c.state == "active")),
    )
    .values(last_used_at=_NOW)
    .returning(
        _ROW.subscriber_id,
        _his(subscriber.c.full_name),
        _his(subscriber.c.position),
        _HIS_AGENCY.scalar_subquery().label("agency_name"),
        without_waiting(),
    )
)
"""Uses a live session, with :func:`parameters`; what :func:`signer_of` reads."""
_HIS_LIVE = (
    _ROW.subscriber_id == bindparam("the_owner", type_=_ROW.subscriber_id.type),
    *_IS_LIVE[2:],
)
_OPENED = (
    select(_ROW.id, _ROW.created_at, _ROW.last_used_at)
    .where(*_HIS_LIVE)
    .order_by(_ROW.last_used_at.desc(), _ROW.id.desc())
)
_END_ALL = (
    update(login_session)
    .where(*_HIS_LIVE, _ROW.id != bindparam("the_kept", type_=_ROW.id.type))
    .values(revoked_at=_NOW)
    .returning(_ROW.id)
)
_youngest = login_session.alias("youngest")
_END_OLDEST = (
    update(login_session)
    .where(
        _ROW.subscriber_id == bindparam("the_owner", type_=_ROW.subscriber_id.type),
        _ROW.revoked_at.is_(None),
        _ROW.id.not_in(
            select(_youngest.c.id)
            .where(
                _youngest.c.subscriber_id == bindparam("the_owner", type_=_ROW.subscriber_id.type),
                _youngest.c.revoked_at.is_(None),
            )
            .order_by(_youngest.c.id.desc())
            .limit(MOST_SESSIONS)
        ),
    )
    .values(revoked_at=_NOW)
)
_END = update(login_session).where(*_IS_LIVE).values(revoked_at=_NOW).returning(_ROW.subscriber_id)
_UNPUSH_THIS = delete(push_subscription).where(
    _PUSH.session_id == bindparam("the_session", type_=_ROW.id.type),
    exists(select(_ROW.id).where(*_IS_LIVE[:2])),
)
_UNPUSH_ALL = delete(push_subscription).where(
    _PUSH.subscriber_id == bindparam("the_owner", type_=_ROW.subscriber_id.type),
    _PUSH.session_id != bindparam("the_kept", type_=_ROW.id.type),
)
