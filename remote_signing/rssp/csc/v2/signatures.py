"""``signatures/signHash`` and ``credentials/extendTransaction`` of CSC API v2 (cl. 11.13, 11.11).

Of the way of one signature (docs/sign-hash.md) steps 4a and 4e are here.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from remote_signing.errors import AccessRefused, SadExpired, SadInvalid
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, bearer
from remote_signing.rssp.activation import Extension, Held, Use
from remote_signing.rssp.csc.errors import CscError, invalid, missing
from remote_signing.rssp.csc.v2 import later_jobs
from remote_signing.rssp.csc.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.rssp.activation_model import Prospect
    from remote_signing.rssp.bearer import Presented, Proved
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.schemas import ExtendRequest, SignHashRequest
    from remote_signing.rssp.deps import Services

Wanted = TypeVar("Wanted")
Made = TypeVar("Made")


def sign_hash(
    services: Services, presented: Presented, wanted: SignHashRequest | CscError
) -> Outcome:
    """The signatures in the order of the hashes. Two statements, and the token's check is in them.

    Three ways to authorise (cl. 7.0): a service token with a SAD; a service token with a credential
    token as SAD; a credential token alone. In asynchronous mode a ``responseID`` instead, three
    statements. Errors: ``CscError``, or a domain error of
    :func:`remote_signing.rssp.activation.sign_hash`.
    """
    # Step 4a: form and proof of the token; whether it is good is part of step 4b.
    return sign_hash_of(services, presented, bearer.prove(services, presented), wanted)


def sign_hash_of(
    services: Services, presented: Presented, proved: Proved, wanted: SignHashRequest | CscError
) -> Outcome:
    """:func:`sign_hash` of a bearer that has proved: no proof is good twice."""
    use = _checked(services, presented, proved, wanted, _use)
    later = None if isinstance(wanted, CscError) else wanted.later
    with _token_told(services, proved, use):
        if later is not None:
            return 200, {"responseID": later_jobs.accept(services, use, later)}
        signatures = activation.sign_hash(services, use)
    return 200, {"signatures": [encode(value) for value in signatures]}


def sign_proved(
    services: Services, presented: Presented, proved: Proved, wanted: SignHashRequest
) -> tuple[bytes, ...]:
    """The signatures for a request of this process's own making, of a bearer that has proved."""
    use = _use(presented, proved, wanted)
    with _token_told(services, proved, use):
        return activation.sign_hash(services, use)


def foreseen(
    services: Services, presented: Presented, proved: Proved, wanted: SignHashRequest
) -> tuple[Use, Prospect]:
    """What :func:`sign_proved` would do, when it could be done now; nothing is reserved."""
    use = _use(presented, proved, wanted)
    with _token_told(services, proved, use):
        return use, activation.foresee(services, use)


def extend(services: Services, presented: Presented, wanted: ExtendRequest | CscError) -> Outcome:
    """Another SAD for what is left of an authorisation; the former is over. Two statements.

    It lives as long as the former would have: more time, or other hashes than the signer was
    shown, need the signer (docs/csc-divergences.md).
    """
    proved = bearer.prove(services, presented)
    extension = _checked(services, presented, proved, wanted, _extension)
    with _token_told(services, proved, extension.held):
        issued = activation.extend(services, extension)
    return 200, {"SAD": str(issued.ticket), "expiresIn": issued.expires_in}


def _checked(
    services: Services,
    presented: Presented,
    proved: Proved,
    wanted: Wanted | CscError,
    make: Callable[[Presented, Proved, Wanted], Made],
) -> Made:
    """What ``wanted`` comes to; a stranger hears of the token before anything else."""
    try:
        if isinstance(wanted, CscError):
            raise wanted
        return make(presented, proved, wanted)
    except CscError:
        bearer.identify(services, proved)
        raise


def _use(presented: Presented, proved: Proved, wanted: SignHashRequest) -> Use:
    held = _held(presented, proved, wanted.sad)
    return Use(
        ticket=held.ticket,
        credential_id=wanted.credential_id,
        hashes=wanted.hashes,
        sign_algo=wanted.sign_algo,
        hash_algorithm_oid=wanted.hash_algorithm_oid,
        sign_algo_params=wanted.sign_algo_params,
        service_token=held.service_token,
        jkt=proved.jkt,
        x5t=proved.x5t,
    )


def _extension(presented: Presented, proved: Proved, wanted: ExtendRequest) -> Extension:
    held = _held(presented, proved, wanted.sad)
    return Extension(
        held=replace(held, credential_id=wanted.credential_id),
        hashes=wanted.hashes,
        hash_algorithm=None if wanted.digest is None else wanted.digest.name,
    )


def _held(presented: Presented, proved: Proved, sad: str | None) -> Held:
    is_service = proved.scope == "service"
    return Held(
        ticket=_sad(sad) if is_service else _own_token(presented, proved, sad),
        credential_id="",
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


@contextmanager
def _token_told(services: Services, proved: Proved, held: Held | Use) -> Iterator[None]:
    """Tell a bad bearer token from a bad SAD beside a good token."""
    try:
        yield
    except (AccessRefused, SadInvalid, SadExpired) as error:
        if held.service_token is not None and not isinstance(error, AccessRefused):
            raise
        raise _token_refused(services, proved, held.credential_id, error) from error


def _token_refused(
    services: Services,
    proved: Proved,
    credential_id: str,
    error: AccessRefused | SadInvalid | SadExpired,
) -> Exception:
    """Why the bearer token was not good for this: over, unknown, or of another credential."""
    if isinstance(error, SadExpired):
        return bearer.refused("expired_token", proved)
    caller = bearer.identify(services, proved)
    if caller.credential_id not in {None, credential_id}:
        return invalid("credentialID")
    return bearer.refused("invalid_token", proved)
