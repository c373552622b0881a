"""The README's tour by hand, typed as it stands there; the official's part in a browser."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from remote_signing.demo.official import Official
from remote_signing.demo.stage import Signer
from tests.support.repository import ROOT, the_tour

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 300
STEP = 30  # seconds of a one-time code


@dataclass
class Kept:
    """A demo that was told to stay, and what it said."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        line = next(line for line in self.said if line.startswith(name))
        return line[len(name) :].strip()

    def signer(self) -> Signer:
        return Signer(
            subscriber_id="",
            username=self.value("user name"),
            password=self.value("password"),
            pin=self.value("signing PIN"),
            totp_secret=self.value("TOTP").split()[1],
            credential_id="",
            certificate=b"",
        )


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    command = [sys.executable, "-m", "remote_signing.demo", "--keep"]
    with subprocess.Popen(
        [*command, "--state", str(tmp_path / ".demo")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        demo = Kept(process)
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            demo.said.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        assert process.poll() is None, "\n".join(demo.said)
        yield demo
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(SECONDS) == 0, rest
        timer.cancel()


def test_the_tour_ends_with_a_signature_that_openssl_accepts(tmp_path: Path, kept: Kept) -> None:
    (tmp_path / "README.md").write_bytes((ROOT / "README.md").read_bytes())
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", the_tour()],  # noqa: S607 - bash of the PATH
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        pushed, url = shell.stdout.readline(), shell.stdout.readline().strip()
        code = re.search(r'"verificationCode":"(\d{4})"', pushed)
        assert code, pushed
        official = Official(kept.signer(), kept.value("consent page"))
        page = official.open(url)
        assert code[1] in page.text.replace(" ", "")
        time.sleep(STEP - time.time() % STEP)  # the demo's official has used this moment's code
        after = official.approve(page)
        official.close()
        shell.stdin.write(after.text.partition("CODE ")[2] + "\n")
        shell.stdin.close()
        rest = shell.stdout.read()
    assert (shell.returncode, rest) == (0, "Verified OK\n")
    assert kept.value("tour by hand") == f". {tmp_path / '.demo' / 'tour.env'}"
