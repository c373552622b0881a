"""What a run leaves behind: no programs when it is stopped, no code that the next one may meet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from loadtests import people

if TYPE_CHECKING:
    from pathlib import Path

_STARTS_SOMETHING = """
import os, signal
from loadtests.programs import begin
begin()
try:
    os.kill(os.getpid(), signal.SIGTERM)
finally:
    print("stopped", flush=True)
"""


def test_sigterm_stops_the_programs_too() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _STARTS_SOMETHING], capture_output=True, text=True, check=False
    )
    assert told.stdout == "stopped\n"
    assert told.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("command", ["__main__", "compare", "scaling", "seed"])
def test_each_command_that_starts_programs_can_be_stopped(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = __import__(f"loadtests.{command}", fromlist=["main"])

    class Told(Exception):
        pass

    def tell() -> None:
        raise Told

    monkeypatch.setattr(module, "begin", tell)
    arguments = {"__main__": ["ceremony_otp"], "seed": ["--kept", "nowhere"]}
    with pytest.raises(Told):
        module.main(arguments.get(command, []))


@pytest.mark.parametrize(("ago", "waited"), [(None, 0), (90, 0), (20, 40)])
def test_codes_of_the_run_before_are_waited_out(
    ago: int | None, waited: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, slept = tmp_path / "left", [0.0]
    monkeypatch.setattr(time, "sleep", slept.append)
    if ago is not None:
        left.touch()
        os.utime(left, (time.time() - ago, time.time() - ago))
    people.await_new_codes(left)
    assert slept[-1] == pytest.approx(waited, abs=5)
