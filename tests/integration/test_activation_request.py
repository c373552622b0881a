"""A client asks for signatures: what is accepted, and what each refusal says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from remote_signing.errors import (
    AccessRefused,
    ActivationExpired,
    ActivationUnknown,
    CertificateExpired,
    CredentialDisabled,
    CredentialLocked,
    CredentialUnknown,
    DigestLengthInvalid,
    HsmUnavailable,
    InvalidInput,
    RemoteSigningError,
    ReplayDetected,
    TooManySignatures,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, enrolment, subscribers
from remote_signing.rssp.activation import AuthData, Channel
from remote_signing.rssp.models import credential, signature_activation
from tests.support.world import PORTAL, digest

if TYPE_CHECKING:
    from tests.support.world import Field, World


def ask(world: World, *documents: str, **changes: Field) -> activation.Requested:
    return activation.request_activation(world.services, world.request(*documents, **changes))


def row_of(world: World, activation_id: str) -> Field:
    query = select(signature_activation).where(signature_activation.c.id == activation_id)
    return world.database.one(query)


def change_credential(world: World, **values: Field) -> None:
    statement = update(credential).where(credential.c.id == world.credential_id).values(values)
    world.database.run(statement)


def test_a_request_waits_for_the_signer(world: World) -> None:
    asked = ask(world, "a.pdf", "b.pdf")
    row = row_of(world, asked.activation_id)
    assert (row.state, row.num_signatures, row.used) == ("PENDING", 2, "00")
    assert row.verification_code == asked.verification_code
    assert asked.expires_at_ms == world.clock.now_ms() + 90_000
    assert row.expires_at == world.clock.now_ms() + 300_000


def test_the_secret_of_a_request_is_not_in_the_database(world: World) -> None:
    asked = ask(world)
    row = row_of(world, asked.activation_id)
    assert row.request_secret == asked.ticket.secret_hash
    assert asked.ticket.secret not in str(tuple(row))


def test_a_decoupled_request_gets_a_handle_that_lives_as_long_as_the_activation(
    world: World,
) -> None:
    asked = ask(world, channel=Channel.DECOUPLED)
    row = row_of(world, asked.activation_id)
    assert row.handle_secret == asked.ticket.secret_hash
    assert row.request_secret is None
    assert asked.expires_at_ms == row.expires_at


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"credential_id": "no-id"}, CredentialUnknown),
        ({"credential_id": new_id(0)}, CredentialUnknown),
        ({"num_signatures": 0, "hashes": (), "labels": ()}, TooManySignatures),
        ({"num_signatures": 2}, InvalidInput),
        ({"labels": ("a", "b")}, InvalidInput),
        ({"hashes": (b"short",)}, DigestLengthInvalid),
        ({"hashes": (), "labels": ()}, InvalidInput),
        ({"description": "x" * 2001}, InvalidInput),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    world: World, changes: dict[str, Field], error: type[RemoteSigningError]
) -> None:
    with pytest.raises(error):
        ask(world, **changes)


def test_more_signatures_than_multisign_are_refused(world: World) -> None:
    world.new_credential(multisign=1)
    with pytest.raises(TooManySignatures):
        ask(world, "a", "b")


def test_more_signatures_than_the_installation_allows_are_refused(world: World) -> None:
    with pytest.raises(TooManySignatures):
        ask(world, *(str(number) for number in range(101)))


def test_a_disabled_credential_is_refused(world: World) -> None:
    change_credential(world, state="disabled")
    with pytest.raises(CredentialDisabled):
        ask(world)


def test_a_suspended_subscriber_is_refused(world: World) -> None:
    assert subscribers.set_state(world.database, world.clock, world.subscriber_id, "suspended")
    with pytest.raises(CredentialDisabled):
        ask(world)


def test_a_destroyed_credential_is_unknown(world: World) -> None:
    enrolment.Enrolment(world.services, world.authority).destroy(world.credential_id)
    with pytest.raises(CredentialUnknown):
        ask(world)


def test_a_locked_credential_is_refused(world: World) -> None:
    change_credential(world, failed_attempts=5)
    with pytest.raises(CredentialLocked):
        ask(world)


def test_an_expired_certificate_is_refused(world: World) -> None:
    world.clock.advance(6 * 365 * 86_400)
    with pytest.raises(CertificateExpired):
        ask(world)


def test_a_caller_names_only_credentials_of_its_signer(world: World) -> None:
    assert ask(world, subscriber_id=world.subscriber_id).activation_id
    with pytest.raises(CredentialUnknown):
        ask(world, subscriber_id=new_id(0))


def test_a_caller_names_only_credentials_of_its_agencies(world: World) -> None:
    assert ask(world, agencies=(world.agency_id,)).activation_id
    assert ask(world, agencies=("*",)).activation_id
    with pytest.raises(CredentialUnknown):
        ask(world, agencies=(new_id(0),))
    with pytest.raises(CredentialUnknown):
        ask(world, agencies=())


def test_nothing_is_left_when_the_hsm_is_away(world: World) -> None:
    world.sam.faults["challenge"] = [HsmUnavailable("away")]
    with pytest.raises(HsmUnavailable):
        ask(world)
    assert world.database.all(select(signature_activation.c.id)) == []


def test_hundred_long_labels_are_bound_by_a_digest(world: World) -> None:
    labels = [f"{number} " + "x" * 200 for number in range(100)]
    assert ask(world, *labels).verification_code


def test_a_client_unknown_to_the_directory_is_shown_by_its_id(world: World) -> None:
    text = activation_request_text(world, "nobody")
    assert text.startswith("nobody\n")


def activation_request_text(world: World, client_id: str) -> str:
    # The function behind: a client without a row cannot have an activation at all.
    from remote_signing.rssp.activation_words import display_text  # noqa: PLC0415 - see above

    return display_text(world.services, world.request(client_id=client_id))


def test_a_request_uri_opens_once(world: World) -> None:
    asked = ask(world)
    assert activation.open_request(world.services, PORTAL, asked.ticket) == asked.activation_id
    with pytest.raises(ReplayDetected):
        activation.open_request(world.services, PORTAL, asked.ticket)


def test_a_request_uri_of_another_client_is_unknown(world: World) -> None:
    asked = ask(world)
    with pytest.raises(ActivationUnknown):
        activation.open_request(world.services, "stranger", asked.ticket)


def test_a_request_uri_with_another_secret_is_unknown(world: World) -> None:
    asked = ask(world)
    forged = Ticket.issue(asked.activation_id)
    with pytest.raises(ActivationUnknown):
        activation.open_request(world.services, PORTAL, forged)


def test_a_request_uri_is_over_after_its_time(world: World) -> None:
    asked = ask(world)
    world.clock.advance(90)
    with pytest.raises(ActivationExpired):
        activation.open_request(world.services, PORTAL, asked.ticket)


def test_scal1_accepts_a_request_without_hashes(world: World) -> None:
    world.new_credential(scal="1", factors=("totp",))
    asked = ask(world, hashes=(), labels=(), hash_algorithm=None, num_signatures=3)
    assert row_of(world, asked.activation_id).hashes_key == b""


def test_scal2_accepts_no_code_from_a_portal(world: World) -> None:
    new = world.request(channel=Channel.INLINE)
    with pytest.raises(AccessRefused):
        activation.authorize_inline(world.services, new, (AuthData("x", "123456"),))


def test_a_digest_counts_under_its_algorithm_only(world: World) -> None:
    first = ask(world)
    other = ask(world, hash_algorithm="sha3-256", hashes=(digest("quyết định.pdf"),))
    keys = {row_of(world, asked.activation_id).hashes_key for asked in (first, other)}
    assert len(keys) == 2
