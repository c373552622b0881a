"""``python -m remote_signing.sam --config FILE``: one SAM host.

Listens for the SAP on a Unix socket, whose callers are known by their user id, and, when so
configured, on TCP with TLS 1.3 and certificates on both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from remote_signing import heap
from remote_signing.errors import InvalidInput
from remote_signing.sam.config import load
from remote_signing.sam.listeners import Listeners
from remote_signing.sam.log import configure_logging
from remote_signing.sam.supervisor import Supervisor

log = logging.getLogger(__name__)


async def serve(config_file: Path) -> None:
    """Run until SIGTERM or SIGINT, then drain: answer what was taken, take nothing more."""
    config = load(config_file)
    config.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    supervisor = Supervisor(config, config_file)
    listeners = Listeners(config, supervisor)
    try:
        supervisor.start()
        await listeners.open()
        heap.settle()
        log.info("listening", extra={"socket": str(config.socket), "pid": os.getpid()})
        await ending.wait()
        log.info("draining")
        await listeners.drain(config.deadlines.drain)
    finally:
        await supervisor.close()


def main() -> int:
    """The command line."""
    heap.keep_private()
    parser = argparse.ArgumentParser(prog="python -m remote_signing.sam", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file (docs/operations.md)")
    configure_logging()
    try:
        asyncio.run(serve(parser.parse_args().config))
    except InvalidInput as error:
        log.error("configuration: %s", error.cause)  # noqa: TRY400 - the cause says it all
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
