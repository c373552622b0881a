"""The signer consents with a passkey. See :mod:`.activation`.

A signature cannot be guessed, so no attempt is charged; a refusal is told in an event all the same.
What the passkey signed goes into the event of the consent, with all that is needed to check it
again: the row's request and this evidence are one proof (docs/passkeys.md).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, bindparam, select

from remote_signing.errors import (
    ActivationConflict,
    EvidenceInvalid,
    PasskeyCopied,
    PasskeyUnknown,
)
from remote_signing.identifiers import Ticket
from remote_signing.rssp import audit, notices
from remote_signing.rssp.activation_consent import (
    ANSWERED,
    AUTHORIZE,
    MAY_ANSWER,
    authorization,
    by_session,
    redirect,
    why_not,
)
from remote_signing.rssp.activation_model import Approved, Channel
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SIGNER,
    code_is_matched,
    credential_is_usable,
    of_credential,
    step,
)
from remote_signing.rssp.models import passkey, signature_activation
from remote_signing.sap import b64
from remote_signing.sap_passkeys import passkey_evidence

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Evidence
    from remote_signing.sap_messages import PasskeyQuestion

FORMAT = "remote-signing/passkey-evidence/v1"
FORMAT_TOGETHER = "remote-signing/passkey-evidence-together/v1"
PASSKEY = passkey.c


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What ``navigator.credentials.get`` gave (WebAuthn cl. 5.2.2), raw."""

    credential_id: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes
    user_handle: bytes | None

    def evidence(self, factor_id: str) -> Evidence:
        """The answer as the SAM takes it, as that of its factor ``factor_id``."""
        handle = None if self.user_handle is None else b64(self.user_handle)
        return passkey_evidence(
            factor_id,
            self.signature,
            {
                "credential_id": b64(self.credential_id),
                "authenticator_data": b64(self.authenticator_data),
                "client_data": b64(self.client_data),
                "user_handle": handle,
            },
        )


def question(services: Services, session: Ticket, activation_id: str) -> PasskeyQuestion:
    """What the browser asks the signer's passkeys. One statement.

    Errors: ``PasskeyUnknown``, as :func:`.activation_consent.approve` without the evidence.
    """
    row = _waiting(services, session, activation_id, b"")
    return services.sam.ask_passkey(row.sealed, row.challenge)


def approve(
    services: Services, session: Ticket, activation_id: str, answer: PasskeyAnswer
) -> Approved:
    """The signer consents with a passkey. Two statements.

    Errors: ``PasskeyUnknown``, ``EvidenceInvalid`` (``PasskeyTooNew``, ``PasskeyCopied``), as
    :func:`.activation_consent.approve` without the evidence.
    """
    row = _waiting(services, session, activation_id, answer.credential_id)
    if row.factor_id is None:
        raise PasskeyUnknown("not a passkey of this credential")
    try:
        # Step 2c: nothing that this process says of the passkey counts there.
        given = [answer.evidence(row.factor_id)]
        activated = services.sam.activate(row.sealed, row.challenge, given)
    except EvidenceInvalid as error:
        note_refusal(services, row, error)
        raise
    statement = activated.evidence_statement.decode("utf-8")
    detail = {"factor": "passkey", "factor_id": row.factor_id, "evidence_statement": statement}
    code = Ticket.issue(activation_id) if row.channel == Channel.OAUTH.value else None
    parameters = authorization(services, activated, activation_id, code=code, detail=detail)
    # Step 2d: the same guarded statement as for PIN and code.
    done = services.database.one(AUTHORIZE, parameters)
    if done is None:
        raise ActivationConflict("answered, expired or revoked while the evidence was checked")
    target = None if code is None else redirect(services, row, {"code": str(code)})
    return Approved(target, sim_is_asked=bool(done.sim_is_asked))


def evidence(services: Services, activation_id: str) -> dict[str, object] | None:
    """What a passkey signed in this activation, for anybody to check; None where none did.

    Two statements. The format: docs/passkeys.md.
    """
    row = services.database.one(_ASKED, {"the_id": activation_id})
    found = audit.events(services.database, activation_id=activation_id)
    given = next((event for event in found if event.kind == "consent.given"), None)
    told = {} if given is None else json.loads(given.detail)
    if row is None or "evidence_statement" not in told:
        return None
    request = json.loads(row.request)
    # Of one that was consented to beside others, the statement has the challenge's digest alone.
    together = {"challenge": told["challenge"]} if "challenge" in told else {}
    return {
        "format": FORMAT_TOGETHER if together else FORMAT,
        "request": {
            "activation_id": row.id,
            "credential_id": row.credential_id,
            "client_id": row.client_id,
            "hash_algorithm": request["hash_algorithm"],
            "hashes": [base64.b64decode(value).hex() for value in request["hashes"]],
            "count": row.num_signatures,
        },
        **together,
        "statement": told["evidence_statement"],
    }


def _waiting(
    services: Services, session: Ticket, activation_id: str, webauthn_id: bytes
) -> Row[Any]:
    """The activation that the signer of ``session`` may answer now. One statement."""
    parameters = by_session(services, session, activation_id)
    row = services.database.one(_WAITING, {**parameters, "webauthn_id": webauthn_id})
    if row is None:
        raise why_not(services, parameters)
    return row


def note_refusal(services: Services, row: Row[Any], error: EvidenceInvalid) -> None:
    """An event; where there may be a copy of the passkey, also a notice to its owner."""
    at = services.now_ms()
    detail = {"factor_id": row.factor_id, "reason": type(error).__name__}
    parameters = {"the_id": row.id, "now": at, "event": audit.detail_text(detail)}
    with services.database.transaction() as connection:
        connection.execute(_REFUSED, parameters)
        if isinstance(error, PasskeyCopied):
            told = {"factor_id": row.factor_id, "name": row.name}
            notices.record(connection, notices.COPIED, row, told, at)


NAMED = (PASSKEY.webauthn_id == bindparam("webauthn_id", type_=LargeBinary())) & (
    PASSKEY.credential_id == ACTIVATION.credential_id
)
_WAITING = (
    select(
        *(ACTIVATION.id, ACTIVATION.subscriber_id, ACTIVATION.credential_id, ACTIVATION.challenge),
        *ANSWERED,
        of_credential(CREDENTIAL.sealed),
        PASSKEY.factor_id,
        PASSKEY.name,
    )
    .select_from(signature_activation)
    .outerjoin(passkey, NAMED)
    .where(ACTIVATION.id == bindparam("the_id", type_=ACTIVATION.id.type))
    .where(*MAY_ANSWER, code_is_matched(), credential_is_usable())
)
_ASKED = select(signature_activation).where(
    ACTIVATION.id == bindparam("the_id", type_=ACTIVATION.id.type)
)
_REFUSED = step("consent.passkey_refused", SIGNER)
