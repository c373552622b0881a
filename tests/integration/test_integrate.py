"""The programs of docs/integrate, as somebody runs them who reads that page."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import playwright
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.client_desk import BACK
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from tests.support.client_desk import Desk
    from tests.support.relay import Fault

FOLDER = ROOT / "docs" / "integrate"
NODE = Path(playwright.__file__).parent / "driver" / "node"  # what came with the tests' packages
PROGRAMS: dict[str, list[str]] = {
    "sign.sh": ["bash"],
    "sign.py": [sys.executable, "-W", "error"],
    "sign.mjs": [str(NODE)],
    "Sign.java": ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
}
SECONDS = 120


def settings(desk: Desk, folder: Path, *, with_secret: bool) -> dict[str, str]:
    """What docs/integrate.md says has to be there."""
    values = {
        "RSSP": desk.relay.url,
        "CLIENT": "python",
        "KEY": str(folder / "portal.pem"),
        "REDIRECT": BACK,
        "CREDENTIAL": desk.world.credential_id,
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ["PATH"],
    }
    key = desk.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "portal.pem").write_bytes(key)
    if with_secret:
        client_id = f"curl-{folder.name}"
        secret = desk.register(client_id, auth_method="client_secret_basic")
        (folder / "login.curl").write_text(f'user = "{client_id}:{secret}"\n', "utf-8")
        values |= {"CLIENT": client_id, "LOGIN": str(folder / "login.curl")}
    return values


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_signs_once_though_an_answer_is_lost(
    desk: Desk, tmp_path: Path, program: str
) -> None:
    file = tmp_path / "quyết định.txt"
    file.write_text("Quyết định bổ nhiệm\n", "utf-8")
    lost: Fault = "cut"
    desk.relay.fail("signHash", lost)
    with subprocess.Popen(
        [*PROGRAMS[program], str(FOLDER / program), str(file)],
        env=settings(desk, tmp_path, with_secret=program == "sign.sh"),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(2)]
        assert told[0].startswith("code to compare: "), told
        came_back = desk.came_back(told[1].removeprefix("for the signer: ").strip())
        rest, _ = process.communicate(came_back + "\n", timeout=SECONDS)
    assert (process.returncode, rest) == (0, "Verified OK\n")
    recorded = desk.recorded()
    assert (recorded["signing.done"], recorded["signing.repeated"]) == (1, 1)
    assert desk.relay.times("signHash") == 2
    signature = file.with_name(file.name + ".sig").read_bytes()
    digest = hashlib.sha256(file.read_bytes()).digest()
    desk.world.verify(desk.certificate, digest, signature)


@pytest.mark.parametrize("program", ["sign.sh", "sign.mjs", "Sign.java"])
def test_the_program_takes_no_answer_to_another_question(
    desk: Desk, tmp_path: Path, program: str
) -> None:
    """The client in Python is asked for this in a test of its own."""
    file = tmp_path / "a.txt"
    file.write_text("x", "utf-8")
    done = subprocess.run(
        [*PROGRAMS[program], str(FOLDER / program), str(file)],
        env=settings(desk, tmp_path, with_secret=program == "sign.sh"),
        input=f"{BACK}?code=x&state=other&iss={desk.relay.url}\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 1
    assert "not" in done.stderr
    assert "answer to this question" in done.stderr
    assert desk.relay.times("token") == 1  # of the client's own; the code stayed here
