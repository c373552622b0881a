"""``python -m sim_adapter.vsim``: a message centre with virtual phones behind it.

Gateways bind to it with SMPP 3.4. Phones follow their number (docs/virtual-sim.md); ``--play`` lets
the person at this terminal hold one of them. Secrets come from files.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from sim_adapter.ota.keysets import MASTER_OCTETS, CardIssuer, read_secret
from sim_adapter.ota.smsc import MessageCentre
from sim_adapter.vsim.phones import Phones
from sim_adapter.vsim.state import MemoryStore, SealedFile, StateStore
from sim_adapter.vsim.terminal import TerminalKeyboard, TerminalPerson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_INSTANCE_OCTETS = 32


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m sim_adapter.vsim", description=__doc__)
    made.add_argument("--host", default="127.0.0.1", help="where gateways connect")
    made.add_argument("--port", type=int, default=2775)
    made.add_argument("--system-id", default="ota", help="the gateway's SMPP name")
    made.add_argument("--password-file", type=Path, required=True, help="its SMPP password")
    made.add_argument(
        "--master-key-file", type=Path, required=True, help="32 octets all card keys derive from"
    )
    made.add_argument(
        "--state-folder", type=Path, help="where cards keep their memory; without it, nowhere"
    )
    made.add_argument("--play", metavar="MSISDN", help="a number whose phone you hold")
    return made


def stores(folder: Path | None) -> Callable[[str], StateStore]:
    """Where each card's memory is kept, sealed by a secret that is made with the folder."""
    if folder is None:
        return lambda _iccid: MemoryStore()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "instance.secret"
    with contextlib.suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(file, secrets.token_bytes(_INSTANCE_OCTETS))
        os.close(file)
    secret = read_secret(path, _INSTANCE_OCTETS)
    return lambda iccid: SealedFile(folder, iccid, secret)


async def serve(arguments: argparse.Namespace) -> None:
    """Run until SIGINT or SIGTERM."""
    password = read_secret(arguments.password_file).decode("ascii")
    issuer = CardIssuer(read_secret(arguments.master_key_file, MASTER_OCTETS))
    phones = Phones(issuer, store_of=stores(arguments.state_folder))
    centre = MessageCentre(phones, {arguments.system_id: password})
    phones.join(centre)
    port = await centre.start(arguments.host, arguments.port)
    print(f"SMPP 3.4: {arguments.host}:{port}", flush=True)
    if arguments.play:
        phones.give_to(arguments.play, TerminalPerson(print, TerminalKeyboard()))
        print(f"Bạn đang cầm máy +{arguments.play} · you hold this phone", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    phones.power_off()
    await centre.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    asyncio.run(serve(parser().parse_args(arguments)))


if __name__ == "__main__":
    main()
