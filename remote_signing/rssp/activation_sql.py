"""Pieces that the statements on ``signature_activation`` share.

Parameters are named apart from columns (``the_id``), because SQLAlchemy takes a parameter named
like a column for a new value of that column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Text,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from remote_signing.rssp.models import (
    access_token,
    credential,
    login_session,
    oauth_client,
    signature_activation,
    sim_transaction,
    subscriber,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Label, Update

ACTIVATION = signature_activation.c
CREDENTIAL = credential.c
SUBSCRIBER = subscriber.c
SESSION = login_session.c
TOKEN = access_token.c

_DECOUPLED = "decoupled"  # activation_model.Channel

TIME_PREFIX = 10  # characters of an id that are its time: ids above it are younger

SIGNER = "signer"
CLIENT = "client"
SYSTEM = "system"

the_id = bindparam("the_id", type_=ACTIVATION.id.type)
the_secret = bindparam("the_secret", type_=LargeBinary())
the_client = bindparam("the_client", type_=Text())
now = bindparam("now", type_=BigInteger())


def step(kind: str, actor: str) -> Update:
    """An UPDATE of the activation ``the_id`` that writes the event ``kind`` with itself.

    Parameters: ``the_id``, ``now``, and ``event`` (canonical JSON, see ``audit.detail_text``).
    """
    return steps(kind, actor).where(ACTIVATION.id == the_id)


def steps(kind: str, actor: str) -> Update:
    """Like :func:`step`, of every activation that the caller's conditions meet."""
    return update(signature_activation).values(
        event_seq=ACTIVATION.event_seq + 1,
        event_kind=kind,
        event_at=now,
        event_actor=actor,
        event_detail=bindparam("event", type_=Text()),
    )


def of_credential(column: ColumnElement[Any]) -> Label[Any]:
    """A column of the activation's credential, for a RETURNING clause or a select list."""
    query = select(column).where(CREDENTIAL.id == ACTIVATION.credential_id)
    return query.correlate(signature_activation).scalar_subquery().label(column.name)


def sim_is_asked() -> Label[bool]:
    """Whether a SIM is being asked about the activation, for a RETURNING clause."""
    question = sim_transaction.c
    # For SQLite, SQLAlchemy leaves the table's name out of RETURNING: "id" would be the question's.
    the_activation = literal_column("signature_activation.id", question.activation_id.type)
    # Of the youngest, which alone can be open: with the state as a condition, databases walk over
    # everybody's open questions.
    query = select(question.state).where(question.activation_id == the_activation)
    youngest = query.order_by(question.id.desc()).limit(1).scalar_subquery()
    return (youngest == "WAITING").label("sim_is_asked")


def usable() -> list[ColumnElement[bool]]:
    """That the credential in this query may be used now, and its subscriber too."""
    return [
        CREDENTIAL.state == "enabled",
        CREDENTIAL.not_before <= now,
        CREDENTIAL.not_after > now,
        exists(
            select(SUBSCRIBER.id).where(
                SUBSCRIBER.id == CREDENTIAL.subscriber_id, SUBSCRIBER.state == "active"
            )
        ),
    ]


def credential_is_usable() -> ColumnElement[bool]:
    """That the activation's credential may be used now."""
    query = select(CREDENTIAL.id).where(CREDENTIAL.id == ACTIVATION.credential_id, *usable())
    return exists(query.correlate(signature_activation))


def code_is_matched() -> ColumnElement[bool]:
    """That the signer knows which portal asks: his own browser came from it, or he picked its code.

    See :mod:`.activation_refuse`.
    """
    return or_(ACTIVATION.channel != _DECOUPLED, ACTIVATION.matched_at.is_not(None))


def client_is_active() -> ColumnElement[bool]:
    """That the activation's client is not disabled. Clients are cached; a signature is not."""
    query = select(oauth_client.c.id).where(
        oauth_client.c.id == ACTIVATION.client_id, oauth_client.c.state == "active"
    )
    return exists(query.correlate(signature_activation))


def signed_in_subscriber() -> ColumnElement[Any]:
    """The subscriber of a valid session.

    Parameters: ``session_id``, ``session_secret``, ``now``, ``idle_since`` (ms).
    """
    query = select(SESSION.subscriber_id).where(
        SESSION.id == bindparam("session_id", type_=SESSION.id.type),
        SESSION.secret_hash == bindparam("session_secret", type_=LargeBinary()),
        SESSION.revoked_at.is_(None),
        SESSION.expires_at > now,
        SESSION.last_used_at > bindparam("idle_since", type_=BigInteger()),
    )
    return query.scalar_subquery()


def valid_service_token() -> list[ColumnElement[bool]]:
    """That the row of ``access_token`` is the bearer and may be used now.

    Parameters: ``service_id``, ``service_secret``, ``jkt`` ("" without a proof), ``x5t``, ``now``.
    """
    return [
        TOKEN.id == bindparam("service_id", type_=TOKEN.id.type),
        TOKEN.secret_hash == bindparam("service_secret", type_=LargeBinary()),
        TOKEN.revoked_at.is_(None),
        TOKEN.expires_at > now,
        func.coalesce(TOKEN.jkt, "") == bindparam("jkt", type_=Text()),
        or_(TOKEN.x5t.is_(None), TOKEN.x5t == bindparam("x5t", type_=Text())),
    ]
