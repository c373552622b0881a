"""``python -m sim_adapter.mssp``: a test MSSP over HTTP, in front of a message centre (SMPP 3.4).

The phones behind that centre are ``python -m sim_adapter.vsim``. Secrets come from files.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from sim_adapter.log import configure_logging
from sim_adapter.mssp.app import create_app
from sim_adapter.mssp.server import Mssp
from sim_adapter.mssp.subscribers import Subscribers
from sim_adapter.ota.counters import CounterFile
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.gateway import Gateway
from sim_adapter.ota.keysets import MASTER_OCTETS, CardIssuer, read_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


class StoppableServer(uvicorn.Server):
    """Ends in good order: uvicorn's own way is to repeat the signal, before anything is closed."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called by uvicorn for SIGINT and SIGTERM."""
        self.should_exit = True


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m sim_adapter.mssp", description=__doc__)
    made.add_argument("--host", default="127.0.0.1", help="where application providers connect")
    made.add_argument("--port", type=int, default=8403)
    made.add_argument("--ap-id", default="urn:remote-signing:ap", help="who may ask (AP_ID)")
    made.add_argument("--ap-password-file", type=Path, required=True, help="its AP_PWD")
    made.add_argument("--smpp-host", default="127.0.0.1", help="the message centre")
    made.add_argument("--smpp-port", type=int, default=2775)
    made.add_argument("--system-id", default="ota", help="our SMPP name")
    made.add_argument("--password-file", type=Path, required=True, help="our SMPP password")
    made.add_argument(
        "--master-key-file", type=Path, required=True, help="32 octets all card keys derive from"
    )
    made.add_argument(
        "--state-folder", type=Path, required=True, help="counters and subscribers, kept"
    )
    return made


async def serve(arguments: argparse.Namespace) -> None:
    """Run until SIGINT or SIGTERM."""
    folder: Path = arguments.state_folder
    counters = CounterFile(folder / "counters")
    gateway = Gateway(counters)
    esme = Esme(
        EsmeConfig(
            arguments.smpp_host,
            arguments.smpp_port,
            arguments.system_id,
            read_secret(arguments.password_file).decode("ascii"),
        ),
        gateway.take,
    )
    gateway.use(esme)
    issuer = CardIssuer(read_secret(arguments.master_key_file, MASTER_OCTETS))
    password = read_secret(arguments.ap_password_file).decode()
    subscribers = Subscribers(issuer, file=folder / "subscribers.json")
    mssp = Mssp(gateway, subscribers, {arguments.ap_id: password})
    await esme.start()
    options = uvicorn.Config(
        create_app(mssp),
        host=arguments.host,
        port=arguments.port,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    try:
        await StoppableServer(options).serve()
    finally:
        await esme.stop()
        counters.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    configure_logging()
    given = parser().parse_args(arguments)
    given.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(serve(given))


if __name__ == "__main__":
    main()
