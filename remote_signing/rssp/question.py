"""One request as its signer's browser asks for it: whose session it is, and what the page shows.

PostgreSQL does both in one statement; SQLite knows no UPDATE within another statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from remote_signing.errors import ActivationUnknown
from remote_signing.identifiers import is_id
from remote_signing.rssp import activation, sessions
from remote_signing.rssp.activation_sql import ACTIVATION, the_id
from remote_signing.rssp.activation_view import ASKED, SHOWN, details_of

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation_model import ActivationDetails
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sessions import Signer


def show(services: Services, session: Ticket, name: str) -> tuple[Signer, ActivationDetails]:
    """The signer of ``session``, which counts as used, and his request ``name``. One statement.

    ``name`` is whatever stood in an address. Errors: ``SessionInvalid``, ``ActivationUnknown``
    (also for somebody else's); the session counts as used in this case, too.
    """
    sought = name if is_id(name) else ""  # which none has
    if services.database.dialect == "sqlite":
        signer = sessions.use(services, session)
        return signer, activation.details(services, sought, signer.subscriber_id)
    parameters = sessions.parameters(services, session) | {"the_id": sought}
    row = services.database.one(_SHOW, parameters)
    signer = sessions.signer_of(row)
    if row is None or row.id is None:
        raise ActivationUnknown("no such activation of this subscriber")
    return signer, details_of(row, services.now_ms())


_used = sessions.USE.cte("used")
_SHOW = select(_used, *SHOWN).select_from(
    _used.outerjoin(
        ASKED, (ACTIVATION.id == the_id) & (ACTIVATION.subscriber_id == _used.c.subscriber_id)
    )
)
