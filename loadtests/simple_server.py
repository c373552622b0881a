"""certomancer-csc-dummy, the one other CSC server in Python: no HSM, no database, no sign-in.

Started with a key of each kind in files, and asked what it offers (CSC API v1): ``authorize`` with
the hash, then ``signHash``. It logs every request at DEBUG when it is started by its own command;
here it is started without that, so that it is as quick as it can be.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from loadtests.place import SIGN_ALGO, Needs, Place, Scenario, digests
from loadtests.programs import Program, ProgramFailed, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.people import Official
    from loadtests.recorder import Steps

_START = "import sys; from csc_dummy.runner import run_from_file as run; run(sys.argv[1], {})"
_VALIDITY = {
    "valid-from": "2020-01-01T00:00:00+0000",
    "valid-to": "2100-01-01T00:00:00+0000",
}
_NAMES = ("root", "p256", "rsa2048")
_JSON = {"Content-Type": "application/json"}


def ceremony(place: Place, official: Official, steps: Steps) -> int:
    """Two calls; ``official`` is nobody there."""
    del official
    credential, values = f"testing/{place.algorithm}", digests(1)
    asked = {"credentialID": credential, "numSignatures": 1, "hash": values}
    base = f"{place.issuer}/csc/v1"
    answer = steps.send(
        "authorize", "POST", f"{base}/credentials/authorize", _JSON, json.dumps(asked).encode()
    )
    sad = json.loads(answer.body)["SAD"]
    members = {
        "credentialID": credential,
        "SAD": sad,
        "hash": values,
        "signAlgo": SIGN_ALGO[place.algorithm],
    }
    answer = steps.send(
        "sign_hash", "POST", f"{base}/signatures/signHash", _JSON, json.dumps(members).encode()
    )
    return len(json.loads(answer.body)["signatures"])


SCENARIO = Scenario(
    "simple_server", "certomancer-csc-dummy: authorize, signHash", Needs(codes=0), ceremony
)


class SimpleServer(Program):
    """Running after ``start`` and ``wait_until_ready``."""

    def __init__(self, folder: Path, python: str) -> None:
        (port,) = free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__("simple_server", [], folder / "log", port=port)
        self.address = f"http://127.0.0.1:{port}"
        self._command = [python, "-c", _START.format(port), str(_configure(folder))]

    def start(self) -> None:
        """As it is delivered, but for its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the server that we compare with
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def told(self) -> str:
        """The end of its log. Errors: ``ProgramFailed`` when there is none."""
        if not self.log.exists():
            raise ProgramFailed("simple_server was never started")
        return Program.told(self)


def _configure(folder: Path) -> Path:
    """Keys, and a PKI of three certificates. Its YAML is written as JSON, which YAML contains."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for name in _NAMES:
        private = (
            rsa.generate_private_key(65537, 2048)
            if name == "rsa2048"
            else ec.generate_private_key(ec.SECP256R1())
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (keys / f"{name}.pem").write_bytes(pem)
    members = {
        "external-url-prefix": "http://localhost",
        "keysets": {
            "testing": {
                "path-prefix": "keys",
                "keys": {name: {"path": f"{name}.pem"} for name in _NAMES},
            }
        },
        "pki-architectures": {
            "testing": {
                "keyset": "testing",
                "entity-defaults": {"country-name": "VN", "organization-name": "Testing"},
                "entities": {name: {"common-name": name} for name in _NAMES},
                "certs": {
                    name: {"subject": name, "issuer": "root", "validity": _VALIDITY}
                    for name in _NAMES
                },
            }
        },
    }
    file = folder / "certomancer.yml"
    file.write_text(json.dumps(members), encoding="utf-8")
    return file
