"""DPoP at the authorization server's own endpoints (RFC 9449 cl. 5, 10).

The row of a proof in ``replay`` is written together with that of the client's assertion, where
there is one: for each request a statement and a commit less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import ReplayDetected
from remote_signing.rssp import dpop, replay
from remote_signing.rssp.dpop import DpopProofInvalid, Proof
from remote_signing.rssp.oauth.errors import translate

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.rssp.replay import Mark


def use_up_with(services: Services, request: HttpRequest, assertion: Mark) -> None:
    """Use up the client's ``assertion``, and the proof with it when there is a good one.

    One statement. What is wrong with the proof is told by :func:`key` when its turn comes.
    Errors: ``ReplayDetected``: the assertion was seen before, and the proof is not used up.
    """
    proof = _checked(services, request) if request.seen.dpop else None
    if not isinstance(proof, Proof):
        replay.once(services.database, assertion)
        request.proof = proof
    elif replay.once_with(services.database, assertion, proof.mark):
        request.proof = proof
    else:
        request.proof = ReplayDetected("seen before")


def key(services: Services, request: HttpRequest, *, required: bool) -> str | None:
    """The thumbprint of the key that ``request`` proves, None without a proof.

    No statement but the proof's row in ``replay``, if that is not written yet. Errors:
    ``invalid_dpop_proof``.
    """
    if not request.seen.dpop and not required:
        return None
    proof = request.proof or _used_up(services, request)
    if isinstance(proof, ReplayDetected):
        raise translate(DpopProofInvalid(proof.cause)) from proof
    if isinstance(proof, DpopProofInvalid):
        raise translate(proof) from proof
    return proof.jkt


def _checked(services: Services, request: HttpRequest) -> Proof | DpopProofInvalid:
    try:
        return dpop.check(request.seen.dpop, request.method, request.uri, services.now_ms())
    except DpopProofInvalid as error:
        return error


def _used_up(services: Services, request: HttpRequest) -> Proof | DpopProofInvalid | ReplayDetected:
    proof = _checked(services, request)
    try:
        if isinstance(proof, Proof):
            replay.once(services.database, proof.mark)
    except ReplayDetected as error:
        return error
    return proof
