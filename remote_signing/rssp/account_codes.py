"""One-time codes of the registration authority, with which an official opens the account.

A code has twenty characters of Crockford's base 32: six say which code is tried, fourteen (70 bits)
are its secret, of which the database keeps the hash. Five tries, three days unless told, one use.
What it gives is a password of the official's choice and a session. Where the authority has said so
in an order, the SAM takes it, beside another factor, for a first PIN (:mod:`.pin_choice`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, update
from sqlalchemy.dialects import postgresql, sqlite

from remote_signing.errors import SignInRefused
from remote_signing.rssp import audit, sessions, subscribers
from remote_signing.rssp.models import account_code

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sessions import Opened

LIFETIME_MS: Final = 3 * 86_400_000
TRIES: Final = 5
_KEPT_MS: Final = 30 * 86_400_000
LONGEST: Final = 40  # as somebody types it, with spaces and dashes
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE, _LENGTH, _GROUP = 6, 20, 5
_SHAPE = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}")
_READ_AS = str.maketrans("OIL", "011", " -–\t")
_ROW = account_code.c


def issue(services: Services, subscriber_id: str, lifetime_ms: int = LIFETIME_MS) -> str:
    """A code for that signer, in groups of five; earlier ones are void. Three statements."""
    now = services.now_ms()
    end = now + lifetime_ms
    void = update(account_code).where(_ROW.subscriber_id == subscriber_id, _ROW.used_at.is_(None))
    values = {"subscriber_id": subscriber_id, "created_at": now, "expires_at": end}
    with services.database.transaction() as connection:
        connection.execute(void.values(used_at=now))
        code = _drawn(connection, values)
        event = audit.Event(
            "account_code.issued",
            audit.operator(),
            subscriber_id=subscriber_id,
            detail={"reference": code[:_REFERENCE], "expires_at": end},
        )
        audit.record(connection, event, now)
    return "-".join(code[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def _drawn(connection: Connection, values: dict[str, object]) -> str:
    """A code of a reference that no row has, in a row of its own. Seldom a further statement."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(account_code).on_conflict_do_nothing().returning(_ROW.reference)
    while True:
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        row = values | {"reference": code[:_REFERENCE], "secret_hash": _hash(code)}
        if connection.execute(statement, row).one_or_none() is not None:
            return code


def prune(services: Services) -> int:
    """Remove those that have been over for a month; how many. One statement."""
    end = services.now_ms() - _KEPT_MS
    return services.database.run(delete(account_code).where(_ROW.expires_at < end))


def redeem(services: Services, typed: str, password: str) -> Opened:
    """Set the password and open a session, once. One statement for the try, seven for the use.

    Errors: ``InvalidInput`` (parameter ``password``, before a try is counted); ``SignInRefused``
    for a code that is wrong, used, too old or tried too often, all alike.
    """
    subscribers.check_length(password)
    code = read_as(typed)
    subscriber_id = _tried(services, code)
    hashed = subscribers.password_hash(password)
    now = services.now_ms()
    used = (
        update(account_code)
        .where(_ROW.reference == code[:_REFERENCE], _ROW.used_at.is_(None), _ROW.expires_at > now)
        .values(used_at=now)
    )
    with services.database.transaction() as connection:
        if connection.execute(used).rowcount == 0:
            raise SignInRefused("somebody else was first")
        if not subscribers.choose_password(connection, subscriber_id, hashed, now):
            raise SignInRefused("suspended")
        event = audit.Event("account.activated", "signer", subscriber_id=subscriber_id)
        audit.record(connection, event, now)
        owner = subscribers.get_in(connection, subscriber_id)
        return sessions.open_for(services, connection, owner, "code")


def read_as(typed: str) -> str:
    """``typed`` without what people write between, and with the letters that were meant."""
    return typed.upper().translate(_READ_AS)


def _tried(services: Services, code: str) -> str:
    """Whose code it is. Counted before it is compared, so guessing in parallel gains nothing."""
    if not _SHAPE.fullmatch(code):
        raise SignInRefused("not the shape of a code")
    now = services.now_ms()
    counted = (
        update(account_code)
        .where(
            _ROW.reference == code[:_REFERENCE],
            _ROW.used_at.is_(None),
            _ROW.expires_at > now,
            _ROW.attempts < TRIES,
        )
        .values(attempts=_ROW.attempts + 1)
        .returning(_ROW.subscriber_id, _ROW.secret_hash)
    )
    row = services.database.one(counted)
    if row is None:
        raise SignInRefused("unknown, used, too old, or tried too often")
    if not hmac.compare_digest(bytes(row.secret_hash), _hash(code)):
        event = audit.Event(
            "account_code.refused", "signer", subscriber_id=row.subscriber_id
        )  # at most five of them
        audit.write(services.database, event, audit.detail_text({}), now)
        raise SignInRefused("wrong code")
    return str(row.subscriber_id)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("ascii")).digest()
