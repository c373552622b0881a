"""What becomes of the service's programs when the command that started them is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_STARTS_SOMETHING = """
import os, signal
from loadtests.programs import stop_with_us
stop_with_us()
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

    monkeypatch.setattr(module, "stop_with_us", tell)
    arguments = {"__main__": ["ceremony_otp"], "seed": ["--kept", "nowhere"]}
    with pytest.raises(Told):
        module.main(arguments.get(command, []))
