"""``python -m consent_app --config FILE``: the consent page under uvicorn."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from consent_app import config
from consent_app.app import create_app
from consent_app.figures import CountedLog, Figures
from consent_app.log import configure_logging
from consent_app.management import watched

if TYPE_CHECKING:
    from types import FrameType

    from consent_app.config import ConsentConfig
    from consent_app.site import Drain

_KEEP_ALIVE = 75  # seconds; longer than a proxy keeps an idle connection, so that it closes first


class DrainingServer(uvicorn.Server):
    """On SIGTERM: not ready at once, no new connections after ``notice`` seconds, then the end.

    A second signal skips the notice. The exit status is 0: being stopped is not a failure.
    """

    def __init__(self, options: uvicorn.Config, drain: Drain, notice: int) -> None:
        super().__init__(options)
        self._drain = drain
        self._notice = notice
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called by uvicorn in the main thread for SIGINT and SIGTERM."""
        if self._drain.started:
            self.should_exit = True
        self._drain.started = True
        self._stop_at = time.monotonic() + self._notice

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends the serving."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(loaded: ConsentConfig) -> None:
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
        access_log=False,  # it would log the query, and the edge has a line of its own
        server_header=False,
        date_header=True,
        proxy_headers=False,  # no decision depends on the visitor's address
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=loaded.listen.drain,
        h11_max_incomplete_event_size=16 * 1024,
    )
    # What is there now stays: the garbage collector need not look at it again, and at what is new
    # not as often as by itself.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    metrics = figures.text if figures is not None else bytes
    with watched(loaded.management, loaded.listen, metrics):
        DrainingServer(options, app.state.site.drain, loaded.listen.notice).run()


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration and serve until told to stop; 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="consent_app", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    try:
        loaded = config.load(parser.parse_args(arguments).config)
    except config.ConfigInvalid as error:
        print(f"consent_app: {error}", file=sys.stderr)
        return 2
    configure_logging()
    serve(loaded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
