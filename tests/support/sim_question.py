"""A question to a SIM on record, without a SIM."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from remote_signing.identifiers import new_id
from remote_signing.rssp import activation_sim

if TYPE_CHECKING:
    from remote_signing.rssp.sim_client import SimAdapter
    from tests.support.world import World


def waiting_question(world: World, activation_id: str, number: int = 0) -> Any:
    """The row of a question about ``activation_id`` that waits for its answer."""
    now = world.clock.now_ms()
    values = {
        "id": new_id(now),
        "activation_id": activation_id,
        "credential_id": world.credential_id,
        "factor_id": new_id(now),
        "msisdn": f"8490000{number:05d}",
        "state": "WAITING",
        "mode": "structure",
        "display_text": "t",
        "labels": "[]",
        "structure": b"",
        "verification_code": "1234",
        "lang": "vi",
        "created_at": now,
        "deadline": now + 60_000,
    }
    return activation_sim.begin(world.services, values, world.subscriber_id)


class Withdrawals:
    """An adapter that is asked to withdraw questions and for nothing else."""

    def __init__(self, world: World) -> None:
        """Become the world's adapter."""
        self.names: list[str] = []
        world.services = replace(world.services, sim=cast("SimAdapter", self))

    def cancel(self, name: str) -> None:
        self.names.append(name)

    def close(self) -> None:
        """Nothing is open."""
