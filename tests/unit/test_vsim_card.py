"""The virtual SIM by its octets: security, dialogue, PINs, and what a power loss leaves."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from sim_adapter.ota import packet, spi
from sim_adapter.ota.counters import LAST
from sim_adapter.ota.messages import (
    Accepted,
    CancelRequest,
    Profiled,
    ProfileRequest,
    SignatureMade,
)
from sim_adapter.ota.orders import Cause, Enrolled, KeyAlgorithm, Mode, NotDone
from sim_adapter.ota.packet import ResponseStatus
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.spi import SecurityParameters
from sim_adapter.ota.structure import possession
from sim_adapter.ota.tpdu import Deliver
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins
from sim_adapter.vsim.keypair import KeyPair
from sim_adapter.vsim.pins import Pins
from sim_adapter.vsim.state import DEFAULT_PIN, PIN_TRIES, PUK_TRIES, CardState
from sim_adapter.vsim.toolkit import Act, Result, TerminalResponse
from tests.support.sim_chip import (
    NOT_AFTER,
    NOW,
    PIN,
    RECORD,
    SENT,
    Bench,
    DyingStore,
    PowerLoss,
    enrol_request,
    sign_request,
)
from tests.support.sim_messages import CODE, TEXT, consent

if TYPE_CHECKING:
    from sim_adapter.vsim.toolkit import Proactive


def public_key(bench: Bench) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    enrolled = next(answer for answer in bench.answers if isinstance(answer, Enrolled))
    key = load_der_public_key(enrolled.public_key)
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return key


def verify(bench: Bench, signature: bytes, signed: bytes) -> None:
    key = public_key(bench)
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    else:
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))


def answering(bench: Bench, act: Act, result: Result, text: str = "") -> None:
    """From now on ``act`` is answered so, and everything else as by a willing person."""

    def press(command: Proactive) -> TerminalResponse:
        if command.act is not act:
            return bench.approve(command)
        bench.pages.append(command.text)
        return TerminalResponse(command.number, command.act, command.qualifier, result, text)

    bench.press = press


# ------------------------------------------------------------------------------------- enrolment
def test_a_new_card_has_no_key_and_its_default_pin_must_be_changed() -> None:
    bench = Bench()
    assert bench.order(sign_request()) == NotDone(sign_request().transaction_id, Cause.NO_KEY)
    profile = bench.order(ProfileRequest(bytes(16)))
    assert isinstance(profile, Profiled)
    assert (profile.profile.algorithm, profile.profile.pin_is_default) == (None, True)
    assert bench.order(enrol_request()) == Accepted(enrol_request().transaction_id)
    [enrolled] = bench.run()
    assert isinstance(enrolled, Enrolled)
    assert bench.pages == [
        f"Sở Nội vụ\nMã xác nhận: {CODE}",
        "Tạo khóa ký số trên SIM?",
        "Phải đổi PIN mặc định. Nhập PIN hiện tại (còn 3 lần)",
        "Nhập PIN mới (6–8 chữ số)",
        "Nhập lại PIN mới",
    ]
    assert bench.state().pin == PIN


def test_enrolment_proves_possession_of_the_new_key() -> None:
    bench = Bench()
    bench.order(enrol_request())
    [enrolled] = bench.run()
    assert isinstance(enrolled, Enrolled)
    assert enrolled.iccid == RECORD.iccid
    verify(bench, enrolled.proof, possession("C" * 26, bytes(32), enrolled.public_key))


def test_an_rsa_key_signs_over_three_short_messages() -> None:
    bench = Bench()
    bench.order(replace(enrol_request(), algorithm=KeyAlgorithm.RSA2048))
    bench.run()
    bench.sent.clear()
    bench.order(sign_request())
    [made] = bench.run()
    assert isinstance(made, SignatureMade)
    assert len(bench.sent) == 3
    verify(bench, made.signature, TEXT.encode())


def test_a_key_is_replaced_only_when_that_is_asked_for() -> None:
    bench = Bench().enrolled()
    refused = bench.order(enrol_request(1000))
    assert refused == NotDone(enrol_request(1000).transaction_id, Cause.KEY_EXISTS)
    old = bench.state().private_key
    bench.order(enrol_request(1001, replaces=True))
    bench.run()
    assert "Khóa ký hiện có sẽ bị xóa" in bench.pages
    assert bench.state().private_key not in {"", old}


@pytest.mark.parametrize("name", ["a" * 41, "a\u202eb"])
def test_a_name_that_could_deceive_is_not_taken(name: str) -> None:
    bench = Bench()
    octets = enrol_request().encode()
    encoded = "Sở Nội vụ".encode("utf-16-be")
    forged = octets.replace(
        bytes([9, len(encoded) + 1, 8]) + encoded,
        bytes([9, 2 * len(name) + 1, 8]) + name.encode("utf-16-be"),
    )
    response, _ = bench.push_packet(bench.seal(forged))
    assert response is not None
    assert response.data[-1] == Cause.TEXT_REFUSED


# --------------------------------------------------------------------------------------- signing
def test_the_person_reads_name_code_and_text_before_the_pin() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    [made] = bench.run()
    assert isinstance(made, SignatureMade)
    assert bench.pages == [
        f"Sở Nội vụ\nMã xác nhận: {CODE}",
        TEXT,
        "Nhập mã PIN ký số (còn 3 lần)",
    ]
    verify(bench, made.signature, TEXT.encode())


def test_a_digest_is_signed_as_it_is() -> None:
    bench = Bench().enrolled()
    digest = hashlib.sha256(b"a consent").digest()
    bench.order(sign_request(mode=Mode.DIGEST, digest=digest))
    [made] = bench.run()
    assert isinstance(made, SignatureMade)
    verify(bench, made.signature, b"a consent")


def test_a_key_for_structures_signs_no_digest_of_one_that_was_not_shown() -> None:
    bench = Bench().enrolled(Mode.STRUCTURE)
    digest = hashlib.sha256(consent("Something else")).digest()
    refused = NotDone(sign_request().transaction_id, Cause.NOT_UNDERSTOOD)
    assert bench.order(sign_request(mode=Mode.DIGEST, digest=digest)) == refused
    assert bench.order(sign_request()) == refused  # nor a text
    bench.power_up()
    assert bench.order(sign_request(mode=Mode.DIGEST, digest=digest)) == refused
    assert bench.pages == []
    bench.order(sign_request(mode=Mode.STRUCTURE, structure=consent(), text=None, code=None))
    assert isinstance(bench.run()[0], SignatureMade)


@pytest.mark.parametrize("is_beside", [False, True])
def test_a_structure_is_shown_from_itself_and_signed(*, is_beside: bool) -> None:
    bench = Bench().enrolled()
    structure = consent()
    beside = {"text": TEXT, "code": CODE} if is_beside else {"text": None, "code": None}
    bench.order(sign_request(mode=Mode.STRUCTURE, structure=structure, **beside))
    [made] = bench.run()
    assert isinstance(made, SignatureMade)
    assert TEXT in bench.pages
    verify(bench, made.signature, structure)


@pytest.mark.parametrize("size", [40, 119])
def test_the_longest_structure_that_is_made_arrives(size: int) -> None:
    shown = "ế" * size
    bench = Bench().enrolled()
    structure = consent(shown, service_id="s" * 200)
    bench.order(sign_request(mode=Mode.STRUCTURE, structure=structure, text=None, code=None))
    [made] = bench.run()
    assert isinstance(made, SignatureMade)
    assert shown in bench.pages


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ({"text": "Ký Quyết định 13"}, Cause.STRUCTURE_REFUSED),
        ({"code": "1174"}, Cause.STRUCTURE_REFUSED),
        ({"structure": consent()[:-1] + b"\1\1"}, Cause.STRUCTURE_REFUSED),
        ({"structure": consent("a\u202eb")}, Cause.TEXT_REFUSED),
        ({"structure": consent("ế" * 120)}, Cause.TEXT_REFUSED),
    ],
    ids=["another text", "another code", "broken", "bidi", "too long"],
)
def test_a_structure_that_says_something_else_is_refused(
    other: dict[str, object], cause: Cause
) -> None:
    bench = Bench().enrolled()
    whole: dict[str, object] = {"structure": consent(), "text": None, "code": None}
    request = sign_request(1, mode=Mode.STRUCTURE, **(whole | other))
    assert bench.order(request) == NotDone(request.transaction_id, cause)
    assert bench.pages == []


def test_an_expiry_inside_the_structure_counts() -> None:
    bench = Bench().enrolled()
    structure = consent(expires=(SENT - 1) * 1000)
    bench.order(sign_request(mode=Mode.STRUCTURE, structure=structure, text=None, code=None))
    assert bench.run() == [NotDone(sign_request().transaction_id, Cause.EXPIRED)]
    assert bench.pages == []


@pytest.mark.parametrize("shown", ["a\u202eb", "a\u200bb", "a b ", "ế" * 120])
def test_a_text_that_could_deceive_is_never_shown(shown: str) -> None:
    bench = Bench().enrolled()
    encoded, hidden = TEXT.encode("utf-16-be"), shown.encode("utf-16-be")
    size = len(hidden) + 1
    head = bytes([5, size]) if size < 128 else bytes([5, 0x81, size])
    octets = sign_request().encode()
    forged = octets.replace(bytes([5, len(encoded) + 1, 8]) + encoded, head + b"\x08" + hidden)
    response, _ = bench.push_packet(bench.seal(forged))
    assert response is not None
    cause = Cause.NOT_UNDERSTOOD if size > 240 else Cause.TEXT_REFUSED
    assert response.data[-1] == cause
    assert bench.pages == []


def test_many_long_orders_in_a_row_are_taken() -> None:
    bench = Bench().enrolled()
    for number in range(1, 21):
        request = sign_request(
            number, mode=Mode.STRUCTURE, structure=consent(), text=None, code=None
        )
        bench.order(request)
        assert isinstance(bench.run()[0], SignatureMade)


# --------------------------------------------------------------------------------------- refusal
@pytest.mark.parametrize(
    ("act", "result", "cause"),
    [
        (Act.DISPLAY_TEXT, Result.ENDED_BY_USER, Cause.REFUSED),
        (Act.DISPLAY_TEXT, Result.BACKWARD, Cause.REFUSED),
        (Act.DISPLAY_TEXT, Result.NOT_ACCEPTED, Cause.REFUSED),
        (Act.DISPLAY_TEXT, Result.NO_RESPONSE, Cause.NO_ANSWER),
        (Act.DISPLAY_TEXT, Result.TERMINAL_BUSY, Cause.CARD_FAULT),
        (Act.DISPLAY_TEXT, Result.BEYOND_CAPABILITY, Cause.CARD_FAULT),
        (Act.GET_INPUT, Result.ENDED_BY_USER, Cause.REFUSED),
        (Act.GET_INPUT, Result.NO_RESPONSE, Cause.NO_ANSWER),
    ],
    ids=str,
)
def test_every_way_of_not_answering_has_its_cause(act: Act, result: Result, cause: Cause) -> None:
    bench = Bench().enrolled()
    answering(bench, act, result)
    bench.order(sign_request())
    assert bench.run() == [NotDone(sign_request().transaction_id, cause)]


def test_a_busy_screen_is_asked_again() -> None:
    bench = Bench().enrolled()
    busy = iter([Result.TERMINAL_BUSY, Result.TERMINAL_BUSY])

    def press(command: Proactive) -> TerminalResponse:
        result = next(busy, Result.OK) if command.act is Act.DISPLAY_TEXT else Result.OK
        return replace(bench.approve(command), result=result)

    bench.press = press
    bench.order(sign_request())
    assert isinstance(bench.run()[0], SignatureMade)


def test_a_second_order_is_refused_while_one_is_open() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request(1))
    word = bench.step(bench.word)
    assert bench.order(sign_request(2)) == NotDone(sign_request(2).transaction_id, Cause.BUSY)
    [made] = bench.run(word)
    assert made.transaction_id == sign_request(1).transaction_id
    bench.order(sign_request(2))  # it was never begun, so it may be asked again
    assert isinstance(bench.run()[0], SignatureMade)


def test_an_order_that_is_sent_again_is_accepted_again_and_asked_about_once() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    word = bench.step(bench.word)
    assert bench.order(sign_request()) == Accepted(sign_request().transaction_id)
    other = NotDone(sign_request().transaction_id, Cause.REPLAYED)
    assert bench.order(sign_request(text="Ký Quyết định 13")) == other
    [made] = bench.run(word)
    assert isinstance(made, SignatureMade)
    assert bench.pages.count(TEXT) == 1


def test_a_transaction_is_never_asked_about_twice() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    bench.run()
    again = NotDone(sign_request().transaction_id, Cause.REPLAYED)
    assert bench.order(sign_request()) == again
    bench.power_up()
    assert bench.order(sign_request()) == again


def test_a_cancelled_order_is_not_signed_whatever_the_person_does() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    word = bench.step(bench.word)
    cancelled = NotDone(sign_request().transaction_id, Cause.CANCELLED)
    assert bench.order(CancelRequest(sign_request().transaction_id)) == cancelled
    assert bench.run(word) == [cancelled]


def test_cancelling_another_order_changes_nothing() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    word = bench.word
    bench.order(CancelRequest(bytes(16)))
    assert isinstance(bench.run(word)[0], SignatureMade)


@pytest.mark.parametrize("step", range(4))
def test_what_is_over_is_not_signed(step: int) -> None:
    """The deadline passes before the first page, or while the person thinks."""
    bench = Bench().enrolled()
    bench.order(sign_request())
    word = bench.word
    for _ in range(step):
        word = bench.step(word)
    bench.now = bench.now.replace(year=2027)
    assert bench.run(word) == [NotDone(sign_request().transaction_id, Cause.EXPIRED)]


def test_a_handset_that_knows_no_time_leaves_the_packets_time() -> None:
    bench = Bench().enrolled()
    answering(bench, Act.LOCAL_INFORMATION, Result.BEYOND_CAPABILITY)
    bench.order(sign_request())
    assert isinstance(bench.run()[0], SignatureMade)
    request = sign_request(2, sent=NOT_AFTER + 1)
    assert bench.order(request) == NotDone(request.transaction_id, Cause.EXPIRED)


def test_a_handset_that_tells_nonsense_as_time_leaves_the_packets_time() -> None:
    bench = Bench().enrolled()

    def press(command: Proactive) -> TerminalResponse:
        answer = bench.approve(command)
        return replace(answer, time=b"\xff" * 7) if answer.time else answer

    bench.press = press
    bench.order(sign_request())
    assert isinstance(bench.run()[0], SignatureMade)


# ------------------------------------------------------------------------------------------ PINs
def wrong_pin(bench: Bench) -> None:
    answering(bench, Act.GET_INPUT, Result.OK, "999999")


def test_a_wrong_pin_is_asked_again_and_then_blocked() -> None:
    bench = Bench().enrolled()
    wrong_pin(bench)
    bench.order(sign_request())
    assert bench.run() == [NotDone(sign_request().transaction_id, Cause.PIN_BLOCKED)]
    assert [page.split("còn ")[1] for page in bench.pages[2:]] == ["3 lần)", "2 lần)", "1 lần)"]
    bench.press = bench.approve
    blocked = NotDone(sign_request(2).transaction_id, Cause.PIN_BLOCKED)
    assert bench.order(sign_request(2)) == blocked


def test_a_right_pin_gives_the_tries_back() -> None:
    bench = Bench().enrolled()
    wrong = iter(["999999", "999999"])

    def press(command: Proactive) -> TerminalResponse:
        answer = bench.approve(command)
        is_pin = command.act is Act.GET_INPUT
        return replace(answer, text=next(wrong, PIN)) if is_pin else answer

    bench.press = press
    bench.order(sign_request())
    assert isinstance(bench.run()[0], SignatureMade)
    assert bench.state().pin_tries == PIN_TRIES


def secrets(ins: Ins, first: str, second: str) -> Command:
    halves = (half.encode().ljust(8, b"\xff") for half in (first, second))
    return Command(0x00, ins, 0, 0x81, b"".join(halves))


def test_the_puk_opens_a_blocked_pin() -> None:
    bench = Bench().enrolled()
    wrong_pin(bench)
    bench.order(sign_request())
    bench.run()
    puk = bench.state().puk
    assert bench.send(Command(0x00, Ins.VERIFY, 0, 0x81)) == (b"", 0x6983)
    assert bench.send(secrets(Ins.UNBLOCK_PIN, "00000000", "777888"))[1] == 0x63C0 + PUK_TRIES - 1
    assert bench.send(secrets(Ins.UNBLOCK_PIN, puk, "777888"))[1] == 0x9000
    assert bench.send(Command(0x00, Ins.VERIFY, 0, 0x81)) == (b"", 0x63C3)
    assert (bench.state().pin, bench.state().puk_tries) == ("777888", PUK_TRIES)


def test_a_card_whose_puk_is_blocked_is_dead() -> None:
    bench = Bench().enrolled()
    wrong_pin(bench)
    bench.order(sign_request())
    bench.run()
    for _ in range(PUK_TRIES):
        bench.send(secrets(Ins.UNBLOCK_PIN, "00000000", "777888"))
    assert bench.send(secrets(Ins.UNBLOCK_PIN, bench.state().puk, "777888"))[1] == 0x6983
    dead = NotDone(sign_request(2).transaction_id, Cause.CARD_BLOCKED)
    assert bench.order(sign_request(2)) == dead


def test_the_pin_is_changed_in_the_phones_menu() -> None:
    bench = Bench().enrolled()
    assert bench.send(secrets(Ins.CHANGE_PIN, "999999", "777888"))[1] == 0x63C2
    assert bench.send(secrets(Ins.CHANGE_PIN, PIN, "777888"))[1] == 0x9000
    assert bench.state().pin == "777888"


@pytest.mark.parametrize("new", [DEFAULT_PIN, "12345", "12345a", ""])
def test_a_pin_that_may_not_be_chosen_is_refused(new: str) -> None:
    bench = Bench().enrolled()
    for ins in (Ins.CHANGE_PIN, Ins.UNBLOCK_PIN):
        assert bench.send(secrets(ins, PIN, new))[1] == 0x6A80
    assert bench.state().pin == PIN


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        (["111222", "111223", DEFAULT_PIN, "333444", "333444"], "333444"),
        (["111222", "111223", DEFAULT_PIN, "12"], DEFAULT_PIN),
    ],
    ids=["at last", "never"],
)
def test_a_new_pin_is_good_and_typed_twice_or_there_is_none(typed: list[str], chosen: str) -> None:
    bench = Bench()
    keys = iter([DEFAULT_PIN, *typed])

    def press(command: Proactive) -> TerminalResponse:
        answer = bench.approve(command)
        return replace(answer, text=next(keys)) if command.act is Act.GET_INPUT else answer

    bench.press = press
    bench.order(enrol_request())
    refused = NotDone(enrol_request().transaction_id, Cause.REFUSED)
    assert (bench.run() == [refused]) == (chosen == DEFAULT_PIN)
    assert bench.state().pin == chosen


def test_a_blocked_pin_is_not_changed_by_who_knows_it() -> None:
    bench = Bench().enrolled()
    wrong_pin(bench)
    bench.order(sign_request())
    bench.run()
    assert bench.send(secrets(Ins.CHANGE_PIN, PIN, "777888"))[1] == 0x6983
    assert bench.state().pin == PIN


def test_no_way_leads_to_a_pin_that_may_not_be_chosen() -> None:
    state = CardState(RECORD.iccid, puk="12345678")
    with pytest.raises(ValueError, match="chosen"):
        Pins(state, lambda: None).change(DEFAULT_PIN)


def test_a_memory_with_another_kind_of_key_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(TypeError):
        KeyPair.from_memory(other)


# ---------------------------------------------------------------------------------- OTA security
def refusal(bench: Bench, octets: bytes) -> ResponseStatus:
    """The bare status with which the card answers; nothing begins and nothing is told."""
    response, word = bench.push_packet(octets)
    assert response is not None
    assert (response.is_proven, response.counter, response.data) == (False, 0, b"")
    assert word == 0x9000
    assert bench.pages == []
    return response.status


MESSAGE = sign_request().encode()


def test_a_wrong_checksum_moves_no_counter_and_tells_nothing() -> None:
    bench = Bench().enrolled()
    before = bench.state()
    for at in (16, 20, 30, -1):
        forged = bytearray(bench.seal(MESSAGE, counter=500))
        forged[at] ^= 1
        assert refusal(bench, bytes(forged)) is ResponseStatus.CHECK_FAILED
    assert bench.state() == before
    bench.order(sign_request(), counter=before.command_counter + 1)
    assert isinstance(bench.run()[0], SignatureMade)


def test_a_replayed_or_older_counter_is_low() -> None:
    bench = Bench().enrolled()
    octets = bench.seal(ProfileRequest(bytes(16)).encode(), counter=50)
    response, _ = bench.push_packet(octets)
    assert response is not None
    assert response.is_proven
    assert refusal(bench, octets) is ResponseStatus.COUNTER_LOW
    assert refusal(bench, bench.seal(MESSAGE, counter=49)) is ResponseStatus.COUNTER_LOW
    bench.power_up()
    assert refusal(bench, octets) is ResponseStatus.COUNTER_LOW
    assert bench.state().command_counter == 50


def test_a_counter_that_must_be_the_next_one_may_not_jump() -> None:
    bench = Bench().enrolled()
    following = SecurityParameters.parse(bytes.fromhex("1e19"))
    stored = bench.state().command_counter
    jump = bench.seal(MESSAGE, stored + 2, following)
    assert refusal(bench, jump) is ResponseStatus.COUNTER_HIGH
    response, _ = bench.push_packet(bench.seal(MESSAGE, stored + 1, following))
    assert response is not None
    assert response.is_proven


def test_a_counter_at_its_end_blocks_the_key_set() -> None:
    bench = Bench().enrolled()
    state = bench.state()
    state.command_counter = LAST
    bench.store.save(state)
    bench.power_up()
    assert refusal(bench, bench.seal(MESSAGE, LAST)) is ResponseStatus.COUNTER_BLOCKED


@pytest.mark.parametrize("first", ["02", "04", "06", "0e", "12", "14", "10", "00"])
def test_less_than_checksum_cipher_and_counter_is_insufficient(first: str) -> None:
    bench = Bench().enrolled()
    weak = SecurityParameters.parse(bytes.fromhex(first + "19"))
    octets = bench.seal(MESSAGE, 900, weak)
    assert refusal(bench, octets) is ResponseStatus.INSUFFICIENT_SECURITY


def test_another_application_is_unknown() -> None:
    bench = Bench().enrolled()
    octets = bench.seal(MESSAGE, 900, tar=b"\0\0\0")
    assert refusal(bench, octets) is ResponseStatus.TAR_UNKNOWN


def test_no_report_where_none_was_asked_for() -> None:
    bench = Bench().enrolled()
    silent = SecurityParameters.parse(bytes.fromhex("1600"))
    forged = bench.seal(MESSAGE, 900, silent)[:-1] + b"\0"
    assert bench.push_packet(forged) == (None, 0x9000)
    # A refusal then comes in a packet of the card's own, under its own keys.
    response, word = bench.push_packet(bench.seal(CancelRequest(bytes(16)).encode(), 901, silent))
    assert response is None
    assert bench.run(word) == [NotDone(bytes(16), Cause.CANCELLED)]


def test_a_report_may_come_in_a_message_of_its_own() -> None:
    bench = Bench().enrolled()
    by_submit = SecurityParameters.parse(bytes.fromhex("1639"))
    response, word = bench.push_packet(bench.seal(MESSAGE, 900, by_submit))
    assert response is None
    bench.sent.clear()
    assert isinstance(bench.run(word)[0], SignatureMade)
    report = bench.sent[0].user_data
    assert report[:3] == bytes.fromhex("027100")
    opened = packet.open_response(report[3:], spi.COMMAND, RECORD.command_keys)
    assert (opened.is_proven, opened.counter) == (True, 900)


def test_a_message_that_is_no_request_is_not_understood() -> None:
    bench = Bench().enrolled()
    response, _ = bench.push_packet(bench.seal(b"\x01\x7fxyz"))
    assert response is not None
    assert response.data[-1] == Cause.NOT_UNDERSTOOD


def test_a_short_message_of_the_card_that_is_not_sent_is_tried_once_more() -> None:
    bench = Bench().enrolled()
    failing = iter([Result.NETWORK_BUSY])

    def press(command: Proactive) -> TerminalResponse:
        if command.act is Act.SEND_SHORT_MESSAGE and next(failing, None) is not None:
            busy = Result.NETWORK_BUSY
            return TerminalResponse(command.number, command.act, command.qualifier, busy)
        return bench.approve(command)

    bench.press = press
    bench.order(sign_request())
    assert isinstance(bench.run()[0], SignatureMade)


def test_a_card_whose_own_counter_is_used_up_says_nothing_more() -> None:
    bench = Bench().enrolled()
    state = bench.state()
    state.answer_counter = LAST
    bench.store.save(state)
    bench.power_up()
    bench.sent.clear()
    bench.order(sign_request())
    word = bench.word
    while word & 0xFF00 == 0x9100:
        word = bench.step(word)
    assert (word, bench.sent) == (0x6A80, [])


# ------------------------------------------------------------------------------------ power loss
def test_a_power_loss_after_the_counter_does_the_order_never() -> None:
    store = DyingStore()
    bench = Bench(store).enrolled()
    store.dies_at = store.saves + 1
    octets = bench.seal(MESSAGE)
    with pytest.raises(PowerLoss):
        bench.push_packet(octets)
    bench.power_up()
    assert refusal(bench, octets) is ResponseStatus.COUNTER_LOW
    bench.order(sign_request())  # a new packet about the same order: nothing was shown yet
    assert isinstance(bench.run()[0], SignatureMade)


def test_a_power_loss_after_the_transaction_was_noted_does_the_order_never() -> None:
    store = DyingStore()
    bench = Bench(store).enrolled()
    store.dies_at = store.saves + 2
    with pytest.raises(PowerLoss):
        bench.push_packet(bench.seal(MESSAGE))
    bench.power_up()
    replayed = NotDone(sign_request().transaction_id, Cause.REPLAYED)
    assert bench.order(sign_request()) == replayed


def test_a_power_loss_between_try_and_comparison_costs_the_try() -> None:
    """Whoever cuts the power when a PIN was wrong has guessed all the same."""
    store = DyingStore()
    bench = Bench(store).enrolled()
    for guess in range(PIN_TRIES):
        bench.order(sign_request(guess + 1))
        word = bench.word
        for _ in range(3):
            word = bench.step(word)
        store.dies_at = store.saves + 1
        with pytest.raises(PowerLoss):
            bench.step(word)
        bench.power_up()
        assert bench.state().pin_tries == PIN_TRIES - 1 - guess
    blocked = NotDone(sign_request(9).transaction_id, Cause.PIN_BLOCKED)
    assert bench.order(sign_request(9)) == blocked


def test_a_power_loss_while_the_person_reads_ends_the_dialogue() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    bench.step(bench.word)
    bench.power_up()
    assert bench.send(Command(0x80, Ins.STATUS))[1] == 0x9000
    bench.order(sign_request(2))
    assert isinstance(bench.run()[0], SignatureMade)


def test_the_cards_own_counter_rises_over_power_losses() -> None:
    bench = Bench().enrolled()
    seen = []
    for number in range(1, 6):
        bench.sent.clear()
        bench.order(sign_request(number))
        bench.run()
        command = packet.parse_command(bench.sent[0].user_data[3:])
        seen.append(packet.open_command(command, RECORD.response_keys).counter)
        bench.power_up()
    assert seen == sorted(set(seen))


# ----------------------------------------------------------------------------------------- APDUs
@pytest.mark.parametrize(
    ("apdu", "word"),
    [
        ("", 0x6700),
        ("00a4", 0x6700),
        ("00a40004023f", 0x6700),
        ("00a40004023f00000000", 0x6700),
        ("00a40004023f00", 0x9000),
        ("00a40004027f10", 0x6A82),
        ("00a4040407a0000000871002", 0x9000),
        ("a0a40000023f00", 0x6E00),
        ("00b0000010", 0x6D00),
        ("80f2000000", 0x9000),
        ("8012000010", 0x6985),
        ("00c0000010", 0x6700),
        ("801400000100", 0x6A80),
        ("80c2000003d10100", 0x6A80),
        ("80c2000002d200", 0x6A80),
        ("0020008100", 0x63C3),
        ("0020008108" + "31" * 8, 0x6A86),
        ("0020000100", 0x6A86),
        ("0024008108" + "31" * 8, 0x6A80),
        ("0088000010", 0x6D00),
        ("00ca000000", 0x6D00),
    ],
)
def test_every_command_has_its_status_word(apdu: str, word: int) -> None:
    assert Bench().card.exchange(bytes.fromhex(apdu)) == word.to_bytes(2, "big")


def test_a_fetch_of_another_length_and_a_stray_response_are_refused() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    assert bench.send(Command(0x80, Ins.FETCH, expected=1))[1] == 0x6700
    stray = TerminalResponse(77, Act.DISPLAY_TEXT, 0, Result.OK).encode()
    assert bench.send(Command(0x80, Ins.TERMINAL_RESPONSE, data=stray))[1] == 0x6985
    bench.send(Command(0x80, Ins.FETCH, expected=bench.word & 0xFF))
    assert bench.send(Command(0x80, Ins.TERMINAL_RESPONSE, data=stray))[1] == 0x6985


def test_a_short_message_that_is_not_for_the_card_is_refused() -> None:
    bench = Bench()
    segment = split(PacketKind.RESPONSE, bytes(20), 0)[0]
    assert bench.push(segment) == (b"", 0x6A80)


@pytest.mark.parametrize(
    ("pid", "dcs", "has_header"), [(0, 0xF6, 1), (0x7F, 4, 1), (0x7F, 0xF6, 0)]
)
def test_an_ordinary_short_message_is_not_taken(pid: int, dcs: int, has_header: int) -> None:
    tpdu = Deliver("9484", b"\x02\x70\x00x", NOW, pid, dcs, bool(has_header)).encode()
    data = toolkit.envelope(tpdu)
    assert Bench().send(Command(0x80, Ins.ENVELOPE, data=data)) == (b"", 0x6A80)


def test_an_envelope_from_nobody_is_not_taken() -> None:
    data = bytes.fromhex("d1088202818306020000")
    assert Bench().send(Command(0x80, Ins.ENVELOPE, data=data)) == (b"", 0x6A80)


def test_no_octet_that_leaves_the_card_is_of_its_secrets() -> None:
    bench = Bench()
    heard: list[bytes] = []
    exchange = bench.card.exchange

    def overheard(apdu: bytes) -> bytes:
        heard.append(exchange(apdu))
        return heard[-1]

    bench.card.exchange = overheard  # type: ignore[method-assign]  # an ear at the contacts
    bench.enrolled()
    bench.order(sign_request())
    bench.run()
    state, everything = bench.state(), b"".join(heard)
    scalar = bytes.fromhex(state.private_key)[36:68]
    for secret in (scalar, PIN.encode(), state.puk.encode()):
        assert secret not in everything
