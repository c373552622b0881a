"""What a client asks the registration authority for: a new credential, or the end of one.

Neither can be done here. A key is made, and destroyed for ever, by an order that the authority
signs and the SAM checks; a taken-over rssp must not be able to enrol anybody's phone. So a request
is filed, and ``remote-signing request list`` shows it for the authority. A credential whose
end is asked for is out of use and out of sight at once: that much is in our hands, and the
authority can take it back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, exists, func, insert, select, update

from remote_signing.errors import AccessRefused, CredentialUnknown
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, credential_states
from remote_signing.rssp.models import credential, credential_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

    JsonObject = dict[str, JsonValue]

MOST_WAITING: Final = 20
"""Requests for new credentials, of a client for one signer, that the authority has not settled."""
_REQUEST = credential_request.c


@dataclass(frozen=True, slots=True)
class NewRequest:
    """``detail`` is what the client said about it, for the authority to judge."""

    client_id: str
    subscriber_id: str
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


def ask_for_credential(services: Services, new: NewRequest) -> str | None:
    """File a request for a new credential; its id. Two statements, one transaction.

    None when the same client has asked the same for this signer and is not answered yet.
    ``AccessRefused`` when :data:`MOST_WAITING` of its requests for this signer wait.
    """
    now = services.now_ms()
    with services.database.transaction() as connection:
        row = _row(new, "create", None, now)
        if connection.execute(_FILE_ONCE, _values(row)).rowcount == 0:
            if connection.execute(select(_SAME), _values(row)).scalar_one():
                return None
            raise AccessRefused(f"{MOST_WAITING} requests wait for the authority")
        audit.record(connection, _event(new, "credential.requested", None, row), now)
    return str(row["id"])


def ask_for_deletion(services: Services, new: NewRequest, credential_id: str) -> bool:
    """Take a credential out of use and file a request for its end. Three statements.

    False when the credential is not in use.
    """
    now = services.now_ms()
    with services.database.transaction() as connection:
        parameters = {"the_credential": credential_id, "the_subscriber": new.subscriber_id}
        if connection.execute(_WITHDRAW, parameters).rowcount == 0:
            return False
        row = _row(new, "delete", credential_id, now)
        connection.execute(insert(credential_request), row)
        audit.record(connection, _event(new, "credential.withdrawn", credential_id, row), now)
    return True


def filed(database: Database) -> Sequence[Row[Any]]:
    """What is not settled yet, oldest first. One statement."""
    return database.all(_FILED)


def settle(database: Database, clock: Clock, request_id: str, actor: str | None = None) -> bool:
    """Note that the authority has dealt with a request; False when there was none to settle.

    Two statements, one transaction.
    """
    now = clock.now_ms()
    with database.transaction() as connection:
        row = connection.execute(_SETTLE, {"the_id": request_id, "now": now}).one_or_none()
        if row is None:
            return False
        event = _answer(row, "credential.request_settled", actor, {"request_id": request_id})
        audit.record(connection, event, now)
    return True


def restore(
    database: Database, clock: Clock, request_id: str, actor: str | None = None
) -> str | None:
    """Settle a request by giving the withdrawn credential back; the state that it has then.

    That is what came of it meanwhile: frozen, suspended, revoked. None when there is no such
    request. Errors: ``CredentialUnknown`` when it is about none that is withdrawn: it stays open.
    Four statements, one transaction.
    """
    now = clock.now_ms()
    with database.transaction() as connection:
        row = connection.execute(_SETTLE, {"the_id": request_id, "now": now}).one_or_none()
        if row is None:
            return None
        if connection.execute(_RESTORE, {"the_credential": row.credential_id}).rowcount == 0:
            raise CredentialUnknown("the request is about no withdrawn credential")
        state = credential_states.derive(connection, row.credential_id)
        detail: JsonObject = {"request_id": request_id, "state": state}
        audit.record(connection, _answer(row, "credential.restored", actor, detail), now)
    return state


def _answer(row: Row[Any], kind: str, actor: str | None, detail: JsonObject) -> audit.Event:
    return audit.Event(
        kind,
        actor or audit.operator(),
        client_id=row.client_id,
        subscriber_id=row.subscriber_id,
        credential_id=row.credential_id,
        detail=detail,
    )


def _row(new: NewRequest, kind: str, credential_id: str | None, now: int) -> dict[str, object]:
    return {
        "id": new_id(now),
        "kind": kind,
        "state": "FILED",
        "client_id": new.client_id,
        "subscriber_id": new.subscriber_id,
        "credential_id": credential_id,
        "detail": json.dumps(new.detail, ensure_ascii=False, sort_keys=True),
        "created_at": now,
    }


def _values(row: Mapping[str, object]) -> dict[str, object]:
    return {f"v_{name}": value for name, value in row.items()}


def _event(
    new: NewRequest, kind: str, credential_id: str | None, row: Mapping[str, object]
) -> audit.Event:
    return audit.Event(
        kind,
        "client",
        client_id=new.client_id,
        subscriber_id=new.subscriber_id,
        credential_id=credential_id,
        detail={"request_id": str(row["id"])},
    )


_COLUMNS = ("id", "kind", "state", "client_id", "subscriber_id", "detail", "created_at")
_GIVEN = {name: bindparam(f"v_{name}", type_=_REQUEST[name].type) for name in _COLUMNS}
_WAITING = (
    _REQUEST.kind == _GIVEN["kind"],
    _REQUEST.state == "FILED",
    _REQUEST.client_id == _GIVEN["client_id"],
    _REQUEST.subscriber_id == _GIVEN["subscriber_id"],
)
_SAME = exists(select(_REQUEST.id).where(*_WAITING, _REQUEST.detail == _GIVEN["detail"]))
_COUNT = select(func.count()).select_from(credential_request).where(*_WAITING).scalar_subquery()
_FILE_ONCE = (
    insert(credential_request)
    .from_select(
        _COLUMNS,
        select(*(value.cast(value.type) for value in _GIVEN.values())).where(
            ~_SAME, _COUNT < MOST_WAITING
        ),
    )
    .execution_options(preserve_rowcount=True)  # else SQLAlchemy forgets the count of an INSERT
)
_WITHDRAW = (
    update(credential)
    .where(
        credential.c.id == bindparam("the_credential", type_=credential.c.id.type),
        credential.c.subscriber_id
        == bindparam("the_subscriber", type_=credential.c.subscriber_id.type),
        credential.c.state == "enabled",
    )
    .values(state="withdrawn")
)
_RESTORE = (
    update(credential)
    .where(
        credential.c.id == bindparam("the_credential", type_=credential.c.id.type),
        credential.c.state == "withdrawn",
    )
    .values(state="enabled")
)
_FILED = select(credential_request).where(_REQUEST.state == "FILED").order_by(_REQUEST.id)
_SETTLE = (
    update(credential_request)
    .where(_REQUEST.id == bindparam("the_id", type_=_REQUEST.id.type), _REQUEST.state == "FILED")
    .values(state="SETTLED", settled_at=bindparam("now", type_=_REQUEST.settled_at.type))
    .returning(_REQUEST.client_id, _REQUEST.subscriber_id, _REQUEST.credential_id)
)
