"""The rssp killed with -9 before and after everything it asks of database and SAM.

Whatever the moment: afterwards every activation is in a state with a reason, no hash is signed
twice, no signature left without its record, and the portal gets its signature: with the consent
there was, or, if the crash came between intent and outcome, with a new one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import signal
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from remote_signing.errors import RemoteSigningError
from remote_signing.rssp import activation, audit
from remote_signing.rssp.models import signature_activation
from tests.support.crashing import Notebook, note_signatures, run, walk
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Databases
    from tests.support.world import World

CALLS = 11  # of one signature: eight statements, three calls of the SAM
MOMENTS = range(1, 2 * CALLS + 1)
KNOWN = ("subscriber_id", "credential_id", "pin", "totp_secret", "session")
ENDED = {"SIGNED", "EXPIRED", "FAILED", "DENIED", "REVOKED"}


@pytest.fixture(scope="module")
def victims() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Where the processes come from that are killed: forked from a clean one, so they are fast."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.crashing"])
    yield context
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined] # noqa: SLF001 - it has no public end


def kill_at(
    moment: int,
    world: World,
    folder: Path,
    victims: multiprocessing.context.ForkServerContext,
) -> int | None:
    facts = {name: getattr(world, name) for name in KNOWN}
    url = world.services.config.database.url
    arguments = (url, facts, str(folder), moment, world.clock.now_ms())
    process = victims.Process(target=run, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def go_on(world: World, notebook: Notebook) -> int:
    """What portal and official do after the crash; how often they had to begin anew."""
    for anew in range(3):
        try:
            walk(world, notebook)
        except RemoteSigningError:
            world.clock.advance(61)
            activation.recover(world.services)
            notebook.forget()
        else:
            return anew
    raise AssertionError("three beginnings and no signature")


def check_records(world: World, notebook: Notebook) -> None:
    """The records against what really left key and rssp."""
    recorded: list[str] = []
    for row in world.database.all(select(signature_activation)):
        events = list(audit.events(world.database, activation_id=row.id))
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert events[-1].state == row.state
        assert row.state in ENDED
        done = [json.loads(event.detail) for event in events if event.kind == "signing.done"]
        assert len(done) <= 1, "one hash, one signature"
        recorded += [value for detail in done for value in detail["signatures"]]
        if row.state == "FAILED":
            assert events[-1].kind == "signing.unknown"
    left = {
        base64.b64encode(hashlib.sha256(bytes.fromhex(line)).digest()).decode()
        for line in notebook.lines("left the rssp")
    }
    assert left <= set(recorded), "no signature leaves without its record"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_moment_is_survived(
    databases: Databases,
    tmp_path: Path,
    victims: multiprocessing.context.ForkServerContext,
    moment: int,
) -> None:
    with new_world(databases) as world:
        assert kill_at(moment, world, tmp_path, victims) == -signal.SIGKILL
        start = time.monotonic()
        notebook = Notebook(tmp_path)
        note_signatures(world, notebook)
        world.next_step()
        anew = go_on(world, notebook)
        took = time.monotonic() - start
        world.clock.advance(600)
        activation.recover(world.services)
        activation.expire(world.services)
        check_records(world, notebook)
        used = len(set(notebook.lines("left the key")))
        print(
            f"\nkilled at moment {moment} on {world.database.dialect}: {anew} new beginnings,"
            f" {used} uses of the key, signature {took:.2f} s after the restart"
        )
        assert anew <= 1
        assert used <= 1 + anew


def test_there_is_no_other_moment(
    databases: Databases,
    tmp_path: Path,
    victims: multiprocessing.context.ForkServerContext,
) -> None:
    with new_world(databases) as world:
        assert kill_at(max(MOMENTS) + 1, world, tmp_path, victims) == 0
