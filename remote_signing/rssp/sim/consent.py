"""The signer's SIM is asked, and the answer becomes a consent, or a cause that the signer is told.

:func:`start` writes the question down, then sends it. :func:`look` reads how it stands with the
adapter and draws the conclusion; whoever comes first does it (the waiting page, the adapter's
call-back, housekeeping) and any number of them may: the rows decide. Nothing falls back to another
factor, and an activation whose question failed waits for the next answer of its signer.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_signing.errors import (
    ActivationConflict,
    RemoteSigningError,
    SimAdapterAway,
    SimBusy,
    SimRequestRefused,
    SimSuspended,
    SimUnknown,
    Unavailable,
)
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation, activation_sim
from remote_signing.rssp.activation_sim import APPROVED, CANCELLED, WAITING, End
from remote_signing.rssp.sim import cards, words
from remote_signing.rssp.sim.evidence import export
from remote_signing.rssp.sim.status import staples
from remote_signing.rssp.sim_client import OPEN
from remote_signing.sap import b64, sim_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation_model import Approved
    from remote_signing.rssp.activation_sim import Question
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sim_client import SimAdapter, Told
    from remote_signing.sap import Evidence, Presentation

_log = logging.getLogger(__name__)
GRACE_MS = 3_000  # after the deadline, for the adapter to tell the end that it knows
_SHORTEST_MS = 5_000  # a question for which less time is left is not asked
_HEARD = {("FAILED", "signature_refused"), ("FAILED", "request_over")}  # with their alarm
_STATES = {"REFUSED", "EXPIRED", "CANCELLED", "FAILED"}
_LONGEST_WAIT = 25.0


@dataclass(frozen=True, slots=True)
class SimQuestion:
    """A question as the consent page shows it. ``version`` is for the next :func:`wait`."""

    transaction_id: str
    state: str
    number: str
    display_text: str
    verification_code: str
    deadline_ms: int
    outcome: str | None
    cause: str | None
    version: int = 0
    is_delivered: bool = False


def start(
    services: Services, subscriber_id: str, activation_id: str, factor_id: str, lang: str
) -> SimQuestion:
    """Ask the SIM.

    Errors: ``SimUnknown``, ``SimSuspended``, ``SimBusy``, ``SimAskedOften``, and why not to answer.

    A question that the adapter does not take is told as ended, with its cause.
    """
    adapter = _adapter(services)
    asked = activation_sim.question(services, activation_id, subscriber_id)
    card = cards.get(services, factor_id)
    if card.credential_id != asked.credential_id:
        raise SimUnknown("a SIM of another credential")
    _check_card(services, card)
    room = adapter.texts(card.operator).question
    texts: Any = {
        "display_text": words.display_text(asked.client_name, asked.labels, lang, card.mode, room),
        "labels": words.structure_labels(asked.labels),
    }
    shown = services.sam.present(asked.sealed, asked.challenge, factor_id, **texts)
    if not shown.is_enough:
        cards.set_state(services, card, cards.SUSPENDED, "rule_asks_more", "system")
        raise SimSuspended(f"{card.factor_id}: rule_asks_more")
    values = _values(services, asked, card, shown) | {
        "display_text": texts["display_text"],
        "labels": json.dumps(texts["labels"]),
        "lang": "en" if lang == "en" else "vi",
    }
    row = activation_sim.begin(services, values, subscriber_id)
    return _send(services, adapter, row, card, shown)


def _check_card(services: Services, card: Row[Any]) -> None:
    reason = card.reason
    is_old = services.now_ms() - card.checked_at >= _profile_age(services) * 1000
    if card.state == cards.ACTIVE and is_old:
        reason = cards.check(services, card)
    elif card.state == cards.ACTIVE:
        reason = None
    if reason is not None or card.state != cards.ACTIVE:
        raise SimSuspended(f"{card.factor_id}: {reason}")


def _values(
    services: Services, asked: Question, card: Row[Any], shown: Presentation
) -> dict[str, Any]:
    at = services.now_ms()
    deadline = min(asked.expires_at_ms, at + _patience(services) * 1000)
    if deadline - at < _SHORTEST_MS:
        raise ActivationConflict("too little time is left to ask a SIM")
    return {
        "id": new_id(at),
        "activation_id": asked.activation_id,
        "credential_id": asked.credential_id,
        "factor_id": card.factor_id,
        "msisdn": card.msisdn,
        "state": WAITING,
        "mode": shown.mode,
        "structure": shown.structure,
        "verification_code": shown.verification_code,
        "created_at": at,
        "deadline": deadline,
    }


def _send(
    services: Services, adapter: SimAdapter, row: Row[Any], card: Row[Any], shown: Presentation
) -> SimQuestion:
    order = {
        "msisdn": card.msisdn,
        "operator": card.operator,
        "mode": shown.mode,
        "display_text": shown.message,
        "verification_code": shown.verification_code,
        "consent": b64(shown.structure),
        "deadline": row.deadline,
        "language": row.lang,
        "callback": bool(services.config.sim and services.config.sim.callback_secret_files),
    }
    try:
        return _view(row, adapter.begin(row.id, order))
    except SimAdapterAway as error:
        cause = "sim_unreachable"
        _log.warning("the SIM adapter is away", extra={"cause": error.cause})
    except SimBusy:
        activation_sim.end(services, row, _own("FAILED", "sim_busy", row.lang))
        raise
    except SimRequestRefused as error:
        cause = "request_not_taken"
        _log.error("the SIM adapter refuses", extra={"cause": error.cause})
    activation_sim.end(services, row, _own("FAILED", cause, row.lang))
    # It may have been taken although no answer came: then the phone need not ask any more.
    _withdraw(services, row)
    return _again(services, row.id)


def look(services: Services, transaction_id: str, told: Told | None = None) -> SimQuestion:
    """How a question stands, with the adapter's word on it when it is open here.

    One whose request was answered without it is over. Errors: ``SimUnknown``; ``Unavailable`` when
    adapter or SAM are away: it stays open.
    """
    row = _row(services, transaction_id)
    if row.state != WAITING:
        _hear_late(services, row, told)
        return _view(row)
    if not row.is_pending:
        _end_and_withdraw(services, row, "request_over")
        return _again(services, transaction_id)
    try:
        told = told or _adapter(services).read(transaction_id)
    except (SimAdapterAway, SimRequestRefused):
        if services.now_ms() <= row.deadline + GRACE_MS:
            raise
        activation_sim.end(services, row, _own("EXPIRED", "no_answer_in_time", row.lang))
        return _again(services, transaction_id)
    if told.state == "SIGNED":
        _signed(services, row, told)
    elif told.state not in OPEN:
        _ended(services, row, told)
    elif services.now_ms() > row.deadline + GRACE_MS:
        activation_sim.end(services, row, _own("EXPIRED", "no_answer_in_time", row.lang))
    else:
        return _view(row, told)
    return _again(services, transaction_id)


def cancel(services: Services, subscriber_id: str, activation_id: str) -> SimQuestion:
    """The signer withdraws the open question. Of it and the phone's answer one counts."""
    row = _latest(services, subscriber_id, activation_id)
    _end_and_withdraw(services, row, "cancelled", by_signer=True)
    return _again(services, row.id)


def current(services: Services, activation_id: str) -> SimQuestion | None:
    """The youngest question of an activation that its signer may see. One statement."""
    row = activation_sim.latest(services, activation_id)
    return None if row is None else _view(row)


def redirect(services: Services, session: Ticket, activation_id: str) -> Approved:
    """Back to the client with a fresh code, after the SIM's consent. One statement."""
    return activation.resume(services, session, activation_id)


def _signed(services: Services, row: Row[Any], told: Told) -> None:
    """A signature has come. The SAM says whether it is this person's consent to exactly this."""
    card = cards.get(services, row.factor_id)
    evidence = _evidence(services, row, card, told)
    if evidence is None:
        _alarm(row, "no signature in state SIGNED")
        activation_sim.end(services, row, _own("FAILED", "signature_refused", row.lang))
        return
    try:
        activated = services.sam.activate(row.sealed, row.challenge, [evidence])
    except Unavailable:
        raise  # the adapter keeps the signature: the next look may go better
    except RemoteSigningError as error:
        _alarm(row, f"{type(error).__name__}: {error.cause}")
        activation_sim.end(services, row, _own("FAILED", "signature_refused", row.lang))
        return
    proof = export(row, card, evidence, activated.evidence_statement)
    if activation_sim.approve(services, row, activated, proof):
        return
    if _row(services, row.id).state == APPROVED:
        return  # page and call-back come within moments: it was this very consent
    # Cancelled, refused on the page or out of time while the signature was on its way.
    _alarm(row, "a signature came when it was over")
    activation_sim.end(services, row, _own("FAILED", "request_over", row.lang))


def _hear_late(services: Services, row: Row[Any], told: Told | None) -> None:
    """An alarm when the phone has signed although the question has another end here.

    Not for what was heard of before the end. Errors: ``SimAdapterAway``.
    """
    if row.state == APPROVED or (row.state, row.outcome) in _HEARD:
        return
    with suppress(SimRequestRefused):  # it never had the question, or has forgotten it
        told = told or _adapter(services).read(row.id)
        if told.state == "SIGNED":
            _alarm(row, "signed, although the question has ended here")


def _evidence(services: Services, row: Row[Any], card: Row[Any], told: Told) -> Evidence | None:
    if told.signature is None:
        return None
    form, value = told.signature
    status = staples(services, card)
    return sim_evidence(
        row.factor_id,
        value,
        {
            "format": form,
            "display_text": row.display_text,
            "labels": json.loads(row.labels),
            "ocsp": status.ocsp,
            "crls": status.crls,
        },
    )


def _ended(services: Services, row: Row[Any], told: Told) -> None:
    state = told.state if told.state in _STATES else "FAILED"
    outcome = told.outcome
    if outcome is None:
        activation_sim.end(services, row, _own(state, "signature_refused", row.lang))
        return
    activation_sim.end(services, row, End(state, outcome.name, outcome.cause))
    if outcome.name in cards.GONE:
        card = cards.get(services, row.factor_id)
        cards.set_state(services, card, cards.SUSPENDED, "number_without_sim_pki", "system")


def _end_and_withdraw(
    services: Services, row: Row[Any], outcome: str, *, by_signer: bool = False
) -> None:
    how = _own(CANCELLED, outcome, row.lang)
    if activation_sim.end(services, row, how, by_signer=by_signer):
        _withdraw(services, row)


def _withdraw(services: Services, row: Row[Any]) -> None:
    """Ask that the phone stop asking; it ends at its deadline anyway."""
    try:
        try:
            _adapter(services).cancel(row.id)
        except SimRequestRefused:
            _hear_late(services, row, None)
    except SimAdapterAway as error:
        _log.info("not withdrawn", extra={"transaction": row.id, "cause": error.cause})


def _latest(services: Services, subscriber_id: str, activation_id: str) -> Row[Any]:
    activation.details(services, activation_id, subscriber_id)  # ActivationUnknown for others
    row = activation_sim.latest(services, activation_id)
    if row is None:
        raise SimUnknown("no SIM was asked")
    return row


def _row(services: Services, transaction_id: str) -> Row[Any]:
    row = activation_sim.get(services, transaction_id)
    if row is None:
        raise SimUnknown("no such question")
    return row


def _again(services: Services, transaction_id: str) -> SimQuestion:
    return _view(_row(services, transaction_id))


def _view(row: Row[Any], told: Told | None = None) -> SimQuestion:
    return SimQuestion(
        transaction_id=row.id,
        state=row.state,
        number=words.masked(row.msisdn),
        display_text=row.display_text,
        verification_code=row.verification_code,
        deadline_ms=row.deadline,
        outcome=row.outcome,
        cause=row.cause,
        version=0 if told is None else told.version,
        is_delivered=told is not None and told.state == "DELIVERED",
    )


def _own(state: str, outcome: str, lang: str) -> End:
    return End(state, outcome, words.say(outcome, lang))


def _alarm(row: Row[Any], cause: str) -> None:
    about: Mapping[str, object] = {"transaction": row.id, "factor": row.factor_id, "cause": cause}
    _log.error("alarm: a SIM's answer is no consent", extra=about)


def _adapter(services: Services) -> SimAdapter:
    if services.sim is None:
        raise SimUnknown("no SIM adapter is configured")
    return services.sim


def _patience(services: Services) -> int:
    return services.config.sim.patience if services.config.sim else 0


def _profile_age(services: Services) -> int:
    return services.config.sim.profile_age if services.config.sim else 0


__all__ = [
    "APPROVED",
    "WAITING",
    "SimQuestion",
    "cancel",
    "current",
    "look",
    "redirect",
    "start",
]
