"""Signatures that are made after the answer (CSC ``operationMode`` "A"), one row each.

ACCEPTED → DONE; then, where a ``response_uri`` was named, the call-back until it is taken or given
up. A row that is due is claimed by one guarded UPDATE that also sets when it is due again, so a
worker that dies delays it by a lease and loses nothing. Each step may happen more than once: making
a signature twice gives the same one without another use of the key (``activation.sign_hash``), and
a call-back says nothing but that the outcome may be asked for.

Secrets that the client presented are in a row as digests only, as everywhere in the database.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, bindparam, insert, select, update

from remote_signing.errors import ActivationUnknown, InvalidInput, Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, callback, job_parts
from remote_signing.rssp.models import signing_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

Members = dict[str, Any]

KEEPS: Final = "documents"
"""The member of a request that says: documents are kept for it in :mod:`.job_parts`."""
LEASE_MS: Final = 90_000
"""Longer than a signature and a call-back take; see ``lifetimes.signing``."""
_LONGEST_PAUSE_MS = 120_000
_log = logging.getLogger(__name__)

_JOB = signing_job.c


@dataclass(frozen=True, slots=True)
class NewJob:
    """What shall be done for whom.

    ``validity_ms`` None: as long as the configuration says. ``id`` is told where documents are kept
    under it already (:mod:`.job_parts`).
    """

    method: str
    client_id: str
    subscriber_id: str
    request: Mapping[str, JsonValue] = field(repr=False)
    validity_ms: int | None = None
    response_uri: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``signPolling`` answers: an HTTP status and JSON members.

    In their place ``kept`` may name parts: member → names of :mod:`.job_parts`, in their order.
    """

    status: int
    members: Members

    @property
    def parts(self) -> list[str]:
        """The names of all parts that belong to it."""
        return [name for names in self.members.get("kept", {}).values() for name in names]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job in a worker's hands, until its lease is over. ``outcome`` None: still to be made."""

    id: str
    method: str
    request: Members = field(repr=False)
    response_uri: str | None
    tries: int
    outcome: Outcome | None
    expires_at: int = 0


def is_offered(services: Services) -> bool:
    """Whether this installation has workers for it."""
    return services.config.asynchronous.threads > 0


def accept(services: Services, new: NewJob) -> str:
    """Note a job; its id, which is the ``responseID``. Two statements, one transaction.

    Errors: ``InvalidInput`` (parameter ``validity_period`` with public ``bounds``, or
    ``response_uri``).
    """
    config = services.config.asynchronous
    now = services.now_ms()
    expires_at = end_of(services, new.validity_ms)
    if new.response_uri is not None:
        callback.check(config, new.response_uri)
    row = {
        "id": new.id or new_id(now),
        "client_id": new.client_id,
        "subscriber_id": new.subscriber_id,
        "method": new.method,
        "state": "ACCEPTED",
        "request": json.dumps(new.request),
        "response_uri": new.response_uri,
        "due_at": now,
        "created_at": now,
        "expires_at": expires_at,
    }
    event = audit.Event(
        "job.accepted",
        "client",
        client_id=new.client_id,
        subscriber_id=new.subscriber_id,
        detail={"job_id": str(row["id"]), "method": new.method},
    )
    with services.database.transaction() as connection:
        connection.execute(insert(signing_job), row)
        audit.record(connection, event, now)
    services.work.set()
    return str(row["id"])


def end_of(services: Services, validity_ms: int | None) -> int:
    """When a job that is accepted now is over. ``InvalidInput`` (``validity_period``)."""
    config = services.config.asynchronous
    validity = config.validity * 1000 if validity_ms is None else validity_ms
    if validity > config.longest_validity * 1000:
        raise InvalidInput("kept too long", parameter="validity_period", bounds=True)
    return services.now_ms() + validity


def find(
    services: Services, job_id: str, client_id: str, subscriber_id: str | None
) -> Outcome | None:
    """What came of this client's job, for this signer if one is named; None: nothing yet.

    One statement. ``ActivationUnknown`` when there is no such job, or its time is over.
    """
    parameters = {"the_id": job_id, "the_client": client_id, "now": services.now_ms()}
    row = services.database.one(_FIND, parameters)
    if row is None or subscriber_id not in {None, row.subscriber_id}:
        raise ActivationUnknown("no such job of this caller")
    return _outcome(row)


def claim(services: Services) -> Claimed | None:
    """The job that is due longest, for :data:`LEASE_MS`; None when none is. One statement."""
    now = services.now_ms()
    row = services.database.one(_CLAIM, {"now": now, "next": now + LEASE_MS})
    if row is None:
        return None
    return Claimed(
        id=row.id,
        method=row.method,
        request=json.loads(row.request),
        response_uri=row.response_uri,
        tries=row.tries,
        outcome=_outcome(row),
        expires_at=row.expires_at,
    )


def finish(services: Services, job: Claimed, outcome: Outcome) -> bool:
    """ACCEPTED → DONE; False when another worker has taken the job over. One statement.

    Two for a job with documents: they are removed with it, but for those of the outcome.
    """
    now = services.now_ms()
    parameters = {
        **_mine(job),
        "next": None if job.response_uri is None else now,
        "new_state": "DONE",
        "new_tries": 0,
        "new_status": outcome.status,
        "new_answer": json.dumps(outcome.members),
        "new_request": "{}",
    }
    if not _finished(services, job, outcome, parameters):
        return False
    if job.response_uri is not None:
        services.work.set()
    return True


def _finished(services: Services, job: Claimed, outcome: Outcome, row: Members) -> bool:
    if KEEPS not in job.request:
        return services.database.one(_FINISH, row) is not None
    with services.database.transaction() as connection:
        if connection.execute(_FINISH, row).first() is None:
            return False
        job_parts.forget_others(connection, job.id, outcome.parts)
    return True


def note(services: Services, job: Claimed, request: Members) -> bool:
    """Write down how far a job is; False when another worker has taken it over. One statement."""
    parameters = {**_mine(job), "new_request": json.dumps(request)}
    return services.database.one(_NOTE, parameters) is not None


@contextmanager
def held(services: Services, job: Claimed, period: float = LEASE_MS / 3000) -> Iterator[None]:
    """Renew the lease every ``period`` seconds, for work that may take longer than one."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(period):
            try:
                services.database.one(
                    _POSTPONE, {**_mine(job), "next": services.now_ms() + LEASE_MS}
                )
            except Unavailable as error:
                _log.warning("lease not renewed", extra={"job": job.id, "cause": error.cause})

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def fetched(services: Services, job_id: str) -> None:
    """The outcome's documents are being handed out: they end soon. Two statements.

    Who begins to read them in the job's last moment has a lease's time for it.
    """
    end = services.now_ms() + services.config.asynchronous.fetched * 1000
    with services.database.transaction() as connection:
        if connection.execute(_END, {"the_id": job_id, "the_end": end}).first() is not None:
            job_parts.expire(connection, job_id, end + LEASE_MS)


def put_off(services: Services, job: Claimed) -> None:
    """Try again later: 1, 2, 4, … seconds, at most two minutes. One statement."""
    pause = min(1000 * 2 ** min(job.tries - 1, 10), _LONGEST_PAUSE_MS)
    services.database.one(_POSTPONE, {**_mine(job), "next": services.now_ms() + pause})


def settle(services: Services, job: Claimed) -> None:
    """Nothing is left to be done for the job. One statement."""
    services.database.one(_POSTPONE, {**_mine(job), "next": None})


def _mine(job: Claimed) -> dict[str, object]:
    """``tries`` rises with each claim, so it tells whether the job is still in these hands."""
    return {"the_id": job.id, "its_tries": job.tries}


def _outcome(row: Row[Any]) -> Outcome | None:
    return None if row.status is None else Outcome(row.status, json.loads(row.answer))


_THE_ID = bindparam("the_id", type_=_JOB.id.type)
_NOW = bindparam("now", type_=_JOB.due_at.type)
_NEXT = bindparam("next", type_=_JOB.due_at.type)
_FIND = select(_JOB.subscriber_id, _JOB.status, _JOB.answer).where(
    _JOB.id == _THE_ID,
    _JOB.client_id == bindparam("the_client", type_=Text()),
    _JOB.expires_at > _NOW,
)
_IS_DUE = (_JOB.due_at <= _NOW, _JOB.expires_at > _NOW)
_DUE = (
    select(_JOB.id)
    .where(*_IS_DUE)
    .order_by(_JOB.due_at)
    .limit(1)
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = (
    update(signing_job)
    .where(_JOB.id.in_(select(_DUE.c.id)), *_IS_DUE)
    .values(due_at=_NEXT, tries=_JOB.tries + 1)
    .returning(signing_job)
)
_MINE = (_JOB.id == _THE_ID, _JOB.tries == bindparam("its_tries", type_=_JOB.tries.type))
_FINISH = (
    update(signing_job)
    .where(*_MINE, _JOB.state == "ACCEPTED")
    .values(
        due_at=_NEXT,
        state=bindparam("new_state", type_=Text()),
        tries=bindparam("new_tries", type_=_JOB.tries.type),
        status=bindparam("new_status", type_=_JOB.status.type),
        answer=bindparam("new_answer", type_=Text()),
        request=bindparam("new_request", type_=Text()),
    )
    .returning(_JOB.id)
)
_POSTPONE = update(signing_job).where(*_MINE).values(due_at=_NEXT).returning(_JOB.id)
_NOTE = (
    update(signing_job)
    .where(*_MINE, _JOB.state == "ACCEPTED")
    .values(request=bindparam("new_request", type_=Text()))
    .returning(_JOB.id)
)
_THE_END = bindparam("the_end", type_=_JOB.expires_at.type)
_END = (
    update(signing_job)
    .where(_JOB.id == _THE_ID, _JOB.expires_at > _THE_END)
    .values(expires_at=_THE_END)
    .returning(_JOB.id)
)
