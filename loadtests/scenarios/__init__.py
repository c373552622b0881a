"""What is done to the service: one file a scenario."""

from __future__ import annotations

from loadtests.place import Needs, Scenario
from loadtests.scenarios import (
    authorize_sign,
    batch,
    ceremony_otp,
    ceremony_passkey,
    ceremony_sim,
    documents,
    portal_decoupled,
    read_mostly,
    seal,
    sign_in,
    working_day,
)

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        ceremony_otp,
        ceremony_sim,
        ceremony_passkey,
        portal_decoupled,
        batch,
        seal,
        authorize_sign,
        documents,
        sign_in,
        read_mostly,
        working_day,
    )
}

__all__ = ["SCENARIOS", "Needs", "Scenario"]
