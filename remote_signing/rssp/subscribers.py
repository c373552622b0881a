"""Agencies and subscribers (signers): registration, and the password at sign-in.

A subscriber's user name and id are never a client's id: clients act for themselves, signers for
themselves, and no token of one can look like the other's (RFC 9700 cl. 4.15).
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import BigInteger, Integer, and_, bindparam, case, exists, insert, select, update

from remote_signing.errors import InvalidInput, SignInRefused
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit
from remote_signing.rssp.models import agency, audit_event, login_session, subscriber

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database
    from remote_signing.rssp.deps import Services

# OWASP password storage: Argon2id with 19 MiB, 2 iterations, 1 lane; 22 ms a check.
_MEMORY_KIB, _ITERATIONS, _LANES, _LENGTH = 19_456, 2, 1, 32
SHORTEST_PASSWORD, _LONGEST_PASSWORD = 12, 256
KINDS = ("person", "organisation")
_CAME_IN = ("session.opened", "account.activated", "login.password")


@dataclass(frozen=True, slots=True)
class NewAgency:
    """An agency or organisation that manages subscribers (Decree 68/2024)."""

    name: str
    name_en: str | None = None
    code: str | None = None
    tax_code: str | None = None
    budget_code: str | None = None
    province: str | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as it is registered."""

    id: str
    name: str
    name_en: str | None
    code: str | None
    tax_code: str | None
    budget_code: str | None
    province: str | None
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class NewSubscriber:
    """A person with a position, or an organisation that seals."""

    agency_id: str
    full_name: str
    username: str
    password: str = field(repr=False)
    kind: str = "person"
    position: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber with the name of the agency."""

    id: str
    kind: str
    agency_id: str
    agency_name: str
    full_name: str
    position: str | None
    email: str | None
    phone: str | None
    username: str
    state: str


def add_agency(database: Database, clock: Clock, new: NewAgency, actor: str | None = None) -> str:
    """Register an agency; its id. ``InvalidInput`` when its code is taken."""
    now = clock.now_ms()
    agency_id = new_id(now)
    values = {name: getattr(new, name) for name in NewAgency.__slots__}
    with database.transaction() as connection:
        connection.execute(insert(agency), {"id": agency_id, **values})
        event = audit.Event(
            "agency.registered", actor or audit.operator(), detail={"agency_id": agency_id}
        )
        audit.record(connection, event, now)
    return agency_id


def add_subscriber(
    database: Database, clock: Clock, new: NewSubscriber, actor: str | None = None
) -> str:
    """Register a subscriber; the id. ``InvalidInput`` when the user name is taken."""
    if new.kind not in KINDS:
        raise InvalidInput(f"kind {new.kind!r}", parameter="kind")
    now = clock.now_ms()
    subscriber_id = new_id(now)
    values = {name: getattr(new, name) for name in NewSubscriber.__slots__ if name != "password"}
    values["password_hash"] = password_hash(new.password)
    with database.transaction() as connection:
        row = {"id": subscriber_id, "created_at": now, **values}
        connection.execute(insert(subscriber), row)
        event = audit.Event(
            "subscriber.registered",
            actor or audit.operator(),
            subscriber_id=subscriber_id,
            detail={"agency_id": new.agency_id},
        )
        audit.record(connection, event, now)
    return subscriber_id


def set_password(
    database: Database, clock: Clock, username: str, password: str, actor: str | None = None
) -> bool:
    """Replace a password, end the pause after wrong ones and all sessions; False: no such user."""
    return _set_password(database, clock, subscriber.c.username == username, password, actor)


def set_first_password(
    database: Database, clock: Clock, subscriber_id: str, password: str, actor: str | None = None
) -> bool:
    """:func:`set_password` for one who never came in; False: he did, or nothing says otherwise."""
    event = audit_event.c
    of_him = select(event.number).where(event.subscriber_id == subscriber_id)
    never_in = and_(
        subscriber.c.id == subscriber_id,
        # As far back as his registration: old weeks of the table may be kept elsewhere.
        exists(of_him.where(event.kind == "subscriber.registered")),
        ~exists(of_him.where(event.kind.in_(_CAME_IN))),
    )
    return _set_password(database, clock, never_in, password, actor)


def _set_password(
    database: Database,
    clock: Clock,
    whose: ColumnElement[bool],
    password: str,
    actor: str | None,
) -> bool:
    now = clock.now_ms()
    hashed = password_hash(password)
    with database.transaction() as connection:
        statement = (
            update(subscriber)
            .where(whose)
            .values(password_hash=hashed, failed_sign_ins=0, sign_in_locked_until=0)
            .returning(subscriber.c.id)
        )
        subscriber_id = connection.execute(statement).scalar_one_or_none()
        if subscriber_id is None:
            return False
        _end_sessions(connection, subscriber_id, now)
        event = audit.Event(
            "subscriber.password_set", actor or audit.operator(), subscriber_id=subscriber_id
        )
        audit.record(connection, event, now)
    return True


def choose_password(connection: Connection, subscriber_id: str, hashed: str, now_ms: int) -> bool:
    """The signer's own choice, in the caller's transaction; False when he is suspended.

    Ends the pause after wrong passwords and all his sessions. Two statements.
    """
    statement = (
        update(subscriber)
        .where(subscriber.c.id == subscriber_id, subscriber.c.state == "active")
        .values(password_hash=hashed, failed_sign_ins=0, sign_in_locked_until=0)
    )
    if connection.execute(statement).rowcount == 0:
        return False
    _end_sessions(connection, subscriber_id, now_ms)
    return True


def _end_sessions(connection: Connection, subscriber_id: str, now_ms: int) -> None:
    connection.execute(
        update(login_session)
        .where(
            login_session.c.subscriber_id == subscriber_id,
            login_session.c.revoked_at.is_(None),
        )
        .values(revoked_at=now_ms)
    )


def set_state(
    database: Database, clock: Clock, subscriber_id: str, state: str, actor: str | None = None
) -> bool:
    """Make a subscriber ``active`` or ``suspended``; False when there is none of that id.

    A suspension ends all sessions: what was open before it is not open again after it.
    """
    if state not in {"active", "suspended"}:
        raise InvalidInput(f"state {state!r}", parameter="state")
    now = clock.now_ms()
    with database.transaction() as connection:
        statement = update(subscriber).where(subscriber.c.id == subscriber_id).values(state=state)
        if connection.execute(statement).rowcount == 0:
            return False
        if state == "suspended":
            _end_sessions(connection, subscriber_id, now)
        event = audit.Event(
            f"subscriber.{state}", actor or audit.operator(), subscriber_id=subscriber_id
        )
        audit.record(connection, event, now)
    return True


def agencies(database: Database) -> list[Agency]:
    """Every agency, oldest first. One statement."""
    rows = database.all(select(agency).order_by(agency.c.id))
    return [Agency(**{name: getattr(row, name) for name in Agency.__slots__}) for row in rows]


def listed(database: Database, *, agency_id: str | None = None) -> list[Subscriber]:
    """Every subscriber, or those of one agency, oldest first. One statement."""
    query = _READ.order_by(subscriber.c.id)
    if agency_id is not None:
        query = query.where(subscriber.c.agency_id == agency_id)
    return [_subscriber(row) for row in database.all(query)]


def find(database: Database, *, username: str) -> Subscriber | None:
    """The subscriber with that user name. One statement."""
    row = database.one(_BY_USERNAME, {"the_username": username})
    return None if row is None else _subscriber(row)


def get(database: Database, subscriber_id: str) -> Subscriber | None:
    """The subscriber with that id. One statement."""
    row = database.one(_BY_ID, {"the_subscriber": subscriber_id})
    return None if row is None else _subscriber(row)


def get_in(connection: Connection, subscriber_id: str) -> Subscriber:
    """The subscriber of that id, who is there, in the caller's transaction. One statement."""
    row = connection.execute(_BY_ID, {"the_subscriber": subscriber_id}).one()
    return _subscriber(cast("Row[Any]", row))


def sign_in(services: Services, username: str, password: str) -> Subscriber:
    """The subscriber whose password this is. Three statements.

    Wrong passwords are counted before the check, so guessing in parallel gains nothing; at the
    limit sign-in pauses. ``SignInRefused`` for every reason alike, after the same work.
    """
    policy = services.config.policy
    now = services.now_ms()
    parameters = {
        "the_username": username,
        "now": now,
        "fail_limit": policy.sign_in_limit,
        "pause_end": now + policy.sign_in_pause * 1000,
    }
    row = services.database.one(_TRY_SIGN_IN, parameters)
    stored = _NO_PASSWORD if row is None else row.password_hash
    matches = password_matches(password, stored)
    if row is None:
        # Nobody, or somebody whose suspension or pause is on record: this goes to the log only.
        raise SignInRefused("unknown, suspended or paused")
    if not matches:
        _record_refusal(services, row, now)
        raise SignInRefused("wrong password")
    services.database.run(_SIGNED_IN, {"the_subscriber": row.id})
    found = get(services.database, row.id)
    if found is None:  # a subscriber's row is never removed
        raise SignInRefused("gone")
    return found


def _record_refusal(services: Services, row: Row[Any], now: int) -> None:
    """Bounded, as sign-in pauses after a few. One statement."""
    paused = row.sign_in_locked_until > now
    detail = {"paused_until": row.sign_in_locked_until} if paused else {}
    event = audit.Event("session.refused", "signer", subscriber_id=row.id)
    audit.write(services.database, event, audit.detail_text(detail), now)


def check_length(password: str) -> None:
    """``InvalidInput`` for a password that is too short or long."""
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise InvalidInput("password is not 12 to 256 characters", parameter="password")


def password_hash(password: str) -> str:
    """Argon2id of ``password`` in PHC string format; ``InvalidInput`` when too short or long."""
    check_length(password)
    return _argon2id().derive_phc_encoded(_spelled(password))


def password_matches(password: str, stored: str) -> bool:
    """Whether ``stored`` is the hash of ``password``; takes as long for every answer."""
    try:
        Argon2id.verify_phc_encoded(_spelled(password), stored)
    except InvalidKey:
        return False
    return True


def _spelled(password: str) -> bytes:
    # Vietnamese keyboards spell the same letters in more than one way (SP 800-63B cl. 3.1.1.2).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _argon2id() -> Argon2id:
    return Argon2id(
        salt=secrets.token_bytes(16),
        length=_LENGTH,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )


def _subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(**{name: getattr(row, name) for name in Subscriber.__slots__})


# Nobody's: checked against when there is no such user, so that the time tells nothing.
_NO_PASSWORD = password_hash(secrets.token_urlsafe(32))

_READ = select(
    *(subscriber.c.id, subscriber.c.kind, subscriber.c.agency_id, subscriber.c.full_name),
    *(subscriber.c.position, subscriber.c.email, subscriber.c.phone, subscriber.c.username),
    subscriber.c.state,
    agency.c.name.label("agency_name"),
).join_from(subscriber, agency)
_BY_USERNAME = _READ.where(subscriber.c.username == bindparam("the_username"))
_BY_ID = _READ.where(subscriber.c.id == bindparam("the_subscriber"))
_now = bindparam("now", type_=BigInteger())
_limit = bindparam("fail_limit", type_=Integer())
_TRY_SIGN_IN = (
    update(subscriber)
    .where(
        subscriber.c.username == bindparam("the_username"),
        subscriber.c.state == "active",
        subscriber.c.sign_in_locked_until <= _now,
    )
    .values(
        # The try that reaches the limit is still checked; the pause begins after it.
        failed_sign_ins=case(
            (subscriber.c.failed_sign_ins + 1 >= _limit, 0), else_=subscriber.c.failed_sign_ins + 1
        ),
        sign_in_locked_until=case(
            (
                subscriber.c.failed_sign_ins + 1 >= _limit,
                bindparam("pause_end", type_=BigInteger()),
            ),
            else_=subscriber.c.sign_in_locked_until,
        ),
    )
    .returning(subscriber.c.id, subscriber.c.password_hash, subscriber.c.sign_in_locked_until)
)
_SIGNED_IN = (
    update(subscriber)
    .where(subscriber.c.id == bindparam("the_subscriber"))
    .values(failed_sign_ins=0, sign_in_locked_until=0)
)
