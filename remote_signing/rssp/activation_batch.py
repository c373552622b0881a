"""Several decoupled requests of one signer approved by one evidence. See :mod:`.activation`.

Each request has been looked at by itself (its code was picked), each gets a SAD of its own from the
SAM, and each has an outcome of its own. Only the evidence is one, over the challenges of all. With
a passkey: :mod:`.activation_batch_passkey`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, select

from remote_signing.errors import EvidenceReplayed, InvalidInput
from remote_signing.rssp import audit
from remote_signing.rssp.activation_consent import (
    AUTHORIZE,
    MAY_ANSWER,
    authorization,
    by_session,
    refused,
    typed_evidence,
    verdict,
    why_not,
)
from remote_signing.rssp.activation_model import Channel
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SIGNER,
    code_is_matched,
    credential_is_usable,
    of_credential,
    steps,
)
from remote_signing.rssp.models import signature_activation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Activated
    from remote_signing.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one request of a batch: not approved when something else was first.

    ``sim_is_asked`` as in :class:`.Approved`.
    """

    activation_id: str
    is_approved: bool
    sim_is_asked: bool = False


def approve_all(
    services: Services, session: Ticket, ids: Sequence[str], pin: str, otp: str
) -> list[Answered]:
    """The signer consents to all of ``ids`` with PIN and one-time code; an outcome for each.

    One statement for the try, which counts once, then one that holds the requests and one for each,
    in one transaction.
    When one of them cannot be answered, nothing is tried. Errors: ``InvalidInput`` (parameter
    ``ids``: fewer than two, more than the policy allows, one twice, several credentials), else as
    :func:`.activation_consent.approve`.
    """
    batch = batch_of(services, ids)
    rows = _try_all(services, session, ids, batch)
    sealed, challenges = rows[0].sealed, [row.challenge for row in rows]
    evidence = typed_evidence(rows[0].factors, pin, otp)
    ask = partial(services.sam.activate_all, sealed, challenges, evidence)
    detail = {"batch": batch, "factor": "pin_totp"}
    return authorize_all(services, ids, verdict(services, ids[0], ask), detail)


def batch_of(services: Services, ids: Sequence[str]) -> str:
    """The name of ``ids`` as a batch, for its events; ``InvalidInput`` when they can be none."""
    if len(set(ids)) != len(ids) or not 1 < len(ids) <= services.config.policy.max_batch:
        raise InvalidInput(f"{len(ids)} requests", parameter="ids")
    return hashlib.sha256(",".join(ids).encode()).hexdigest()


def _try_all(services: Services, session: Ticket, ids: Sequence[str], batch: str) -> list[Row[Any]]:
    """The rows in the order of ``ids``, with one attempt charged; all of them or none."""
    told = {"event": audit.detail_text({"batch": batch}), "its_ids": list(ids), "first": ids[0]}
    parameters = by_session(services, session, ids[0]) | told
    try:
        with services.database.transaction() as connection:
            # What is raised here undoes the try.
            return all_of(ids, connection.execute(_TRY_ALL, parameters).all())
    except Missing as error:
        raise why_not(services, by_session(services, session, error.activation_id)) from None


def all_of(ids: Sequence[str], rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The rows in the order of ``ids``; ``Missing``, ``InvalidInput`` (several credentials)."""
    found = {row.id: row for row in rows}
    missing = next((each for each in ids if each not in found), None)
    if missing is not None:
        raise Missing(missing)
    if len({row.credential_id for row in found.values()}) > 1:
        raise InvalidInput("requests of several credentials", parameter="ids")
    return [found[each] for each in ids]


class Missing(Exception):
    """One of the requests cannot be answered, so none is tried."""

    def __init__(self, activation_id: str) -> None:
        super().__init__(activation_id)
        self.activation_id = activation_id


def authorize_all(
    services: Services,
    ids: Sequence[str],
    given: Sequence[Activated],
    detail: Mapping[str, JsonValue],
) -> list[Answered]:
    """PENDING → AUTHORIZED for each that still waits; the first of them uses the code up.

    ``detail`` is told in each event, and what the SAM added to the challenge of a passkey.
    """
    answered: list[Answered] = []
    is_used = False
    try:
        with services.database.transaction() as connection:
            # A step changes the request, then its credential, then uses the code. All requests are
            # held before the first credential is, so that two answers never wait for each other.
            connection.execute(_HELD, {"its_ids": list(ids)})
            for activation_id, activated in zip(ids, given, strict=True):
                once = replace(activated, totp_factor_id=None, totp_step=None)
                consent = once if is_used else activated
                own = detail if consent.added is None else {**detail, "challenge": consent.added}
                parameters = authorization(services, consent, activation_id, detail=own)
                row = connection.execute(AUTHORIZE, parameters).one_or_none()
                is_used = is_used or row is not None
                asked = row is not None and bool(row.sim_is_asked)
                answered.append(Answered(activation_id, row is not None, asked))
    except EvidenceReplayed as error:
        raise refused(services, ids[0], error) from error
    return answered


_is_one = ACTIVATION.id.in_(bindparam("its_ids", expanding=True, type_=ACTIVATION.id.type))
_HELD = (
    select(ACTIVATION.id)
    .select_from(signature_activation)
    .where(_is_one)
    .order_by(ACTIVATION.id)
    .with_for_update(key_share=True)
)
_TRY_ALL = (
    steps("consent.tried", SIGNER)
    .where(
        _is_one,
        *MAY_ANSWER,
        ACTIVATION.channel == Channel.DECOUPLED.value,
        code_is_matched(),
        credential_is_usable(),
    )
    .values(
        attempts=ACTIVATION.attempts
        + case((ACTIVATION.id == bindparam("first", type_=ACTIVATION.id.type), 1), else_=0)
    )
    .returning(
        *(ACTIVATION.id, ACTIVATION.credential_id, ACTIVATION.challenge),
        *(of_credential(CREDENTIAL.sealed), of_credential(CREDENTIAL.factors)),
    )
)
