"""rssp and SAM killed with -9 at every moment of a change of PIN.

Whatever the moment: of the old PIN and the new one exactly one approves, also before anybody has
tidied up; and once the service runs again, an older record is worth nothing when the new PIN is.
"""

from __future__ import annotations

import multiprocessing
import signal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from remote_signing.errors import EvidenceInvalid, FactorRevoked
from remote_signing.identifiers import new_id
from remote_signing.rssp import factor_changes, pin_records
from remote_signing.rssp.models import credential, pin_retirement, totp_step
from tests.support import pin_crashing
from tests.support.passkey_world import PasskeyWorld, passkey_world
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Databases

PINS = ("73519482", "84620593")
FEWEST_MOMENTS = 12


@pytest.fixture(scope="module")
def victims() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Where the processes come from that are killed: forked from a clean one, so they are fast."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.pin_crashing"])
    yield context
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined] # noqa: SLF001 - it has no public end


class Change:
    """One official who changes his PIN again and again, each time with a crash somewhere."""

    def __init__(self, place: PasskeyWorld, folder: Path) -> None:
        self.place, self.world, self.folder = place, place.world, folder

    def kill_at(self, moment: int, new_pin: str, victims: Any) -> int | None:
        world, sam = self.world, self.place.sap.sam
        world.next_step()
        facts = {
            "folder": str(self.folder),
            "now_ms": world.clock.now_ms(),
            "subscriber_id": world.subscriber_id,
            "credential_id": world.credential_id,
            "new_pin": new_pin,
            "pin": world.pin,
            "otp": world.otp(),
        }
        url = world.services.config.database.url
        arguments = (url, facts, pin_crashing.token_of(sam.node), sam.ra.pinned, moment)
        process = victims.Process(target=pin_crashing.run, args=arguments)
        process.start()
        process.join(60)
        exitcode: int | None = process.exitcode
        return exitcode

    def record(self) -> Any:
        query = select(credential).where(credential.c.id == self.world.credential_id)
        return self.world.database.one(query)

    def is_let_through(self, record: Any, pin: str) -> bool:
        """Whether the SAM takes that PIN for that record. Changes nothing that is stored."""
        self.world.next_step()
        evidence = factor_changes.typed(record, pin=pin, totp=self.world.otp())
        fresh = new_id(self.world.clock.now_ms())
        try:
            self.place.sap.change_pin(record.sealed, fresh, "260794835", evidence)
        except (EvidenceInvalid, FactorRevoked):
            return False
        return True

    def codes_used(self) -> int:
        """How many one-time codes the database knows of as used."""
        return len(self.world.database.all(select(totp_step)))

    def is_owed(self) -> bool:
        return bool(self.world.database.all(select(pin_retirement)))


def test_a_kill_at_any_moment_leaves_exactly_one_pin(
    databases: Databases, tmp_path: Path, victims: multiprocessing.context.ForkServerContext
) -> None:
    with new_world(databases) as world:
        change = Change(passkey_world(world, tmp_path), tmp_path)
        outcomes: list[str] = []
        for moment in count(1):
            before, old, used = change.record(), world.pin, change.codes_used()
            new = next(pin for pin in PINS if pin != old)
            ended = change.kill_at(moment, new, victims)
            assert ended in {0, -signal.SIGKILL}
            # As the next signature does: an attempt that nobody judged stays counted till then.
            world.database.run(update(credential).values(failed_attempts=0))
            stored = change.record()
            is_stored = stored.sealed_version != before.sealed_version
            assert change.codes_used() == used + is_stored, "with the change, or not at all"
            if not is_stored:
                assert change.is_let_through(stored, old)
                assert not change.is_let_through(stored, new)
                outcomes.append("the old one")
                continue
            outcomes.append("the new one, owed" if change.is_owed() else "the new one")
            assert not change.is_let_through(stored, old)
            if moment % 2:
                # Nobody has tidied up yet: the first use of the new PIN ends the old one.
                assert change.is_let_through(stored, new)
                assert not change.is_let_through(before, old)
            pin_records.retire_owed(world.services)
            assert not change.is_owed()
            assert not change.is_let_through(before, old), "an older record put back"
            assert change.is_let_through(stored, new)
            world.pin = new
            if ended == 0:
                break
        told = ", ".join(f"{word} {outcomes.count(word)}" for word in sorted(set(outcomes)))
        print(f"\nkilled at {moment - 1} moments on {world.database.dialect}: {told}")
        assert set(outcomes) == {"the old one", "the new one, owed", "the new one"}
        assert len(outcomes) > FEWEST_MOMENTS
