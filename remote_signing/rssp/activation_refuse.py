"""The signer says no, or shows that he knows which portal asks. See :mod:`.activation`.

A decoupled request reaches a phone by itself, so somebody else's could be taken for the expected
one. Before it can be approved the signer picks, among three codes, the one that his portal shows. A
wrong pick refuses the request for good: there is one guess in three, once.

The other two codes follow from the challenge, which nobody outside has seen: looking again shows
the same three, so there is nothing to be learnt from it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sqlalchemy import Text, bindparam, func, select

from remote_signing.errors import CodeMismatched, InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit
from remote_signing.rssp.activation_consent import (
    ANSWERED,
    MAY_ANSWER,
    by_session,
    redirect,
    why_not,
)
from remote_signing.rssp.activation_model import (
    CODE_MISMATCH,
    REASONS,
    REFUSED,
    RETURNED,
    Channel,
    Denial,
    Denied,
    State,
)
from remote_signing.rssp.activation_sql import ACTIVATION, SIGNER, TIME_PREFIX, now, step, steps
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services

LONGEST_TEXT: Final = 300
"""Characters of a signer's own words."""
_DAY_MS = 86_400_000
_MISMATCHED = Denial(REFUSED, CODE_MISMATCH)


def deny(
    services: Services, session: Ticket, activation_id: str, denial: Denial | None = None
) -> Denied:
    """The signer refuses or returns the request; without ``denial`` he says no more. One statement.

    Errors: as :func:`.activation_consent.approve`, without the evidence; ``InvalidInput``.
    """
    if denial is not None:
        _check(denial)
    told = {} if denial is None else {"kind": denial.kind, "reason": denial.reason}
    parameters = by_session(services, session, activation_id)
    stored = None if denial is None else audit.detail_text(denial.members())
    event = {"event": audit.detail_text(told), "new_denial": stored}
    row = services.database.one(_DENY, parameters | event)
    if row is None:
        raise why_not(services, parameters)
    if row.channel != Channel.OAUTH.value:
        return Denied(None)
    return Denied(redirect(services, row, {"error": "access_denied"}))


def pick_code(services: Services, session: Ticket, activation_id: str, code: str) -> None:
    """The signer picks ``code`` as the portal's. One statement when it is; picking again is good.

    Errors: ``CodeMismatched`` (public ``mismatches``: how many in a day): the request is DENIED;
    else as :func:`.activation_consent.approve`, without the evidence.
    """
    parameters = by_session(services, session, activation_id) | {"event": "{}", "its_code": code}
    if services.database.one(_MATCH, parameters) is not None:
        return
    row = services.database.one(
        _MISMATCH, parameters | {"new_denial": audit.detail_text(_MISMATCHED.members())}
    )
    if row is None:
        raise why_not(services, parameters)
    since = new_id(services.now_ms() - _DAY_MS)[:TIME_PREFIX]
    counted = services.database.one(
        _COUNT, {"the_owner": row.subscriber_id, "first_id": since, "its_denial": row.denial}
    )
    raise CodeMismatched(
        "another code than the portal's", mismatches=1 if counted is None else counted.number
    )


def codes(challenge: bytes, right: str) -> tuple[str, ...]:
    """The three codes to pick from, rising; each differs from the right one in two digits or more.

    ``challenge`` is the SAM's sealed token, ``right`` four digits.
    """
    found = {right}
    number = 0
    while len(found) < _CHOICES:
        digest = hashlib.sha256(b"codes|%d|" % number + challenge).digest()
        code = f"{int.from_bytes(digest[:4]) % 10 ** len(right):0{len(right)}d}"
        if sum(a != b for a, b in zip(code, right, strict=True)) > 1:
            found.add(code)
        number += 1
    return tuple(sorted(found))


def withdraw_all(services: Services, connection: Connection, subscriber_id: str) -> int:
    """REVOKED: everything that this signer is asked, or has authorised and was not used; how many.

    In the caller's transaction. What is being signed at this moment cannot be called back.
    """
    at = services.now_ms()
    longest = max(services.config.lifetimes.activation, services.config.lifetimes.decoupled)
    parameters = {
        "the_owner": subscriber_id,
        "first_id": new_id(at - longest * 1000 - _DAY_MS)[:TIME_PREFIX],
        "now": at,
        "event": "{}",
    }
    return len(connection.execute(_WITHDRAW_ALL, parameters).all())


_CHOICES = 3


def _check(denial: Denial) -> None:
    if denial.kind not in {REFUSED, RETURNED}:
        raise InvalidInput(f"kind {denial.kind!r}", parameter="kind")
    if denial.reason not in REASONS:
        raise InvalidInput(f"reason {denial.reason!r}", parameter="reason")
    text = denial.text
    if text is not None and not (0 < len(text) <= LONGEST_TEXT and is_showable(text)):
        raise InvalidInput(
            "a text that is too long or does not show what it says", parameter="text"
        )


_new_denial = bindparam("new_denial", type_=Text())
_its_code = bindparam("its_code", type_=Text())
_IS_DECOUPLED = ACTIVATION.channel == Channel.DECOUPLED.value
_DENIED = {"state": State.DENIED.value, "challenge": None, "denial": _new_denial}
_DENY = step("consent.denied", SIGNER).where(*MAY_ANSWER).values(_DENIED).returning(*ANSWERED)
_MATCH = (
    step("consent.code_matched", SIGNER)
    .where(*MAY_ANSWER, _IS_DECOUPLED, ACTIVATION.verification_code == _its_code)
    .values(matched_at=func.coalesce(ACTIVATION.matched_at, now))
    .returning(ACTIVATION.id)
)
_MISMATCH = (
    step("consent.code_mismatched", SIGNER)
    .where(*MAY_ANSWER, _IS_DECOUPLED, ACTIVATION.verification_code != _its_code)
    .values(_DENIED)
    .returning(ACTIVATION.subscriber_id, ACTIVATION.denial)
)
_his = (
    ACTIVATION.subscriber_id == bindparam("the_owner", type_=ACTIVATION.subscriber_id.type),
    ACTIVATION.id > bindparam("first_id", type_=Text()),
)
_WITHDRAW_ALL = (
    steps("activation.frozen", SIGNER)
    .where(*_his, ACTIVATION.state.in_([State.PENDING.value, State.AUTHORIZED.value]))
    .values(state=State.REVOKED.value, sad=None, challenge=None, expires_at=now)
    .returning(ACTIVATION.id)
)
_COUNT = select(func.count().label("number")).where(
    *_his,
    ACTIVATION.state == State.DENIED.value,
    ACTIVATION.denial == bindparam("its_denial", type_=Text()),
)
