"""Short messages: TPDUs, and packets divided over several of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools

import pytest

from sim_adapter.ota.errors import Malformed, SegmentRefused
from sim_adapter.ota.segments import Packet, PacketKind, Reassembler, split
from sim_adapter.ota.tpdu import Deliver, Submit, decode_time, encode_time

SENT = dt.datetime(2026, 3, 5, 14, 7, 9, tzinfo=dt.timezone(dt.timedelta(hours=7)))
SENDER = "84900000000"


def made_up(size: int) -> bytes:
    """Octets of which no two segments are alike."""
    return b"".join(hashlib.sha256(bytes([at])).digest() for at in range(size // 32 + 1))[:size]


def fed(segments: list[bytes], reassembler: Reassembler | None = None) -> list[Packet]:
    reassembler = reassembler or Reassembler()
    found = (reassembler.add(SENDER, segment, 0.0) for segment in segments)
    return [packet for packet in found if packet is not None]


def test_a_deliver_has_the_octets_of_the_standard() -> None:
    deliver = Deliver("84900000000", b"\x02\x70\x00", SENT)
    assert deliver.encode().hex() == "440b914809000000f07ff662305041709082" + "03027000"
    assert Deliver.parse(deliver.encode()) == deliver
    assert deliver.is_for_the_card


def test_a_foreign_deliver_is_read() -> None:
    """The best-known example of a text on a phone, "hellohello" from 27838890001."""
    deliver = Deliver.parse(
        bytes.fromhex("040bc87238880900f10000993092516195800ae8329bfd4697d9ec37")
    )
    assert (deliver.originator, deliver.user_data) == ("27838890001", b"hellohello")
    assert deliver.sent.utcoffset() == dt.timedelta(hours=2)
    assert not deliver.is_for_the_card
    assert Deliver.parse(deliver.encode()) == deliver


def test_a_submit_is_read_with_and_without_a_validity() -> None:
    submit = Submit("9484", b"\x02\x71\x00", reference=5)
    plain = submit.encode()
    assert plain.hex() == "4105049149487ff603027100"
    assert Submit.parse(plain) == submit
    relative = bytes([plain[0] | 0x10]) + plain[1:8] + b"\xa7" + plain[8:]
    assert Submit.parse(relative) == submit
    with pytest.raises(Malformed, match="SUBMIT"):
        Submit.parse(Deliver("9484", b"x", SENT).encode())


@pytest.mark.parametrize("hours", [-12, -3.5, 0, 5.75, 7, 14])
def test_a_moment_keeps_its_zone(hours: float) -> None:
    moment = SENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours)))
    assert decode_time(encode_time(moment)) == moment


@pytest.mark.parametrize("octets", ["62035041709082", "62f05041709082", "623050417090a2"])
def test_a_moment_that_never_was_is_malformed(octets: str) -> None:
    moment = bytes.fromhex(octets)
    with pytest.raises(Malformed):
        decode_time(moment)


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "45",
        "440b91",
        "4415914809000000f0480900000000007ff662305041709082030270",
        "440b9148090000ff" + "f07ff66230504170908203027000",
        "440b914809000000f07ff66230504170908204027000",
        "440b914809000000f07ff6623050417090820302700000",
        "440b914809000000f07ff6623050417090828d" + "00" * 141,
        "440b914809000000f07f006230504170908203027000",
    ],
)
def test_octets_that_are_no_deliver_are_malformed(octets: str) -> None:
    with pytest.raises(Malformed):
        Deliver.parse(bytes.fromhex(octets))


def test_too_much_user_data_is_not_written() -> None:
    with pytest.raises(Malformed):
        Submit("9484", bytes(141)).encode()


@pytest.mark.parametrize("size", [0, 1, 137, 138, 266, 267, 1070])
def test_a_packet_comes_out_as_it_went_in(size: int) -> None:
    octets = made_up(size)
    segments = split(PacketKind.COMMAND, octets, 7)
    assert all(len(segment) <= 140 for segment in segments)
    assert fed(segments) == [Packet(PacketKind.COMMAND, octets)]


def test_a_packet_that_needs_nine_messages_is_refused() -> None:
    with pytest.raises(SegmentRefused, match="9"):
        split(PacketKind.COMMAND, bytes(1071), 1)


def test_every_order_of_segments_gives_the_packet_once() -> None:
    octets = made_up(500)
    segments = split(PacketKind.RESPONSE, octets, 9)
    for order in itertools.permutations(segments):
        assert fed([*order, *order, *segments]) == [Packet(PacketKind.RESPONSE, octets)]


def test_a_missing_segment_gives_nothing() -> None:
    segments = split(PacketKind.COMMAND, bytes(500), 9)
    for left_out in range(len(segments)):
        assert fed(segments[:left_out] + segments[left_out + 1 :]) == []


def test_copies_must_be_identical() -> None:
    reassembler = Reassembler()
    first, second, third = split(PacketKind.COMMAND, bytes(400), 9)
    reassembler.add(SENDER, second, 0.0)
    forged = second[:-1] + b"\x01"
    with pytest.raises(SegmentRefused, match="contradict"):
        reassembler.add(SENDER, forged, 0.0)
    assert fed([first, third], reassembler) == []  # what was collected is gone


def test_mixed_totals_are_dropped() -> None:
    reassembler = Reassembler()
    long, short = split(PacketKind.COMMAND, bytes(400), 9), split(PacketKind.COMMAND, bytes(200), 9)
    reassembler.add(SENDER, long[0], 0.0)
    with pytest.raises(SegmentRefused):
        reassembler.add(SENDER, short[1], 0.0)
    assert reassembler.waiting == 0


def test_senders_do_not_mix() -> None:
    reassembler = Reassembler()
    segments = split(PacketKind.COMMAND, bytes(200), 9)
    assert reassembler.add("84900000001", segments[0], 0.0) is None
    assert reassembler.add("84900000002", segments[1], 0.0) is None


def test_what_waits_too_long_is_forgotten() -> None:
    reassembler = Reassembler(timeout=60)
    first, second = split(PacketKind.COMMAND, bytes(200), 9)
    reassembler.add(SENDER, first, 0.0)
    assert reassembler.add(SENDER, second, 61.0) is None
    assert reassembler.waiting == 1


def test_what_waits_is_bounded() -> None:
    reassembler = Reassembler(most_of_a_sender=2, most=3)
    started = [split(PacketKind.COMMAND, bytes(200), reference)[0] for reference in range(3)]
    for segment in started[:2]:
        reassembler.add(SENDER, segment, 0.0)
    with pytest.raises(SegmentRefused, match="one sender"):
        reassembler.add(SENDER, started[2], 0.0)
    reassembler.add("84900000001", started[0], 0.0)
    with pytest.raises(SegmentRefused, match="too many"):
        reassembler.add("84900000002", started[0], 0.0)


def test_a_reference_may_be_used_again_after_its_packet_was_complete() -> None:
    reassembler = Reassembler()
    for size in (400, 300, 400):
        octets = made_up(size)[::-1]  # unlike the others from the first segment on
        whole = Packet(PacketKind.COMMAND, octets)
        assert fed(split(PacketKind.COMMAND, octets, 9), reassembler) == [whole]


def test_packets_that_are_complete_make_room_for_others() -> None:
    reassembler = Reassembler(most=2)
    for reference in range(10):
        assert len(fed(split(PacketKind.COMMAND, bytes(200), reference), reassembler)) == 1
    assert reassembler.waiting == 2


@pytest.mark.parametrize(
    ("user_data", "why"),
    [
        ("", "no length"),
        ("00", "no packet announced"),
        ("027000" * 2, "ok"),
        ("0470007100", "two kinds"),
        ("03700101", "a kind with a value"),
        ("0470007000", "an element twice"),
        ("0d00030102010804010202017000", "two references"),
        ("0700030100017000", "no segments"),
        ("0700030109017000", "nine segments"),
        ("0700030102037000", "the third of two"),
        ("0700030102027000", "announced in the second"),
        ("050003010201", "not announced in the first"),
        ("0500030102", "cut"),
        ("06000401020102", "a reference of the wrong length"),
    ],
)
def test_a_header_is_read_strictly(user_data: str, why: str) -> None:
    reassembler = Reassembler()
    if why == "ok":
        assert reassembler.add(SENDER, bytes.fromhex(user_data), 0.0) is not None
        return
    with pytest.raises(Malformed):
        reassembler.add(SENDER, bytes.fromhex(user_data), 0.0)


def test_long_references_are_read() -> None:
    first, second = split(PacketKind.COMMAND, bytes(200), 9)
    long = [
        bytes([8, 8, 4, 1, 9, *first[4:]]),
        bytes([6, 8, 4, 1, 9, *second[4:]]),
    ]
    assert fed(long) == [Packet(PacketKind.COMMAND, bytes(200))]
