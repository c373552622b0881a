"""``python -m sim_adapter --config FILE``: the adapter under uvicorn."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from sim_adapter import config, migrations
from sim_adapter.app import create_app
from sim_adapter.figures import CountedLog, Figures
from sim_adapter.log import configure_logging
from sim_adapter.management import watched

if TYPE_CHECKING:
    from types import FrameType

    from sim_adapter.config import SimAdapterConfig
    from sim_adapter.deps import Services

_KEEP_ALIVE = 75  # seconds; longer than a proxy keeps an idle connection


class DrainingServer(uvicorn.Server):
    """On SIGTERM: not ready at once, no new connections after ``notice`` seconds, then the end.

    A second signal skips the notice.
    """

    def __init__(self, options: uvicorn.Config, services: Services) -> None:
        super().__init__(options)
        self._services = services
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called by uvicorn in the main thread for SIGINT and SIGTERM."""
        if self._services.drain.started:
            self.should_exit = True
        self._services.drain.started = True
        self._stop_at = time.monotonic() + self._services.config.listen.notice

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends the serving."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self._services.bells.close()  # long polls answer with what is known
            self.should_exit = True
        return await super().on_tick(counter)


def serve(loaded: SimAdapterConfig) -> None:
    """Serve until a signal; returns when the answers under way are out."""
    figures = None
    if loaded.management is not None:
        figures = Figures()
        logging.getLogger().addHandler(CountedLog(figures))
    app = create_app(loaded, figures=figures)
    options = uvicorn.Config(
        app,
        host=loaded.listen.host,
        port=loaded.listen.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=loaded.listen.drain,
    )
    metrics = figures.text if figures is not None else bytes
    with watched(loaded.management, loaded.listen, metrics):
        DrainingServer(options, app.state.services).run()


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration and serve until told to stop; 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="sim_adapter", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    parser.add_argument("--upgrade", action="store_true", help="bring the database up to date, end")
    given = parser.parse_args(arguments)
    try:
        loaded = config.load(given.config)
        if given.upgrade:
            migrations.upgrade(loaded.database.url, loaded.database.password())
            return 0
        configure_logging()
        serve(loaded)
    except config.ConfigInvalid as error:
        print(f"sim_adapter: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
