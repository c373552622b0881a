"""The client collects what the signer's consent gives it: token or SAD. See :mod:`.activation`."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, Text, bindparam, case, or_, select

from remote_signing.errors import (
    AccessRefused,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    CredentialLocked,
    RemoteSigningError,
    ReplayDetected,
)
from remote_signing.identifiers import Ticket
from remote_signing.rssp.activation_model import CredentialToken, Pending, SadIssued, State
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CLIENT,
    CREDENTIAL,
    now,
    of_credential,
    step,
    the_client,
    the_id,
    the_secret,
)

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services


def redeem_code(  # noqa: PLR0913 - each is a parameter of the token request
    services: Services,
    ticket: Ticket,
    *,
    client_id: str,
    redirect_uri: str,
    code_verifier: str,
    jkt: str | None = None,
    x5t: str | None = None,
) -> CredentialToken:
    """Turn an authorization code into a credential token. One statement.

    Errors: ``ActivationUnknown`` (no such code), ``ActivationExpired``, ``AccessRefused`` (public
    ``reason``: ``client``, ``redirect_uri``, ``code_verifier``, ``dpop`` or ``revoked``),
    ``ReplayDetected``: a second use, which also revokes what the first use gave.
    """
    at = services.now_ms()
    token = Ticket.issue(ticket.row_id)
    parameters: dict[str, object] = {
        "the_id": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "the_client": client_id,
        "now": at,
        "its_redirect_uri": redirect_uri,
        "its_challenge": s256(code_verifier),
        "its_jkt": jkt,
        "its_x5t": x5t,
        "new_token": token.secret_hash,
        "event": "{}",
    }
    # Step 3: the code becomes a token; client, redirect_uri, PKCE and key are in the statement.
    row = services.database.one(_REDEEM, parameters)
    if row is None:
        raise _why_not_redeemed(services, parameters)
    return CredentialToken(
        ticket=token,
        expires_in=(row.expires_at - at) // 1000,
        credential_id=row.credential_id,
        subscriber_id=row.subscriber_id,
        authorization_details=json.loads(row.request)["authorization_details"],
    )


def check_handle(
    services: Services,
    handle: Ticket,
    client_id: str,
    *,
    subscriber_id: str | None = None,
) -> Pending | SadIssued:
    """How a decoupled request stands; gives the SAD once the signer has consented.

    An answer may get lost on its way, and that must not cost the signer a second consent: until a
    SAD is used the handle gives another, which replaces the former. Its first use spends the
    handle. One statement while pending, two when the SAD is given. ``subscriber_id`` limits to
    that signer. Errors: ``ActivationUnknown`` (also a spent handle), ``ActivationDenied``,
    ``ActivationExpired``; ``CredentialLocked`` while the signer's answer would be refused for that.
    """
    at = services.now_ms()
    parameters: dict[str, object] = {
        "the_id": handle.row_id,
        "the_secret": handle.secret_hash,
        "the_client": client_id,
        "now": at,
    }
    row = services.database.one(_LOOK, parameters)
    if row is None or subscriber_id not in {None, row.subscriber_id}:
        raise ActivationUnknown("no such handle of this caller")
    if row.state == State.DENIED.value:
        denial = {} if row.denial is None else json.loads(row.denial)
        raise ActivationDenied("the signer refused", **denial)
    if row.state not in {State.PENDING.value, State.AUTHORIZED.value} or row.expires_at <= at:
        raise ActivationExpired(f"over: {row.state}")
    if row.state == State.PENDING.value:
        if row.is_locked:
            raise CredentialLocked("too many failed attempts since it was asked")
        return Pending(row.verification_code, row.expires_at)
    sad = Ticket.issue(handle.row_id)
    delivery = {**parameters, "new_token": sad.secret_hash, "event": "{}"}
    if services.database.one(_DELIVER, delivery) is None:
        raise ActivationUnknown("the handle was spent at this moment")
    return SadIssued(sad, (row.expires_at - at) // 1000)


def revoke(services: Services, ticket: Ticket, client_id: str) -> bool:
    """End the activation whose token, SAD, code or handle this is (RFC 7009). One statement.

    False when it is not one of this client's, or ended before.
    """
    parameters = {
        "the_id": ticket.row_id,
        "the_secret": ticket.secret_hash,
        "the_client": client_id,
        "now": services.now_ms(),
        "event": "{}",
    }
    return services.database.one(_REVOKE, parameters) is not None


def s256(code_verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 cl. 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("utf-8")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _why_not_redeemed(services: Services, parameters: dict[str, object]) -> RemoteSigningError:
    row = services.database.one(_WHY_NOT_REDEEMED, parameters)
    if row is None:
        return ActivationUnknown("no such code")
    if row.client_id != parameters["the_client"]:
        return AccessRefused("another client's code", reason="client")
    if row.code_used_at is not None:
        # RFC 6749 cl. 4.1.2: who else holds the code may hold the token too.
        services.database.one(_REPLAYED, parameters)
        return ReplayDetected("authorization code was used")
    return _mismatch(row, parameters)


def _mismatch(row: Row[Any], parameters: dict[str, object]) -> RemoteSigningError:
    pairs = {
        "redirect_uri": row.redirect_uri == parameters["its_redirect_uri"],
        "code_verifier": row.code_challenge == parameters["its_challenge"],
        "dpop": row.dpop_jkt in {None, parameters["its_jkt"]},
        "revoked": row.state != State.REVOKED.value,
    }
    for name, fits in pairs.items():
        if not fits:
            return AccessRefused(f"{name} does not fit the code", reason=name)
    return ActivationExpired(f"code is over, activation is {row.state}")


_its_jkt = bindparam("its_jkt", type_=Text())
_new_token = bindparam("new_token", type_=LargeBinary())
_REDEEM = (
    step("code.redeemed", CLIENT)
    .where(
        ACTIVATION.code_secret == the_secret,
        ACTIVATION.client_id == the_client,
        ACTIVATION.redirect_uri == bindparam("its_redirect_uri", type_=Text()),
        ACTIVATION.code_challenge == bindparam("its_challenge", type_=Text()),
        or_(ACTIVATION.dpop_jkt.is_(None), ACTIVATION.dpop_jkt == _its_jkt),
        ACTIVATION.state == State.AUTHORIZED.value,
        ACTIVATION.code_used_at.is_(None),
        ACTIVATION.code_expires_at > now,
        ACTIVATION.expires_at > now,
    )
    .values(
        code_used_at=now,
        token_secret=_new_token,
        token_jkt=_its_jkt,
        token_x5t=bindparam("its_x5t", type_=Text()),
    )
    .returning(
        ACTIVATION.expires_at,
        ACTIVATION.credential_id,
        ACTIVATION.subscriber_id,
        ACTIVATION.request,
    )
)
_WHY_NOT_REDEEMED = select(
    *(ACTIVATION.client_id, ACTIVATION.state, ACTIVATION.code_used_at),
    *(ACTIVATION.redirect_uri, ACTIVATION.code_challenge, ACTIVATION.dpop_jkt),
).where(ACTIVATION.id == the_id, ACTIVATION.code_secret == the_secret)

_STILL_OPEN = ACTIVATION.state.in_([State.PENDING.value, State.AUTHORIZED.value])
_ENDED = {
    # What is being signed, or signed already, cannot be called back: only its bearer goes. The
    # token stays known, so that its bearer is told what became of it: it is over.
    "state": case((_STILL_OPEN, State.REVOKED.value), else_=ACTIVATION.state),
    "expires_at": now,
    "handle_secret": None,
    "sad": case((_STILL_OPEN, None), else_=ACTIVATION.sad),
}
_REPLAYED = (
    step("code.replayed", CLIENT)
    .where(ACTIVATION.code_secret == the_secret)
    .values(_ENDED)
    .returning(ACTIVATION.id)
)
_REVOKE = (
    step("activation.revoked", CLIENT)
    .where(
        ACTIVATION.client_id == the_client,
        ACTIVATION.expires_at > now,
        or_(
            ACTIVATION.token_secret == the_secret,
            ACTIVATION.handle_secret == the_secret,
            (ACTIVATION.code_secret == the_secret) & ACTIVATION.code_used_at.is_(None),
        ),
    )
    .values(_ENDED | {"code_secret": None})
    .returning(ACTIVATION.id)
)

_OWN_HANDLE = (
    ACTIVATION.id == the_id,
    ACTIVATION.handle_secret == the_secret,
    ACTIVATION.client_id == the_client,
)
_LOOK = select(
    *(ACTIVATION.subscriber_id, ACTIVATION.state, ACTIVATION.denial),
    *(ACTIVATION.expires_at, ACTIVATION.verification_code),
    of_credential((CREDENTIAL.failed_attempts >= CREDENTIAL.attempt_limit).label("is_locked")),
).where(*_OWN_HANDLE)
_DELIVER = (
    step("sad.delivered", CLIENT)
    .where(*_OWN_HANDLE, ACTIVATION.state == State.AUTHORIZED.value, ACTIVATION.expires_at > now)
    .values(token_secret=_new_token)
    .returning(ACTIVATION.id)
)
