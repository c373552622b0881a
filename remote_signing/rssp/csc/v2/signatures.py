"""``signatures/signHash`` of CSC API v2 (cl. 11.13).

Of the way of one signature (docs/sign-hash.md) steps 4a and 4e are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import AccessRefused, SadExpired, SadInvalid
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, bearer
from remote_signing.rssp.activation import Use
from remote_signing.rssp.csc.errors import CscError, invalid, missing
from remote_signing.rssp.csc.wire import encode

if TYPE_CHECKING:
    from remote_signing.rssp.bearer import Presented, Proved
    from remote_signing.rssp.csc.v2.schemas import SignHashRequest
    from remote_signing.rssp.deps import Services


def sign_hash(
    services: Services, presented: Presented, wanted: SignHashRequest | CscError
) -> dict[str, object]:
    """The signatures in the order of the hashes. Two statements, and the token's check is in them.

    Three ways to authorise (cl. 7.0): a service token with a SAD; a service token with a credential
    token as SAD; a credential token alone. Errors: ``CscError``, or a domain error of
    :func:`remote_signing.rssp.activation.sign_hash`.
    """
    # Step 4a: form and proof of the token; whether it is good is part of step 4b.
    proved = bearer.prove(services, presented)
    try:
        use = _use(presented, proved, wanted)
    except CscError:
        bearer.identify(services, proved)  # a stranger hears of the token before anything else
        raise
    try:
        signatures = activation.sign_hash(services, use)
    except (AccessRefused, SadInvalid, SadExpired) as error:
        if use.service_token is not None and not isinstance(error, AccessRefused):
            raise
        raise _token_refused(services, proved, use, error) from error
    return {"signatures": [encode(value) for value in signatures]}


def _use(presented: Presented, proved: Proved, wanted: SignHashRequest | CscError) -> Use:
    if isinstance(wanted, CscError):
        raise wanted
    is_service = proved.scope == "service"
    return Use(
        ticket=_sad(wanted.sad) if is_service else _own_token(presented, proved, wanted.sad),
        credential_id=wanted.credential_id,
        hashes=wanted.hashes,
        sign_algo=wanted.sign_algo,
        hash_algorithm_oid=wanted.hash_algorithm_oid,
        sign_algo_params=wanted.sign_algo_params,
        service_token=proved.ticket if is_service else None,
        jkt=proved.jkt,
        x5t=proved.x5t,
    )


def _sad(sad: str | None) -> Ticket:
    if sad is None:
        raise missing("string", "SAD")
    ticket = Ticket.parse(sad)
    if ticket is None:
        raise invalid("SAD")
    return ticket


def _own_token(presented: Presented, proved: Proved, sad: str | None) -> Ticket:
    """A credential token needs no SAD; some clients send it again as SAD."""
    if sad not in {None, presented.token}:
        raise invalid("SAD")
    return proved.ticket


def _token_refused(
    services: Services, proved: Proved, use: Use, error: AccessRefused | SadInvalid | SadExpired
) -> Exception:
    """Why the bearer token was not good for this: over, unknown, or of another credential."""
    if isinstance(error, SadExpired):
        return bearer.refused("expired_token", proved)
    caller = bearer.identify(services, proved)
    if caller.credential_id not in {None, use.credential_id}:
        return invalid("credentialID")
    return bearer.refused("invalid_token", proved)
