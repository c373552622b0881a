"""A handset against cards that misbehave, and phones without a network."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING

import pytest

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.keysets import CardIssuer
from sim_adapter.ota.messages import ProfileRequest
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.tpdu import Deliver, Submit, decode_time
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins, answer
from sim_adapter.vsim.handset import Handset
from sim_adapter.vsim.persons import CHOSEN_PIN, Press, ScriptedPerson
from sim_adapter.vsim.phones import Phones
from sim_adapter.vsim.toolkit import Proactive, Result, TerminalResponse
from tests.support.sim_chip import NOW, PIN, Bench

if TYPE_CHECKING:
    from collections.abc import Callable


class Chip:
    """Answers by a table of instructions; everything else is 9000. Keeps what it was told."""

    def __init__(self, **answers: list[bytes]) -> None:
        self._answers = answers
        self.told: list[Command] = []

    def exchange(self, apdu: bytes) -> bytes:
        command = Command.parse(apdu)
        self.told.append(command)
        waiting = self._answers.get(Ins(command.ins).name, [])
        return waiting.pop(0) if waiting else answer(0x9000)


def served(command: Proactive, **other: Callable[[bytes], None]) -> TerminalResponse:
    """What a handset answers to a proactive command."""
    octets = command.encode()
    chip = Chip(STATUS=[answer(0x9100 + len(octets))], FETCH=[answer(0x9000, octets)])
    transmit = other.get("transmit", lambda _tpdu: None)

    async def run() -> None:
        handset = Handset(
            chip, ScriptedPerson(refuses_pin=True, first_well=-1), transmit, clock=lambda: NOW
        )
        handset.power_on()
        await handset.idle()

    asyncio.run(run())
    return TerminalResponse.parse(chip.told[-1].data)


def test_a_handset_carries_out_what_a_card_asks() -> None:
    assert served(toolkit.display("x")).result == Result.OK
    assert served(toolkit.ask_hidden("PIN", 6, 8)).result == Result.ENDED_BY_USER
    assert served(toolkit.ask_time()).time.hex() == "62305041709082"
    sent: list[bytes] = []
    submit = Submit("9484", b"\x02\x70\x00x").encode()
    assert served(toolkit.send(submit), transmit=sent.append).result == Result.OK
    assert Submit.parse(sent[0]) == Submit("9484", b"\x02\x70\x00x", reference=1)


def test_a_short_message_that_cannot_go_is_told_to_the_card() -> None:
    def no_network(_tpdu: bytes) -> None:
        raise OSError("no network")

    submit = Submit("9484", b"\x02\x70\x00x").encode()
    assert served(toolkit.send(submit), transmit=no_network).result == Result.NETWORK_BUSY
    assert served(toolkit.send(b"\xff")).result == Result.NETWORK_BUSY


def test_a_card_that_does_not_start_is_no_card() -> None:
    handset = Handset(Chip(SELECT=[answer(0x6A82)]), ScriptedPerson(), lambda _tpdu: None)
    with pytest.raises(OSError, match="0x6a82"):
        handset.power_on()


def test_a_card_that_keeps_its_command_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    chip = Chip(STATUS=[answer(0x9110)], FETCH=[answer(0x6700)])

    async def run() -> None:
        handset = Handset(chip, ScriptedPerson(), lambda _tpdu: None)
        handset.power_on()
        await handset.idle()
        handset.power_off()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert "0x6700" in caplog.text


def test_the_menu_changes_and_unblocks_the_pin() -> None:
    bench = Bench().enrolled()
    handset = Handset(bench.card, ScriptedPerson(), lambda _tpdu: None)
    assert handset.change_pin("999999", "777888") == 0x63C2
    assert handset.change_pin(PIN, "777888") == 0x9000
    assert handset.unblock_pin(bench.state().puk, "888999") == 0x9000
    assert bench.state().pin == "888999"


@pytest.mark.parametrize(("dcs", "has_header"), [(0x04, False), (0x08, True)])
def test_a_text_message_that_cannot_be_shown_is_malformed(dcs: int, *, has_header: bool) -> None:
    handset = Handset(Chip(), ScriptedPerson(), lambda _tpdu: None)
    tpdu = Deliver("9484", b"\0a", NOW, 0, dcs, has_header).encode()
    with pytest.raises(Malformed):
        asyncio.run(handset.receive(tpdu))
    assert handset.inbox == []


@pytest.mark.parametrize(
    "octets",
    [
        "d100",
        "d0098103012403820281820000",
        "d009810301240382028182",
        "d00b8103012103820281828d01ff",
        "d00e810301210382028182810301210382",
        "d00d81030121038202818281030121",
    ],
)
def test_octets_that_are_no_proactive_command_are_malformed(octets: str) -> None:
    with pytest.raises(Malformed):
        Proactive.parse(bytes.fromhex(octets))


def test_tags_without_the_comprehension_bit_and_empty_texts_are_read() -> None:
    plain = bytes.fromhex("010301210402028281" + "030100" + "0d00")
    found = TerminalResponse.parse(plain)
    assert (found.number, found.act, found.result, found.text) == (1, 0x21, 0, "")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "8103012104",
        "810301210482028281",
        "8103012104820282818300",
        "8103012104820282818301008d0207ff",
        "810301210482028281830100" * 2,
    ],
)
def test_octets_that_are_no_terminal_response_are_malformed(data: str) -> None:
    with pytest.raises(Malformed):
        TerminalResponse.parse(bytes.fromhex(data))


def test_a_scripted_person_keeps_the_script_after_the_first_dialogue() -> None:
    person = ScriptedPerson(refuses_page=1, wrong_pins=1, first_well=1)

    async def dialogue() -> list[str | Press]:
        pressed: list[str | Press] = [await person.read("Mã xác nhận: 1"), await person.read("x")]
        return [*pressed, await person.type_in("PIN", is_hidden=True)]

    assert asyncio.run(dialogue()) == [Press.OK, Press.OK, CHOSEN_PIN]
    assert asyncio.run(dialogue()) == [Press.OK, Press.CANCEL, "999999"]
    assert asyncio.run(dialogue()) == [Press.OK, Press.CANCEL, CHOSEN_PIN]


def test_phones_need_a_network() -> None:
    phones = Phones(CardIssuer(bytes(32)))
    assert not phones.knows("84911000000")
    with pytest.raises(RuntimeError, match="network"):
        phones.phone("84900000000")


def test_the_time_of_a_handset_is_vietnams() -> None:
    chip = Chip(
        STATUS=[answer(0x9100 + len(toolkit.ask_time().encode()))],
        FETCH=[answer(0x9000, toolkit.ask_time().encode())],
    )

    async def run() -> None:
        handset = Handset(chip, ScriptedPerson(), lambda _tpdu: None)
        handset.power_on()
        await handset.idle()

    asyncio.run(run())
    time = TerminalResponse.parse(chip.told[-1].data).time
    assert time[6] == 0x82  # 28 quarters of an hour
    shown = decode_time(time)
    assert abs(shown - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_a_response_packet_is_nothing_for_a_card() -> None:
    bench = Bench()
    octets = bench.seal(ProfileRequest(bytes(16)).encode())
    [user_data] = split(PacketKind.RESPONSE, octets, 0)
    assert bench.push(user_data) == (b"", 0x6A80)
