"""A certificate is revoked, suspended, resumed: what the rows, the CRL and credentials/info say."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from remote_signing.errors import (
    ActivationConflict,
    CredentialDisabled,
    CredentialUnknown,
    InvalidInput,
    SamUnavailable,
    Unavailable,
)
from remote_signing.rssp import audit, credentials, issued_certificates
from remote_signing.rssp.certificate_status import Status
from remote_signing.rssp.csc.v2.presentation import credential_info
from remote_signing.rssp.csc.v2.schemas import Shown
from remote_signing.rssp.enrolment import Enrolment, NewCredential
from remote_signing.rssp.models import credential, issued_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.world import Field, World


def desk(world: World) -> Enrolment:
    return Enrolment(world.services, world.authority)


def row(world: World) -> Field:
    found = world.database.one(
        select(issued_certificate).where(issued_certificate.c.credential_id == world.credential_id)
    )
    assert found is not None
    return found


def told(world: World) -> dict[str, object]:
    """``cert`` of ``credentials/info``."""
    view = credentials.visible(
        world.database, world.credential_id, subscriber_id=world.subscriber_id
    )
    assert view is not None
    cert = credential_info(world.services, view, Shown("none"))["cert"]
    assert isinstance(cert, dict)
    return cert


def state(world: World) -> str:
    found = world.database.one(select(credential).where(credential.c.id == world.credential_id))
    assert found is not None
    return str(found.state)


def serials(crl: bytes) -> set[int]:
    return {entry.serial_number for entry in x509.load_der_x509_crl(crl)}


def number(crl: bytes) -> int:
    parsed = x509.load_der_x509_crl(crl)
    return parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_certificate_is_listed_when_it_is_issued(world: World) -> None:
    issued = world.new_credential()
    found = row(world)
    assert (found.state, bytes(found.certificate)) == ("good", issued.certificate)
    assert told(world)["status"] == "valid"


def test_what_is_revoked_signs_nothing_and_says_so(world: World) -> None:
    asked = world.opened()
    desk(world).revoke(world.credential_id, "keyCompromise")
    assert (state(world), row(world).state, row(world).reason) == (
        *("revoked", "revoked", "keyCompromise"),
    )
    assert told(world)["status"] == "revoked"
    assert world.credential_id in world.sam.revoked
    with pytest.raises(CredentialDisabled):
        world.approve(asked)
    with pytest.raises(CredentialDisabled):
        world.opened()
    event = list(audit.events(world.database))[-1]
    assert (event.kind, event.credential_id) == ("credential.revoked", world.credential_id)
    assert '"reason":"keyCompromise"' in event.detail


def test_a_suspended_certificate_signs_again_when_it_is_resumed(world: World) -> None:
    desk(world).suspend(world.credential_id)
    assert (state(world), row(world).reason) == ("suspended", "certificateHold")
    assert told(world)["status"] == "suspended"
    with pytest.raises(CredentialDisabled):
        world.opened()
    desk(world).resume(world.credential_id)
    assert (state(world), row(world).state, row(world).reason) == ("enabled", "good", None)
    assert told(world)["status"] == "valid"
    assert world.sign(world.token())


def test_what_is_revoked_stays_revoked(world: World) -> None:
    desk(world).suspend(world.credential_id)
    desk(world).revoke(world.credential_id, "superseded")
    with pytest.raises(ActivationConflict):
        desk(world).revoke(world.credential_id, "superseded")
    with pytest.raises(ActivationConflict):
        desk(world).suspend(world.credential_id)
    with pytest.raises(ActivationConflict):
        desk(world).resume(world.credential_id)
    with pytest.raises(InvalidInput):
        desk(world).set_state(world.credential_id, "enabled")
    assert (state(world), row(world).state) == ("revoked", "revoked")


def test_the_database_itself_keeps_what_is_revoked(world: World) -> None:
    desk(world).revoke(world.credential_id, "superseded")
    for statement in (
        update(issued_certificate).values(state="good"),
        text("DELETE FROM issued_certificate"),
    ):
        with pytest.raises(DBAPIError, match="certificate"):
            world.database.run(statement)


def test_a_suspension_is_not_lifted_by_switching_the_credential_on(world: World) -> None:
    desk(world).suspend(world.credential_id)
    with pytest.raises(InvalidInput):
        desk(world).set_state(world.credential_id, "enabled")


@pytest.mark.parametrize("reason", ["certificateHold", "cACompromise", "", "whim"])
def test_a_reason_that_does_not_fit_is_refused(world: World, reason: str) -> None:
    with pytest.raises(InvalidInput):
        desk(world).revoke(world.credential_id, reason)
    assert row(world).state == "good"


def test_another_authority_revokes_its_certificates_itself(world: World) -> None:
    certificate = bytes(row(world).certificate)
    world.credential_id = desk(world).create(NewCredential(world.subscriber_id)).credential_id
    desk(world).install_certificate(world.credential_id, certificate, ())
    for refused in (desk(world).suspend, desk(world).resume):
        with pytest.raises(CredentialUnknown):
            refused(world.credential_id)
    with pytest.raises(CredentialUnknown):
        desk(world).revoke(world.credential_id, "superseded")
    with pytest.raises(CredentialUnknown):
        desk(world).revoke("0" * 26, "superseded")
    assert "status" not in told(world)


def test_the_certificate_of_a_destroyed_credential_can_be_revoked(world: World) -> None:
    desk(world).destroy(world.credential_id)
    desk(world).revoke(world.credential_id, "cessationOfOperation")
    assert (state(world), row(world).state) == ("destroyed", "revoked")


def test_a_revoked_credential_can_be_destroyed(world: World) -> None:
    desk(world).revoke(world.credential_id, "keyCompromise")
    desk(world).destroy(world.credential_id)
    assert state(world) == "destroyed"


def test_a_revocation_whose_row_was_lost_is_made_up_for(world: World) -> None:
    def lose() -> None:
        world.sam.before_answer.clear()
        raise SamUnavailable("the answer was lost")

    world.sam.before_answer["revoke"] = lose
    with pytest.raises(SamUnavailable):
        desk(world).revoke(world.credential_id, "keyCompromise")
    assert row(world).state == "good"
    desk(world).revoke(world.credential_id, "keyCompromise")
    assert row(world).state == "revoked"


def test_an_expired_certificate_is_told_as_expired_unless_it_was_revoked(world: World) -> None:
    world.clock.advance(6 * 366 * 86_400)
    assert told(world)["status"] == "expired"
    desk(world).revoke(world.credential_id, "unspecified")
    assert told(world)["status"] == "revoked"


# --------------------------------------------------------------------------- the CRL


def test_the_crl_is_kept_until_something_changes(world: World) -> None:
    status = Status(world.services)
    first = status.crl()
    assert status.crl() == first
    assert Status(world.services).crl() == first
    assert world.sam.calls["sign_crl"] == 1
    desk(world).suspend(world.credential_id)
    second = status.crl()
    assert serials(second) == {int(row(world).serial, 16)}
    assert number(second) > number(first)
    desk(world).resume(world.credential_id)
    assert serials(status.crl()) == set()


def test_the_crl_is_renewed_in_the_middle_of_its_time(world: World) -> None:
    status = Status(world.services)
    first = status.crl()
    world.clock.advance(12 * 3600 - 60)
    assert status.crl() == first
    world.clock.advance(120)
    assert status.crl() != first


def test_what_ended_a_month_ago_is_not_named_any_more(world: World) -> None:
    desk(world).revoke(world.credential_id, "superseded")
    status = Status(world.services)
    end = row(world).not_after
    world.clock.advance((end - world.clock.now_ms()) / 1000 + 29 * 86_400)
    assert serials(status.crl())
    world.clock.advance(2 * 86_400)
    assert not serials(status.crl())


def test_a_crl_made_before_a_revocation_is_not_stored_after_it(world: World) -> None:
    def revoke_meanwhile() -> None:
        world.sam.before_answer.clear()
        desk(world).revoke(world.credential_id, "keyCompromise")

    world.sam.before_answer["sign_crl"] = revoke_meanwhile
    assert serials(Status(world.services).crl()) == {int(row(world).serial, 16)}
    assert world.sam.calls["sign_crl"] == 2


def test_a_crl_with_a_lower_number_is_not_stored(world: World) -> None:
    assert issued_certificates.publish(world.database, b"new", 10, 1, 0)
    assert not issued_certificates.publish(world.database, b"old", 10, 1, 0)
    assert not issued_certificates.publish(world.database, b"other", 11, 2, 0)
    found = issued_certificates.current(world.database)
    assert found is not None
    assert (bytes(found.crl), found.number) == (b"new", 10)


def turn(world: World, turns: Iterator[Callable[[str], str]]) -> None:
    next(turns)(world.credential_id)


def test_without_an_end_of_changes_there_is_no_crl(world: World) -> None:
    turns = iter([desk(world).suspend, desk(world).resume] * 3)
    world.sam.before_answer["sign_crl"] = lambda: turn(world, turns)
    with pytest.raises(Unavailable):
        Status(world.services).crl()
    assert world.sam.calls["sign_crl"] == 5


def test_an_older_crl_that_still_holds_is_better_than_none(world: World) -> None:
    status = Status(world.services)
    first = status.crl()
    turns = iter([desk(world).suspend, desk(world).resume] * 4)
    next(turns)(world.credential_id)
    world.sam.before_answer["sign_crl"] = lambda: turn(world, turns)
    assert status.crl() == first


def test_numbers_rise_and_nothing_is_lost_while_many_ask_and_one_revokes(world: World) -> None:
    revoked: set[int] = set()
    ids = [world.new_credential().credential_id for _ in range(6)]
    seen: list[bytes] = []

    def ask(_turn: int) -> None:
        seen.append(Status(world.services).crl())  # a Status each, as in as many processes

    def revoke(its_id: str) -> None:
        desk(world).revoke(its_id, "superseded")

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask, turn) for turn in range(16)]
        waiting += [pool.submit(revoke, its_id) for its_id in ids]
        waiting += [pool.submit(ask, turn) for turn in range(16)]
        for each in waiting:
            each.result()
    found = world.database.all(
        select(issued_certificate.c.serial).where(issued_certificate.c.state == "revoked")
    )
    revoked = {int(each.serial, 16) for each in found}
    assert len(revoked) == 6
    assert serials(Status(world.services).crl()) == revoked
    by_number = {number(crl): serials(crl) for crl in seen}
    grown = [by_number[each] for each in sorted(by_number)]
    assert all(before <= after for before, after in itertools.pairwise(grown))


def test_without_its_row_there_is_no_crl(world: World) -> None:
    world.database.run(text("DELETE FROM certificate_list"))
    with pytest.raises(Unavailable):
        Status(world.services).crl()
