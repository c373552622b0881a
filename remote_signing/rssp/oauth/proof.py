"""DPoP at the authorization server's own endpoints (RFC 9449 cl. 5, 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import ReplayDetected
from remote_signing.rssp import dpop, replay
from remote_signing.rssp.dpop import DpopProofInvalid
from remote_signing.rssp.oauth.errors import translate

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.oauth.request import HttpRequest


def key(services: Services, request: HttpRequest, *, required: bool) -> str | None:
    """The thumbprint of the key that ``request`` proves, None without a proof.

    No statement but the proof's row in ``replay``. Errors: ``invalid_dpop_proof``.
    """
    if not request.seen.dpop and not required:
        return None
    try:
        proof = dpop.check(request.seen.dpop, request.method, request.uri, services.now_ms())
        replay.once(services.database, proof.once, proof.expires_at_ms)
    except DpopProofInvalid as error:
        raise translate(error) from error
    except ReplayDetected as error:
        raise translate(DpopProofInvalid(error.cause)) from error
    return proof.jkt
