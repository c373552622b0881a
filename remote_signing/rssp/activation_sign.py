"""``signHash``: each authorised hash is signed once. See :mod:`.activation`.

1. One guarded UPDATE checks the bearer, reserves the hashes and commits the intent (SIGNING).
2. The SAM signs; nothing is open in the database meanwhile.
3. One UPDATE commits the outcome; then, and not before, the signatures leave.

A crash between 1 and 3 leaves a row in SIGNING; :func:`.activation_recovery.recover` explains it.
An answer of the SAM that does not come is recorded as unknown outcome (``signing.unknown``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_signing import strict_json
from remote_signing.algorithms import ALGORITHMS, check_digests, resolve_scheme
from remote_signing.errors import (
    ActivationConflict,
    AlgorithmUnsupported,
    CertificateExpired,
    CredentialDisabled,
    HashNotAuthorised,
    Refusal,
    RemoteSigningError,
    SamUnavailable,
    SamUnreachable,
    SigningInProgress,
    TooManySignatures,
    Unavailable,
)
from remote_signing.rssp import activation_look, audit
from remote_signing.rssp.activation_model import Prospect, Use
from remote_signing.rssp.activation_request import hashes_key
from remote_signing.rssp.activation_sign_sql import (
    FINISH,
    REFUSED,
    REPEATED,
    RESERVE_AT_ONCE,
    RESERVE_PART,
    RETURN,
    RETURN_UNKNOWN,
    bearer_parameters,
)
from remote_signing.sap import SignRequest

if TYPE_CHECKING:
    from sqlalchemy import Executable, Row

    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

_ROUNDS = 4  # how often a part of the hashes is tried for while others take theirs


@dataclass(frozen=True, slots=True)
class _Call:
    """A checked ``Use``: ``digest`` is the algorithm's name, ``key`` identifies the request."""

    use: Use
    digest: str
    key: bytes

    @property
    def request(self) -> str:
        """The key as outcomes and events name it."""
        return self.key.hex()


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What the intent's statement gave, and ``before``: what was used up before it."""

    row: Row[Any]
    since: int
    before: str
    after: str


def sign_hash(services: Services, use: Use) -> tuple[bytes, ...]:
    """Sign authorised hashes (CSC API v2 cl. 11.10), in the order asked. Two statements.

    That is for all hashes of the activation in one call, and for any where only their number was
    authorised; a part of named ones costs two more. An identical repeat gets the same signatures
    again without a use of the key.

    Errors: ``AccessRefused`` (public ``reason="invalid_token"``: the bearer token), ``SadInvalid``,
    ``SadExpired``, ``HashNotAuthorised``, ``TooManySignatures``, ``SigningInProgress``,
    ``CredentialDisabled``, ``CertificateExpired``, ``AlgorithmUnsupported``,
    ``AlgorithmParametersInvalid``, ``DigestLengthInvalid``, ``Unavailable``.
    """
    call = check(use)
    # Step 4b: the intent.
    reserved = _reserve_at_once(services, call)
    for _ in range(_ROUNDS):
        if reserved is not None:
            return _sign(services, call, reserved)
        row = activation_look.find(services, use, call.request)
        stored = _stored(row, call)
        try:
            activation_look.check_stands(services, row, use)
            after = row.used if stored is not None else take(row, call)
        except Refusal as error:
            _refused(services, row, call, error)
            raise
        if stored is not None:
            return _repeat(services, call, stored)
        reserved = _reserve_part(services, call, row.used, after)
    raise SigningInProgress("others take their hashes of this activation at this moment")


def foresee(services: Services, use: Use) -> Prospect:
    """Whether :func:`sign_hash` could do this now. One statement; nothing is reserved.

    Errors: those of :func:`sign_hash` that are known before the SAM is asked.
    """
    call = check(use)
    row = activation_look.look(services, use, call.request)
    if _stored(row, call) is None:
        take(row, call)
    return Prospect(row.client_id, row.subscriber_id)


def check(use: Use) -> _Call:
    """Everything about the request that needs no record. The key's own type is the SAM's check."""
    if not use.hashes:
        raise TooManySignatures("no hash")
    fitting = [kind for kind in ALGORITHMS.values() if use.sign_algo in kind.sign_oids]
    if not fitting:
        raise AlgorithmUnsupported(f"{use.sign_algo!r}", parameter="signAlgo")
    # The largest key has room for every salt that a smaller one has room for.
    largest = max(fitting, key=lambda kind: kind.bits)
    scheme = resolve_scheme(largest, use.sign_algo, use.hash_algorithm_oid, use.sign_algo_params)
    check_digests(scheme.digest, use.hashes)
    params = use.sign_algo_params
    statement: list[JsonValue] = [
        *(use.credential_id, use.sign_algo, scheme.digest.name),
        None if params is None else _text(params),
        [_text(value) for value in use.hashes],
    ]
    key = hashlib.sha256(strict_json.canonical(statement)).digest()
    return _Call(use, scheme.digest.name, key)


def _reserve_at_once(services: Services, call: _Call) -> _Reserved | None:
    """The intent without a look: for everything, or for the next places where none are named."""
    count = len(call.use.hashes)
    places: dict[str, object] = {
        "the_hashes": hashes_key(call.digest, call.use.hashes),
        "the_request": call.request,
        "free": "0" * count,
        "taken": "1" * count,
    }
    statement = RESERVE_AT_ONCE[call.use.service_token is not None]
    at, row = _reserve(services, call, statement, places)
    return None if row is None else _Reserved(row, at, row.used[count:] + "0" * count, row.used)


def _reserve_part(services: Services, call: _Call, before: str, after: str) -> _Reserved | None:
    places: dict[str, object] = {"used_before": before, "used_after": after}
    statement = RESERVE_PART[call.use.service_token is not None]
    at, row = _reserve(services, call, statement, places)
    return None if row is None else _Reserved(row, at, before, after)


def _reserve(
    services: Services, call: _Call, statement: Executable, places: dict[str, object]
) -> tuple[int, Row[Any] | None]:
    """AUTHORIZED → SIGNING, the intent. One statement; no row when it was not to be had."""
    at = services.now_ms()
    detail: dict[str, JsonValue] = {
        "hash_algorithm": call.digest,
        "hashes": [_text(value) for value in call.use.hashes],
        "request": call.request,
        "sign_algo": call.use.sign_algo,
    }
    parameters = {
        **bearer_parameters(call.use, at),
        **places,
        "the_credential": call.use.credential_id,
        "the_key": call.key,
        "event": audit.detail_text(detail),
    }
    return at, services.database.one(statement, parameters)


def _sign(services: Services, call: _Call, reserved: _Reserved) -> tuple[bytes, ...]:
    use, row = call.use, reserved.row
    request = SignRequest(
        sealed=row.sealed,
        sad=row.sad,
        activation_id=use.ticket.row_id,
        client_id=row.client_id,
        hashes=use.hashes,
        sign_algo=use.sign_algo,
        hash_algorithm_oid=use.hash_algorithm_oid,
        sign_algo_params=use.sign_algo_params,
    )
    try:
        signed = services.sam.sign(request)
    except RemoteSigningError as error:
        # No signature has left, so another call may sign these hashes.
        _return(services, call, reserved, error)
        raise
    # Step 4e: the outcome; then, and not before, the signatures leave.
    _finish(services, call, reserved, signed.signatures, signed.node)
    return signed.signatures


def _finish(
    services: Services,
    call: _Call,
    reserved: _Reserved,
    signatures: tuple[bytes, ...],
    node: str,
) -> None:
    """SIGNING → SIGNED, or AUTHORIZED while hashes remain: the outcome. One statement."""
    outcome = {call.request: [_text(value) for value in signatures]}
    remain = "0" in reserved.after
    detail: dict[str, JsonValue] = {
        "node": node,
        "request": call.request,
        "signatures": [_text(hashlib.sha256(value).digest()) for value in signatures],
    }
    parameters = {
        **_mine(services, call, reserved),
        # What the call before gave, a trigger takes from here to a row of its own.
        "new_outcomes": json.dumps(outcome, separators=(",", ":")),
        "event": audit.detail_text(detail),
    }
    if _surely(services, FINISH[remain], parameters) is None:
        raise ActivationConflict("given up as of unknown outcome before the outcome was known")


def _return(
    services: Services, call: _Call, reserved: _Reserved, error: RemoteSigningError
) -> None:
    """SIGNING → AUTHORIZED with the hashes unused again. One statement.

    When the SAM had the request and its answer is missing, the key may have been used. The
    signatures are lost, and the signer has consented to these hashes: so they may be signed again,
    and the record says that the outcome is unknown.
    """
    asked = isinstance(error, SamUnavailable) and not isinstance(error, SamUnreachable)
    detail: dict[str, JsonValue] = {"reason": type(error).__name__, "request": call.request}
    parameters = {
        **_mine(services, call, reserved),
        "used_before": reserved.before,
        "event": audit.detail_text(detail),
    }
    _surely(services, RETURN_UNKNOWN if asked else RETURN, parameters)


def _surely(services: Services, statement: Executable, parameters: dict[str, object]) -> Any:  # noqa: ANN401 - Row of columns of any type
    """Run the second statement of a signature, once more if the connection was lost.

    Should the first try have been committed after all, the second changes nothing, and an
    identical repeat of the request finds the outcome.
    """
    try:
        return services.database.one(statement, parameters)
    except Unavailable:
        row = services.database.one(statement, parameters)
        if row is None:
            raise
        return row


def _mine(services: Services, call: _Call, reserved: _Reserved) -> dict[str, object]:
    return {
        "the_id": call.use.ticket.row_id,
        "now": services.now_ms(),
        "the_key": call.key,
        "since": reserved.since,
    }


def _stored(row: Row[Any], call: _Call) -> list[str] | None:
    """What the same request was answered, if it was: by the last call, or by one before it."""
    found: list[str] | None = json.loads(row.outcomes).get(call.request)
    if found is None and row.former_outcome is not None:
        found = json.loads(row.former_outcome)
    return found


def _repeat(services: Services, call: _Call, stored: list[str]) -> tuple[bytes, ...]:
    """The signatures of an identical request whose answer was lost. One statement, for record."""
    parameters = {
        "the_id": call.use.ticket.row_id,
        "now": services.now_ms(),
        "event": audit.detail_text({"request": call.request}),
    }
    services.database.one(REPEATED, parameters)
    return tuple(base64.b64decode(value) for value in stored)


def _refused(services: Services, row: Row[Any], call: _Call, error: Refusal) -> None:
    """Put the refusal on record among the activation's other events. At most one statement."""

    def write(detail: str) -> None:
        parameters = {"the_id": row.id, "now": services.now_ms(), "event": detail}
        services.database.one(REFUSED, parameters)

    detail: dict[str, JsonValue] = {"reason": type(error).__name__, "request": call.request}
    services.refusals.keep(row.client_id, detail, write)


def take(row: Row[Any], call: _Call) -> str:
    """``used`` after the call's hashes are taken; the refusal when they are not all free."""
    if row.credential_state != "enabled" or row.signer_state != "active" or row.is_early:
        told = f"credential {row.credential_state}, signer {row.signer_state}"
        raise CredentialDisabled(f"{told}, not yet valid: {bool(row.is_early)}")
    if row.is_expired:
        raise CertificateExpired("the certificate's validity is over")
    request = json.loads(row.request)
    # At SCAL1 hashes may be named later, by extendTransaction; they bind, and the count goes on.
    named = request["hashes"] or request.get("bound", [])
    if named and request["hash_algorithm"] != call.digest:
        raise HashNotAuthorised("authorised under another digest algorithm")
    authorised = [base64.b64decode(value) for value in named]
    if request["hashes"]:
        return _take_named(row.used, authorised, call.use.hashes)
    if authorised:
        _take_named("0" * len(authorised), authorised, call.use.hashes)
    return _take_any(row.used, len(call.use.hashes))


def _take_any(used: str, count: int) -> str:
    if count > used.count("0"):
        raise TooManySignatures(f"{count} signatures, {used.count('0')} are left")
    return used.replace("0", "1", count)


def _take_named(used: str, authorised: list[bytes], hashes: tuple[bytes, ...]) -> str:
    marks = list(used)
    if len(hashes) > len(authorised):
        raise TooManySignatures(f"{len(hashes)} of {len(authorised)} signatures")
    for value in hashes:
        free = [
            place
            for place, known in enumerate(authorised)
            if known == value and marks[place] == "0"
        ]
        if not free:
            raise HashNotAuthorised("not among the authorised hashes, or signed already")
        marks[free[0]] = "1"
    return "".join(marks)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
