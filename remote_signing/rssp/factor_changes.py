"""An official changes the factors of a credential of his own: what is the same for each kind.

What decides is the SAM. Here an attempt with what can be guessed is charged before it is checked,
as for a signature; what the SAM gives back is stored only if nobody changed the record meanwhile,
together with an event and whatever else belongs to the change, in one transaction.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from remote_signing.errors import (
    ActivationConflict,
    CredentialLocked,
    CredentialUnknown,
    EvidenceInvalid,
    RemoteSigningError,
)
from remote_signing.rssp import audit, totp_steps
from remote_signing.rssp.models import credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Evidence
    from remote_signing.sap_messages import TotpUse
    from remote_signing.strict_json import JsonValue

_ROW = credential.c


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a record: its event, what is stored, and the code that is used up by it."""

    kind: str
    detail: dict[str, JsonValue]
    sealed: bytes
    version: int
    factors: list[dict[str, JsonValue]]
    code: TotpUse | None = None


def record(services: Services, subscriber_id: str, credential_id: str) -> Row[Any]:
    """The signer's enabled credential; ``CredentialUnknown``. One statement."""
    parameters = {"the_credential": credential_id, "the_owner": subscriber_id}
    row = services.database.one(_RECORD, parameters)
    if row is None:
        raise CredentialUnknown("none, somebody else's, or not enabled")
    return row


def charged(services: Services, subscriber_id: str, credential_id: str) -> Row[Any]:
    """As :func:`record`, with an attempt counted; ``CredentialLocked``. One statement."""
    parameters = {"the_credential": credential_id, "the_owner": subscriber_id}
    row = services.database.one(_CHARGE, parameters)
    if row is None:
        record(services, subscriber_id, credential_id)
        raise CredentialLocked("as many failed attempts as there may be")
    return row


def typed(row: Row[Any], **values: str) -> list[Evidence]:
    """Evidence of the record's factors of these kinds, as it was typed."""
    return [
        {"factor_id": one["id"], "kind": one["kind"], "value": values[one["kind"]]}
        for one in json.loads(row.factors)
        if one["kind"] in values
    ]


@contextmanager
def judged(
    services: Services, row: Row[Any], kind: str, *, is_charged: bool = True
) -> Iterator[None]:
    """What is refused becomes an event ``kind``: by the SAM, or as a code that another host took.

    The attempt that was charged is given back when what was typed was not found wrong.
    """
    try:
        yield
    except (EvidenceInvalid, CredentialLocked) as error:
        detail: dict[str, JsonValue] = {"reason": type(error).__name__}
        with services.database.transaction() as connection:
            audit.record(connection, event(kind, row, detail), services.now_ms())
        if is_charged and isinstance(error, EvidenceInvalid):
            left = max(0, row.attempt_limit - row.failed_attempts)
            told = error.public.get("attempts_left")
            error.public["attempts_left"] = min(left, told) if isinstance(told, int) else left
        raise
    except RemoteSigningError:
        if is_charged:
            services.database.run(_GIVE_BACK, {"the_credential": row.id})
        raise


def store(
    services: Services, row: Row[Any], change: Change, also: Callable[[Connection], None]
) -> None:
    """Write a change with its event, if the record is still the one we knew.

    ``also`` is what else belongs to it. The code that let it be made is used up with it. Errors:
    ``ActivationConflict``; ``EvidenceReplayed`` when the code was used at another SAM host.
    """
    unchanged = (
        _ROW.id == row.id,
        _ROW.sealed_version == row.sealed_version,
        _ROW.state == "enabled",
    )
    values = {
        "sealed": change.sealed,
        "sealed_version": change.version,
        "factors": json.dumps(change.factors),
        "failed_attempts": 0,
    }
    with services.database.transaction() as connection:
        statement = update(credential).where(*unchanged).values(values)
        if connection.execute(statement).rowcount == 0:
            raise ActivationConflict("the credential was changed by somebody else meanwhile")
        totp_steps.use(connection, change.code)
        also(connection)
        audit.record(connection, event(change.kind, row, change.detail), services.now_ms())


def event(kind: str, row: Row[Any], detail: dict[str, JsonValue]) -> audit.Event:
    """An event that the signer brought about."""
    return audit.Event(
        kind,
        "signer",
        subscriber_id=row.subscriber_id,
        credential_id=row.id,
        detail=detail,
    )


_HIS = (
    _ROW.id == bindparam("the_credential", type_=_ROW.id.type),
    _ROW.subscriber_id == bindparam("the_owner", type_=_ROW.subscriber_id.type),
    _ROW.state == "enabled",
)
_GIVEN = (
    *(
        _ROW.id,
        _ROW.id.label("credential_id"),
        _ROW.subscriber_id,
        _ROW.sealed,
        _ROW.sealed_version,
        _ROW.factors,
    ),
    *(_ROW.failed_attempts, _ROW.attempt_limit),
)
_RECORD = select(*_GIVEN).where(*_HIS)
_CHARGE = (
    update(credential)
    .where(*_HIS, _ROW.failed_attempts < _ROW.attempt_limit)
    .values(failed_attempts=_ROW.failed_attempts + 1)
    .returning(*_GIVEN)
)
_GIVE_BACK = (
    update(credential)
    .where(_ROW.id == bindparam("the_credential", type_=_ROW.id.type), _ROW.failed_attempts > 0)
    .values(failed_attempts=_ROW.failed_attempts - 1)
)
