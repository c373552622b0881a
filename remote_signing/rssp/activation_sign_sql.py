"""The statements of :mod:`.activation_sign`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, LargeBinary, Text, and_, bindparam, exists, not_, or_, select
from sqlalchemy import func as sql

from remote_signing.rssp.activation_model import Channel, Held, State, Use
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CLIENT,
    CREDENTIAL,
    SUBSCRIBER,
    TOKEN,
    client_is_active,
    credential_is_usable,
    now,
    of_credential,
    step,
    the_client,
    the_id,
    the_secret,
    valid_service_token,
)
from remote_signing.rssp.models import (
    access_token,
    oauth_client,
    signature_activation,
    signing_outcome,
    subscriber,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Update

OUTCOME = signing_outcome.c

the_request = bindparam("the_request", type_=Text())  # the digest of what is asked for, in hex


def bearer_parameters(use: Use | Held, at: int) -> dict[str, object]:
    """The parameters of every statement here that checks the bearer."""
    parameters: dict[str, object] = {
        "the_id": use.ticket.row_id,
        "the_secret": use.ticket.secret_hash,
        "the_client": use.client_id,
        "now": at,
        "jkt": use.jkt or "",
        "x5t": use.x5t,
    }
    if use.service_token is not None:
        parameters["service_id"] = use.service_token.row_id
        parameters["service_secret"] = use.service_token.secret_hash
    return parameters


def bearer(*, service: bool) -> list[ColumnElement[bool]]:
    """That the caller holds the token or SAD of the activation ``the_id``, bound to its key."""
    jkt, x5t = bindparam("jkt", type_=Text()), bindparam("x5t", type_=Text())
    held = [
        ACTIVATION.id == the_id,
        ACTIVATION.token_secret == the_secret,
        ACTIVATION.client_id == sql.coalesce(the_client, ACTIVATION.client_id),
        or_(ACTIVATION.token_x5t.is_(None), ACTIVATION.token_x5t == x5t),
        client_is_active(),
    ]
    if not service:
        # A bound token is refused without its proof, and an unbound one with a proof (RFC 9449).
        bound = sql.coalesce(ACTIVATION.token_jkt, "") == jkt
        return [*held, bound, ACTIVATION.channel == Channel.OAUTH.value]
    token = select(TOKEN.id).where(
        *valid_service_token(),
        TOKEN.client_id == ACTIVATION.client_id,
        or_(TOKEN.subscriber_id.is_(None), TOKEN.subscriber_id == ACTIVATION.subscriber_id),
    )
    bound = or_(ACTIVATION.token_jkt.is_(None), ACTIVATION.token_jkt == jkt)
    return [*held, bound, exists(token.correlate(signature_activation))]


def _reserve_statement(
    places: list[ColumnElement[bool]], used: ColumnElement[str], *, service: bool
) -> Any:  # noqa: ANN401 - an Update with RETURNING
    """AUTHORIZED → SIGNING where ``places`` are free; ``used`` is what is used up then."""
    return (
        step("signing.started", CLIENT)
        .where(
            *bearer(service=service),
            ACTIVATION.credential_id == bindparam("the_credential", type_=ACTIVATION.id.type),
            ACTIVATION.state == State.AUTHORIZED.value,
            ACTIVATION.expires_at > now,
            credential_is_usable(),
            *places,
        )
        .values(
            state=State.SIGNING.value,
            used=used,
            # Whoever uses the SAD has got it: from here on the handle gives no other.
            handle_secret=None,
            signing_since=now,
            signing_key=bindparam("the_key", type_=LargeBinary()),
        )
        .returning(
            ACTIVATION.client_id,
            ACTIVATION.sad,
            ACTIVATION.used,
            of_credential(CREDENTIAL.sealed),
        )
    )


def _reserve_at_once(*, service: bool) -> Any:  # noqa: ANN401 - as above
    """All of the hashes that were authorised; or, where none were named, the next places.

    Parameters beside the bearer's: ``the_hashes``; ``the_request``, in hex; ``free`` and ``taken``:
    a "0" and a "1" for each hash. Places are taken from the front, so what is free is at the end.
    """
    free, taken = bindparam("free", type_=Text()), bindparam("taken", type_=Text())
    whole = and_(
        ACTIVATION.hashes_key == bindparam("the_hashes", type_=LargeBinary()),
        ACTIVATION.used == free,
    )
    following = and_(
        ACTIVATION.hashes_key == b"",
        ACTIVATION.used.endswith(free),
        not_(ACTIVATION.outcomes.contains(the_request)),
        not_(exists(_former_outcome())),
        ACTIVATION.event_seq == _event_seq_as_seen(),
    )
    left = sql.substr(ACTIVATION.used, 1, sql.length(ACTIVATION.used) - sql.length(taken))
    return _reserve_statement([or_(whole, following)], taken + left, service=service)


def _reserve_part(*, service: bool) -> Any:  # noqa: ANN401 - as above
    """What :data:`LOOK` found free. Parameters beside the bearer's: ``used_before``, ``_after``."""
    free = ACTIVATION.used == bindparam("used_before", type_=Text())
    return _reserve_statement([free], bindparam("used_after", type_=Text()), service=service)


def _former_outcome() -> Select[Any]:
    """The outcome of ``the_request`` where a later call has given another one."""
    query = select(OUTCOME.signatures).where(
        OUTCOME.activation_id == ACTIVATION.id, OUTCOME.request == the_request
    )
    return query.correlate(signature_activation)


def _event_seq_as_seen() -> ColumnElement[int]:
    """The row's count of events when the statement began.

    PostgreSQL, having waited for a row that another statement was changing, tries the conditions
    again with the row as it is then, but sees other tables as they were before: an outcome that has
    come into the table meanwhile would be missed. This one condition does not hold then.
    """
    seen = signature_activation.alias("seen")
    return select(seen.c.event_seq).where(seen.c.id == the_id).scalar_subquery()


def _bearers_signer_is_active(*, service: bool) -> ColumnElement[bool]:
    """That nobody has suspended the signer whose token the bearer is. A client's own has none."""
    signer = select(SUBSCRIBER.id).where(
        SUBSCRIBER.id == ACTIVATION.subscriber_id, SUBSCRIBER.state == "active"
    )
    active = exists(signer.correlate(signature_activation))
    if not service:
        return active
    clients_own = select(TOKEN.id).where(*valid_service_token(), TOKEN.subscriber_id.is_(None))
    return or_(active, exists(clients_own))


def _look_statement(*, service: bool) -> Any:  # noqa: ANN401 - a Select of columns of any type
    signer = select(SUBSCRIBER.state).where(SUBSCRIBER.id == ACTIVATION.subscriber_id)
    return select(
        *(ACTIVATION.id, ACTIVATION.credential_id, ACTIVATION.client_id, ACTIVATION.state),
        *(ACTIVATION.expires_at, ACTIVATION.request, ACTIVATION.used, ACTIVATION.outcomes),
        *(ACTIVATION.signing_since, ACTIVATION.subscriber_id),
        _former_outcome().scalar_subquery().label("former_outcome"),
        of_credential(CREDENTIAL.state).label("credential_state"),
        of_credential((CREDENTIAL.not_before > now).label("is_early")),
        of_credential((CREDENTIAL.not_after <= now).label("is_expired")),
        signer.correlate(signature_activation).scalar_subquery().label("signer_state"),
    ).where(*bearer(service=service), _bearers_signer_is_active(service=service))


def _mine_only(kind: str) -> Update:
    return step(kind, CLIENT).where(
        ACTIVATION.state == State.SIGNING.value,
        ACTIVATION.signing_key == bindparam("the_key", type_=LargeBinary()),
        ACTIVATION.signing_since == bindparam("since", type_=BigInteger()),
    )


def _back(kind: str) -> Any:  # noqa: ANN401 - an Update with RETURNING
    """SIGNING → AUTHORIZED, with the hashes unused again."""
    return (
        _mine_only(kind)
        .values(
            state=State.AUTHORIZED.value,
            used=bindparam("used_before", type_=Text()),
            signing_since=None,
            signing_key=None,
        )
        .returning(ACTIVATION.id)
    )


def _finish_statement(*, remain: bool) -> Any:  # noqa: ANN401 - an Update with RETURNING
    ended = {} if remain else {"sad": None}
    state = State.AUTHORIZED if remain else State.SIGNED
    return (
        _mine_only("signing.done")
        .values(
            state=state.value,
            outcomes=bindparam("new_outcomes", type_=Text()),
            signing_since=None,
            signing_key=None,
            **ended,
        )
        .returning(ACTIVATION.id)
    )


RESERVE_AT_ONCE = {service: _reserve_at_once(service=service) for service in (False, True)}
RESERVE_PART = {service: _reserve_part(service=service) for service in (False, True)}
LOOK = {service: _look_statement(service=service) for service in (False, True)}
FINISH = {remain: _finish_statement(remain=remain) for remain in (False, True)}
RETURN = _back("signing.returned")
RETURN_UNKNOWN = _back("signing.unknown")
REPEATED = step("signing.repeated", CLIENT).returning(ACTIVATION.id)
REFUSED = step("signing.refused", CLIENT).returning(ACTIVATION.id)
# A token of a disabled client or of a suspended signer is good for nothing.
SERVICE_TOKEN = (
    select(TOKEN.client_id, TOKEN.subscriber_id)
    .join_from(access_token, oauth_client)
    .outerjoin(subscriber, SUBSCRIBER.id == TOKEN.subscriber_id)
    .where(
        *valid_service_token(),
        oauth_client.c.state == "active",
        or_(SUBSCRIBER.id.is_(None), SUBSCRIBER.state == "active"),
    )
)
