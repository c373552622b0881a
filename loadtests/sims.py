"""The SIM side of the site: an operator (test MSSP), a message centre with virtual phones, SIMs.

Operator and phones stand for the world outside: their processor time is told, and is not counted
as the service's.
"""

from __future__ import annotations

import base64
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from loadtests.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.people import Official
    from loadtests.programs import CommandLine

MOST = 100  # numbers whose phone approves at once: 849000000XX
PHONES, OPERATOR, ADAPTER = "phones", "operator", "sim_adapter"
_AP_ID = "urn:remote-signing:load"
_PKCS1 = "http://mss.ficom.fi/TS102204/v1.0.0#PKCS1"  # bare values: the card reads the structure
_AT_ONCE = 4


class SimSide:
    """Secrets in files of ``folder``/secrets; configuration and programs."""

    def __init__(self, folder: Path, ports: tuple[int, int, int]) -> None:
        self._folder = folder
        self._adapter, self._mssp, self._smpp = ports
        hook = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        self._files = {
            "bearer": self._secret("sim-bearer", secrets.token_urlsafe(32).encode()),
            "callback": self._secret("sim-callback", f"whsec_{hook}".encode()),
            "operator": self._secret("operator-password", secrets.token_urlsafe(12).encode()),
            "smpp": self._secret("smpp-password", secrets.token_hex(4).encode()),
            "cards": self._secret("cards.key", secrets.token_bytes(32)),
        }

    @property
    def of_sam(self) -> dict[str, Any]:
        """The table ``[sim]`` of ``sam.toml``."""
        return {"service_id": "ky-so.example.vn", "embedded_authority": True}

    @property
    def of_rssp(self) -> dict[str, Any]:
        """The table ``[sim]`` of ``rssp.toml``."""
        return {
            "url": f"http://127.0.0.1:{self._adapter}",
            "secret_file": self._files["bearer"],
            "callback_secret_files": [self._files["callback"]],
            "relying_party": "Bộ Nội vụ",
        }

    def of_adapter(self, issuer: str) -> dict[str, Any]:
        """``sim.toml``."""
        return {
            "listen": {"port": self._adapter, "notice": 0},
            "database": {"url": f"sqlite:///{self._folder / 'sim-adapter.sqlite3'}"},
            "api": {"secret_files": [self._files["bearer"]]},
            "callback": {
                "url": f"{issuer}/sim/v1/events",
                "secret_files": [self._files["callback"]],
            },
            "operators": [
                {
                    "name": "virtual-mobile",
                    "url": f"http://127.0.0.1:{self._mssp}/soap/services/{{port}}",
                    "ap_id": _AP_ID,
                    "password_file": self._files["operator"],
                    "prefixes": ["849000"],
                    "format": _PKCS1,
                    "first_poll": 0.2,
                    "poll": 0.2,
                }
            ],
        }

    def programs(self, config: Path) -> list[Program]:
        """Phones, operator, adapter: each relies on the one before."""
        smpp = ("--password-file", self._files["smpp"], "--master-key-file", self._files["cards"])
        phones = ["sim_adapter.vsim", "--port", str(self._smpp), *smpp]
        phones += ["--state-folder", str(self._folder / "cards")]
        operator = ["sim_adapter.mssp", "--port", str(self._mssp), "--smpp-port", str(self._smpp)]
        operator += ["--ap-id", _AP_ID, "--ap-password-file", self._files["operator"], *smpp]
        operator += ["--state-folder", str(self._folder / "operator")]
        adapter = ["sim_adapter", "--config", str(config)]
        ready = f"http://127.0.0.1:{self._adapter}/readyz"
        logs = self._folder / "log"
        return [
            Program(PHONES, phones, logs / "phones.log", port=self._smpp),
            Program(OPERATOR, operator, logs / "operator.log", port=self._mssp),
            Program(ADAPTER, adapter, logs / "sim_adapter.log", ready),
        ]

    def _secret(self, name: str, value: bytes) -> str:
        file = self._folder / "secrets" / name
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(value)
        return str(file)


def enrol(command: CommandLine, officials: list[Official]) -> None:
    """Each of the first hundred gets a SIM whose phone approves at once."""
    waiting = [
        (official, f"849000000{number:02}")
        for number, official in enumerate(officials[:MOST])
        if "sim" not in official.extra
    ]

    def one(order: tuple[Official, str]) -> None:
        official, number = order
        told = command.json("sim", "enrol", official.credential_id, "--msisdn", number)
        official.extra["sim"] = told["factor_id"]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, waiting))
