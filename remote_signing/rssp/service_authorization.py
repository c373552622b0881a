"""Authorisation of scope ``service``: a signer lets a client see his list of credentials.

PENDING → GRANTED → REDEEMED, or PENDING → DENIED. Every step is one guarded UPDATE of one row; the
event it tells of is written in the same transaction. Nothing here lets a client sign.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from sqlalchemy import bindparam, exists, insert, or_, select, update

from remote_signing.errors import (
    AccessRefused,
    ActivationConflict,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    RemoteSigningError,
    ReplayDetected,
    SessionInvalid,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, audit, service_tokens
from remote_signing.rssp.activation_sql import signed_in_subscriber
from remote_signing.rssp.models import oauth_client, service_authorization, subscriber
from remote_signing.rssp.service_tokens import SERVICE, Holder, ServiceToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row
    from sqlalchemy.sql.dml import ReturningUpdate

    from remote_signing.rssp.deps import Services

PREFIX: Final = "s."
"""Before the ticket of a request_uri and of a code, to tell them from an activation's."""

_ROW = service_authorization.c


@dataclass(frozen=True, slots=True)
class NewServiceRequest:
    """What a client asks. ``code_challenge`` is S256; ``lang`` is for the consent page."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    oauth_state: str | None = None
    dpop_jkt: str | None = None
    lang: str | None = None
    description: str | None = None
    subscriber_id: str | None = None  # nobody else may answer


@dataclass(frozen=True, slots=True)
class ServiceDetails:
    """What the consent page shows. ``redirect_origin`` is where the browser goes next."""

    authorization_id: str
    state: str
    client_id: str
    client_name: str
    client_logo: str | None
    description: str | None
    lang: str | None
    expires_at_ms: int
    redirect_origin: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """A code with everything that must fit it."""

    code: Ticket
    redirect_uri: str
    code_verifier: str
    holder: Holder
    wants_refresh: bool


def request(services: Services, new: NewServiceRequest) -> Ticket:
    """Note a request; the secret of its request_uri. One statement."""
    now = services.now_ms()
    ticket = Ticket.issue(new_id(now))
    params = {"state": new.oauth_state, "lang": new.lang, "description": new.description}
    values = {
        "id": ticket.row_id,
        "client_id": new.client_id,
        "subscriber_id": new.subscriber_id,
        "params": json.dumps(params, ensure_ascii=False),
        "scope": SERVICE,
        "redirect_uri": new.redirect_uri,
        "code_challenge": new.code_challenge,
        "dpop_jkt": new.dpop_jkt,
        "state": "PENDING",
        "request_secret": ticket.secret_hash,
        "created_at": now,
        "expires_at": now + services.config.lifetimes.activation * 1000,
    }
    services.database.run(insert(service_authorization), values)
    return ticket


def open_request(services: Services, client_id: str, ticket: Ticket) -> str:
    """Use a request_uri up; the authorisation's id. One statement.

    Errors: ``ActivationUnknown``, ``ActivationExpired``, ``ReplayDetected``.
    """
    now = services.now_ms()
    parameters = {
        "the_id": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "the_client": client_id,
        "now": now,
        "made_after": now - services.config.lifetimes.request_uri * 1000,
    }
    if services.database.one(_OPEN, parameters) is not None:
        return ticket.row_id
    row = services.database.one(_WHY_NOT_OPEN, parameters)
    if row is None:
        raise ActivationUnknown("no such request_uri of this client")
    if row.request_used_at is not None:
        raise ReplayDetected("request_uri was used")
    raise ActivationExpired("request_uri is over")


def details(services: Services, authorization_id: str) -> ServiceDetails:
    """What a signed-in signer is asked. One statement.

    Errors: ``ActivationUnknown`` (also before a browser has opened the request).
    """
    row = services.database.one(_DETAILS, {"the_id": authorization_id})
    if row is None:
        raise ActivationUnknown("no such service authorisation")
    params = json.loads(row.params)
    parts = urlsplit(row.redirect_uri)
    return ServiceDetails(
        authorization_id=authorization_id,
        state=row.state,
        client_id=row.client_id,
        client_name=row.name,
        client_logo=row.logo,
        description=params["description"],
        lang=params["lang"],
        expires_at_ms=row.expires_at,
        redirect_origin=f"{parts.scheme}://{parts.netloc}",
    )


def approve(services: Services, session: Ticket, authorization_id: str) -> str:
    """The signer of ``session`` agrees; where his browser goes. Two statements, one transaction.

    Errors: ``SessionInvalid``, ``ActivationUnknown``, ``ActivationExpired``, ``ActivationDenied``,
    ``ActivationConflict``.
    """
    code = Ticket.issue(authorization_id)
    end = services.now_ms() + services.config.lifetimes.code * 1000
    changes = {"new_state": "GRANTED", "new_code": code.secret_hash, "new_code_end": end}
    row = _answer(services, session, authorization_id, "service.granted", changes)
    return _redirect(services, row, {"code": f"{PREFIX}{code}"})


def deny(services: Services, session: Ticket, authorization_id: str) -> str:
    """The signer refuses; where his browser goes. As :func:`approve`."""
    changes = {"new_state": "DENIED", "new_code": None, "new_code_end": None}
    row = _answer(services, session, authorization_id, "service.denied", changes)
    return _redirect(services, row, {"error": "access_denied"})


def redeem(services: Services, redemption: Redemption) -> ServiceToken:
    """Turn a code into tokens. Two or three statements in one transaction.

    Errors: ``ActivationUnknown``, ``ActivationExpired``, ``AccessRefused`` (public ``reason``:
    ``client``, ``redirect_uri``, ``code_verifier`` or ``dpop``), ``ReplayDetected``: a second
    use, which also revokes what the first gave (RFC 6749 cl. 4.1.2).
    """
    holder = redemption.holder
    family = new_id(services.now_ms())
    parameters = {
        "the_id": redemption.code.row_id,
        "the_secret": redemption.code.secret_hash,
        "the_client": holder.client_id,
        "the_redirect": redemption.redirect_uri,
        "the_challenge": activation.s256(redemption.code_verifier),
        "the_jkt": holder.jkt or "",
        "new_family": family,
        "now": services.now_ms(),
    }
    with services.database.transaction() as connection:
        row = connection.execute(_REDEEM, parameters).one_or_none()
        if row is not None:
            signer = Holder(holder.client_id, row.subscriber_id, holder.jkt, holder.x5t)
            return service_tokens.issue_family(
                services, connection, signer, family, refresh=redemption.wants_refresh
            )
    raise _why_not_redeemed(services, parameters)


def _answer(
    services: Services,
    session: Ticket,
    authorization_id: str,
    kind: str,
    changes: Mapping[str, object],
) -> Row[Any]:
    now = services.now_ms()
    parameters = {
        "the_id": authorization_id,
        "session_id": session.row_id,
        "session_secret": session.secret_hash,
        "idle_since": now - services.config.lifetimes.session_idle * 1000,
        "now": now,
        **changes,
    }
    with services.database.transaction() as connection:
        row = connection.execute(_ANSWER, parameters).one_or_none()
        if row is not None:
            event = audit.Event(
                kind,
                "signer",
                client_id=row.client_id,
                subscriber_id=row.subscriber_id,
                detail={"authorization_id": authorization_id},
            )
            audit.record(connection, event, now)
            return row
    raise _why_not_answered(services, parameters)


def _why_not_answered(services: Services, parameters: Mapping[str, object]) -> RemoteSigningError:
    session = services.database.one(_SIGNED_IN, parameters)
    if session is None:
        return SessionInvalid("session is unknown or over, or its signer suspended")
    row = services.database.one(_STATE, parameters)
    if row is None or row.request_used_at is None or row.subscriber_id not in {None, session.id}:
        return ActivationUnknown("no such service authorisation, or somebody else is asked")
    if row.state == "DENIED":
        return ActivationDenied("already refused")
    if row.state != "PENDING":
        return ActivationConflict(f"already {row.state}")
    return ActivationExpired("too late")


def _why_not_redeemed(services: Services, parameters: Mapping[str, object]) -> RemoteSigningError:
    row = services.database.one(_CODE, parameters)
    if row is None:
        return ActivationUnknown("no such code")
    if row.client_id != parameters["the_client"]:
        return AccessRefused("another client's code", reason="client")
    if row.state == "REDEEMED":
        _end_replayed(services, row)
        return ReplayDetected("the code was used")
    if row.code_expires_at <= services.now_ms():
        return ActivationExpired("the code is over")
    reason = "dpop"
    if row.redirect_uri != parameters["the_redirect"]:
        reason = "redirect_uri"
    elif row.code_challenge != parameters["the_challenge"]:
        reason = "code_verifier"
    return AccessRefused(f"the {reason} does not fit", reason=reason)


def _end_replayed(services: Services, row: Row[Any]) -> None:
    now = services.now_ms()
    event = audit.Event(
        "code.replayed",
        "client",
        client_id=row.client_id,
        subscriber_id=row.subscriber_id,
        detail={"authorization_id": row.id, "family_id": row.family_id},
    )
    with services.database.transaction() as connection:
        service_tokens.end_family(connection, row.family_id, now)
        audit.record(connection, event, now)


def _redirect(services: Services, row: Row[Any], answer: dict[str, str]) -> str:
    """The authorization response (RFC 6749 cl. 4.1.2) with ``iss`` (RFC 9207)."""
    state = json.loads(row.params)["state"]
    if state is not None:
        answer["state"] = state
    answer["iss"] = services.config.urls.issuer
    separator = "&" if urlsplit(row.redirect_uri).query else "?"
    return f"{row.redirect_uri}{separator}{urlencode(answer)}"


_NOW = bindparam("now", type_=_ROW.expires_at.type)
_THIS = _ROW.id == bindparam("the_id", type_=_ROW.id.type)
_CLIENT = bindparam("the_client", type_=_ROW.client_id.type)
_SECRET = bindparam("the_secret", type_=_ROW.request_secret.type)
_OWN_REQUEST = (_THIS, _ROW.request_secret == _SECRET, _ROW.client_id == _CLIENT)
_OPEN = (
    update(service_authorization)
    .where(
        *_OWN_REQUEST,
        _ROW.request_used_at.is_(None),
        _ROW.created_at > bindparam("made_after", type_=_ROW.created_at.type),
        _ROW.state == "PENDING",
    )
    .values(request_used_at=_NOW)
    .returning(_ROW.id)
)
_WHY_NOT_OPEN = select(_ROW.request_used_at).where(*_OWN_REQUEST)
_DETAILS = (
    select(
        *(_ROW.state, _ROW.client_id, _ROW.params, _ROW.redirect_uri, _ROW.expires_at),
        *(oauth_client.c.name, oauth_client.c.logo),
    )
    .join_from(service_authorization, oauth_client)
    .where(_THIS, _ROW.request_used_at.is_not(None))
)
_SIGNED_IN = select(subscriber.c.id).where(
    subscriber.c.id == signed_in_subscriber(), subscriber.c.state == "active"
)
_ANSWER: ReturningUpdate[Any] = (
    update(service_authorization)
    .where(
        _THIS,
        _ROW.state == "PENDING",
        _ROW.request_used_at.is_not(None),
        _ROW.expires_at > _NOW,
        or_(_ROW.subscriber_id.is_(None), _ROW.subscriber_id == signed_in_subscriber()),
        exists(_SIGNED_IN),
    )
    .values(
        state=bindparam("new_state", type_=_ROW.state.type),
        subscriber_id=signed_in_subscriber(),
        code_secret=bindparam("new_code", type_=_ROW.code_secret.type),
        code_expires_at=bindparam("new_code_end", type_=_ROW.code_expires_at.type),
    )
    .returning(_ROW.client_id, _ROW.subscriber_id, _ROW.redirect_uri, _ROW.params)
)
_STATE = select(_ROW.state, _ROW.request_used_at, _ROW.subscriber_id).where(_THIS)
_REDEEM = (
    update(service_authorization)
    .where(
        _THIS,
        _ROW.code_secret == _SECRET,
        _ROW.client_id == _CLIENT,
        _ROW.state == "GRANTED",
        _ROW.code_expires_at > _NOW,
        _ROW.redirect_uri == bindparam("the_redirect", type_=_ROW.redirect_uri.type),
        _ROW.code_challenge == bindparam("the_challenge", type_=_ROW.code_challenge.type),
        or_(
            _ROW.dpop_jkt.is_(None), _ROW.dpop_jkt == bindparam("the_jkt", type_=_ROW.dpop_jkt.type)
        ),
    )
    .values(
        state="REDEEMED",
        code_used_at=_NOW,
        family_id=bindparam("new_family", type_=_ROW.family_id.type),
    )
    .returning(_ROW.subscriber_id)
)
_CODE = select(
    *(_ROW.id, _ROW.client_id, _ROW.subscriber_id, _ROW.state, _ROW.redirect_uri),
    *(_ROW.code_challenge, _ROW.code_expires_at, _ROW.family_id),
).where(_THIS, _ROW.code_secret == _SECRET)
