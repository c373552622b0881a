"""The signer consents or refuses: evidence, attempts, lock-out, and whose request it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from remote_signing.errors import (
    ActivationConflict,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    CertificateExpired,
    CredentialDisabled,
    CredentialLocked,
    EvidenceInvalid,
    EvidenceReplayed,
    HsmUnavailable,
    SealBroken,
    SessionInvalid,
    Unavailable,
)
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, audit, enrolment
from remote_signing.rssp.activation import AuthData, Channel, State
from remote_signing.rssp.models import credential, login_session, signature_activation

if TYPE_CHECKING:
    from tests.support.world import Field, World


def failed_attempts(world: World) -> int:
    query = select(credential.c.failed_attempts).where(credential.c.id == world.credential_id)
    row = world.database.one(query)
    assert row is not None
    count: int = row.failed_attempts
    return count


def state_of(world: World, activation_id: str) -> str:
    query = select(signature_activation.c.state).where(signature_activation.c.id == activation_id)
    row = world.database.one(query)
    assert row is not None
    return str(row.state)


def kinds(world: World, activation_id: str) -> list[str]:
    return [row.kind for row in audit.events(world.database, activation_id=activation_id)]


def change_session(world: World, **values: Field) -> None:
    its_id = login_session.c.id == world.session.row_id
    world.database.run(update(login_session).where(its_id).values(values))


def test_consent_gives_a_code_with_state_and_issuer(world: World) -> None:
    approved = world.approve(world.opened())
    assert approved.redirect_to is not None
    members = parse_qs(urlsplit(approved.redirect_to).query)
    assert approved.state is State.AUTHORIZED
    assert members["lang"] == ["vi"]
    assert members["state"] == ["xyz"]
    assert members["iss"] == ["https://rssp.example"]
    assert Ticket.parse(members["code"][0]) is not None


def test_a_redirect_without_query_or_state_gets_a_question_mark(world: World) -> None:
    back = "https://portal.example/back"
    approved = world.approve(world.opened(redirect_uri=back, oauth_state=None))
    assert approved.redirect_to is not None
    assert approved.redirect_to.startswith(f"{back}?code=")
    assert "state=" not in approved.redirect_to


def test_decoupled_consent_redirects_nowhere(world: World) -> None:
    approved = world.approve(world.opened(channel=Channel.DECOUPLED))
    assert approved.redirect_to is None


@pytest.mark.parametrize("wrong", ["pin", "otp"])
def test_wrong_evidence_is_counted_and_does_not_tell_which(world: World, wrong: str) -> None:
    waiting = world.opened()
    pin = "11112222" if wrong == "pin" else world.pin
    otp = "000000" if wrong == "otp" else world.otp()
    with pytest.raises(EvidenceInvalid) as refusal:
        activation.approve(world.services, world.session, waiting, pin, otp)
    assert type(refusal.value) is EvidenceInvalid
    assert refusal.value.public == {"attempts_left": 4}
    assert failed_attempts(world) == 1
    assert state_of(world, waiting) == "PENDING"
    assert kinds(world, waiting)[-2:] == ["consent.tried", "consent.refused"]


def test_a_success_clears_the_count(world: World) -> None:
    waiting = world.opened()
    with pytest.raises(EvidenceInvalid):
        world.approve(waiting, otp="000000")
    assert world.approve(waiting).redirect_to
    assert failed_attempts(world) == 0


def test_the_credential_locks_over_all_its_activations(world: World) -> None:
    first, second, last = world.opened("a"), world.opened("b"), world.opened("c")
    for left, waiting in zip((4, 3, 2, 1, 0), (first, second, first, second, first), strict=True):
        with pytest.raises(EvidenceInvalid) as refusal:
            world.approve(waiting, otp="000000")
        assert refusal.value.public == {"attempts_left": left}
    with pytest.raises(CredentialLocked):
        world.approve(last)
    assert state_of(world, last) == "PENDING"


def test_the_registration_authority_unlocks(world: World) -> None:
    waiting = world.opened()
    for _ in range(5):
        with pytest.raises(EvidenceInvalid):
            world.approve(waiting, otp="000000")
    with pytest.raises(CredentialLocked):
        world.approve(waiting)
    enrolment.Enrolment(world.services, world.authority).unlock(world.credential_id)
    assert world.approve(waiting).redirect_to
    assert world.sam.calls["unlock"] == 1


def test_the_sam_may_lock_earlier(world: World) -> None:
    waiting = world.opened()
    world.sam.faults["activate"] = [CredentialLocked("journal of the SAM")]
    with pytest.raises(CredentialLocked):
        world.approve(waiting)
    assert kinds(world, waiting)[-1] == "consent.refused"


def test_the_smaller_count_of_attempts_is_told(world: World) -> None:
    world.sam.faults["activate"] = [EvidenceInvalid("", attempts_left=2)]
    with pytest.raises(EvidenceInvalid) as refusal:
        world.approve(world.opened())
    assert refusal.value.public == {"attempts_left": 2}


def test_a_code_is_used_once_even_for_another_request(world: World) -> None:
    first, second = world.opened("a"), world.opened("b")
    otp = world.otp()
    world.approve(first, otp)
    with pytest.raises(EvidenceReplayed) as refusal:
        world.approve(second, otp)
    assert refusal.value.public == {"attempts_left": 4}
    assert state_of(world, second) == "PENDING"
    world.next_step()
    assert world.approve(second).redirect_to


@pytest.mark.parametrize("fault", [HsmUnavailable("away"), SealBroken("changed")])
def test_a_fault_of_ours_costs_no_attempt(world: World, fault: Exception) -> None:
    waiting = world.opened()
    world.sam.faults["activate"] = [fault]
    with pytest.raises(type(fault)):
        world.approve(waiting)
    assert failed_attempts(world) == 0
    assert kinds(world, waiting)[-1] == "consent.interrupted"
    assert world.approve(waiting).redirect_to


def test_the_same_code_is_good_again_after_a_fault_of_the_database(world: World) -> None:
    waiting = world.opened()
    otp = world.otp()
    world.sam.before_answer["activate"] = break_database_once(world)
    with pytest.raises(Unavailable):
        world.approve(waiting, otp)
    assert world.approve(waiting, otp).redirect_to


def break_database_once(world: World) -> Field:
    """The next statement finds its connection gone; the one after that does not."""

    def fail(*_arguments: object, **_more: object) -> None:
        del world.services.database.one  # the instance's, set below
        raise Unavailable("database: connection lost")

    def break_it() -> None:
        world.sam.before_answer.clear()
        world.services.database.one = fail  # type: ignore[method-assign] # until it failed

    return break_it


def test_who_answers_first_wins(world: World) -> None:
    waiting = world.opened()
    world.sam.before_answer["activate"] = lambda: deny(world, waiting)
    with pytest.raises(ActivationConflict):
        world.approve(waiting)
    assert state_of(world, waiting) == "DENIED"


def deny(world: World, waiting: str) -> None:
    activation.deny(world.services, world.session, waiting)


def test_an_answered_request_cannot_be_answered_again(world: World) -> None:
    waiting = world.opened()
    world.approve(waiting)
    world.next_step()
    with pytest.raises(ActivationConflict):
        world.approve(waiting)
    with pytest.raises(ActivationConflict):
        activation.deny(world.services, world.session, waiting)


def code_in(approved: activation.Approved) -> Ticket:
    code = (approved.redirect_to or "").partition("code=")[2].partition("&")[0]
    ticket = Ticket.parse(code)
    assert ticket is not None
    return ticket


def test_a_consent_whose_answer_was_lost_is_resumed_without_a_second_code(world: World) -> None:
    waiting = world.opened()
    lost = code_in(world.approve(waiting))
    found = code_in(activation.resume(world.services, world.session, waiting))
    with pytest.raises(ActivationUnknown):
        world.redeem(lost)
    assert world.redeem(found).expires_in
    with pytest.raises(ActivationConflict):
        activation.resume(world.services, world.session, waiting)


def test_only_a_given_consent_is_resumed_and_only_by_its_signer(world: World) -> None:
    waiting = world.opened()
    with pytest.raises(ActivationConflict):
        activation.resume(world.services, world.session, waiting)
    world.approve(waiting)
    world.new_signer("binh.tran")
    with pytest.raises(ActivationUnknown):
        activation.resume(world.services, world.session, waiting)


def test_a_refusal_goes_back_to_the_client(world: World) -> None:
    waiting = world.opened()
    denied = activation.deny(world.services, world.session, waiting)
    assert denied.redirect_to is not None
    members = parse_qs(urlsplit(denied.redirect_to).query)
    assert members["error"] == ["access_denied"]
    assert members["iss"] == ["https://rssp.example"]
    with pytest.raises(ActivationDenied):
        world.approve(waiting)


def test_a_decoupled_refusal_redirects_nowhere(world: World) -> None:
    waiting = world.opened(channel=Channel.DECOUPLED)
    assert activation.deny(world.services, world.session, waiting).redirect_to is None


def test_consent_after_the_time_is_refused(world: World) -> None:
    waiting = world.opened()
    world.clock.advance(300)
    with pytest.raises(ActivationExpired):
        world.approve(waiting)
    assert activation.expire(world.services) == 1
    with pytest.raises(ActivationExpired):
        world.approve(waiting)


def test_somebody_elses_request_is_unknown(world: World) -> None:
    waiting = world.opened()
    owner = world.subscriber_id
    world.new_signer("binh.tran")
    with pytest.raises(ActivationUnknown):
        world.approve(waiting)
    with pytest.raises(ActivationUnknown):
        activation.details(world.services, waiting, world.subscriber_id)
    assert activation.details(world.services, waiting, owner).activation_id == waiting


def test_a_request_that_does_not_exist_is_unknown(world: World) -> None:
    with pytest.raises(ActivationUnknown):
        world.approve("0" * 26)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world: change_session(world, revoked_at=world.clock.now_ms()),
        lambda world: change_session(world, expires_at=world.clock.now_ms()),
        lambda world: change_session(world, last_used_at=world.clock.now_ms() - 30 * 60_000),
        lambda world: setattr(world, "session", Ticket.issue(world.session.row_id)),
        lambda world: setattr(world, "session", Ticket.issue("0" * 26)),
    ],
    ids=["revoked", "over", "idle", "other secret", "unknown"],
)
def test_consent_needs_a_living_session(world: World, spoil: Field) -> None:
    waiting = world.opened()
    spoil(world)
    with pytest.raises(SessionInvalid):
        world.approve(waiting)
    assert failed_attempts(world) == 0


def test_a_credential_disabled_meanwhile_is_refused(world: World) -> None:
    waiting = world.opened()
    enrolment.Enrolment(world.services, world.authority).set_state(world.credential_id, "disabled")
    with pytest.raises(CredentialDisabled):
        world.approve(waiting)


def test_a_certificate_that_ended_meanwhile_is_refused(world: World) -> None:
    waiting = world.opened()
    ended = {"not_after": world.clock.now_ms()}
    its_id = credential.c.id == world.credential_id
    world.database.run(update(credential).where(its_id).values(ended))
    with pytest.raises(CertificateExpired):
        world.approve(waiting)


def test_a_portal_sends_the_code_along_at_scal1(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    factor_id = factor_of(world)
    new = world.request(channel=Channel.INLINE)
    issued = activation.authorize_inline(world.services, new, (AuthData(factor_id, world.otp()),))
    assert issued.expires_in == 300
    assert state_of(world, issued.ticket.row_id) == "AUTHORIZED"


def test_a_wrong_code_along_is_counted(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    new = world.request(channel=Channel.INLINE)
    wrong = (AuthData(factor_of(world), "000000"),)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(EvidenceInvalid) as refusal:
            activation.authorize_inline(world.services, new, wrong)
        assert refusal.value.public == {"attempts_left": left}
    with pytest.raises(CredentialLocked):
        activation.authorize_inline(world.services, new, wrong)


def test_a_code_for_an_unknown_factor_is_refused(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    new = world.request(channel=Channel.INLINE)
    with pytest.raises(EvidenceInvalid):
        activation.authorize_inline(world.services, new, (AuthData("x", world.otp()),))


def test_an_inline_request_is_not_answered_on_the_page(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    new = world.request(channel=Channel.INLINE)
    with pytest.raises(EvidenceInvalid):
        activation.authorize_inline(world.services, new, (AuthData("x", "000000"),))
    row = world.database.one(
        select(signature_activation.c.id).order_by(signature_activation.c.id.desc())
    )
    assert row is not None
    with pytest.raises(ActivationConflict):
        world.approve(row.id)


def factor_of(world: World) -> str:
    query = select(credential.c.factors).where(credential.c.id == world.credential_id)
    row = world.database.one(query)
    assert row is not None
    return str(row.factors).split('"id": "')[1][:26]
