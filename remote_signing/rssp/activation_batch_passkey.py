"""Several decoupled requests approved by one touch of a passkey. See :mod:`.activation_batch`.

The challenge that the browser is given is the SAM's, over the challenges of exactly these requests
in this order: another set, or another order, is another challenge. So whoever leaves one out after
he was asked is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from remote_signing.errors import EvidenceInvalid, PasskeyUnknown
from remote_signing.rssp.activation_batch import Missing, all_of, authorize_all, batch_of
from remote_signing.rssp.activation_consent import MAY_ANSWER, by_session, why_not
from remote_signing.rssp.activation_model import Channel
from remote_signing.rssp.activation_passkey import NAMED, PASSKEY, note_refusal
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    code_is_matched,
    credential_is_usable,
    of_credential,
)
from remote_signing.rssp.models import passkey, signature_activation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation_batch import Answered
    from remote_signing.rssp.activation_passkey import PasskeyAnswer
    from remote_signing.rssp.deps import Services
    from remote_signing.sap_messages import PasskeyQuestion


def question_all(services: Services, session: Ticket, ids: Sequence[str]) -> PasskeyQuestion:
    """What the browser asks the signer's passkeys about all of ``ids``. One statement.

    Errors: ``PasskeyUnknown``, as :func:`.activation_batch.approve_all` without the evidence.
    """
    batch_of(services, ids)
    rows = _waiting(services, session, ids, b"")
    return services.sam.ask_passkey_all(rows[0].sealed, [row.challenge for row in rows])


def approve_all(
    services: Services, session: Ticket, ids: Sequence[str], answer: PasskeyAnswer
) -> list[Answered]:
    """The signer consents to all of ``ids`` by one touch; an outcome for each.

    One statement, then one that holds the requests and one for each, in one transaction. When one
    of them cannot be answered, none is. Errors: ``PasskeyUnknown``, ``EvidenceInvalid``
    (``PasskeyTooNew``, ``PasskeyCopied``), as :func:`.activation_batch.approve_all` without the
    evidence.
    """
    batch = batch_of(services, ids)
    rows = _waiting(services, session, ids, answer.credential_id)
    first = rows[0]
    if first.factor_id is None:
        raise PasskeyUnknown("not a passkey of this credential")
    given = [answer.evidence(first.factor_id)]
    try:
        activated = services.sam.activate_all(first.sealed, [row.challenge for row in rows], given)
    except EvidenceInvalid as error:
        note_refusal(services, first, error)
        raise
    statement = activated[0].evidence_statement.decode("utf-8")
    detail = {"batch": batch, "factor": "passkey", "factor_id": first.factor_id}
    return authorize_all(services, ids, activated, detail | {"evidence_statement": statement})


def _waiting(
    services: Services, session: Ticket, ids: Sequence[str], webauthn_id: bytes
) -> list[Row[Any]]:
    """The rows in the order of ``ids``, all of which the signer may answer now."""
    parameters = {"its_ids": list(ids), "webauthn_id": webauthn_id}
    asked = by_session(services, session, ids[0])
    try:
        return all_of(ids, services.database.all(_WAITING, asked | parameters))
    except Missing as error:
        raise why_not(services, by_session(services, session, error.activation_id)) from None


_WAITING = (
    select(
        *(ACTIVATION.id, ACTIVATION.subscriber_id, ACTIVATION.credential_id, ACTIVATION.challenge),
        of_credential(CREDENTIAL.sealed),
        PASSKEY.factor_id,
        PASSKEY.name,
    )
    .select_from(signature_activation)
    .outerjoin(passkey, NAMED)
    .where(
        ACTIVATION.id.in_(bindparam("its_ids", expanding=True, type_=ACTIVATION.id.type)),
        *MAY_ANSWER,
        ACTIVATION.channel == Channel.DECOUPLED.value,
        code_is_matched(),
        credential_is_usable(),
    )
)
