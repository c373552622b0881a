"""Whatever arrives, parsers raise their own error or give a value; nothing else comes out.

``REMOTE_SIGNING_FUZZ`` sets how many inputs each of them gets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sim_adapter.ota import packet, segments, smpp, spi, structure, text
from sim_adapter.ota.errors import OtaError
from sim_adapter.ota.messages import (
    CancelRequest,
    SignatureMade,
    encode_answer,
    parse_answer,
    parse_request,
)
from sim_adapter.ota.orders import KeyAlgorithm
from sim_adapter.ota.tpdu import Deliver, Submit
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.apdu import Command, Ins
from sim_adapter.vsim.toolkit import Proactive, TerminalResponse
from tests.support.sim_chip import NOW, RECORD, Bench, enrol_request, sign_request
from tests.support.sim_messages import TRANSACTION, consent

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = int(os.environ.get("REMOTE_SIGNING_FUZZ", "100"))
fuzz = settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
KEYS = RECORD.command_keys
SEALED = packet.seal_command(spi.COMMAND, KEYS, RECORD.tar, 7, sign_request().encode())
PROVEN = packet.seal_response(
    spi.COMMAND, KEYS, RECORD.tar, 7, status=packet.ResponseStatus.OK, data=b"done"
)
DELIVER = Deliver("9484", b"\x02\x70\x00" + SEALED[:100], NOW).encode()
SUBMIT = Submit("9484", b"\x02\x70\x00" + SEALED[:100]).encode()
SHORT = smpp.ShortMessage("9484", "84900000000", b"\x02\x70\x00abc").encode()
SAID = TerminalResponse(1, 0x26, 3, 0).encode()


def opened(octets: bytes) -> object:
    return packet.open_command(packet.parse_command(octets), KEYS)


PARSERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "command packet": (opened, [SEALED]),
    "response packet": (lambda octets: packet.open_response(octets, spi.COMMAND, KEYS), [PROVEN]),
    "SMS-DELIVER": (Deliver.parse, [DELIVER]),
    "SMS-SUBMIT": (Submit.parse, [SUBMIT]),
    "user data": (segments.parse, segments.split(segments.PacketKind.COMMAND, SEALED, 5)),
    "SMPP unit": (smpp.Pdu.parse, [smpp.Pdu(4, 1, body=SHORT).encode()]),
    "short message": (smpp.ShortMessage.parse, [SHORT]),
    "bind": (smpp.Bind.parse, [smpp.Bind("ota", "secret").encode()]),
    "request": (
        parse_request,
        [m.encode() for m in (sign_request(), enrol_request(), CancelRequest(TRANSACTION))],
    ),
    "answer": (
        parse_answer,
        [encode_answer(SignatureMade(TRANSACTION, KeyAlgorithm.P256, bytes(64)))],
    ),
    "consent structure": (structure.parse_consent, [consent()]),
    "septets": (lambda octets: text.decode(text.Encoding.GSM7, octets), [b"abc\x1b\x65"]),
    "UCS-2": (lambda octets: text.decode(text.Encoding.UCS2, octets), [b"\x00a\x1e\xbf"]),
    "APDU": (Command.parse, [Command(0x80, Ins.ENVELOPE, data=b"x" * 20).encode()]),
    "proactive command": (
        Proactive.parse,
        [toolkit.ask_hidden("PIN", 6, 8).encode(), toolkit.send(SUBMIT).encode()],
    ),
    "terminal response": (
        TerminalResponse.parse,
        [TerminalResponse(1, 0x23, 4, 0, "135790").encode()],
    ),
    "envelope": (toolkit.parse_envelope, [toolkit.envelope(DELIVER)]),
}


def damaged(samples: list[bytes]) -> st.SearchStrategy[bytes]:
    """A good sample with octets changed, taken out or put in; or anything."""

    @st.composite
    def made(draw: st.DrawFn) -> bytes:
        octets = bytearray(draw(st.sampled_from(samples)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(octets)))
            match draw(st.integers(0, 3)):
                case 0:
                    octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
                case 1:
                    del octets[at : at + draw(st.integers(1, 8))]
                case 2:
                    octets[at:at] = draw(st.binary(max_size=8))
                case _:
                    del octets[at:]
        return bytes(octets)

    return made() | st.binary(max_size=200)


@pytest.mark.parametrize("name", PARSERS)
def test_only_its_own_error_leaves_a_parser(name: str) -> None:
    parser, samples = PARSERS[name]
    for sample in samples:
        parser(sample)  # so that the damaged ones begin with a good one
    tried = refused = 0

    @fuzz
    @given(damaged(samples))
    def parse(octets: bytes) -> None:
        nonlocal tried, refused
        tried += 1
        try:
            parser(octets)
        except OtaError:
            refused += 1

    parse()
    print(f"{name}: {tried} inputs, {refused} refused, 0 other errors")
    assert tried >= COUNT
    assert refused


def test_a_card_answers_whatever_it_is_told_with_a_status_word() -> None:
    bench = Bench().enrolled()
    bench.order(sign_request())
    samples = [
        Command(0x80, Ins.ENVELOPE, data=toolkit.envelope(DELIVER)).encode(),
        Command(0x80, Ins.FETCH, expected=bench.word & 0xFF).encode(),
        Command(
            0x80, Ins.TERMINAL_RESPONSE, data=TerminalResponse(1, 0x26, 3, 0).encode()
        ).encode(),
        Command(0x00, Ins.CHANGE_PIN, 0, 0x81, b"1" * 16).encode(),
        Command(0x00, Ins.SELECT, 0, 4, b"\x3f\x00").encode(),
    ]
    before = bench.state()

    @fuzz
    @given(damaged(samples))
    def tell(apdu: bytes) -> None:
        answer = bench.card.exchange(apdu)
        assert len(answer) >= 2
        assert answer[-2] & 0xF0 in {0x60, 0x90}

    tell()
    after = bench.state()
    assert (after.private_key, after.pin, after.command_counter) == (
        before.private_key,
        before.pin,
        before.command_counter,
    )
