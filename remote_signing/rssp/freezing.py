"""A phone is lost: its owner freezes all his keys in one step, from any browser.

Freezing needs a session and nothing else, so that it is quick; the worst that somebody with the
password can do is to stop work. Unfreezing needs an order of the registration authority, which has
seen who asks; the SAM checks it. What a frozen credential has been asked, or authorised, is ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam, case, or_, select, update

from remote_signing.errors import ActivationConflict, CredentialUnknown, InvalidInput
from remote_signing.rssp import activation, audit, credential_states, sessions
from remote_signing.rssp.credential_states import FROZEN, GONE
from remote_signing.rssp.models import credential

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.registration import RegistrationAuthority

_ROW = credential.c


def freeze(services: Services, session: Ticket) -> int:
    """Freeze every credential of the session's signer; how many that he sees are frozen now.

    Whatever its state is: what is suspended, disabled or withdrawn now must not come back with what
    was lost. Also withdraws what waits or was authorised and is not used, and ends his other
    sessions. All of it in one transaction; doing it again changes nothing. Errors:
    ``SessionInvalid``.
    """
    signer = sessions.use(services, session)
    at = services.now_ms()
    parameters = {"the_owner": signer.subscriber_id}
    with services.database.transaction() as connection:
        # Requests before credentials, as who approves one: the two never wait for each other.
        activation.withdraw_all(services, connection, signer.subscriber_id)
        for row in connection.execute(_FREEZE, parameters).all():
            state = credential_states.derive(connection, row.id)
            event = audit.Event(
                "credential.frozen",
                "signer",
                subscriber_id=signer.subscriber_id,
                credential_id=row.id,
                detail={"session_id": session.row_id, "state": state},
            )
            audit.record(connection, event, at)
        sessions.end_others(services, connection, session, signer.subscriber_id)
        return len(connection.execute(_FROZEN, parameters).all())


def frozen(services: Services, subscriber_id: str) -> int:
    """How many of the credentials that a signer sees are frozen. One statement."""
    return len(services.database.all(_FROZEN, {"the_owner": subscriber_id}))


def unfreeze(services: Services, authority: RegistrationAuthority, credential_id: str) -> str:
    """End a credential's freeze; its state then, which something else may keep from ``enabled``.

    The SAM sees the authority's order first: without its key nothing is unfrozen by this program.
    Errors: ``CredentialUnknown``, ``InvalidInput``, those of the SAM, and ``ActivationConflict``
    when somebody else changed the credential meanwhile.
    """
    row = _found(services, credential_id)
    at = services.now_ms()
    actor = f"ra:{authority.key_id}"
    of = {"subscriber_id": row.subscriber_id, "credential_id": credential_id}
    with services.database.transaction() as connection:
        event = audit.Event("credential.ordered", actor, detail={"verb": "unlock"}, **of)
        audit.record(connection, event, at)
    order = authority.order("unlock", credential_id, at, {})
    resealed = services.sam.unlock(row.sealed, order)
    values = {
        "the_credential": credential_id,
        "the_version": row.sealed_version,
        "new_sealed": resealed.sealed,
        "new_version": resealed.version,
    }
    with services.database.transaction() as connection:
        if connection.execute(_UNFREEZE, values).one_or_none() is None:
            raise ActivationConflict("changed while the SAM was asked")
        state = credential_states.derive(connection, credential_id)
        event = audit.Event("credential.unfrozen", actor, detail={"state": state}, **of)
        audit.record(connection, event, services.now_ms())
    return state


def _found(services: Services, credential_id: str) -> Row[Any]:
    row = services.database.one(_STATE, {"the_credential": credential_id})
    if row is None or row.state in GONE:
        raise CredentialUnknown(f"no credential {credential_id!r}")
    if not row.is_frozen:
        raise InvalidInput(f"the credential is {row.state}, not frozen", parameter="state")
    return row


_the_owner = bindparam("the_owner", type_=_ROW.subscriber_id.type)
_the_credential = bindparam("the_credential", type_=Text())
# The release before froze by the word alone.
_is_frozen = or_(_ROW.frozen, _ROW.state == FROZEN) & (_ROW.state != "revoked")
_FREEZE = (
    update(credential)
    .where(
        _ROW.subscriber_id == _the_owner,
        ~or_(_ROW.frozen, _ROW.state.in_(("destroyed", "revoked"))),
    )
    .values(frozen=True)
    .returning(_ROW.id)
)
_FROZEN = select(_ROW.id).where(
    _ROW.subscriber_id == _the_owner, _is_frozen, _ROW.state.not_in(GONE)
)
_STATE = select(
    *(_ROW.subscriber_id, _ROW.state, _ROW.sealed, _ROW.sealed_version),
    _is_frozen.label("is_frozen"),
).where(_ROW.id == _the_credential)
_UNFREEZE = (
    update(credential)
    .where(
        _ROW.id == _the_credential,
        _is_frozen,
        _ROW.state.not_in(GONE),
        _ROW.sealed_version == bindparam("the_version", type_=_ROW.sealed_version.type),
    )
    .values(
        frozen=False,
        state=case((_ROW.state == FROZEN, "enabled"), else_=_ROW.state),
        failed_attempts=0,
        sealed=bindparam("new_sealed", type_=_ROW.sealed.type),
        sealed_version=bindparam("new_version", type_=_ROW.sealed_version.type),
    )
    .returning(_ROW.id)
)
