"""The signer consents. See :mod:`.activation`.

An attempt is charged before the evidence is checked, in the statement that hands the sealed
credential out, so guessing in parallel gains nothing. It is given back when the fault is ours.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from sqlalchemy import BigInteger, LargeBinary, bindparam, select

from remote_signing.errors import (
    ActivationConflict,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    CertificateExpired,
    CodeUnmatched,
    CredentialDisabled,
    CredentialLocked,
    EvidenceInvalid,
    EvidenceReplayed,
    RemoteSigningError,
    SessionInvalid,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import audit
from remote_signing.rssp.activation_model import (
    Approved,
    AuthData,
    Channel,
    NewActivation,
    SadIssued,
    State,
)
from remote_signing.rssp.activation_request import insert_activation
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SIGNER,
    code_is_matched,
    credential_is_usable,
    now,
    of_credential,
    signed_in_subscriber,
    sim_is_asked,
    step,
    the_id,
)
from remote_signing.rssp.models import credential, signature_activation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Executable, Row

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Activated, Evidence
    from remote_signing.strict_json import JsonValue


Given = TypeVar("Given")


def approve(
    services: Services, session: Ticket, activation_id: str, pin: str, otp: str
) -> Approved:
    """The signer consents with PIN and one-time code. Two statements.

    Errors: ``SessionInvalid``, ``ActivationUnknown``, ``ActivationExpired``, ``ActivationDenied``,
    ``ActivationConflict``, ``CodeUnmatched``, ``EvidenceInvalid`` (public ``attempts_left``;
    ``EvidenceReplayed`` when the code was used before), ``CredentialLocked``,
    ``CredentialDisabled``, ``CertificateExpired``, ``Unavailable``.
    """
    parameters = by_session(services, session, activation_id)
    # Step 2b: the attempt is counted before anything is checked.
    row = services.database.one(_TRY, {**parameters, "event": "{}"})
    if row is None:
        raise why_not(services, parameters)
    evidence = typed_evidence(row.factors, pin, otp)
    activated = _activate(services, activation_id, row.sealed, row.challenge, evidence)
    code = Ticket.issue(activation_id)
    is_oauth = row.channel == Channel.OAUTH.value
    asked = _authorize(services, activated, activation_id, code=code if is_oauth else None)
    target = redirect(services, row, {"code": str(code)}) if is_oauth else None
    return Approved(target, sim_is_asked=asked)


def resume(services: Services, session: Ticket, activation_id: str) -> Approved:
    """A new redirect for a consent whose answer was lost on the way back. One statement.

    Consent is not asked for again: a fault of ours must not cost the signer a second code. The
    former authorization code is void from now on; once a code was redeemed there is no other.
    Errors: as :func:`approve`, without the evidence.
    """
    code = Ticket.issue(activation_id)
    parameters = by_session(services, session, activation_id)
    renewal = {
        "event": "{}",
        "new_code": code.secret_hash,
        "new_code_end": services.now_ms() + services.config.lifetimes.code * 1000,
    }
    row = services.database.one(_RESUME, parameters | renewal)
    if row is None:
        raise why_not(services, parameters)
    return Approved(redirect(services, row, {"code": str(code)}))


def authorize_inline(
    services: Services, new: NewActivation, auth_data: tuple[AuthData, ...]
) -> SadIssued:
    """SCAL1 ``credentials/authorize`` with codes in ``authData``. Two statements.

    Errors: as for a new request and for :func:`approve`; ``AccessRefused`` at SCAL2.
    """
    started = services.now_ms()
    activation_id = new_id(started)
    expires = started + services.config.lifetimes.activation * 1000
    row, challenge = insert_activation(services, new, activation_id, expires, attempts=1)
    kinds = {factor["id"]: factor["kind"] for factor in json.loads(row.factors)}
    evidence: list[Evidence] = [
        {"factor_id": item.id, "kind": kinds.get(item.id, ""), "value": item.value}
        for item in auth_data
    ]
    activated = _activate(services, activation_id, row.sealed, challenge.token, evidence)
    sad = Ticket.issue(activation_id)
    _authorize(services, activated, activation_id, sad=sad)
    return SadIssued(sad, (activated.expires_at_ms - services.now_ms()) // 1000)


def _activate(
    services: Services,
    activation_id: str,
    sealed: bytes,
    challenge: bytes,
    evidence: Sequence[Evidence],
) -> Activated:
    """The SAM's verdict on the evidence for one request."""
    ask = partial(services.sam.activate, sealed, challenge, evidence)
    return verdict(services, activation_id, ask)


def typed_evidence(factors: str, pin: str, otp: str) -> list[Evidence]:
    """What the signer typed, for each of his factors (JSON, as stored) that is typed."""
    values = {"pin": pin, "totp": otp}
    return [
        {"factor_id": factor["id"], "kind": factor["kind"], "value": values[factor["kind"]]}
        for factor in json.loads(factors)
        if factor["kind"] in values
    ]


def verdict(services: Services, activation_id: str, ask: Callable[[], Given]) -> Given:
    """What the SAM answers to ``ask``. A refusal, and a fault of ours, become events."""
    try:
        return ask()
    except (EvidenceInvalid, CredentialLocked) as error:
        raise refused(services, activation_id, error) from error
    except RemoteSigningError as error:
        _note(services, _GIVE_BACK, activation_id, error)
        raise


def _authorize(
    services: Services,
    activated: Activated,
    activation_id: str,
    *,
    code: Ticket | None = None,
    sad: Ticket | None = None,
) -> bool:
    """PENDING → AUTHORIZED, exactly once; uses the one-time code up in the same statement.

    Whether a SIM is being asked about it too.
    """
    parameters = authorization(services, activated, activation_id, code=code, sad=sad)
    try:
        # Step 2d: consent, the use of the code and the audit row, in one statement.
        row = services.database.one(AUTHORIZE, parameters)
    except EvidenceReplayed as error:
        raise refused(services, activation_id, error) from error
    if row is None:
        raise ActivationConflict("answered, expired or revoked while the evidence was checked")
    return bool(row.sim_is_asked)


def authorization(  # noqa: PLR0913 - what a consent brings, and what goes back to the client
    services: Services,
    activated: Activated,
    activation_id: str,
    *,
    code: Ticket | None = None,
    sad: Ticket | None = None,
    detail: Mapping[str, JsonValue] | None = None,
) -> dict[str, object]:
    """The parameters of :data:`AUTHORIZE`; ``detail`` is told in the event besides."""
    at = services.now_ms()
    told: dict[str, JsonValue] = {
        "evidence_digest": activated.evidence_digest.hex(),
        "sad_expires_at": activated.expires_at_ms,
        "totp_factor_id": activated.totp_factor_id,
        "totp_step": activated.totp_step,
        **(detail or {}),
    }
    return {
        "the_id": activation_id,
        "now": at,
        "event": audit.detail_text(told),
        "new_sad": activated.sad,
        "new_end": activated.expires_at_ms,
        "new_digest": activated.evidence_digest,
        "new_factor": activated.totp_factor_id,
        "new_step": activated.totp_step,
        "new_code": None if code is None else code.secret_hash,
        "new_code_end": None if code is None else at + services.config.lifetimes.code * 1000,
        "new_token": None if sad is None else sad.secret_hash,
    }


def refused(
    services: Services, activation_id: str, error: EvidenceInvalid | CredentialLocked
) -> RemoteSigningError:
    """Record the refusal; the same error with how many attempts are left. One statement."""
    row = _note(services, _REFUSED, activation_id, error)
    if isinstance(error, CredentialLocked) or row is None:
        return error
    left = max(0, row.attempt_limit - row.failed_attempts)
    told = error.public.get("attempts_left")
    if isinstance(told, int):
        left = min(left, told)
    # One fact for every wrong evidence, except a replay: the signer must wait for the next code.
    kind = EvidenceReplayed if isinstance(error, EvidenceReplayed) else EvidenceInvalid
    return kind(error.cause, attempts_left=left)


def _note(
    services: Services,
    statement: Executable,
    activation_id: str,
    error: RemoteSigningError,
) -> Row[Any] | None:
    event = audit.detail_text({"reason": type(error).__name__})
    parameters = {"the_id": activation_id, "now": services.now_ms(), "event": event}
    return services.database.one(statement, parameters)


def by_session(services: Services, session: Ticket, activation_id: str) -> dict[str, object]:
    """The parameters of :data:`MAY_ANSWER` for the signer of ``session``."""
    at = services.now_ms()
    return {
        "the_id": activation_id,
        "now": at,
        "session_id": session.row_id,
        "session_secret": session.secret_hash,
        "idle_since": at - services.config.lifetimes.session_idle * 1000,
    }


def why_not(services: Services, parameters: dict[str, object]) -> RemoteSigningError:
    """Why a step of the signer was not taken. One or two statements."""
    session = services.database.one(_SIGNED_IN, parameters)
    if session is None or session.signed_in is None:
        return SessionInvalid("session is unknown or over")
    return why_unanswerable(services, parameters, session.signed_in)


def why_unanswerable(
    services: Services, parameters: dict[str, object], subscriber_id: str
) -> RemoteSigningError:
    """Why ``subscriber_id`` cannot answer ``the_id`` ``now``. One statement."""
    row = services.database.one(_WHY_NOT, parameters)
    if row is None or row.subscriber_id != subscriber_id:
        return ActivationUnknown("none, or somebody else's")
    return _unanswerable(row, services.now_ms())


def _unanswerable(row: Row[Any], at: int) -> RemoteSigningError:
    overdue = row.state == State.PENDING.value and row.expires_at <= at
    if overdue or row.state == State.EXPIRED.value:
        return ActivationExpired("too late")
    if row.state == State.DENIED.value:
        return ActivationDenied("already refused")
    if row.state == State.PENDING.value and not row.is_matched:
        return CodeUnmatched("the signer has not picked the portal's code")
    if row.state != State.PENDING.value or row.channel == Channel.INLINE.value or row.usable:
        return ActivationConflict(f"{row.channel} and {row.state}")
    if row.credential_state == "enabled" and not row.in_validity:
        return CertificateExpired("outside the certificate's validity")
    return CredentialDisabled(f"credential {row.credential_state} or subscriber suspended")


def redirect(services: Services, row: Row[Any], answer: dict[str, str]) -> str:
    """The authorization response (RFC 6749 cl. 4.1.2) with ``iss`` (RFC 9207)."""
    state = json.loads(row.request)["oauth_state"]
    if state is not None:
        answer["state"] = state
    answer["iss"] = services.config.urls.issuer
    separator = "&" if urlsplit(row.redirect_uri).query else "?"
    return f"{row.redirect_uri}{separator}{urlencode(answer)}"


MAY_ANSWER = (
    ACTIVATION.state == State.PENDING.value,
    ACTIVATION.expires_at > now,
    ACTIVATION.channel != Channel.INLINE.value,
    ACTIVATION.subscriber_id == signed_in_subscriber(),
)
ANSWERED = (ACTIVATION.channel, ACTIVATION.request, ACTIVATION.redirect_uri)
_TRY = (
    step("consent.tried", SIGNER)
    .where(*MAY_ANSWER, code_is_matched(), credential_is_usable())
    .values(attempts=ACTIVATION.attempts + 1)
    .returning(
        *ANSWERED,
        ACTIVATION.challenge,
        of_credential(CREDENTIAL.sealed),
        of_credential(CREDENTIAL.factors),
    )
)
AUTHORIZE = (
    step("consent.given", SIGNER)
    .where(ACTIVATION.state == State.PENDING.value, ACTIVATION.expires_at > now)
    .values(
        state=State.AUTHORIZED.value,
        authorized_at=now,
        challenge=None,
        sad=bindparam("new_sad", type_=LargeBinary()),
        expires_at=bindparam("new_end", type_=BigInteger()),
        evidence_digest=bindparam("new_digest", type_=LargeBinary()),
        totp_factor_id=bindparam("new_factor", type_=ACTIVATION.totp_factor_id.type),
        totp_step=bindparam("new_step", type_=BigInteger()),
        code_secret=bindparam("new_code", type_=LargeBinary()),
        code_expires_at=bindparam("new_code_end", type_=BigInteger()),
        token_secret=bindparam("new_token", type_=LargeBinary()),
    )
    .returning(ACTIVATION.id, sim_is_asked())
)
_RESUME = (
    step("consent.resumed", SIGNER)
    .where(
        ACTIVATION.state == State.AUTHORIZED.value,
        ACTIVATION.expires_at > now,
        ACTIVATION.channel == Channel.OAUTH.value,
        ACTIVATION.code_used_at.is_(None),
        ACTIVATION.subscriber_id == signed_in_subscriber(),
    )
    .values(
        code_secret=bindparam("new_code", type_=LargeBinary()),
        code_expires_at=bindparam("new_code_end", type_=BigInteger()),
    )
    .returning(*ANSWERED)
)
_GIVE_BACK = (
    step("consent.interrupted", SIGNER)
    .values(attempts=ACTIVATION.attempts - 1)
    .returning(ACTIVATION.id)
)
_REFUSED = step("consent.refused", SIGNER).returning(
    of_credential(CREDENTIAL.attempt_limit), of_credential(CREDENTIAL.failed_attempts)
)
_SIGNED_IN = select(signed_in_subscriber().label("signed_in"))
_WHY_NOT = (
    select(
        *(ACTIVATION.subscriber_id, ACTIVATION.state, ACTIVATION.channel, ACTIVATION.expires_at),
        CREDENTIAL.state.label("credential_state"),
        ((CREDENTIAL.not_before <= now) & (CREDENTIAL.not_after > now)).label("in_validity"),
        credential_is_usable().label("usable"),
        code_is_matched().label("is_matched"),
    )
    .join_from(signature_activation, credential, CREDENTIAL.id == ACTIVATION.credential_id)
    .where(ACTIVATION.id == the_id)
)
