"""``extendTransaction``: the SAD between two signatures is replaced. See :mod:`.activation`.

What the signer consented to stays what it is: the count never grows, the time never gets longer,
and where the consent named hashes no other ones come in. The former SAD is void from then on.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, Text, bindparam

from remote_signing.errors import (
    HashNotAuthorised,
    SadInvalid,
    SigningInProgress,
    TooManySignatures,
)
from remote_signing.identifiers import Ticket
from remote_signing.rssp import audit
from remote_signing.rssp.activation_look import look
from remote_signing.rssp.activation_model import SadIssued, State
from remote_signing.rssp.activation_request import hashes_key
from remote_signing.rssp.activation_sign_sql import bearer, bearer_parameters
from remote_signing.rssp.activation_sql import ACTIVATION, CLIENT, now, step

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.activation_model import Extension
    from remote_signing.rssp.deps import Services


def extend(services: Services, extension: Extension) -> SadIssued:
    """A new SAD for what is left (CSC API v2.2 cl. 11.11). Two statements.

    Errors: ``AccessRefused`` (the bearer token), ``SadInvalid`` (also when nothing is left),
    ``SadExpired``, ``HashNotAuthorised``, ``TooManySignatures``, ``SigningInProgress``,
    ``Unavailable``.
    """
    row = look(services, extension.held)
    if row.state != State.AUTHORIZED.value:
        raise SadInvalid("every signature is made")
    request = _bound(row, extension)
    at = services.now_ms()
    sad = Ticket.issue(row.id)
    parameters = {
        **bearer_parameters(extension.held, at),
        "used_before": row.used,
        "new_token": sad.secret_hash,
        "new_request": json.dumps(request, ensure_ascii=False),
        "new_key": _key(request),
        "event": audit.detail_text({"hashes": [_text(value) for value in extension.hashes]}),
    }
    statement = _EXTEND[extension.held.service_token is not None]
    if services.database.one(statement, parameters) is None:
        raise SigningInProgress("somebody else goes on with this activation at this moment")
    return SadIssued(sad, (row.expires_at - at) // 1000)


def _bound(row: Row[Any], extension: Extension) -> dict[str, Any]:
    """The request as it is from now on; refuses hashes that nobody consented to."""
    request: dict[str, Any] = json.loads(row.request)
    if request["hashes"]:
        _check_among(row, request, extension)
        return request
    left = row.used.count("0")
    if len(extension.hashes) > left:
        raise TooManySignatures(f"{len(extension.hashes)} signatures, {left} are left")
    if extension.hashes:
        request["hash_algorithm"] = extension.hash_algorithm
    return request | {"bound": [_text(value) for value in extension.hashes]}


def _check_among(row: Row[Any], request: dict[str, Any], extension: Extension) -> None:
    """Each hash must be one that the signer was shown and that is not signed yet."""
    pairs = zip(request["hashes"], row.used, strict=True)
    free = [base64.b64decode(value) for value, used in pairs if used == "0"]
    if extension.hashes and request["hash_algorithm"] != extension.hash_algorithm:
        raise HashNotAuthorised("authorised under another digest algorithm")
    for value in extension.hashes:
        if value not in free:
            raise HashNotAuthorised("the signer was not shown this, or it is signed already")
        free.remove(value)


def _key(request: dict[str, Any]) -> bytes:
    """What :func:`.activation_sign.sign_hash` compares a whole request with at once."""
    names = request["hashes"] or request.get("bound", [])
    return hashes_key(request["hash_algorithm"], tuple(map(base64.b64decode, names)))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _statement(*, service: bool) -> Any:  # noqa: ANN401 - an Update with RETURNING
    return (
        step("sad.extended", CLIENT)
        .where(
            *bearer(service=service),
            ACTIVATION.state == State.AUTHORIZED.value,
            ACTIVATION.expires_at > now,
            ACTIVATION.used == bindparam("used_before", type_=Text()),
        )
        .values(
            token_secret=bindparam("new_token", type_=LargeBinary()),
            request=bindparam("new_request", type_=Text()),
            hashes_key=bindparam("new_key", type_=LargeBinary()),
        )
        .returning(ACTIVATION.id)
    )


_EXTEND = {service: _statement(service=service) for service in (False, True)}
