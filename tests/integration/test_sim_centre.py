"""The message centre judged by smpplib, an SMPP client that nobody here wrote."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
import smpplib.client
import smpplib.exceptions
import smpplib.smpp

from sim_adapter.ota import packet, spi
from sim_adapter.ota.messages import Profiled, ProfileRequest, parse_answer
from sim_adapter.ota.segments import PacketKind, split
from sim_adapter.ota.smpp import Bind, Command, Pdu, ShortMessage
from tests.support.sim_air import PASSWORD, Air, air

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def in_the_air(folder: Path, work: Callable[[Air], Awaitable[None]]) -> None:
    async def run() -> None:
        async with air(folder) as found:
            await work(found)

    asyncio.run(run())


def client(port: int) -> smpplib.client.Client:
    made = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
    made.connect()
    return made


def profile_by_smpplib(found: Air) -> tuple[list[bytes], list[str]]:
    """Ask a card for its profile; user data and receipts that came back."""
    card = found.phone()
    sealed = packet.seal_command(
        spi.COMMAND, card.command_keys, card.tar, 1, ProfileRequest(bytes(16)).encode()
    )
    heard: list[bytes] = []
    receipts: list[str] = []

    def take(pdu: smpplib.smpp.pdu.PDU) -> None:
        if pdu.esm_class == 0x04:
            receipts.append(pdu.short_message.decode("ascii"))
        else:
            heard.append(pdu.short_message)

    foreign = client(found.port)
    foreign.set_message_received_handler(take)
    foreign.bind_transceiver(system_id="ota", password=PASSWORD)
    for user_data in split(PacketKind.COMMAND, sealed, 1):
        foreign.send_message(
            source_addr="9484",
            destination_addr=card.msisdn,
            short_message=user_data,
            esm_class=0x40,
            protocol_id=0x7F,
            data_coding=0xF6,
            registered_delivery=1,
        )
    while not (heard and receipts):
        foreign.read_once()
    foreign.unbind()
    foreign.disconnect()
    response = packet.open_response(heard[0][3:], spi.COMMAND, card.command_keys)
    assert response.is_proven
    answer = parse_answer(response.data)
    assert isinstance(answer, Profiled)
    assert answer.profile.iccid == card.iccid
    return heard, receipts


def test_a_foreign_client_reaches_a_card(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        heard, receipts = await asyncio.to_thread(profile_by_smpplib, found)
        assert len(heard) == 1
        assert "stat:DELIVRD" in receipts[0]

    in_the_air(tmp_path, work)


def refused_bind(port: int, password: str) -> None:
    foreign = client(port)
    try:
        with pytest.raises(smpplib.exceptions.PDUError):
            foreign.bind_transceiver(system_id="ota", password=password)
    finally:
        foreign.disconnect()


def test_a_foreign_client_with_a_wrong_password_is_refused(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        await asyncio.to_thread(refused_bind, found.port, "wrong")

    in_the_air(tmp_path, work)


def talk(port: int, *units: bytes) -> list[Pdu]:
    """Send units over a plain socket; the answers until the centre is silent or gone."""
    found: list[Pdu] = []
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        for unit in units:
            plain.sendall(unit)
        plain.settimeout(0.3)
        try:
            while head := plain.recv(4):
                found.append(Pdu.parse(head + plain.recv(int.from_bytes(head, "big") - 4)))
        except TimeoutError:
            pass
    return found


SUBMIT = ShortMessage("9484", "84900000000", b"\x02\x70\x00x").encode()


@pytest.mark.parametrize(
    ("unit", "answers"),
    [
        (Pdu(Command.ENQUIRE_LINK, 7).encode(), [(0x80000015, 0)]),
        (Pdu(Command.SUBMIT_SM, 7, body=SUBMIT).encode(), [(0x80000004, 4)]),
        (Pdu(Command.BIND_TRANSCEIVER, 7, body=b"x").encode(), [(0x80000009, 2)]),
        (Pdu(0x103, 7).encode(), [(0x80000000, 3)]),
        (Pdu(Command.UNBIND, 7).encode(), [(0x80000006, 0)]),
        (Pdu(0x80000004, 7).encode(), []),
        (b"\0\0\0\x04", []),
        (b"\xff\xff\xff\xff", []),
        (b"\0\0\0\x10\0", []),
    ],
    ids=str,
)
def test_a_stranger_gets_no_further_than_the_door(
    tmp_path: Path, unit: bytes, answers: list[tuple[int, int]]
) -> None:
    async def work(found: Air) -> None:
        heard = await asyncio.to_thread(talk, found.port, unit)
        assert [(pdu.command, pdu.status) for pdu in heard] == answers

    in_the_air(tmp_path, work)


def test_a_bound_gateway_is_told_what_is_wrong(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        bind = Pdu(Command.BIND_TRANSMITTER, 1, body=Bind("ota", PASSWORD).encode()).encode()
        nobody = ShortMessage("9484", "84911000000", b"x").encode()
        heard = await asyncio.to_thread(
            talk,
            found.port,
            bind,
            bind,
            Pdu(Command.SUBMIT_SM, 2, body=nobody).encode(),
            Pdu(Command.SUBMIT_SM, 3, body=b"x").encode(),
            *(
                Pdu(Command.SUBMIT_SM, 5, body=no_radio.encode()).encode()
                for no_radio in (
                    ShortMessage("BANK", "84900000000", b"x"),
                    ShortMessage("9484", "84900000000", bytes(141)),
                    ShortMessage("9484", "84900000000", b"\xff", data_coding=0),
                )
            ),
            Pdu(Command.DELIVER_SM, 4, body=SUBMIT).encode(),
        )
        assert [pdu.status for pdu in heard] == [0, 0x05, 0x0B, 0x45, 0x45, 0x45, 0x45, 0x04]

    in_the_air(tmp_path, work)


def undelivered_by_smpplib(found: Air) -> str:
    """The receipt for a message that no handset can show."""
    foreign = client(found.port)
    receipts: list[str] = []
    foreign.set_message_received_handler(
        lambda pdu: receipts.append(pdu.short_message.decode("ascii"))
    )
    foreign.bind_transceiver(system_id="ota", password=PASSWORD)
    foreign.send_message(
        source_addr="9484",
        destination_addr=found.phone().msisdn,
        short_message=b"\0",
        data_coding=4,
        registered_delivery=1,
    )
    while not receipts:
        foreign.read_once()
    foreign.unbind()
    foreign.disconnect()
    return receipts[0]


def test_a_message_that_no_handset_can_show_is_undelivered(tmp_path: Path) -> None:
    async def work(found: Air) -> None:
        assert "stat:UNDELIV" in await asyncio.to_thread(undelivered_by_smpplib, found)

    in_the_air(tmp_path, work)
