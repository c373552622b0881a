"""The activation of a bearer, when he may go on with it, or why not. See :mod:`.activation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remote_signing.errors import AccessRefused, SadExpired, SadInvalid, SigningInProgress
from remote_signing.rssp import audit
from remote_signing.rssp.activation_model import State
from remote_signing.rssp.activation_recovery import give_up
from remote_signing.rssp.activation_sign_sql import LOOK, SERVICE_TOKEN, bearer_parameters
from remote_signing.rssp.activation_sql import CLIENT

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.errors import RemoteSigningError
    from remote_signing.rssp.activation_model import Held, Use
    from remote_signing.rssp.deps import Services


def look(services: Services, use: Use | Held, request: str = "") -> Row[Any]:
    """The activation, when its holder may go on with it, or why not. One statement.

    ``request``, if any, is the digest of one whose former outcome is looked for.
    """
    row = find(services, use, request)
    check_stands(services, row, use)
    return row


def find(services: Services, use: Use | Held, request: str) -> Row[Any]:
    """The activation of the bearer of ``use``. One statement."""
    at = services.now_ms()
    parameters = bearer_parameters(use, at) | {"the_request": request}
    row = services.database.one(LOOK[use.service_token is not None], parameters)
    if row is None:
        raise _stranger(services, use, at)
    return row


def check_stands(services: Services, row: Row[Any], use: Use | Held) -> None:
    """That the activation is for this credential and not over, or why not."""
    at = services.now_ms()
    if use.credential_id != row.credential_id:
        raise SadInvalid("for another credential")
    if row.expires_at <= at or row.state == State.EXPIRED.value:
        raise SadExpired("the activation is over")
    if row.state == State.SIGNING.value:
        _wait_or_give_up(services, row, at)
    if row.state not in {State.AUTHORIZED.value, State.SIGNED.value}:
        raise SadInvalid(f"the activation is {row.state}")


def _stranger(services: Services, use: Use | Held, at: int) -> RemoteSigningError:
    """Whether the bearer or, beside a good bearer, the SAD was not accepted. One statement."""
    if use.service_token is not None:
        bearer = services.database.one(SERVICE_TOKEN, bearer_parameters(use, at))
        if bearer is not None:
            event = audit.Event(
                "signing.refused",
                CLIENT,
                client_id=bearer.client_id,
                subscriber_id=bearer.subscriber_id,
                detail={"reason": SadInvalid.__name__},
            )
            services.refusals.record(event)
            return SadInvalid("no such SAD of this caller")
    return AccessRefused("no such token, or not bound to this caller", reason="invalid_token")


def _wait_or_give_up(services: Services, row: Row[Any], at: int) -> None:
    if row.signing_since + services.config.lifetimes.signing * 1000 > at:
        raise SigningInProgress("another request is being signed")
    give_up(services, row.id)
    raise SadInvalid("outcome of a former request is unknown; consent must be given anew")
