"""One SMPP connection when the other side is silent, rude or gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sim_adapter.ota.errors import LinkFault
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.smpp import RESPONSE, Command, Pdu, ShortMessage, Status
from sim_adapter.ota.smpp_link import SmppLink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def read(reader: asyncio.StreamReader) -> Pdu:
    head = await reader.readexactly(4)
    return Pdu.parse(head + await reader.readexactly(int.from_bytes(head, "big") - 4))


def with_centre(
    centre: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    work: Callable[[int], Awaitable[None]],
) -> None:
    """Run ``work(port)`` while ``centre`` serves each connection."""

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await centre(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            await work(server.sockets[0].getsockname()[1])

    asyncio.run(run())


async def linked(port: int, **options: float) -> tuple[SmppLink, asyncio.Task[None]]:
    async def refuse(_pdu: Pdu) -> tuple[Status, bytes]:
        return Status.WRONG_BIND_STATE, b""

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    link = SmppLink(reader, writer, refuse, **options)
    return link, asyncio.ensure_future(link.run())


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while True:
        await read(reader)


def test_silence_is_a_fault_and_a_closed_link_too() -> None:
    async def work(port: int) -> None:
        link, running = await linked(port, answer_within=0.05)
        with pytest.raises(LinkFault, match="no answer"):
            await link.request(Command.ENQUIRE_LINK)
        waiting = asyncio.ensure_future(link.request(Command.SUBMIT_SM))
        await asyncio.sleep(0.01)
        link.close()
        with pytest.raises(LinkFault, match="lost"):
            await waiting
        with pytest.raises(LinkFault, match="closed"):
            await link.request(Command.SUBMIT_SM)
        await running

    with_centre(silent, work)


def test_sequence_numbers_begin_again_after_the_last_one() -> None:
    seen: list[int] = []

    async def centre(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read(reader)
            seen.append(asked.sequence)
            writer.write(Pdu(asked.command | RESPONSE, asked.sequence).encode())

    async def work(port: int) -> None:
        link, running = await linked(port)
        await link.request(Command.ENQUIRE_LINK)
        link._last = 0x7FFFFFFE  # noqa: SLF001 - two thousand million requests later
        for _ in range(2):
            await link.request(Command.ENQUIRE_LINK)
        link.close()
        await running

    with_centre(centre, work)
    assert seen == [1, 0x7FFFFFFF, 1]


def test_a_peer_without_a_pulse_is_left() -> None:
    async def work(port: int) -> None:
        link, running = await linked(port, answer_within=0.05)
        await link.pulse(0.01)
        assert link.is_closed
        await running

    with_centre(silent, work)


@pytest.mark.parametrize("rude", [b"\0\0\0\x04", b"\xff\xff\xff\xff\0", b"\0\0\0\x10abc"])
def test_nonsense_ends_the_link(rude: bytes) -> None:
    async def centre(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rude)

    async def work(port: int) -> None:
        link, running = await linked(port)
        await running
        assert link.is_closed

    with_centre(centre, work)


def test_an_answer_to_something_else_is_a_fault() -> None:
    async def centre(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read(reader)
        writer.write(Pdu(Command.GENERIC_NACK, asked.sequence + 7).encode())  # of nobody
        writer.write(Pdu(Command.ENQUIRE_LINK | RESPONSE, asked.sequence).encode())
        await read(reader)

    async def work(port: int) -> None:
        link, running = await linked(port)
        with pytest.raises(LinkFault, match="refused"):
            await link.request(Command.SUBMIT_SM)
        link.close()
        await running

    with_centre(centre, work)


def test_a_gateway_answers_its_centre() -> None:
    """Deliveries, signs of life, unbind, and what no centre should ask."""
    answers: list[Pdu] = []

    async def centre(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bind = await read(reader)
        writer.write(Pdu(bind.command | RESPONSE, bind.sequence, body=b"SMSC\0").encode())
        body = ShortMessage("84900000000", "9484", b"x").encode()
        for number, (command, content) in enumerate(
            [
                (Command.DELIVER_SM, body),
                (Command.DELIVER_SM, b"x"),
                (Command.ENQUIRE_LINK, b""),
                (Command.SUBMIT_SM, body),
                (Command.UNBIND, b""),
            ]
        ):
            writer.write(Pdu(command, number + 1, body=content).encode())
            answers.append(await read(reader))

    heard: list[ShortMessage] = []

    async def work(port: int) -> None:
        esme = Esme(EsmeConfig("127.0.0.1", port, "ota", "geheim"), heard.append)
        await esme.start()
        async with asyncio.timeout(5):
            while len(answers) < 5:  # noqa: ASYNC110 - the centre is on the same loop
                await asyncio.sleep(0.01)
        await esme.stop()

    with_centre(centre, work)
    assert [answer.status for answer in answers[:5]] == [0, 0x02, 0, 0x04, 0]
    assert heard[0].user_data == b"x"
