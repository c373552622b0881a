"""A one-time code counts once, whichever SAM host took it and whatever for.

Each SAM host remembers the codes that it took itself. Across hosts the key of ``totp_step``
decides, in the transaction that makes use of the evidence: for a signature a trigger of the
statement that authorises it, for a change of factors :func:`use`. Of two uses of one code exactly
one is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select

from remote_signing.rssp.models import totp_step

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from remote_signing.rssp.deps import Services
    from remote_signing.sap_messages import TotpUse

_ROW = totp_step.c
_STEP_MS = 30_000
_KEPT = 24 * 60 * 2  # steps: a day, against clocks that differ; a code is accepted for 90 seconds
_TOGETHER = 10  # steps of which rows are removed by one statement


def use(connection: Connection, code: TotpUse | None) -> None:
    """Use up the code that was evidence, if there was one: one statement of that transaction.

    ``EvidenceReplayed`` when it was used before; nothing of the transaction may stand then.
    """
    if code is not None:
        values = {"step": code.step, "factor_id": code.factor_id}
        connection.execute(insert(totp_step), values)


def prune(services: Services) -> int:
    """Remove what no SAM takes any more; how many. One statement for each few steps."""
    end = services.now_ms() // _STEP_MS - _KEPT
    count = 0
    while done := services.database.run(_OVER, {"end": end}):
        count += done
    return count


_OLDEST = select(func.min(_ROW.step)).scalar_subquery()
_OVER = delete(totp_step).where(
    _ROW.step < bindparam("end", type_=BigInteger()), _ROW.step < _OLDEST + _TOGETHER
)
