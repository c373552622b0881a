"""The SIM side of the stage: a message centre with virtual phones, and an operator before it.

Both are programs of their own; what lies between the adapter and the card is octets on sockets. The
phone's holder is scripted (docs/virtual-sim.md): approves what it shows.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.demo.state import free_ports
from remote_signing.demo.telling import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from remote_signing.demo.state import State

MSISDN = "84900000007"  # approves
OPERATOR = "virtual-mobile"
PARTY = "Bộ Nội vụ"
_AP_ID = "urn:remote-signing:demo"
_PKCS1 = "http://mss.ficom.fi/TS102204/v1.0.0#PKCS1"  # bare values: the card reads the structure
_SECONDS_TO_START, _SECONDS_TO_END = 60.0, 20.0


@dataclass(frozen=True, slots=True)
class _Secrets:
    bearer: Path
    callback: Path
    operator: Path
    smpp: Path
    cards: Path


class SimPlace:
    """Makes the secrets at once; :meth:`start` starts operator and phones."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.adapter_port, self._mssp, self._smpp = free_ports(3)
        hook = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        self._files = _Secrets(
            bearer=state.secret("sim-bearer", secrets.token_urlsafe(32)),
            callback=state.secret("sim-callback", f"whsec_{hook}"),
            operator=state.secret("operator-password", secrets.token_urlsafe(12)),
            smpp=state.secret("smpp-password", secrets.token_hex(4)),
            cards=state.secrets / "cards.key",
        )
        descriptor = os.open(self._files.cards, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        self._programs: list[subprocess.Popen[bytes]] = []

    @property
    def of_sam(self) -> Mapping[str, object]:
        """The table ``[sim]`` of ``sam.toml``."""
        return {"service_id": "ky-so.example.vn", "embedded_authority": True}

    @property
    def of_rssp(self) -> Mapping[str, object]:
        """The table ``[sim]`` of ``rssp.toml``."""
        return {
            "url": f"http://127.0.0.1:{self.adapter_port}",
            "secret_file": str(self._files.bearer),
            "callback_secret_files": [str(self._files.callback)],
            "relying_party": PARTY,
        }

    def of_adapter(
        self, callback_url: str
    ) -> tuple[dict[str, Mapping[str, object]], Mapping[str, object]]:
        """``sim.toml``: its tables, and the one operator."""
        tables: dict[str, Mapping[str, object]] = {
            "listen": {"port": self.adapter_port, "notice": 0},
            "database": {"url": self._database},
            "api": {"secret_files": [str(self._files.bearer)]},
            "callback": {"url": callback_url, "secret_files": [str(self._files.callback)]},
        }
        operator = {
            "name": OPERATOR,
            "url": f"http://127.0.0.1:{self._mssp}/soap/services/{{port}}",
            "ap_id": _AP_ID,
            "password_file": str(self._files.operator),
            "prefixes": ["849000"],
            "format": _PKCS1,
            "first_poll": 0.2,
            "poll": 0.2,
        }
        return tables, operator

    @property
    def _database(self) -> str:
        return f"sqlite:///{self._state.folder / 'sim-adapter.sqlite3'}"

    def start(self) -> None:
        """The phones first, then the operator; and the adapter's tables."""
        folder, files = self._state.folder, self._files
        smpp = ("--password-file", str(files.smpp), "--master-key-file", str(files.cards))
        self._run(
            "sim_adapter.vsim",
            *("--port", str(self._smpp), "--state-folder", str(folder / "cards"), *smpp),
        )
        time.sleep(0.5)
        self._run(
            "sim_adapter.mssp",
            *("--port", str(self._mssp), "--smpp-port", str(self._smpp), *smpp),
            *("--ap-id", _AP_ID, "--ap-password-file", str(files.operator)),
            *("--state-folder", str(folder / "operator")),
        )
        self._wait()
        config = str(self._state.config / "sim.toml")
        made = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "sim_adapter", "--config", config, "--upgrade"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise DemoFailed(f"sim_adapter --upgrade: {made.stderr}")

    def stop(self) -> None:
        """End both."""
        for program in reversed(self._programs):
            program.terminate()
            try:
                program.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        self._programs.clear()

    def _run(self, module: str, *arguments: str) -> None:
        with self._state.log.open("ab") as log:
            program = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._programs.append(program)

    def _wait(self) -> None:
        """Until the operator answers at all."""
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            if any(program.poll() is not None for program in self._programs):
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._mssp}/", timeout=5).close()
            except urllib.error.HTTPError:
                return  # it answers; that nothing is at that address does not matter
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise DemoFailed(f"operator and phones did not start: see {self._state.log}")
