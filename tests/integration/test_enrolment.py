"""Credentials are made and changed by orders, stored with their events, and seen by their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from sqlalchemy import select

from remote_signing.errors import (
    ActivationConflict,
    AlgorithmUnsupported,
    CredentialUnknown,
    EvidenceInvalid,
    FactorRevoked,
    HsmUnavailable,
    InvalidInput,
    RecordRevoked,
)
from remote_signing.identifiers import new_id
from remote_signing.rssp import activation, audit, credentials
from remote_signing.rssp.enrolment import Enrolment, NewCredential
from remote_signing.rssp.models import credential

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sam import RunningSam
    from tests.support.world import Field, World


def desk(world: World) -> Enrolment:
    return Enrolment(world.services, world.authority)


def seen(world: World) -> credentials.CredentialView:
    view = credentials.visible(
        world.database, world.credential_id, subscriber_id=world.subscriber_id
    )
    assert view is not None
    return view


def last_event(world: World) -> Field:
    return list(audit.events(world.database))[-1]


def test_a_credential_is_made_certified_and_enabled(world: World) -> None:
    issued = world.new_credential(description="Ký văn bản đi", multisign=7)
    view = seen(world)
    assert (view.state, view.scal, view.multisign, view.auth_mode) == (
        "enabled",
        "2",
        7,
        "oauth2code",
    )
    assert view.certificate == issued.certificate
    assert [kind for _, kind in view.factors] == ["pin", "totp"]
    assert view.chain == (b"issuing", b"root")
    assert view.usable_at(world.clock.now_ms())
    assert not view.locked
    assert x509.load_der_x509_csr(issued.csr).is_signature_valid
    serial = x509.load_der_x509_certificate(issued.certificate).serial_number
    assert view.certificate_serial == f"{serial:X}"


def test_the_initial_secrets_are_told_and_kept_nowhere(world: World) -> None:
    issued = world.new_credential()
    secrets = [*issued.secrets.pins.values(), *issued.secrets.totp.values()]
    assert len(secrets) == 2
    row = world.database.one(select(credential).where(credential.c.id == world.credential_id))
    records = [audit.leaf(event) for event in audit.events(world.database)]
    for secret in secrets:
        assert secret not in repr(issued)
        assert secret not in str([value for value in row or () if not isinstance(value, bytes)])
        assert not any(secret.encode() in record for record in records)


def test_an_order_for_nobody_is_refused(world: World) -> None:
    with pytest.raises(CredentialUnknown):
        desk(world).issue(NewCredential(subscriber_id=new_id(0)))
    with pytest.raises(AlgorithmUnsupported):
        desk(world).issue(NewCredential(subscriber_id=world.subscriber_id, algorithm="rsa512"))
    assert world.sam.calls["create_credential"] == 0


def test_a_credential_whose_certification_failed_stays_disabled(world: World) -> None:
    world.sam.faults["certify"] = [HsmUnavailable("away")]
    with pytest.raises(HsmUnavailable):
        world.new_credential()
    states = [view.state for view in credentials.of_subscriber(world.database, world.subscriber_id)]
    assert states == ["enabled", "disabled"]
    unfinished = credentials.of_subscriber(world.database, world.subscriber_id)[1]
    assert not unfinished.usable_at(world.clock.now_ms())
    with pytest.raises(InvalidInput):
        desk(world).set_state(unfinished.id, "enabled")


def test_a_certificate_of_another_authority_enables(world: World) -> None:
    certificate = seen(world).certificate or b""
    world.sam.faults["certify"] = [HsmUnavailable("away")]
    with pytest.raises(HsmUnavailable):
        world.new_credential()
    world.credential_id = credentials.of_subscriber(world.database, world.subscriber_id)[1].id
    desk(world).install_certificate(world.credential_id, certificate, (b"issuer",))
    assert (seen(world).state, seen(world).chain) == ("enabled", (b"issuer",))


def test_a_factor_is_added_and_dropped_for_ever(world: World) -> None:
    secrets = desk(world).add_factors(world.credential_id, ("totp",))
    assert [kind for _, kind in seen(world).factors] == ["pin", "totp", "totp"]
    assert len(secrets.totp) == 1
    old = seen(world).factors[1][0]
    desk(world).drop_factor(world.credential_id, old)
    assert old not in dict(seen(world).factors)
    assert json.loads(last_event(world).detail) == {"factor_id": old}
    world.totp_secret = next(iter(secrets.totp.values()))
    assert world.approve(world.opened()).redirect_to, "the new phone consents"


def test_a_destroyed_credential_is_gone_for_everybody(world: World) -> None:
    token = world.token()
    desk(world).destroy(world.credential_id)
    assert credentials.of_subscriber(world.database, world.subscriber_id) == []
    with pytest.raises(CredentialUnknown):
        desk(world).destroy(world.credential_id)
    with pytest.raises(Exception, match="destroyed"):
        world.sign(token)
    row = world.database.one(select(credential.c.sealed))
    assert (row or ()) == (b"",)


def test_a_destruction_that_was_cut_off_is_on_record_and_is_completed(
    real: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.new_credential()
    with monkeypatch.context() as patch:
        patch.setattr(Enrolment, "_store", cut_off)
        with pytest.raises(KeyboardInterrupt):
            desk(real).destroy(real.credential_id)
    ordered = last_event(real)
    assert (ordered.kind, ordered.detail) == ("credential.ordered", '{"verb":"destroy"}')
    desk(real).destroy(real.credential_id)
    assert last_event(real).kind == "credential.destroyed"
    with pytest.raises(CredentialUnknown):
        desk(real).destroy(real.credential_id)


def cut_off(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_suspension_leaves_the_key_alone(world: World) -> None:
    desk(world).set_state(world.credential_id, "disabled")
    assert not seen(world).usable_at(world.clock.now_ms())
    desk(world).set_state(world.credential_id, "enabled")
    assert seen(world).usable_at(world.clock.now_ms())
    with pytest.raises(InvalidInput):
        desk(world).set_state(world.credential_id, "sleeping")


def test_two_changes_at_once_do_not_overwrite_each_other(world: World) -> None:
    real = world.sam.bind_factor

    def slow(sealed: bytes, *, order: Field) -> Field:
        world.sam.bind_factor = real  # type: ignore[method-assign] # the other is fast
        desk(world).add_factors(world.credential_id, ("totp",))
        return real(sealed, order=order)

    world.sam.bind_factor = slow  # type: ignore[method-assign] # lets the other in between
    before = len(seen(world).factors)
    with pytest.raises(ActivationConflict):
        desk(world).add_factors(world.credential_id, ("totp",))
    assert len(seen(world).factors) == before + 1


def test_a_credential_is_seen_by_its_signer_and_its_agencies_clients_only(world: World) -> None:
    def sees(**limits: Field) -> bool:
        return credentials.visible(world.database, world.credential_id, **limits) is not None

    assert sees(subscriber_id=world.subscriber_id)
    assert sees(agencies=(world.agency_id,))
    assert sees(agencies=("*",))
    assert sees(subscriber_id=world.subscriber_id, agencies=(world.agency_id,))
    assert not sees()
    assert not sees(subscriber_id=new_id(0))
    assert not sees(agencies=())
    assert not sees(subscriber_id=world.subscriber_id, agencies=(new_id(0),))


def test_a_list_is_limited_to_the_clients_agencies(world: World) -> None:
    def count(**limits: Field) -> int:
        return len(credentials.of_subscriber(world.database, world.subscriber_id, **limits))

    assert (count(), count(agencies=("*",)), count(agencies=(world.agency_id,))) == (1, 1, 1)
    assert count(agencies=(new_id(0),)) == 0


# ------------------------------------------------------- with the real SAM and its HSM


@pytest.fixture
def real(world: World, sam_factory: Callable[..., RunningSam]) -> World:
    """The world with a SAM of its own, which pins this registration authority."""
    sam = sam_factory(workers=1, pinned={world.authority.key_id: world.authority.public_key})
    world.join(sam.client())
    return world


def test_a_signature_from_order_to_verification_with_the_real_sam(real: World) -> None:
    issued = real.new_credential(algorithm="p256")
    token = real.token("quyết định.pdf")
    use = real.use(token)
    (signature,) = activation.sign_hash(real.services, use)
    real.verify(issued.certificate, use.hashes[0], signature)
    assert activation.sign_hash(real.services, use) == (signature,)


def test_older_records_put_back_into_the_database_revive_nothing(real: World) -> None:
    real.new_credential()
    desk(real).add_factors(real.credential_id, ("totp",))
    older = real.database.one(select(credential).where(credential.c.id == real.credential_id))
    assert older is not None
    lost = json.loads(older.factors)[1]["id"]
    desk(real).drop_factor(real.credential_id, lost)
    put_back(real, older)
    with pytest.raises(EvidenceInvalid) as refusal:
        real.approve(real.opened())
    assert isinstance(refusal.value.__cause__, FactorRevoked)
    desk(real).destroy(real.credential_id)
    put_back(real, older)
    with pytest.raises(RecordRevoked):
        real.approve(real.opened())


def put_back(world: World, older: Field) -> None:
    values = {name: getattr(older, name) for name in ("sealed", "sealed_version", "factors")}
    its_id = credential.c.id == world.credential_id
    world.database.run(credential.update().where(its_id).values(values | {"state": "enabled"}))
