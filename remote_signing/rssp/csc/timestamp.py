"""``signatures/timestamp`` of both versions (CSC API v1 cl. 11.10, v2.2 cl. 11.16).

The same in v2, which keeps v1's names here: ``hash`` and ``hashAlgo``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remote_signing.algorithms import digest_by_oid
from remote_signing.errors import AlgorithmUnsupported
from remote_signing.rssp.csc.errors import CscError, invalid
from remote_signing.rssp.csc.v2.credentials import only_service
from remote_signing.rssp.csc.wire import encode
from remote_signing.sap import TimestampRequest

if TYPE_CHECKING:
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.deps import Services

_NONCE = re.compile(r"[0-9A-Fa-f]{1,64}")


def read(parameters: Parameters) -> TimestampRequest:
    """The digest, its algorithm and the nonce; ``CscError``."""
    text = parameters.text("hash")
    if not text:
        raise CscError("Empty hash parameter")
    digest = parameters.decoded(text)
    if digest is None:
        raise CscError("Invalid Base64 hash string parameter")
    try:
        algorithm = digest_by_oid(parameters.text("hashAlgo"))
    except AlgorithmUnsupported:
        raise invalid("hashAlgo") from None
    if len(digest) != algorithm.length:
        raise CscError("Invalid digest value length")
    nonce = parameters.optional_text("nonce")
    if nonce is not None and _NONCE.fullmatch(nonce) is None:
        raise invalid("nonce")
    parameters.client_data()
    number = None if nonce is None else int(nonce, 16)
    return TimestampRequest(algorithm.oid, digest, number)


def stamp(
    services: Services, caller: Caller, request: TimestampRequest
) -> tuple[int, dict[str, object]]:
    """The TimeStampToken of our own authority, in base64. No statement beyond the caller's own."""
    only_service(caller)
    return 200, {"timestamp": encode(services.sam.timestamp(request))}
