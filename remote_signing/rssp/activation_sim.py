"""A SIM is asked, and what becomes of the question. See :mod:`.activation`.

``sim_transaction`` is written here alone, each change in one transaction with an event of the
activation, and each guarded by the state it starts from: of a signature, a cancellation and the
clock that race, one finds the row WAITING. A consent makes the activation AUTHORIZED and the
question APPROVED in one transaction or not at all.

    WAITING → APPROVED | REFUSED | EXPIRED | CANCELLED | FAILED
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Text, bindparam, func, insert, or_, select, update

from remote_signing.errors import ActivationConflict, SimAskedOften
from remote_signing.rssp import audit
from remote_signing.rssp.activation_consent import AUTHORIZE, authorization, why_unanswerable
from remote_signing.rssp.activation_model import Channel, State
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SIGNER,
    SYSTEM,
    code_is_matched,
    credential_is_usable,
    now,
    of_credential,
    step,
    the_id,
)
from remote_signing.rssp.models import oauth_client, signature_activation, sim_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Activated

TRANSACTION = sim_transaction.c
WAITING, APPROVED, CANCELLED = "WAITING", "APPROVED", "CANCELLED"
MOST_QUESTIONS = 5  # of one request: a phone must not ring until somebody gives in
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What the signer of a waiting activation may be asked. ``hashes`` are base64 as stored."""

    activation_id: str
    credential_id: str
    client_name: str
    challenge: bytes
    sealed: bytes
    labels: tuple[str | None, ...]
    num_signatures: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class End:
    """How a question ends without consent: ``outcome`` for programs, ``cause`` for the person."""

    state: str
    outcome: str
    cause: str


def question(services: Services, activation_id: str, subscriber_id: str) -> Question:
    """What to ask. One statement.

    Errors: ``SimAskedOften``, as :func:`.activation_consent.approve`.
    """
    parameters = {"the_id": activation_id, "now": services.now_ms(), "the_owner": subscriber_id}
    row = services.database.one(_QUESTION, parameters)
    if row is None:
        raise why_unanswerable(services, parameters, subscriber_id)
    # Two that ask at once are told apart by the index that allows one open question.
    if row.times_asked >= MOST_QUESTIONS:
        raise SimAskedOften(f"{row.times_asked} times")
    request = json.loads(row.request)
    return Question(
        activation_id=activation_id,
        credential_id=row.credential_id,
        client_name=row.name,
        challenge=row.challenge,
        sealed=row.sealed,
        labels=tuple(request["labels"] or [None] * row.num_signatures),
        num_signatures=row.num_signatures,
        expires_at_ms=row.expires_at,
    )


def begin(services: Services, values: dict[str, Any], subscriber_id: str) -> Row[Any]:
    """Write the question down before the phone hears of it.

    Errors: ``SimBusy`` (this SIM or this activation has an open one), as :func:`question`.
    """
    event = audit.detail_text(
        {
            "sim_transaction_id": values["id"],
            "factor_id": values["factor_id"],
            "deadline": values["deadline"],
        }
    )
    parameters: dict[str, object] = {
        "the_id": values["activation_id"],
        "now": services.now_ms(),
        "event": event,
        "the_owner": subscriber_id,
    }
    with services.database.transaction() as connection:
        asked = connection.execute(_ASK, parameters).first()
        row = connection.execute(_INSERT, values).first() if asked is not None else None
    if row is None:
        raise why_unanswerable(services, parameters, subscriber_id)
    return row


def approve(
    services: Services, row: Row[Any], activated: Activated, evidence: dict[str, Any]
) -> bool:
    """The SIM's consent: AUTHORIZED and APPROVED together, or False: something else was first."""
    detail = {"sim_transaction_id": row.id, "factor_id": row.factor_id}
    parameters = authorization(services, activated, row.activation_id, detail=detail)
    ended = {
        "the_transaction": row.id,
        "new_state": APPROVED,
        "at": services.now_ms(),
        "new_outcome": None,
        "new_cause": None,
        "new_evidence": json.dumps(evidence, separators=(",", ":")),
    }
    try:
        with services.database.transaction() as connection:
            # Step 2d: the same guarded statement as for PIN and code.
            _demand(connection.execute(AUTHORIZE, parameters).first())
            _demand(connection.execute(_END, ended).first())
    except ActivationConflict:
        return False
    return True


def end(services: Services, row: Row[Any], how: End, *, by_signer: bool = False) -> bool:
    """Write the end of a question without consent; False when it had one already."""
    detail = {"sim_transaction_id": row.id, "state": how.state, "outcome": how.outcome}
    parameters = {
        "the_id": row.activation_id,
        "now": services.now_ms(),
        "event": audit.detail_text(detail),
    }
    ended = {
        "the_transaction": row.id,
        "new_state": how.state,
        "at": services.now_ms(),
        "new_outcome": how.outcome,
        "new_cause": how.cause,
        "new_evidence": None,
    }
    try:
        with services.database.transaction() as connection:
            # The activation's row first, as in approve(): two that race can't wait for each other.
            connection.execute(_TELL_SIGNER if by_signer else _TELL_SYSTEM, parameters)
            _demand(connection.execute(_END, ended).first())
    except ActivationConflict:
        return False
    return True


def _demand(row: Row[Any] | None) -> None:
    if row is None:
        raise ActivationConflict("something else was first")


def get(services: Services, transaction_id: str) -> Row[Any] | None:
    """The question with this id. One statement."""
    return services.database.one(_GET, {"the_transaction": transaction_id})


def latest(services: Services, activation_id: str) -> Row[Any] | None:
    """The youngest question of an activation. One statement."""
    return services.database.one(_LATEST, {"the_activation": activation_id})


def unattended(services: Services, before_ms: int = 0) -> Sequence[str]:
    """Open questions whose request was answered without them, and those that ended ``before_ms``.

    Their ids. One statement.
    """
    rows = services.database.all(_UNATTENDED, {"before": before_ms})
    return [row.id for row in rows]


def receipts_due(services: Services) -> Sequence[Row[Any]]:
    """Consents that were used to the full, and whose phone has not been told. One statement."""
    return services.database.all(_RECEIPTS_DUE)


def note_receipt(services: Services, transaction_id: str, state: str, before: str | None) -> bool:
    """Write how the receipt stands; False when somebody else has."""
    guard = TRANSACTION.receipt.is_(None) if before is None else TRANSACTION.receipt == before
    statement = update(sim_transaction).where(TRANSACTION.id == transaction_id, guard)
    return services.database.run(statement.values(receipt=state)) == 1


_the_transaction = bindparam("the_transaction", type_=TRANSACTION.id.type)
_MAY_BE_ASKED = (
    ACTIVATION.id == the_id,
    ACTIVATION.state == State.PENDING.value,
    ACTIVATION.expires_at > now,
    ACTIVATION.channel != Channel.INLINE.value,
    ACTIVATION.subscriber_id == bindparam("the_owner", type_=ACTIVATION.subscriber_id.type),
    code_is_matched(),
    credential_is_usable(),
)
_QUESTION = (
    select(
        ACTIVATION.credential_id,
        ACTIVATION.challenge,
        ACTIVATION.request,
        ACTIVATION.num_signatures,
        ACTIVATION.expires_at,
        oauth_client.c.name,
        of_credential(CREDENTIAL.sealed),
        select(func.count())
        .where(TRANSACTION.activation_id == ACTIVATION.id)
        .scalar_subquery()
        .label("times_asked"),
    )
    .join_from(signature_activation, oauth_client, oauth_client.c.id == ACTIVATION.client_id)
    .where(*_MAY_BE_ASKED)
)
_ASK = step("consent.sim_asked", SIGNER).where(*_MAY_BE_ASKED).returning(ACTIVATION.id)
_TELL_SIGNER = step("consent.sim_ended", SIGNER)
_TELL_SYSTEM = step("consent.sim_ended", SYSTEM)
_INSERT = insert(sim_transaction).returning(sim_transaction)
_END = (
    update(sim_transaction)
    .where(TRANSACTION.id == _the_transaction, TRANSACTION.state == WAITING)
    .values(
        state=bindparam("new_state", type_=Text()),
        finished_at=bindparam("at", type_=BigInteger()),
        outcome=bindparam("new_outcome", type_=Text()),
        cause=bindparam("new_cause", type_=Text()),
        evidence=bindparam("new_evidence", type_=Text()),
    )
    .returning(TRANSACTION.id)
)
_GET = (
    select(
        sim_transaction,
        ACTIVATION.challenge,
        ACTIVATION.request,
        (ACTIVATION.state == State.PENDING.value).label("is_pending"),
        of_credential(CREDENTIAL.sealed),
    )
    .join_from(sim_transaction, signature_activation, ACTIVATION.id == TRANSACTION.activation_id)
    .where(TRANSACTION.id == _the_transaction)
)
_LATEST = (
    select(sim_transaction)
    .where(TRANSACTION.activation_id == bindparam("the_activation", type_=TRANSACTION.id.type))
    .order_by(TRANSACTION.id.desc())
    .limit(1)
)
_UNATTENDED = (
    select(TRANSACTION.id)
    .join_from(sim_transaction, signature_activation, ACTIVATION.id == TRANSACTION.activation_id)
    .where(
        TRANSACTION.state == WAITING,
        or_(
            TRANSACTION.deadline < bindparam("before", type_=BigInteger()),
            ACTIVATION.state != State.PENDING.value,
        ),
    )
    .limit(_BATCH)
)
_RECEIPTS_DUE = (
    select(sim_transaction, ACTIVATION.event_at)
    .join_from(sim_transaction, signature_activation, ACTIVATION.id == TRANSACTION.activation_id)
    .where(
        TRANSACTION.state == APPROVED,
        TRANSACTION.receipt.is_(None),
        ACTIVATION.state == State.SIGNED.value,
    )
    .limit(_BATCH)
)
