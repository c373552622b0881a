"""What may happen to the site in the middle of a run, and how long it took to get over it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.site import Site

LOSE_NODE, RESTART_POSTGRES = "lose-node", "restart-postgres"
RECOVERED = {LOSE_NODE: 5.0, RESTART_POSTGRES: 10.0}
"""Seconds within which the service is to be good again."""
WELL_MS = 1000.0
"""A second in which nothing fails and 99 of 100 are quicker than this is a good one."""


def lose_node(site: Site) -> None:
    """The first HSM node vanishes, as if it were cut off; with ``--nodes 2`` another is left."""
    tokens = site.folder / "hsm" / "node-1" / "tokens"
    tokens.rename(tokens.with_name("tokens.lost"))


def find_node(site: Site) -> None:
    """It is back: for the next run of a site that is kept."""
    lost = site.folder / "hsm" / "node-1" / "tokens.lost"
    if lost.exists():
        lost.rename(lost.with_name("tokens"))


def restart_postgres(site: Site) -> None:
    """PostgreSQL falls over without a shutdown and is started again at once."""
    site.restart_postgres()


EVENTS: dict[str, Callable[[Site], None]] = {
    LOSE_NODE: lose_node,
    RESTART_POSTGRES: restart_postgres,
}


@dataclass(slots=True)
class Appointment:
    """An event that will happen so many seconds from now."""

    name: str
    timer: threading.Timer

    @classmethod
    def made(cls, site: Site, name: str, seconds: float) -> Appointment:
        """It is waited for in the background."""
        timer = threading.Timer(seconds, EVENTS[name], [site])
        timer.start()
        return cls(name, timer)

    def end(self) -> None:
        """Wait until it is over."""
        self.timer.join()


def recovery(series: Sequence[dict[str, Any]], at: float) -> dict[str, float]:
    """``seconds`` from the event ``at`` that second until the last one that was not good.

    Without ``seconds`` where no good one followed: then nobody knows.
    """
    after = [each for each in series if each["second"] >= int(at)]
    bad = [each["second"] for each in after if each["errors"] or each["p99"] > WELL_MS]
    bad += [each["second"] for each in after if not each["ceremonies"]]
    found = {"at": at, "errors": sum(each["errors"] for each in after)}
    if after and after[-1]["second"] not in bad:
        found["seconds"] = max(bad) + 1 - at if bad else 0.0
    return found
