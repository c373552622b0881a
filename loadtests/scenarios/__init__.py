"""What is done to the service: one file a scenario."""

from __future__ import annotations

from loadtests.place import Needs, Scenario
from loadtests.scenarios import ceremony_otp

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO for module in (ceremony_otp,)
}

__all__ = ["SCENARIOS", "Needs", "Scenario"]
