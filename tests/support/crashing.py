"""One signature from request to answer, in a process that is killed at a chosen moment.

Moments are numbered: before and after each call that leaves the process (a statement, a call of the
SAM). What a portal and an official would remember is written to a notebook after each step, so that
another process can go on from there.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from remote_signing.errors import ActivationConflict
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation
from tests.support.world import PORTAL, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.world import World

# `one` runs through `all`.
_CALLS = {"database": ("all", "run"), "sam": ("challenge", "activate", "sign")}


@dataclass
class Notebook:
    """Tickets by step, what left the SAM, and what left the rssp."""

    folder: Path

    def read(self) -> dict[str, str]:
        file = self.folder / "steps"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return dict(json.loads(line) for line in lines)

    def write(self, step: str, value: str) -> None:
        with (self.folder / "steps").open("a", encoding="utf-8") as file:
            file.write(json.dumps([step, value]) + "\n")

    def forget(self) -> None:
        (self.folder / "steps").unlink(missing_ok=True)

    def add(self, name: str, value: bytes) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(value.hex() + "\n")

    def lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text("utf-8").split() if file.exists() else []


def walk(world: World, notebook: Notebook) -> tuple[bytes, ...]:
    """The steps that the notebook does not have yet."""
    done = notebook.read()

    def step(name: str, act: Callable[[], object]) -> Ticket:
        if name not in done:
            done[name] = str(act())
            notebook.write(name, done[name])
        return cast("Ticket", Ticket.parse(done[name]))

    def consent() -> str:
        try:
            approved = activation.approve(
                world.services, world.session, request.row_id, world.pin, world.otp()
            )
        except ActivationConflict:  # it was given, and the answer was lost
            approved = activation.resume(world.services, world.session, request.row_id)
        return (approved.redirect_to or "").partition("code=")[2].partition("&")[0]

    request = step("request", lambda: ask(world))
    step("page", lambda: activation.open_request(world.services, PORTAL, request))
    code = step("code", consent)
    token = step("token", lambda: world.redeem(code).ticket)
    signatures = world.sign(token)
    notebook.add("left the rssp", signatures[0])
    return signatures


def ask(world: World) -> Ticket:
    return activation.request_activation(world.services, world.request()).ticket


def note_signatures(world: World, notebook: Notebook) -> None:
    """Write down each use of the key."""
    real = world.sam.sign

    def sign(request: Any) -> Any:
        signed = real(request)
        notebook.add("left the key", signed.signatures[0])
        return signed

    world.sam.sign = sign  # type: ignore[method-assign] # listens in


def die_at(world: World, moment: int) -> None:
    """Kill this process at the ``moment``-th moment, counted from one; 0 never."""
    moments = itertools.count(1)

    def pass_moment() -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            pass_moment()
            answer = real(*arguments, **named)
            pass_moment()
            return answer

        return call

    for owner, names in _CALLS.items():
        for name in names:
            outside = getattr(world, owner)
            setattr(outside, name, around(getattr(outside, name)))


def run(url: str, facts: dict[str, Any], folder: str, moment: int, now_ms: int) -> None:
    """A process: exits with 0 when the moment never came."""
    world = connect(url)
    for name, value in facts.items():
        setattr(world, name, value)
    world.clock.advance((now_ms - world.clock.now_ms()) / 1000)
    notebook = Notebook(Path(folder))
    note_signatures(world, notebook)
    die_at(world, moment)
    walk(world, notebook)
    world.services.close()
