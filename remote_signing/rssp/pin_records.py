"""The rows about PINs: orders that wait for an official, and revocations that the SAM still owes.

A record whose PIN replaced another one is noted in the transaction that stores it; the note goes
when the SAM has revoked what was replaced, and not before.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, insert, select, update

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp.models import credential, pin_order, pin_retirement

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Order

_log = logging.getLogger(__name__)
_OWED, _ORDER = pin_retirement.c, pin_order.c
_AT_ONCE = 100  # of a round of housekeeping


def order_for(services: Services, subscriber_id: str, credential_id: str) -> Order | None:
    """The order by which the signer may choose a PIN of that credential now. One statement.

    None also for a credential that is somebody else's, or nobody's: whoever asks learns of his own.
    """
    parameters = {
        "the_credential": credential_id,
        "the_owner": subscriber_id,
        "now": services.now_ms(),
    }
    row = services.database.one(_OFFERED, parameters)
    return None if row is None else cast("Order", json.loads(row.signed_order))


def offered(services: Services, subscriber_id: str) -> set[str]:
    """The signer's credentials for which he may choose a PIN with a code now. One statement."""
    query = select(_ORDER.credential_id).where(
        _ORDER.subscriber_id == subscriber_id, _ORDER.expires_at > services.now_ms()
    )
    return {row.credential_id for row in services.database.all(query)}


def offer(
    connection: Connection, credential_id: str, subscriber_id: str, order: Order, end_ms: int
) -> None:
    """Keep an order, in the place of an earlier one. Two statements."""
    values = {
        "credential_id": credential_id,
        "subscriber_id": subscriber_id,
        "signed_order": json.dumps(order),
        "expires_at": end_ms,
    }
    connection.execute(delete(pin_order).where(_ORDER.credential_id == credential_id))
    connection.execute(insert(pin_order), values)


def owe(connection: Connection, credential_id: str, at_ms: int) -> None:
    """Note that the record's PIN replaced another; no order waits any more. Three statements."""
    values = {"credential_id": credential_id, "owed_since": at_ms}
    connection.execute(delete(pin_retirement).where(_OWED.credential_id == credential_id))
    connection.execute(insert(pin_retirement), values)
    connection.execute(delete(pin_order).where(_ORDER.credential_id == credential_id))


def retire_owed(services: Services) -> int:
    """Have the SAM revoke what is owed; how many there were. One statement, and two for each.

    What has waited longest comes first, and what fails waits anew: however much of it fails, the
    rest has its turn. A further statement for each that fails.
    """
    rows = services.database.all(_LONGEST_OWED.limit(_AT_ONCE))
    for row in rows:
        retire(services, row.credential_id)
    return len(rows)


def retire(services: Services, credential_id: str) -> None:
    """Have the SAM revoke what one record's PIN replaced. A failure is left to a later round."""
    row = services.database.one(_TO_RETIRE, {"the_credential": credential_id})
    if row is None:
        return
    # Not if another change was stored meanwhile: that is owed still.
    values = {"the_credential": credential_id, "since": row.owed_since}
    try:
        if row.state not in _WITHOUT_USE:
            services.sam.retire_pin(row.sealed)
    except RemoteSigningError as error:
        told = {"credential_id": credential_id, "error": type(error).__name__}
        _log.warning("a replaced PIN is not revoked yet", extra=told)
        services.database.run(_PUT_OFF, values | {"now": services.now_ms()})
        return
    services.database.run(_RETIRED, values)


def prune(services: Services) -> int:
    """Remove orders whose time is over; how many. One statement."""
    return services.database.run(_OVER, {"now": services.now_ms()})


_WITHOUT_USE = ("destroyed", "revoked")  # the SAM refuses such a record whatever PIN it has
_named = bindparam("the_credential", type_=_OWED.credential_id.type)
_now = bindparam("now", type_=_ORDER.expires_at.type)
_OFFERED = select(_ORDER.signed_order).where(
    _ORDER.credential_id == _named,
    _ORDER.subscriber_id == bindparam("the_owner", type_=_ORDER.subscriber_id.type),
    _ORDER.expires_at > _now,
)
_OVER = delete(pin_order).where(_ORDER.expires_at <= _now)
_TO_RETIRE = (
    select(credential.c.sealed, credential.c.state, _OWED.owed_since)
    .join_from(pin_retirement, credential)
    .where(_OWED.credential_id == _named)
)
_LONGEST_OWED = select(_OWED.credential_id).order_by(_OWED.owed_since, _OWED.credential_id)
_AS_KNOWN = (
    _OWED.credential_id == _named,
    _OWED.owed_since == bindparam("since", type_=_OWED.owed_since.type),
)
_RETIRED = delete(pin_retirement).where(*_AS_KNOWN)
_PUT_OFF = update(pin_retirement).where(*_AS_KNOWN).values(owed_since=_now)
