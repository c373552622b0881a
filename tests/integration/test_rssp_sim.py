"""Consent by SIM through the rssp on both databases: a real SAM, real octets to the card."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remote_signing.clock import FixedClock
from remote_signing.errors import (
    ActivationConflict,
    ActivationUnknown,
    SamUnreachable,
    SimAdapterAway,
    SimBusy,
    SimRequestRefused,
    SimSuspended,
    SimUnknown,
)
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, activation_sim, audit, passkey_orders
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.rssp.sim import cards, consent, tending
from remote_signing.rssp.sim_client import Outcome, SimAdapter, Told
from remote_signing.sap import SapClient, UnixAddress
from tests.support.sim_chain import running_adapter, running_operator, unused_address
from tests.support.sim_world import PKCS1, SIM_SAM, SimWorld, number, sim_world
from tests.support.world import VERIFIER, World, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Databases
    from tests.support.sam import RunningSam
    from tests.support.sim_chain import Operator

CHECKER = Path(__file__).parents[2] / "docs" / "verify-sim-consent" / "verify.py"


@pytest.fixture(scope="module")
def authority() -> RegistrationAuthority:
    return RegistrationAuthority(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def sam(sam_factory: Callable[..., RunningSam], authority: RegistrationAuthority) -> RunningSam:
    pinned = {authority.key_id: authority.public_key}
    return sam_factory(pinned=pinned, sim=SIM_SAM)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, str]]:
    with running_operator(tmp_path_factory.mktemp("operator")) as found:
        yield found


@pytest.fixture(scope="module")
def adapter(
    operator: tuple[Operator, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with running_adapter(tmp_path_factory.mktemp("adapter"), operator[1], format=PKCS1) as rssp:
        yield str(rssp.http.base_url).rstrip("/")


@pytest.fixture
def place(
    databases: Databases,
    sam: RunningSam,
    authority: RegistrationAuthority,
    adapter: str,
    tmp_path: Path,
) -> Iterator[SimWorld]:
    with (
        new_world(databases) as world,
        sim_world(world, sam, authority, tmp_path, adapter) as found,
    ):
        yield found


def kinds(world: World, activation_id: str) -> list[str]:
    return [row.kind for row in audit.events(world.database, activation_id=activation_id)]


def state_of(place: SimWorld, activation_id: str) -> str:
    found = activation.details(place.services, activation_id, place.world.subscriber_id)
    return found.state.value


def test_a_key_is_made_for_the_mode_that_its_sim_will_be_asked_in(place: SimWorld) -> None:
    config = place.services.config
    assert config.sim is not None
    digests = replace(config, sim=replace(config.sim, mode="digest"))
    place.world.services = replace(place.services, config=digests)
    place.enrol(number())
    question = place.start(place.world.opened())
    assert place.ended(question.transaction_id).state == "APPROVED"


def test_a_sims_consent_becomes_one_signature_and_evidence_that_anybody_can_check(
    place: SimWorld,
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    assert question.state == "WAITING"
    assert question.display_text == "Cổng dịch vụ công: ký quyết định.pdf"
    assert place.ended(question.transaction_id).state == "APPROVED"
    assert state_of(place, asked) == "AUTHORIZED"
    # However often it is looked at again: nothing more happens.
    for _ in range(3):
        assert consent.look(place.services, question.transaction_id).state == "APPROVED"
    assert kinds(place.world, asked).count("consent.given") == 1
    row = activation_sim.get(place.services, question.transaction_id)
    assert row is not None
    evidence = place.folder / "evidence.json"
    evidence.write_text(row.evidence, encoding="utf-8")
    (document,) = json.loads(row.evidence)["documents"]
    run = subprocess.run(
        [sys.executable, str(CHECKER), str(evidence), "--digest", document["digest"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    signs_with_it(place, asked)
    tending.tend(place.services)
    told = activation_sim.get(place.services, question.transaction_id)
    assert told is not None
    assert told.receipt == "sent"


def test_a_refusal_on_the_phone_is_told_and_leaves_the_request_usable(place: SimWorld) -> None:
    place.enrol(number("401"))
    asked = place.world.opened()
    ended = place.ended(place.start(asked).transaction_id)
    assert (ended.state, ended.outcome) == ("REFUSED", "USER_CANCEL")
    assert ended.cause
    assert state_of(place, asked) == "PENDING"
    place.world.approve(asked)
    assert state_of(place, asked) == "AUTHORIZED"


def signs_with_it(place: SimWorld, activation_id: str, *documents: str) -> None:
    """The portal's signature after the SIM's consent."""
    redirect = consent.redirect(place.services, place.world.session, activation_id).redirect_to
    code = Ticket.parse((redirect or "").partition("code=")[2].partition("&")[0])
    token = place.world.redeem(cast("Ticket", code), code_verifier=VERIFIER).ticket
    assert place.world.sign(token, *documents)


def test_an_operator_with_words_of_its_own_and_less_room_is_asked_and_told(
    sqlite_folder: Databases,
    sam: RunningSam,
    authority: RegistrationAuthority,
    operator: tuple[Operator, str],
    tmp_path: Path,
) -> None:
    limits: dict[str, Any] = {"text_prefix": "Ky so: ", "text_gsm7": 160, "text_ucs2": 70}
    with (
        running_adapter(tmp_path, operator[1], format=PKCS1, **limits) as rssp,
        new_world(sqlite_folder) as world,
        sim_world(world, sam, authority, tmp_path, str(rssp.http.base_url).rstrip("/")) as place,
    ):
        place.enrol(number())
        document = "Quyết định về việc ban hành quy chế làm việc của Bộ.pdf"
        asked = world.opened(document)
        question = place.start(asked)
        assert question.display_text.startswith("Ky so: Cổng dịch vụ công: ký Quyết định về")
        assert question.display_text.endswith("…")
        assert place.ended(question.transaction_id).state == "APPROVED"
        signs_with_it(place, asked, document)
        tending.tend(place.services)
        row = activation_sim.get(place.services, question.transaction_id)
        assert row is not None
        assert row.receipt == "sent"
        config = place.services.config
        assert config.sim is not None
        in_text = replace(config, sim=replace(config.sim, mode="text"))
        world.services = replace(place.services, config=in_text)
        with pytest.raises(SimRequestRefused, match="prefix"):
            place.enrol(number())


def test_a_second_question_to_the_same_sim_is_refused_until_the_first_is_over(
    place: SimWorld,
) -> None:
    place.enrol(number("208"))
    first, second = place.world.opened(), place.world.opened("khác.pdf")
    question = place.start(first)
    for activation_id in (first, second):
        with pytest.raises(SimBusy):
            place.start(activation_id)
    ended = consent.cancel(place.services, place.world.subscriber_id, first)
    assert (ended.state, ended.transaction_id) == ("CANCELLED", question.transaction_id)
    assert state_of(place, first) == "PENDING"


def test_what_is_not_this_signers_or_this_credentials_is_unknown(place: SimWorld) -> None:
    place.enrol(number())
    asked = place.world.opened()
    with pytest.raises(SimUnknown):
        place.start(asked, factor_id="01mcc5rm00ptkspa6cztggafdc")
    with pytest.raises(SimUnknown):
        consent.cancel(place.services, place.world.subscriber_id, asked)
    mine = place.world.subscriber_id
    place.world.new_signer("binh.tran")
    with pytest.raises(ActivationUnknown):
        place.start(asked)
    with pytest.raises(ActivationUnknown):
        consent.cancel(place.services, place.world.subscriber_id, asked)
    place.world.subscriber_id = mine


class Forger:
    """An adapter that tells what it likes, in front of the real one."""

    def __init__(self, real: SimAdapter, told: Callable[[Told], Told]) -> None:
        self._real, self._told = real, told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def read(self, name: str) -> Told:
        return self._told(self._real.read(name))


def signed(place: SimWorld, transaction_id: str) -> Told:
    while (told := place.services.sim.read(transaction_id)).state != "SIGNED":
        assert told.outcome is None, told
    return cast("Told", told)


@pytest.mark.parametrize("flaw", ["other bytes", "old signature", "no signature", "other format"])
def test_an_answer_that_is_no_consent_to_this_is_never_one(place: SimWorld, flaw: str) -> None:
    place.enrol(number())
    earlier = place.world.opened("cũ.pdf")
    old = place.start(earlier)
    place.ended(old.transaction_id)
    old_signature = place.services.sim.read(old.transaction_id).signature
    asked = place.world.opened()
    question = place.start(asked)
    true = signed(place, question.transaction_id)
    assert true.signature is not None
    form, value = true.signature
    lie = {
        "other bytes": (form, value[:-1] + bytes([value[-1] ^ 1])),
        "old signature": old_signature,
        "no signature": None,
        "other format": ("cms", value),
    }[flaw]
    real = place.services
    place.world.services = replace(
        real, sim=cast("SimAdapter", Forger(real.sim, lambda told: replace(told, signature=lie)))
    )
    ended = consent.look(place.services, question.transaction_id)
    place.world.services = real
    assert ended.state == "FAILED"
    assert ended.cause
    assert state_of(place, asked) == "PENDING"
    assert "consent.given" not in kinds(place.world, asked)
    # The true answer comes after the end: nothing is left that it could do.
    assert consent.look(place.services, question.transaction_id).state == "FAILED"
    assert consent.look(place.services, question.transaction_id, true).state == "FAILED"
    assert state_of(place, asked) == "PENDING"


def test_what_the_operator_calls_valid_counts_for_nothing(place: SimWorld) -> None:
    place.enrol(number("208"))
    asked = place.world.opened()
    question = place.start(asked)
    claimed = Told("SIGNED", 9, Outcome("VALID_SIGNATURE", "502"), ("ecdsa_raw", bytes(64)))
    assert consent.look(place.services, question.transaction_id, claimed).state == "FAILED"
    assert state_of(place, asked) == "PENDING"
    place.services.sim.cancel(question.transaction_id)


def test_an_adapter_that_is_away_is_told_and_pin_and_code_still_work(place: SimWorld) -> None:
    place.enrol(number())
    asked = place.world.opened()
    real = place.services
    away = SimAdapter(replace(real.config.sim, url=unused_address()))
    place.world.services = replace(real, sim=away)
    ended = place.start(asked)
    assert (ended.state, ended.outcome) == ("FAILED", "sim_unreachable")
    assert "SIM" in (ended.cause or "")
    place.world.services = real
    # It is back: the same request may be asked again.
    assert place.ended(place.start(asked).transaction_id).state == "APPROVED"
    away.close()


def test_a_question_stays_open_while_adapter_or_sam_are_away(
    place: SimWorld, tmp_path: Path
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    signed(place, question.transaction_id)
    real = place.services
    place.world.services = replace(
        real, sim=SimAdapter(replace(real.config.sim, url=unused_address()))
    )
    with pytest.raises(SimAdapterAway):
        consent.look(place.services, question.transaction_id)
    place.world.services = replace(real, sam=SapClient(UnixAddress(tmp_path / "nobody")))
    with pytest.raises(SamUnreachable):
        consent.look(place.services, question.transaction_id)
    place.world.services = real
    assert place.ended(question.transaction_id).state == "APPROVED"


def test_of_a_cancellation_and_a_signature_exactly_one_counts(place: SimWorld) -> None:
    place.enrol(number())
    outcomes = set()
    for _ in range(6):
        asked = place.world.opened()
        question = place.start(asked)
        told = signed(place, question.transaction_id)
        gate = threading.Barrier(3)

        def look(name: str, told: Told, gate: threading.Barrier) -> None:
            gate.wait()
            consent.look(place.services, name, told)

        def cancel(name: str, gate: threading.Barrier) -> None:
            gate.wait()
            consent.cancel(place.services, place.world.subscriber_id, name)

        with ThreadPoolExecutor(3) as pool:
            for work in (
                pool.submit(look, question.transaction_id, told, gate),
                pool.submit(look, question.transaction_id, told, gate),
                pool.submit(cancel, asked, gate),
            ):
                work.result()
        end = consent.look(place.services, question.transaction_id).state
        outcomes.add(end)
        expected = {"APPROVED": "AUTHORIZED", "CANCELLED": "PENDING"}[end]
        assert state_of(place, asked) == expected
        given = kinds(place.world, asked).count("consent.given")
        assert given == (end == "APPROVED")
    assert outcomes <= {"APPROVED", "CANCELLED"}


def test_a_consent_that_page_and_call_back_hear_of_at_once_is_no_alarm(
    place: SimWorld, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    told = signed(place, question.transaction_id)
    gate, real = threading.Barrier(2), place.services

    class Met(SapClient):
        """A SAM that answers both, not one after the other."""

        def __init__(self) -> None:
            """No socket of its own."""

        def activate(self, *given: Any) -> Any:
            activated = real.sam.activate(*given)
            gate.wait(timeout=20)
            return activated

    both = replace(real, sam=Met())
    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(consent.look, both, question.transaction_id, told) for _ in "ab"]
    assert [look.result().state for look in looks] == ["APPROVED"] * 2
    assert kinds(place.world, asked).count("consent.given") == 1
    assert "alarm" not in caplog.text


def test_what_is_signed_for_a_question_that_ended_unheard_is_an_alarm(
    place: SimWorld, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    real = place.services

    class Deaf(Forger):
        """It takes the question, and no answer arrives; nor does it hear of the withdrawal."""

        def begin(self, *order: Any) -> Told:
            real.sim.begin(*order)
            raise SimAdapterAway("the answer is lost")

        def cancel(self, _name: str) -> Told:
            raise SimAdapterAway("not delivered")

    deaf = cast("SimAdapter", Deaf(real.sim, lambda told: told))
    place.world.services = replace(real, sim=deaf)
    question = place.start(asked)
    assert question.outcome == "sim_unreachable"
    place.world.services = real
    signed(place, question.transaction_id)
    assert consent.look(real, question.transaction_id).state == "FAILED"
    assert state_of(place, asked) == "PENDING"
    assert "alarm: a SIM's answer is no consent" in caplog.text


def test_a_withdrawal_that_comes_after_the_signature_is_an_alarm(
    place: SimWorld, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    signed(place, question.transaction_id)
    activation.deny(place.services, place.world.session, asked)
    assert consent.look(place.services, question.transaction_id).state == "CANCELLED"
    assert state_of(place, asked) == "DENIED"
    assert "alarm: a SIM's answer is no consent" in caplog.text


def test_a_sim_that_changed_is_suspended_and_the_signer_is_told(
    place: SimWorld,
) -> None:
    place.enrol(number())
    row = cards.get(place.services, place.factor_id)
    real = place.services
    profile = real.sim.profile(place.msisdn, row.operator)
    for changes, reason in (
        ({"iccid": "8984000000000000000"}, "iccid_changed"),
        ({"leaves": (b"another",)}, "certificate_changed"),
        ({"network": "001/01"}, "network_changed"),
        ({"is_known": False, "outcome": Outcome("UNKNOWN_CLIENT", "")}, "number_without_sim_pki"),
    ):
        before: Any = SimpleNamespace(
            iccid=row.iccid,
            certificate=row.certificate,
            network=profile.network or "452/04",
        )
        assert cards.changed(before, replace(profile, **changes)) == reason
    assert cards.changed(row, profile) is None
    assert cards.set_state(real, row, cards.SUSPENDED, "iccid_changed", "system")
    assert not cards.set_state(real, row, cards.SUSPENDED, "iccid_changed", "system")
    asked = place.world.opened()
    with pytest.raises(SimSuspended):
        place.start(asked)
    (offer,) = cards.offers(real, place.world.credential_id, "vi")
    assert not offer.is_active
    assert offer.cause is not None
    assert "đăng ký lại" in offer.cause
    assert cards.set_state(real, row, cards.ACTIVE, None, "operator:test")
    assert place.ended(place.start(asked).transaction_id).state == "APPROVED"


def test_too_little_time_is_left_to_ask(place: SimWorld) -> None:
    place.enrol(number())
    real = place.services
    place.world.services = replace(
        real, config=replace(real.config, sim=replace(real.config.sim, patience=2))
    )
    with pytest.raises(ActivationConflict):
        place.start(place.world.opened())


def test_a_question_that_nobody_waits_for_ends_at_its_deadline(place: SimWorld) -> None:
    real = place.services
    away = SimAdapter(replace(real.config.sim, url=unused_address()))
    for adapter in (real.sim, away):
        place.enrol(number("208"))
        question = place.start(place.world.opened())
        later = FixedClock(real.now_ms() + 70_000)
        tending.tend(replace(real, sim=None, clock=later))  # no adapter: nothing to do
        assert consent.look(real, question.transaction_id).state == "WAITING"
        tending.tend(replace(real, sim=adapter, clock=later))
        ended = consent.look(real, question.transaction_id)
        assert (ended.state, ended.outcome) == ("EXPIRED", "no_answer_in_time")
        real.sim.cancel(question.transaction_id)
    away.close()


def test_a_sim_is_looked_at_again_when_that_was_long_ago(place: SimWorld) -> None:
    place.enrol(number())
    real = place.services
    config = replace(real.config, sim=replace(real.config.sim, profile_age=0))
    place.world.services = replace(real, config=config)
    assert place.ended(place.start(place.world.opened()).transaction_id).state == "APPROVED"
    profile = replace(real.sim.profile(place.msisdn, None), iccid="8984000000000000000")

    class Swapped(Forger):
        def profile(self, *_who: str) -> Any:
            return profile

    swapped = cast("SimAdapter", Swapped(real.sim, lambda told: told))
    place.world.services = replace(real, config=config, sim=swapped)
    for _ in range(2):  # found out, then known
        with pytest.raises(SimSuspended):
            place.start(place.world.opened())
    assert cards.get(real, place.factor_id).reason == "iccid_changed"


def test_a_sim_that_is_not_enough_by_itself_is_not_asked_and_not_offered(
    place: SimWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.enrol(number())
    monkeypatch.setattr(passkey_orders, "_USUAL_RULE", {"2": [["pin", "sim"]]})
    orders = passkey_orders.PasskeyOrders(place.services, place.world.authority)
    orders.allow(place.world.credential_id)
    asked = place.world.opened()
    with pytest.raises(SimSuspended):
        place.start(asked)
    assert consent.current(place.services, asked) is None
    (offer,) = cards.offers(place.services, place.world.credential_id, "vi")
    assert not offer.is_active
    assert "cùng với SIM" in (offer.cause or "")
    assert "alarm" not in caplog.text


def test_a_number_that_has_no_sim_pki_any_more_is_suspended(place: SimWorld) -> None:
    place.enrol(number("208"))
    question = place.start(place.world.opened())
    gone = Told("FAILED", 9, Outcome("UNKNOWN_CLIENT", "Không có SIM PKI."), None)
    ended = consent.look(place.services, question.transaction_id, gone)
    assert (ended.state, ended.outcome) == ("FAILED", "UNKNOWN_CLIENT")
    assert cards.get(place.services, place.factor_id).state == "suspended"
    place.services.sim.cancel(question.transaction_id)
    strange = Told("DONE", 9, None, None)
    place.enrol(number("208"))
    question = place.start(place.world.opened())
    assert consent.look(place.services, question.transaction_id, strange).state == "FAILED"
    place.services.sim.cancel(question.transaction_id)


def test_a_receipt_that_cannot_be_shown_is_tried_once(place: SimWorld) -> None:
    place.enrol(number())
    asked = place.world.opened()
    question = place.start(asked)
    place.ended(question.transaction_id)
    signs_with_it(place, asked)
    real = place.services
    away = SimAdapter(replace(real.config.sim, url=unused_address()))
    tending.tend(replace(real, sim=away))
    row = activation_sim.get(real, question.transaction_id)
    assert row is not None
    assert row.receipt == "failed"
    tending.tend(real)
    row = activation_sim.get(real, question.transaction_id)
    assert row is not None
    assert row.receipt == "failed"
    away.close()


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [(SimRequestRefused("text_prefix_missing"), "request_not_taken"), (SimBusy("sim_busy"), None)],
    ids=["refused", "busy"],
)
def test_what_the_adapter_does_not_take_is_told_and_leaves_the_request_usable(
    place: SimWorld, refusal: Exception, outcome: str | None
) -> None:
    place.enrol(number())
    asked = place.world.opened()
    real = place.services

    class Refusing(Forger):
        def begin(self, *_order: object) -> Told:
            raise refusal

    refusing = cast("SimAdapter", Refusing(real.sim, lambda told: told))
    place.world.services = replace(real, sim=refusing)
    if outcome is None:
        with pytest.raises(SimBusy):
            place.start(asked)
    else:
        assert place.start(asked).outcome == outcome
    place.world.services = real
    assert place.ended(place.start(asked).transaction_id).state == "APPROVED"


def test_a_sim_answers_for_its_own_credential_only(place: SimWorld) -> None:
    place.enrol(number())
    place.world.new_credential()
    with pytest.raises(SimUnknown):
        place.start(place.world.opened())
    with pytest.raises(SimUnknown):
        consent.look(place.services, "01mcc5rm00ptkspa6cztggafdc")
    without = replace(place.services, sim=None)
    assert cards.offers(without, place.world.credential_id, "vi") == []
    row = cards.get(place.services, place.factor_id)
    assert cards.check(without, row) is None
    away = SimAdapter(replace(place.services.config.sim, url=unused_address()))
    assert cards.check(replace(place.services, sim=away), row) is None
    away.close()
