"""``python -m sim_adapter.vsim`` as a process: phones behind SMPP, and cards that remember."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

from sim_adapter.ota.counters import CounterFile
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.gateway import Gateway
from sim_adapter.ota.keysets import CardIssuer, CardRecord
from sim_adapter.ota.orders import Cause, Enrolled, EnrolOrder, Mode, NotDone, Signed
from tests.support.sim_air import PASSWORD, soon, text_order
from tests.support.sim_messages import CODE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Started = tuple[int, asyncio.subprocess.Process]
MASTER = bytes(range(32))
MSISDN = "84900000077"


def secret(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@contextlib.asynccontextmanager
async def program(folder: Path, *arguments: str) -> AsyncIterator[Started]:
    """The program, its port, and an orderly end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim_adapter.vsim", "--port", "0"),
        *("--password-file", str(secret(folder / "password", PASSWORD.encode()))),
        *("--master-key-file", str(secret(folder / "master", MASTER))),
        *("--state-folder", str(folder / "cards")),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    found = re.search(r":(\d+)$", line.strip())
    assert found is not None
    try:
        yield int(found[1]), process
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0


@contextlib.asynccontextmanager
async def gateway_to(folder: Path, port: int) -> AsyncIterator[Gateway]:
    counters = CounterFile(folder / "counters")
    gateway = Gateway(counters)
    esme = Esme(EsmeConfig("127.0.0.1", port, "ota", PASSWORD), gateway.take)
    gateway.use(esme)
    await esme.start()
    try:
        yield gateway
    finally:
        await esme.stop()
        counters.close()


async def enrol(gateway: Gateway, card: CardRecord) -> object:
    facts = os.urandom(16), "Sở Nội vụ", "C" * 26, bytes(32), CODE, soon(30)
    order = EnrolOrder(*facts, modes=(Mode.TEXT,))
    return await gateway.enrol(card, order)


def test_cards_remember_over_a_restart_of_both_sides(tmp_path: Path) -> None:
    async def work() -> None:
        card = CardIssuer(MASTER).card(MSISDN)
        order = text_order()
        async with program(tmp_path) as (port, _), gateway_to(tmp_path, port) as gateway:
            assert isinstance(await enrol(gateway, card), Enrolled)
            assert isinstance(await gateway.sign(card, order), Signed)
        async with program(tmp_path) as (port, _), gateway_to(tmp_path, port) as gateway:
            replayed = NotDone(order.transaction_id, Cause.REPLAYED)
            assert await gateway.sign(card, order) == replayed
            assert isinstance(await gateway.sign(card, text_order()), Signed)

    asyncio.run(work())


def test_a_person_plays_the_phone(tmp_path: Path) -> None:
    """Keys come from a pipe here; what is shown is what a person at a terminal would read."""

    async def work() -> None:
        card = CardIssuer(MASTER).card(MSISDN)
        async with (
            program(tmp_path, "--play", MSISDN) as (port, process),
            gateway_to(tmp_path, port) as gateway,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"h\n")
            refused = await enrol(gateway, card)
            assert isinstance(refused, NotDone)
            assert refused.cause is Cause.REFUSED
            waiting = asyncio.ensure_future(enrol(gateway, card))
            await asyncio.sleep(0.2)  # the person reads, and the program ends all the same
            waiting.cancel()
        shown = (await process.stdout.read()).decode()
        assert f"+{MSISDN}" in shown
        assert "│ Mã xác nhận: 4711" in shown

    asyncio.run(work())
