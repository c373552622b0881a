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
    AccessRefused,
    ActivationConflict,
    AlgorithmUnsupported,
    CertificateExpired,
    CredentialDisabled,
    HashNotAuthorised,
    Refusal,
    RemoteSigningError,
    SadExpired,
    SadInvalid,
    SamUnavailable,
    SamUnreachable,
    SigningInProgress,
    TooManySignatures,
    Unavailable,
)
from remote_signing.rssp import audit
from remote_signing.rssp.activation_model import Prospect, State, Use
from remote_signing.rssp.activation_recovery import give_up
from remote_signing.rssp.activation_request import hashes_key
from remote_signing.rssp.activation_sign_sql import (
    FINISH,
    LOOK,
    REFUSED,
    REPEATED,
    RESERVE,
    RETURN,
    RETURN_UNKNOWN,
    SERVICE_TOKEN,
    bearer_parameters,
)
from remote_signing.rssp.activation_sql import CLIENT
from remote_signing.sap import SignRequest

if TYPE_CHECKING:
    from sqlalchemy import Executable, Row

    from remote_signing.rssp.activation_model import Held
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

_ROUNDS = 4  # how often a part of the hashes is tried for while others take theirs


@dataclass(frozen=True, slots=True)
class _Call:
    """A checked ``Use``: ``digest`` is the algorithm's name, ``key`` identifies the request."""

    use: Use
    digest: str
    key: bytes


@dataclass(frozen=True, slots=True)
class _Reserved:
    """What the intent's statement gave, and ``before``: what was used up before it."""

    row: Row[Any]
    since: int
    before: str
    after: str


def sign_hash(services: Services, use: Use) -> tuple[bytes, ...]:
    """Sign authorised hashes (CSC API v2 cl. 11.10), in the order asked. Two statements.

    That is for all hashes of the activation in one call; a part of them costs two more. An
    identical repeat gets the same signatures again without a use of the key.

    Errors: ``AccessRefused`` (public ``reason="invalid_token"``: the bearer token), ``SadInvalid``,
    ``SadExpired``, ``HashNotAuthorised``, ``TooManySignatures``, ``SigningInProgress``,
    ``CredentialDisabled``, ``CertificateExpired``, ``AlgorithmUnsupported``,
    ``AlgorithmParametersInvalid``, ``DigestLengthInvalid``, ``Unavailable``.
    """
    call = check(use)
    everything = len(use.hashes)
    # Step 4b: the intent.
    reserved = _reserve(services, call, "0" * everything, "1" * everything, whole=True)
    for _ in range(_ROUNDS):
        if reserved is not None:
            return _sign(services, call, reserved)
        row = _found(services, use)
        stored = json.loads(row.outcomes).get(call.key.hex())
        try:
            _check_stands(services, row, use)
            after = row.used if stored is not None else take(row, call)
        except Refusal as error:
            _refused(services, row, call, error)
            raise
        if stored is not None:
            return _repeat(services, call, stored)
        reserved = _reserve(services, call, row.used, after, whole=False)
    raise SigningInProgress("others take their hashes of this activation at this moment")


def foresee(services: Services, use: Use) -> Prospect:
    """Whether :func:`sign_hash` could do this now. One statement; nothing is reserved.

    Errors: those of :func:`sign_hash` that are known before the SAM is asked.
    """
    call = check(use)
    row = look(services, use)
    if call.key.hex() not in json.loads(row.outcomes):
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


def _reserve(
    services: Services, call: _Call, before: str, after: str, *, whole: bool
) -> _Reserved | None:
    """AUTHORIZED → SIGNING, the intent. One statement; None when it was not to be had."""
    at = services.now_ms()
    detail: dict[str, JsonValue] = {
        "hash_algorithm": call.digest,
        "hashes": [_text(value) for value in call.use.hashes],
        "request": call.key.hex(),
        "sign_algo": call.use.sign_algo,
    }
    parameters = {
        **bearer_parameters(call.use, at),
        "the_credential": call.use.credential_id,
        "the_hashes": hashes_key(call.digest, call.use.hashes),
        "used_before": before,
        "used_after": after,
        "the_key": call.key,
        "event": audit.detail_text(detail),
    }
    statement = RESERVE[call.use.service_token is not None, whole]
    row = services.database.one(statement, parameters)
    return None if row is None else _Reserved(row, at, before, after)


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
    outcomes = json.loads(reserved.row.outcomes)
    outcomes[call.key.hex()] = [_text(value) for value in signatures]
    remain = "0" in reserved.after
    detail: dict[str, JsonValue] = {
        "node": node,
        "request": call.key.hex(),
        "signatures": [_text(hashlib.sha256(value).digest()) for value in signatures],
    }
    parameters = {
        **_mine(services, call, reserved),
        "new_outcomes": json.dumps(outcomes, separators=(",", ":")),
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
    detail: dict[str, JsonValue] = {"reason": type(error).__name__, "request": call.key.hex()}
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


def _repeat(services: Services, call: _Call, stored: list[str]) -> tuple[bytes, ...]:
    """The signatures of an identical request whose answer was lost. One statement, for record."""
    parameters = {
        "the_id": call.use.ticket.row_id,
        "now": services.now_ms(),
        "event": audit.detail_text({"request": call.key.hex()}),
    }
    services.database.one(REPEATED, parameters)
    return tuple(base64.b64decode(value) for value in stored)


def look(services: Services, use: Use | Held) -> Row[Any]:
    """The activation, when its holder may go on with it, or why not. One statement."""
    row = _found(services, use)
    _check_stands(services, row, use)
    return row


def _found(services: Services, use: Use | Held) -> Row[Any]:
    """The activation of the bearer of ``use``. One statement."""
    at = services.now_ms()
    row = services.database.one(LOOK[use.service_token is not None], bearer_parameters(use, at))
    if row is None:
        raise _stranger(services, use, at)
    return row


def _check_stands(services: Services, row: Row[Any], use: Use | Held) -> None:
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


def _refused(services: Services, row: Row[Any], call: _Call, error: Refusal) -> None:
    """Put the refusal on record among the activation's other events. At most one statement."""

    def write(detail: str) -> None:
        parameters = {"the_id": row.id, "now": services.now_ms(), "event": detail}
        services.database.one(REFUSED, parameters)

    detail: dict[str, JsonValue] = {"reason": type(error).__name__, "request": call.key.hex()}
    services.refusals.keep(row.client_id, detail, write)


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
