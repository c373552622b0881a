"""SMPP units as octets, read strictly."""

from __future__ import annotations

import pytest
import smpplib.client
import smpplib.smpp

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.smpp import (
    Bind,
    Command,
    Pdu,
    ShortMessage,
    checked_length,
    relative_validity,
    validity_seconds,
)

MESSAGE = ShortMessage(
    "9484", "84900000000", b"\x02\x70\x00data", validity_period="000000000120000R"
)


def test_a_short_message_is_what_a_foreign_library_reads() -> None:
    pdu = Pdu(Command.SUBMIT_SM, 5, body=MESSAGE.encode()).encode()
    foreign = smpplib.smpp.parse_pdu(
        pdu, client=smpplib.client.Client("127.0.0.1", 0, allow_unknown_opt_params=True)
    )
    assert (foreign.sequence, foreign.source_addr, foreign.destination_addr) == (
        5,
        b"9484",
        b"84900000000",
    )
    assert (foreign.esm_class, foreign.protocol_id, foreign.data_coding) == (0x40, 0x7F, 0xF6)
    assert foreign.short_message == MESSAGE.user_data
    assert foreign.validity_period == b"000000000120000R"


@pytest.mark.parametrize("size", [0, 140, 254, 255, 1000])
def test_a_short_message_comes_back(size: int) -> None:
    message = ShortMessage("9484", "84900000000", bytes(size), wants_receipt=True)
    assert ShortMessage.parse(message.encode()) == message


def test_a_bind_comes_back_and_does_not_show_its_password() -> None:
    bind = Bind("ota", "geheim")
    assert Bind.parse(bind.encode()) == bind
    assert "geheim" not in repr(bind)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        Bind("o" * 16, "x").encode(),
        Bind("ota", "p" * 9).encode(),
        Bind("ota", "x").encode() + b"\0",
        b"\xc3\xa9\0" + Bind("", "x").encode()[1:],
    ],
    ids=["nothing", "long name", "long password", "more", "not ASCII"],
)
def test_a_bind_is_read_strictly(body: bytes) -> None:
    with pytest.raises(Malformed):
        Bind.parse(body)


@pytest.mark.parametrize(
    "tail",
    [b"\x04\x24\x00\x01", b"\x04\x24\x00\x01x", b"\x02\x04\x00\x00\x02\x04\x00\x00", b"\x02"],
    ids=["cut", "two messages", "twice", "half a tag"],
)
def test_optional_parameters_are_read_strictly(tail: bytes) -> None:
    with pytest.raises(Malformed):
        ShortMessage.parse(MESSAGE.encode() + tail)


def test_unknown_optional_parameters_are_skipped() -> None:
    assert ShortMessage.parse(MESSAGE.encode() + b"\x02\x04\x00\x02ab") == MESSAGE


@pytest.mark.parametrize("octets", ["0000000f", "00001001", "ffffffff"])
def test_a_length_out_of_bounds_is_malformed(octets: str) -> None:
    with pytest.raises(Malformed):
        checked_length(bytes.fromhex(octets))


def test_a_unit_of_another_length_is_malformed() -> None:
    octets = Pdu(Command.ENQUIRE_LINK, 1).encode()
    assert Pdu.parse(octets) == Pdu(Command.ENQUIRE_LINK, 1)
    with pytest.raises(Malformed):
        Pdu.parse(octets + b"\0")


@pytest.mark.parametrize(
    ("seconds", "period"),
    [(80, "000000000120000R"), (0, "000000000001000R"), (10**6, "000000235959000R")],
)
def test_a_validity_is_relative_and_bounded(seconds: int, period: str) -> None:
    assert relative_validity(seconds) == period
    assert validity_seconds(period) == max(1, min(seconds, 86399))


@pytest.mark.parametrize(
    "period", ["", "260305140709000+", "000100000000000R", "00000000x120000R", "000002000000000R"]
)
def test_another_validity_counts_as_the_longest(period: str) -> None:
    assert validity_seconds(period, longest=60) == 60
