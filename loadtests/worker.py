"""One user of the load generator: waits until a ceremony is due, does it, writes it down."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.recorder import CeremonyFailed, Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.hosts import Balancer
    from loadtests.place import Place, Scenario
    from loadtests.recorder import Http, Recorder
    from loadtests.turns import Arrivals, Pool

_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Desk:
    """What all users of one generator share. ``sleep`` is the engine's.

    After ``give_up`` (epoch seconds) nothing is begun: what is still due then stays unfinished, and
    the engine ends the users who are at something.
    """

    scenario: Scenario
    place: Place
    pool: Pool
    arrivals: Arrivals
    recorder: Recorder
    sleep: Callable[[float], object] = time.sleep
    give_up: float = math.inf
    balancer: Balancer | None = None

    def turn(self, http: Http) -> bool:
        """One ceremony; False when the run is over."""
        due = self.arrivals.next()
        if due is None:
            return False
        if (early := due - time.time()) > 0:
            self.sleep(early)
        if time.time() >= self.give_up:
            self.recorder.begin(due)
            return True
        official = self.pool.take()
        if official is None:
            # Nobody has an unused code: the generator's shortage, not the service's. Told apart.
            self.recorder.fall_short(due)
            self.sleep(_PAUSE)
            return True
        self.recorder.begin(due)
        cause, signatures = None, 0
        steps = Steps(http, self.recorder, self.balancer)
        try:
            signatures = self.scenario.ceremony(self.place, official, steps)
        except CeremonyFailed as error:
            cause = str(error)
        except (LookupError, TypeError, ValueError) as error:
            # Else the user would end here, or be begun anew, and nobody would count the failure.
            cause = f"answer without {error}"
        finally:
            self.pool.give_back(official)
        self.recorder.ceremony(self.scenario.name, due, signatures, cause)
        return True
