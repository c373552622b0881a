"""Signatures of digests and time stamps (CSC API v2.2 cl. 11.13, 11.15, 11.16).

A lost answer of ``signHash`` is fetched by the same request again: the service answers an identical
repeat with the signatures it made, and uses the key no second time, for as long as the
authorisation lives. Nothing here ever asks for another authorisation.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.client.errors import AnswerUnusable

if TYPE_CHECKING:
    from remote_signing.client.caller import Caller, Token
    from remote_signing.client.credentials import Sad
    from remote_signing.client.exchange import Flow

_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class HashOrder:
    """Digests (DTBS/R) to be signed. OIDs; ``hash_algorithm`` where ``sign_algorithm`` has none.

    ``parameters`` are DER, for RSASSA-PSS.
    """

    credential_id: str
    digests: tuple[bytes, ...]
    sign_algorithm: str
    hash_algorithm: str | None = None
    parameters: bytes | None = None


def sign_hash(
    caller: Caller, token: Token, order: HashOrder, sad: Sad | None = None
) -> Flow[tuple[bytes, ...]]:
    """The signatures, in the order of the digests.

    ``token`` is of scope ``credential`` and says itself what may be signed, or of scope ``service``
    beside a ``sad``. After ``OutcomeUnknown`` or ``Unavailable`` call again with the same: if the
    signatures were made, they are given. Errors: ``HashNotAuthorised``, ``TokenRefused`` …
    """
    members = _members(order, sad)
    answer = yield from caller.csc("signatures/signHash", members, token, repeatable=True)
    found = answer.octets("signatures")
    if len(found) != len(order.digests):
        told = f"{len(found)} signatures for {len(order.digests)} digests"
        raise AnswerUnusable(f"signatures/signHash: {told}")
    return found


def sign_hash_later(
    caller: Caller,
    token: Token,
    order: HashOrder,
    sad: Sad | None = None,
    response_uri: str | None = None,
) -> Flow[str]:
    """Have the signatures made after the answer: the ``responseID`` for :func:`poll`.

    Sent again when no answer comes: two jobs for the same digests give the same signatures.
    """
    members = _members(order, sad) | {"operationMode": "A"}
    if response_uri is not None:
        members["response_uri"] = response_uri
    answer = yield from caller.csc("signatures/signHash", members, token, repeatable=True)
    return answer.text("responseID")


def poll(caller: Caller, token: Token, response_id: str) -> Flow[tuple[bytes, ...] | None]:
    """The signatures of a job; None while they are not made."""
    members = {"requestID": response_id}
    answer = yield from caller.csc("signatures/signPolling", members, token, repeatable=True)
    return None if answer.status == _ACCEPTED else answer.octets("signatures")


def timestamp(caller: Caller, token: Token, digest: bytes, hash_algorithm: str) -> Flow[bytes]:
    """A time-stamp token (RFC 3161, DER) over a digest, with a nonce of its own."""
    members = {
        "hash": base64.b64encode(digest).decode("ascii"),
        "hashAlgo": hash_algorithm,
        "nonce": secrets.token_hex(8),
    }
    answer = yield from caller.csc("signatures/timestamp", members, token, repeatable=True)
    return answer.binary("timestamp")


def _members(order: HashOrder, sad: Sad | None) -> dict[str, object]:
    members: dict[str, object] = {
        "credentialID": order.credential_id,
        "hashes": [base64.b64encode(each).decode("ascii") for each in order.digests],
        "signAlgo": order.sign_algorithm,
    }
    if order.hash_algorithm is not None:
        members["hashAlgorithmOID"] = order.hash_algorithm
    if order.parameters is not None:
        members["signAlgoParams"] = base64.b64encode(order.parameters).decode("ascii")
    if sad is not None:
        members["SAD"] = sad.value
    return members
