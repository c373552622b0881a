"""What nobody will finish any more is brought to an end. See :mod:`.activation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, select, tuple_

from remote_signing.identifiers import new_id
from remote_signing.rssp.activation_model import State
from remote_signing.rssp.activation_sql import ACTIVATION, SYSTEM, TIME_PREFIX, now, step, steps
from remote_signing.rssp.models import (
    OPEN,
    access_token,
    job_part,
    login_session,
    refresh_token,
    replay,
    service_authorization,
    signature_activation,
    signing_job,
    signing_outcome,
    sim_transaction,
)
from remote_signing.rssp.models.sims import OVER

if TYPE_CHECKING:
    from sqlalchemy import CTE, ColumnElement, Executable, Table, TextClause

    from remote_signing.rssp.deps import Services

_BATCH = 500
_DAY_MS = 86_400_000


def recover(services: Services) -> int:
    """Fail the activations whose signature's outcome is unknown; how many.

    They have been SIGNING for longer than any signature takes: their process died between intent
    and outcome. No signature has left, and none will: the hashes stay used, and the signer must
    consent anew. One statement for each 500.
    """
    at = services.now_ms()
    overdue = at - services.config.lifetimes.signing * 1000
    parameters = {"now": at, "overdue": overdue, "event": '{"reason":"outcome unknown"}'}
    return _in_batches(services, _GIVE_UP_ALL, parameters)


def give_up(services: Services, activation_id: str) -> None:
    """:func:`recover` for one activation. One statement."""
    at = services.now_ms()
    parameters = {
        "the_id": activation_id,
        "now": at,
        "overdue": at - services.config.lifetimes.signing * 1000,
        "event": '{"reason":"outcome unknown"}',
    }
    services.database.one(_GIVE_UP, parameters)


def expire(services: Services) -> int:
    """Expire what was not answered or not used in time; how many. One statement for each 500."""
    return _in_batches(services, _EXPIRE, {"now": services.now_ms(), "event": "{}"})


def prune(services: Services) -> int:
    """Remove what has been over for long; how many rows. The audit table keeps its records.

    ``ExceptionGroup``: of some tables nothing could be removed, of the others it was.
    """
    count, faults = 0, []
    for table, age, end, *conditions in _old(services):
        try:
            count += _delete_all(services, table, age, end, *conditions)
        except Exception as error:  # noqa: BLE001 - raised below: the others have their turn first
            error.add_note(table.name)
            faults.append(error)
    if faults:
        raise ExceptionGroup("old rows that could not be removed", faults)
    return count


def _old(services: Services) -> list[tuple[Any, ...]]:
    """Table, the column by which its rows are old, the end of what is, and further conditions."""
    at = services.now_ms()
    kept = services.config.lifetimes.retention * 1000
    ends = {
        replay: at,
        access_token: at - _DAY_MS,
        refresh_token: at - kept,  # a replay of an old one is still to be recognised
        login_session: at - _DAY_MS,
        service_authorization: at - _DAY_MS,
        signing_job: at,
        job_part: at,
    }
    oldest = new_id(at - kept)[:TIME_PREFIX]
    # Whatever was asked for so long ago is over, however long the answer was waited for.
    over = new_id(at - kept - 2 * _DAY_MS)[:TIME_PREFIX]
    return [
        *((table, table.c.expires_at, end) for table, end in ends.items()),
        # A SIM's consent is kept: its evidence is worth something for as long as the document is.
        (sim_transaction, sim_transaction.c.id, oldest, OVER),
        (signing_outcome, signing_outcome.c.activation_id, over),
        (signature_activation, ACTIVATION.id, oldest, ACTIVATION.state.in_(_FINISHED)),
    ]


def _delete_all(
    services: Services,
    table: Table,
    age: ColumnElement[Any],
    end: object,
    *conditions: ColumnElement[bool] | TextClause,
) -> int:
    """Delete what is below ``end`` by ``age``, 500 rows a statement: none may hold writers up.

    Oldest first: that is along an index, however many rows there are that stay.
    """
    key = tuple(table.primary_key.columns)
    batch = select(*key).where(age < end, *conditions).order_by(age).limit(_BATCH)
    found = batch.with_for_update(skip_locked=True)
    statement = delete(table).where(tuple_(*key).in_(found))
    count = 0
    while True:
        done = services.database.run(statement)
        count += done
        if done < _BATCH:
            return count


def _in_batches(services: Services, statement: Executable, parameters: dict[str, object]) -> int:
    count = 0
    while True:
        done = len(services.database.all(statement, parameters))
        count += done
        if done < _BATCH:
            return count


def _due(*conditions: ColumnElement[bool] | TextClause) -> CTE:
    """The next batch; rows that another process has locked at this moment are its business."""
    query = select(ACTIVATION.id).where(*conditions).order_by(ACTIVATION.expires_at).limit(_BATCH)
    return query.with_for_update(skip_locked=True).cte("due")


_FINISHED = [
    state.value
    for state in (State.SIGNED, State.DENIED, State.EXPIRED, State.REVOKED, State.FAILED)
]
_WITHOUT_OUTCOME = (
    OPEN,
    ACTIVATION.state == State.SIGNING.value,
    ACTIVATION.signing_since <= bindparam("overdue", type_=BigInteger()),
)
_FAILED = {"state": State.FAILED.value, "sad": None, "signing_since": None, "signing_key": None}
_GIVE_UP = (
    step("signing.unknown", SYSTEM)
    .where(*_WITHOUT_OUTCOME)
    .values(_FAILED)
    .returning(ACTIVATION.id)
)
_GIVE_UP_ALL = (
    steps("signing.unknown", SYSTEM)
    .where(ACTIVATION.id.in_(select(_due(*_WITHOUT_OUTCOME).c.id)), *_WITHOUT_OUTCOME)
    .values(_FAILED)
    .returning(ACTIVATION.id)
)
_OVER = (
    OPEN,
    ACTIVATION.state.in_([State.PENDING.value, State.AUTHORIZED.value]),
    ACTIVATION.expires_at <= now,
)
_EXPIRE = (
    steps("activation.expired", SYSTEM)
    .where(ACTIVATION.id.in_(select(_due(*_OVER).c.id)), *_OVER)
    .values(state=State.EXPIRED.value, sad=None, challenge=None)
    .returning(ACTIVATION.id)
)
