"""signHash: each authorised hash once, for the bearer alone, with a record of everything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate
from sqlalchemy import select, update

from remote_signing.errors import (
    AccessRefused,
    ActivationConflict,
    AlgorithmUnsupported,
    CertificateExpired,
    CredentialDisabled,
    DigestLengthInvalid,
    HashNotAuthorised,
    HsmUnavailable,
    SadExpired,
    SadInvalid,
    SamUnavailable,
    SamUnreachable,
    SigningInProgress,
    TooManySignatures,
    Unavailable,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, activation_sign, audit, enrolment
from remote_signing.rssp.activation import Channel, SadIssued
from remote_signing.rssp.models import credential, signature_activation
from tests.support.world import ECDSA_SHA256, PORTAL
from tests.support.world import SHA256 as SHA256_OID

if TYPE_CHECKING:
    from remote_signing.sap import Signed
    from tests.support.world import Field, World

ECDSA = "1.2.840.10045.2.1"


def row_of(world: World, ticket: Ticket) -> Field:
    query = select(signature_activation).where(signature_activation.c.id == ticket.row_id)
    return world.database.one(query)


def events_of(world: World, ticket: Ticket) -> list[Field]:
    return list(audit.events(world.database, activation_id=ticket.row_id))


def change_credential(world: World, **values: Field) -> None:
    statement = update(credential).where(credential.c.id == world.credential_id).values(values)
    world.database.run(statement)


def sad(world: World, *documents: str, **changes: Field) -> Ticket:
    """A SAD as credentials/authorizeCheck gives it."""
    new = world.request(*documents, channel=Channel.DECOUPLED, redirect_uri=None, **changes)
    handle = activation.request_activation(world.services, new).ticket
    world.approve(handle.row_id)
    issued = activation.check_handle(world.services, handle, PORTAL)
    assert isinstance(issued, SadIssued)
    return issued.ticket


def test_the_signatures_verify_and_come_in_the_order_asked(world: World) -> None:
    token = world.token("a", "b", "c")
    use = world.use(token, "c", "a", "b")
    signatures = activation.sign_hash(world.services, use)
    query = select(credential.c.certificate).where(credential.c.id == world.credential_id)
    row = world.database.one(query)
    assert row is not None
    key = load_der_x509_certificate(row.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for value, signature in zip(use.hashes, signatures, strict=True):
        key.verify(signature, value, ec.ECDSA(Prehashed(SHA256())))
    assert row_of(world, token).state == "SIGNED"


def test_the_sad_is_forgotten_once_everything_is_signed(world: World) -> None:
    token = world.token("a", "b")
    world.sign(token, "a")
    assert row_of(world, token).sad is not None
    world.sign(token, "b")
    assert row_of(world, token).sad is None


def test_intent_and_outcome_are_on_record_with_digests_of_everything(world: World) -> None:
    token = world.token("a")
    world.sign(token, "a")
    started, done = events_of(world, token)[-2:]
    assert (started.kind, started.state) == ("signing.started", "SIGNING")
    assert (done.kind, done.state) == ("signing.done", "SIGNED")
    intent, outcome = json.loads(started.detail), json.loads(done.detail)
    assert intent["request"] == outcome["request"]
    assert len(intent["hashes"]) == len(outcome["signatures"]) == 1


def test_an_identical_repeat_gets_the_same_signatures_without_the_key(world: World) -> None:
    token = world.token("a", "b")
    first = world.sign(token, "a", "b")
    assert world.sign(token, "a", "b") == first
    assert world.sam.calls["sign"] == 1
    assert events_of(world, token)[-1].kind == "signing.repeated"


def test_a_repeat_after_the_end_gets_nothing(world: World) -> None:
    token = world.token()
    world.sign(token)
    world.clock.advance(300)
    with pytest.raises(SadExpired):
        world.sign(token)


def test_hashes_may_be_signed_in_parts_each_once(world: World) -> None:
    token = world.token("a", "b", "b")
    world.sign(token, "b")
    world.sign(token, "a", "b", sign_algo=ECDSA_SHA256)
    assert row_of(world, token).used == "111"
    for document in ("a", "b"):
        with pytest.raises(HashNotAuthorised):
            world.sign(token, document, document)


def test_a_repeat_of_a_part_is_found_among_the_others(world: World) -> None:
    token = world.token("a", "b")
    first = world.sign(token, "a")
    world.sign(token, "b")
    assert world.sign(token, "a") == first
    assert world.sam.calls["sign"] == 2


def test_a_hash_that_was_not_authorised_is_refused(world: World) -> None:
    token = world.token("a", "b")
    with pytest.raises(HashNotAuthorised):
        world.sign(token, "a", "x")
    with pytest.raises(HashNotAuthorised):
        world.sign(token, "a", "a")
    assert world.sam.calls["sign"] == 0
    assert row_of(world, token).used == "00"


def test_a_hash_is_authorised_under_its_algorithm_only(world: World) -> None:
    token = world.token("a")
    sha3 = "2.16.840.1.101.3.4.2.8"
    with pytest.raises(HashNotAuthorised):
        world.sign(token, "a", sign_algo=ECDSA, hash_algorithm_oid=sha3)
    assert world.sign(token, "a", sign_algo=ECDSA, hash_algorithm_oid=SHA256_OID)


def test_more_hashes_than_authorised_are_refused(world: World) -> None:
    with pytest.raises(TooManySignatures):
        world.sign(world.token("a"), "a", "a")


def test_no_hash_is_refused(world: World) -> None:
    with pytest.raises(TooManySignatures):
        world.sign(world.token(), hashes=())


def test_a_digest_of_the_wrong_length_never_reaches_the_hsm(world: World) -> None:
    with pytest.raises(DigestLengthInvalid):
        world.sign(world.token(), hashes=(b"x" * 31,))
    assert world.sam.calls["sign"] == 0


def test_an_unknown_algorithm_is_refused(world: World) -> None:
    with pytest.raises(AlgorithmUnsupported):
        world.sign(world.token(), sign_algo="1.2.3")


def test_an_algorithm_of_another_key_type_gives_the_hash_back(world: World) -> None:
    token = world.token()
    with pytest.raises(AlgorithmUnsupported):
        world.sign(token, sign_algo="1.2.840.113549.1.1.11")
    assert row_of(world, token).state == "AUTHORIZED"
    assert world.sign(token)


@pytest.mark.parametrize(
    ("fault", "recorded"),
    [
        (HsmUnavailable("no node"), "signing.returned"),
        (SamUnreachable("nobody listens"), "signing.returned"),
        # The SAM was asked: perhaps the key was used, and the answer lost.
        (SamUnavailable("no answer"), "signing.unknown"),
    ],
)
def test_the_activation_stays_usable_when_no_signature_came(
    world: World, fault: Exception, recorded: str
) -> None:
    token = world.token("a", "b")
    world.sam.faults["sign"] = [fault]
    with pytest.raises(type(fault)):
        world.sign(token, "a", "b")
    row = row_of(world, token)
    assert (row.state, row.used, row.signing_since) == ("AUTHORIZED", "00", None)
    last = events_of(world, token)[-1]
    assert (last.kind, last.state) == (recorded, "AUTHORIZED")
    assert world.sign(token, "a", "b")


def test_pss_parameters_make_another_request(world: World) -> None:
    token = world.token()
    plain = activation_sign.check(world.use(token))
    other = activation_sign.check(
        world.use(token, sign_algo="1.2.840.113549.1.1.10", hash_algorithm_oid=SHA256_OID)
    )
    assert plain.key != other.key


def test_scal1_counts_where_no_hash_was_named(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    new = world.request(
        channel=Channel.INLINE, hashes=(), labels=(), hash_algorithm=None, num_signatures=3
    )
    row = world.database.one(
        select(credential.c.factors).where(credential.c.id == world.credential_id)
    )
    assert row is not None
    data = activation.AuthData(json.loads(row.factors)[0]["id"], world.otp())
    issued = activation.authorize_inline(world.services, new, (data,))
    bearer = world.service_token()
    assert world.sign(issued.ticket, "a", "b", service_token=bearer)
    with pytest.raises(TooManySignatures):
        world.sign(issued.ticket, "c", "d", service_token=bearer)
    assert world.sign(issued.ticket, "c", service_token=bearer)


def test_scal1_may_sign_everything_at_once(world: World) -> None:
    world.new_credential(scal="1")
    ticket = sad(world, hashes=(), labels=(), hash_algorithm=None, num_signatures=2)
    bearer = world.service_token()
    with world.counted() as statements:
        assert world.sign(ticket, "a", "b", service_token=bearer)
    assert len(statements) == 2


# ---------------------------------------------------------------- the bearer


def test_another_secret_is_no_token(world: World) -> None:
    token = world.token()
    with pytest.raises(AccessRefused) as refusal:
        world.sign(Ticket.issue(token.row_id))
    assert refusal.value.public == {"reason": "invalid_token"}


def test_a_token_is_for_its_credential(world: World) -> None:
    token = world.token()
    world.new_credential()
    with pytest.raises(SadInvalid):
        world.sign(token)


def test_a_token_is_for_its_client(world: World) -> None:
    token = world.token()
    with pytest.raises(AccessRefused):
        world.sign(token, client_id="stranger")
    assert world.sign(token, client_id=PORTAL)


def test_a_token_bound_to_a_key_needs_its_proof(world: World) -> None:
    token = world.redeem(world.code(), jkt="key-1").ticket
    for jkt in (None, "key-2"):
        with pytest.raises(AccessRefused):
            world.sign(token, jkt=jkt)
    assert world.sign(token, jkt="key-1")


def test_an_unbound_token_is_refused_with_a_proof(world: World) -> None:
    with pytest.raises(AccessRefused):
        world.sign(world.token(), jkt="key-1")


def test_a_token_bound_to_a_certificate_needs_it(world: World) -> None:
    token = world.redeem(world.code(), x5t="cert-1").ticket
    for x5t in (None, "cert-2"):
        with pytest.raises(AccessRefused):
            world.sign(token, x5t=x5t)
    assert world.sign(token, x5t="cert-1")


def test_a_sad_alone_is_no_bearer(world: World) -> None:
    with pytest.raises(AccessRefused):
        world.sign(sad(world))


def test_a_sad_signs_beside_a_service_token_of_client_and_signer(world: World) -> None:
    assert world.sign(sad(world), service_token=world.service_token())
    world.next_step()
    own_account = world.service_token(subscriber_id=None)
    assert world.sign(sad(world), service_token=own_account)


def test_a_credential_token_may_come_as_sad(world: World) -> None:
    assert world.sign(world.token(), service_token=world.service_token())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "other"}, SadInvalid),
        ({"subscriber_id": new_id(0)}, SadInvalid),
        ({"revoked_at": 1}, AccessRefused),
        ({"expires_at": 1}, AccessRefused),
        ({"jkt": "key-1"}, AccessRefused),
        ({"x5t": "cert-1"}, AccessRefused),
    ],
)
def test_a_sad_needs_a_good_service_token_of_the_same_client_and_signer(
    world: World, changes: dict[str, Field], error: type[Exception]
) -> None:
    if changes.get("client_id"):
        register_other(world)
    ticket = sad(world)
    bearer = world.service_token(**changes)
    with pytest.raises(error):
        world.sign(ticket, service_token=bearer)
    assert world.sign(ticket, service_token=world.service_token())


def register_other(world: World) -> None:
    from remote_signing.rssp import clients  # noqa: PLC0415 - for one test

    new = clients.NewClient(
        client_id="other",
        name="Khác",
        auth_method="client_secret_basic",
        grant_types=("client_credentials",),
    )
    clients.register(world.database, world.clock, new)


# ---------------------------------------------------------------- states


def test_an_expired_token_signs_nothing(world: World) -> None:
    token = world.token()
    world.clock.advance(300)
    with pytest.raises(SadExpired):
        world.sign(token)
    activation.expire(world.services)
    with pytest.raises(SadExpired):
        world.sign(token)


def test_a_disabled_credential_signs_nothing(world: World) -> None:
    token = world.token()
    desk = enrolment.Enrolment(world.services, world.authority)
    desk.set_state(world.credential_id, "disabled")
    with pytest.raises(CredentialDisabled):
        world.sign(token)
    desk.set_state(world.credential_id, "enabled")
    assert world.sign(token)


def test_a_certificate_that_ended_signs_nothing(world: World) -> None:
    token = world.token()
    change_credential(world, not_after=world.clock.now_ms())
    with pytest.raises(CertificateExpired):
        world.sign(token)


def while_signing(world: World, meanwhile: Field) -> None:
    """Run ``meanwhile`` between intent and outcome of the next signature."""

    def act() -> None:
        world.sam.before_answer.clear()
        meanwhile()

    world.sam.before_answer["sign"] = act


def test_two_calls_at_once_do_not_share_an_activation(world: World) -> None:
    token = world.token("a", "b")

    def other() -> None:
        with pytest.raises(SigningInProgress):
            world.sign(token, "b")

    while_signing(world, other)
    assert world.sign(token, "a")
    assert world.sign(token, "b")


def test_an_outcome_that_comes_too_late_does_not_leave(world: World) -> None:
    token = world.token()

    def too_late() -> None:
        world.clock.advance(61)
        assert activation.recover(world.services) == 1

    while_signing(world, too_late)
    with pytest.raises(ActivationConflict):
        world.sign(token)
    assert row_of(world, token).state == "FAILED"
    with pytest.raises(SadInvalid):
        world.sign(token)


def test_whoever_meets_a_dead_signature_explains_it(world: World) -> None:
    token = world.token()

    def other() -> None:
        world.clock.advance(60)
        with pytest.raises(SadInvalid):
            world.sign(token)

    while_signing(world, other)
    with pytest.raises(ActivationConflict):
        world.sign(token)
    kinds = [event.kind for event in events_of(world, token)]
    assert kinds[-2:] == ["signing.unknown", "signing.refused"]


def test_hashes_taken_by_others_meanwhile_are_tried_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.token("a", "b", "c")
    be_late(world, token, ["b"], monkeypatch)
    assert world.sign(token, "a")
    assert row_of(world, token).used == "110"


def test_a_crowd_that_is_always_faster_is_told_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [str(number) for number in range(4)]
    token = world.token("x", *others)
    be_late(world, token, others, monkeypatch)
    with pytest.raises(SigningInProgress):
        world.sign(token, "x")
    assert world.sign(token, "x")


def be_late(
    world: World, token: Ticket, others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time hashes were chosen, another call signs one of ``others`` first."""
    real = activation_sign.take
    left = iter(others)
    nested: list[bool] = []

    def slow(*arguments: Field) -> str:
        after = real(*arguments)
        if not nested and (other := next(left, None)):
            nested.append(True)
            world.sign(token, other)
            nested.clear()
        return after

    monkeypatch.setattr(activation_sign, "take", slow)


# ---------------------------------------------------------------- the database fails


def break_outcome(world: World, times: int, *, after_commit: bool = False) -> None:
    """The statement after the signature loses its connection ``times`` times."""
    real = world.services.database.one
    left = [times]

    def one(statement: Field, parameters: Field = None) -> Field:
        if left[0] == 0:
            return real(statement, parameters)
        left[0] -= 1
        if after_commit:
            real(statement, parameters)
        raise Unavailable("database: connection lost")

    def act() -> None:
        world.services.database.one = one  # type: ignore[method-assign] # fails, then works

    while_signing(world, act)


def test_a_connection_lost_before_the_outcome_is_tried_once_more(world: World) -> None:
    token = world.token()
    break_outcome(world, 1)
    assert world.sign(token)
    assert row_of(world, token).state == "SIGNED"


def test_a_connection_lost_after_the_outcome_was_written_leaves_it_to_a_repeat(
    world: World,
) -> None:
    token = world.token()
    break_outcome(world, 1, after_commit=True)
    with pytest.raises(Unavailable):
        world.sign(token)
    assert world.sign(token)
    assert world.sam.calls["sign"] == 1


def test_a_database_that_stays_away_keeps_the_signature_in(world: World) -> None:
    token = world.token()
    break_outcome(world, 2)
    with pytest.raises(Unavailable):
        world.sign(token)
    assert row_of(world, token).state == "SIGNING"
    world.clock.advance(60)
    assert activation.recover(world.services) == 1


def test_what_the_sam_answered_is_what_leaves(world: World) -> None:
    token = world.token("a")
    seen: list[Signed] = []
    real = world.sam.sign

    def spy(request: Field) -> Signed:
        seen.append(real(request))
        return seen[0]

    world.sam.sign = spy  # type: ignore[method-assign] # listens in
    assert world.sign(token, "a") == seen[0].signatures
