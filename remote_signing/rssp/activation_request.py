"""A client asks; the browser that it sends opens the question. See :mod:`.activation`."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, cast, insert, or_, select

from remote_signing.errors import (
    AccessRefused,
    ActivationExpired,
    ActivationUnknown,
    CertificateExpired,
    CredentialDisabled,
    CredentialLocked,
    CredentialUnknown,
    InvalidInput,
    RemoteSigningError,
    ReplayDetected,
    TooManySignatures,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import attached, audit
from remote_signing.rssp.activation_model import Channel, NewActivation, Requested, State
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CLIENT,
    CREDENTIAL,
    SUBSCRIBER,
    now,
    step,
    the_client,
    the_id,
    the_secret,
    usable,
)
from remote_signing.rssp.activation_words import (
    base64_texts,
    check,
    display_text,
    ends_at,
    request_text,
    search_text,
)
from remote_signing.rssp.commits import without_waiting
from remote_signing.rssp.credential_states import GONE
from remote_signing.rssp.credentials import ANY_AGENCY
from remote_signing.rssp.models import credential, signature_activation, subscriber
from remote_signing.sap import ChallengeRequest

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Label, Row, Select

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Challenge
    from remote_signing.strict_json import JsonValue

_UNNAMED_DIGEST = "sha256"  # without hashes the SAM binds the count alone


def request_activation(services: Services, new: NewActivation) -> Requested:
    """Ask the signer (channel oauth or decoupled). One statement.

    Errors: ``CredentialUnknown``, ``CredentialDisabled``, ``CredentialLocked``,
    ``CertificateExpired``, ``TooManySignatures``, ``DigestLengthInvalid``, ``InvalidInput``
    (parameter ``hashes``, ``numSignatures``, ``description``), ``Unavailable``.
    """
    started = services.now_ms()
    ticket = Ticket.issue(new_id(started))
    lifetimes = services.config.lifetimes
    expires = ends_at(services, new, started)
    # Steps 1b and 1c: the challenge over exactly this, then one row that holds everything.
    row, challenge = insert_activation(services, new, ticket.row_id, expires, secret=ticket)
    if new.channel is Channel.OAUTH:
        expires = started + min(lifetimes.request_uri, lifetimes.activation) * 1000
    return Requested(row.id, ticket, challenge.verification_code, expires)


def insert_activation(  # noqa: PLR0913 - what differs between the channels
    services: Services,
    new: NewActivation,
    activation_id: str,
    expires_at_ms: int,
    *,
    secret: Ticket | None = None,
    attempts: int = 0,
) -> tuple[Row[Any], Challenge]:
    """Write the activation when its credential allows it. One statement after the challenge.

    The row has ``id``, ``sealed``, ``factors``.
    """
    check(services, new)
    display = display_text(services, new)
    question = _question(new, activation_id, display, expires_at_ms)
    challenge = services.sam.challenge(question)
    parameters: dict[str, object] = {
        "now": services.now_ms(),
        "the_credential": new.credential_id,
        "v_id": activation_id,
        "v_client_id": new.client_id,
        "v_channel": new.channel.value,
        "v_request": request_text(new, display),
        "v_hashes_key": hashes_key(new.hash_algorithm, new.hashes),
        "v_num_signatures": new.num_signatures,
        "v_verification_code": challenge.verification_code,
        "v_challenge": challenge.token,
        "v_expires_at": expires_at_ms,
        "v_redirect_uri": new.redirect_uri,
        "v_code_challenge": new.code_challenge,
        "v_dpop_jkt": new.dpop_jkt,
        "v_request_secret": _secret_for(Channel.OAUTH, new, secret),
        "v_handle_secret": _secret_for(Channel.DECOUPLED, new, secret),
        "v_attempts": attempts,
        "v_used": "0" * new.num_signatures,
        "v_urgency": 0 if new.details is None else int(new.details.urgency),
        "v_search_text": search_text(services, new),
        "v_matched_at": None if _must_match(services, new) else services.now_ms(),
        "v_event_detail": audit.detail_text(_event(new, challenge)),
        "inline": int(new.channel is Channel.INLINE),
        "hash_count": len(new.hashes),
    }
    limit = _limit(new)
    # What was pushed is a question that its browser brings to the signer within the minute. What
    # comes to him by itself was promised, and what was tried inline is counted before it is looked
    # at: these wait for the disk.
    waits = new.channel is not Channel.OAUTH
    statement = _insert(**limit.shape, waits=waits)
    row = services.database.one(statement, parameters | limit.parameters)
    if row is None:
        raise _refusal(services, new)
    return row, challenge


def _question(
    new: NewActivation, activation_id: str, display: str, expires_at_ms: int
) -> ChallengeRequest:
    return ChallengeRequest(
        credential_id=new.credential_id,
        activation_id=activation_id,
        client_id=new.client_id,
        hash_algorithm=new.hash_algorithm or _UNNAMED_DIGEST,
        hashes=new.hashes,
        count=new.num_signatures,
        display_text=display,
        expires_at_ms=expires_at_ms,
    )


def open_request(services: Services, client_id: str, ticket: Ticket) -> str:
    """Use a request_uri up (GET oauth2/authorize); the activation's id. One statement.

    It does not wait for the disk: after a fall of the database it might be opened once more, and
    is still a question only.
    Errors: ``ActivationUnknown``, ``ActivationExpired``, ``ReplayDetected``.
    """
    started = services.now_ms()
    parameters = {
        "the_id": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "the_client": client_id,
        "now": started,
        "made_after": started - services.config.lifetimes.request_uri * 1000,
    }
    if services.database.one(_OPEN, {**parameters, "event": "{}"}) is not None:
        return ticket.row_id
    row = services.database.one(_WHY_NOT_OPEN, parameters)
    if row is None:
        raise ActivationUnknown("no such request_uri of this client")
    if row.request_used_at is not None:
        raise ReplayDetected("request_uri was used")
    raise ActivationExpired(f"request_uri is over, activation is {row.state}")


def hashes_key(hash_algorithm: str | None, hashes: tuple[bytes, ...]) -> bytes:
    """Equal for the same digests under the same algorithm, in any order. Empty for none."""
    if not hashes:
        return b""
    return hashlib.sha256(b"\0".join([(hash_algorithm or "").encode(), *sorted(hashes)])).digest()


def _must_match(services: Services, new: NewActivation) -> bool:
    """Whether the signer has to pick the portal's code: the request came to him by itself."""
    return new.channel is Channel.DECOUPLED and services.config.policy.code_match


def _secret_for(channel: Channel, new: NewActivation, secret: Ticket | None) -> bytes | None:
    return secret.secret_hash if secret is not None and new.channel is channel else None


def _event(new: NewActivation, challenge: Challenge) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "challenge": challenge.digest.hex(),
        "channel": new.channel.value,
        "hash_algorithm": new.hash_algorithm,
        "hashes": base64_texts(new.hashes),
        "num_signatures": new.num_signatures,
    }
    if new.attached:
        told["bound"] = [*attached.lines(new.attached)]
    return told


_GIVEN = (
    "id",
    "client_id",
    "channel",
    "request",
    "hashes_key",
    "num_signatures",
    "verification_code",
    "challenge",
    "expires_at",
    "redirect_uri",
    "code_challenge",
    "dpop_jkt",
    "request_secret",
    "handle_secret",
    "attempts",
    "used",
    "urgency",
    "search_text",
    "matched_at",
    "event_detail",
)


def _source() -> Select[Any]:
    """The new row, if the credential allows it: no row is the answer no.

    The casts tell PostgreSQL the type of a parameter that no column stands beside.
    """
    given = [
        cast(bindparam(f"v_{name}", type_=ACTIVATION[name].type), ACTIVATION[name].type)
        for name in _GIVEN
    ]
    inline = bindparam("inline", type_=Integer())
    return select(
        CREDENTIAL.id,
        CREDENTIAL.subscriber_id,
        *given,
        cast(State.PENDING.value, ACTIVATION.state.type),
        cast(now, BigInteger),
        cast(1, Integer),
        cast("activation.requested", ACTIVATION.event_kind.type),
        cast(now, BigInteger),
        cast(CLIENT, ACTIVATION.event_actor.type),
    ).where(
        CREDENTIAL.id == _the_credential,
        *usable(),
        CREDENTIAL.failed_attempts < CREDENTIAL.attempt_limit,
        CREDENTIAL.multisign >= bindparam("v_num_signatures", type_=Integer()),
        # SCAL2 means that the signer consents to known hashes, in our own page.
        or_(
            CREDENTIAL.scal == "1",
            (bindparam("hash_count", type_=Integer()) > 0) & (inline == 0),
        ),
    )


_COLUMNS = (
    "credential_id",
    "subscriber_id",
    *_GIVEN,
    "state",
    "created_at",
    "event_seq",
    "event_kind",
    "event_at",
    "event_actor",
)


_the_credential = bindparam("the_credential", type_=CREDENTIAL.id.type)


def _named(column: ColumnElement[Any]) -> Label[Any]:
    """A column of the credential asked for: INSERT … RETURNING knows only its own table."""
    query = select(column).where(CREDENTIAL.id == _the_credential)
    return query.scalar_subquery().label(column.name)


@cache
def _insert(*, one_subscriber: bool, some_agencies: bool, waits: bool) -> Any:  # noqa: ANN401 - ReturningInsert of columns of any type
    source = _source().where(*_limits(one_subscriber=one_subscriber, some_agencies=some_agencies))
    statement = (
        insert(signature_activation)
        .from_select(_COLUMNS, source)
        .returning(ACTIVATION.id, _named(CREDENTIAL.sealed), _named(CREDENTIAL.factors))
    )
    return statement if waits else statement.returning(without_waiting())


def _limits(*, one_subscriber: bool, some_agencies: bool) -> list[ColumnElement[bool]]:
    """Whose credentials the caller may name."""
    limits: list[ColumnElement[bool]] = []
    if one_subscriber:
        only = bindparam("only_subscriber", type_=CREDENTIAL.subscriber_id.type)
        limits.append(CREDENTIAL.subscriber_id == only)
    if some_agencies:
        among = bindparam("among_agencies", expanding=True, type_=SUBSCRIBER.agency_id.type)
        members = select(SUBSCRIBER.id).where(SUBSCRIBER.agency_id.in_(among))
        limits.append(CREDENTIAL.subscriber_id.in_(members))
    return limits


class _Limit(NamedTuple):
    shape: dict[str, bool]
    parameters: dict[str, object]


def _limit(new: NewActivation) -> _Limit:
    shape = {
        "one_subscriber": new.subscriber_id is not None,
        "some_agencies": new.agencies is not None and ANY_AGENCY not in new.agencies,
    }
    values: dict[str, object] = {}
    if shape["one_subscriber"]:
        values["only_subscriber"] = new.subscriber_id
    if shape["some_agencies"]:
        values["among_agencies"] = new.agencies
    return _Limit(shape, values)


def _refusal(services: Services, new: NewActivation) -> RemoteSigningError:
    """Why the credential did not allow it. One statement."""
    limit = _limit(new)
    query = (
        select(
            *(CREDENTIAL.state, CREDENTIAL.not_before, CREDENTIAL.not_after, CREDENTIAL.scal),
            *(CREDENTIAL.failed_attempts, CREDENTIAL.attempt_limit, CREDENTIAL.multisign),
            SUBSCRIBER.state.label("subscriber_state"),
        )
        .join_from(credential, subscriber)
        .where(CREDENTIAL.id == new.credential_id, *_limits(**limit.shape))
    )
    row = services.database.one(query, limit.parameters)
    if row is None or row.state in GONE:
        return CredentialUnknown("no such credential for this caller")
    if row.state != "enabled" or row.subscriber_state != "active":
        return CredentialDisabled(f"credential {row.state}, subscriber {row.subscriber_state}")
    if row.not_before > services.now_ms():
        return CredentialDisabled("the certificate's validity has not begun")
    if row.not_after <= services.now_ms():
        return CertificateExpired("the certificate's validity is over")
    if row.failed_attempts >= row.attempt_limit:
        return CredentialLocked("too many failed attempts")
    return _policy_refusal(row, new)


def _policy_refusal(row: Row[Any], new: NewActivation) -> RemoteSigningError:
    if row.multisign < new.num_signatures:
        return TooManySignatures(f"multisign is {row.multisign}", parameter="numSignatures")
    if new.channel is Channel.INLINE:
        return AccessRefused("a SCAL2 credential accepts no authData")
    return InvalidInput("a SCAL2 credential needs the hashes", parameter="hashes")


_OWN = (ACTIVATION.request_secret == the_secret, ACTIVATION.client_id == the_client)
_OPEN = (
    step("request.opened", CLIENT)
    .where(
        *_OWN,
        ACTIVATION.request_used_at.is_(None),
        ACTIVATION.created_at > bindparam("made_after", type_=BigInteger()),
        ACTIVATION.state == State.PENDING.value,
        ACTIVATION.expires_at > now,
    )
    .values(request_used_at=now)
    .returning(ACTIVATION.id, without_waiting())
)
_WHY_NOT_OPEN = select(ACTIVATION.state, ACTIVATION.request_used_at).where(
    ACTIVATION.id == the_id, *_OWN
)
