"""SIM consents through the whole chain, in processes of their own: rate, and CPU by process.

``python -m tests.bench.sim_consents --consents 200 --at-once 16``. Adapter, MSSP with gateway, and
message centre with phones; every phone approves at once. The rssp's side is this process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.served import free_port
from tests.support.sim_chain import AP_ID, SimCa

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_FORMAT = "http://mss.ficom.fi/TS102204/v1.0.0#PKCS1"


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[dict[str, int], str]]:
    """The three processes' ids by name, and the adapter's address."""
    ports = {name: free_port() for name in ("smpp", "mssp", "adapter")}
    for name, secret in (("pw", b"pass-wd"), ("master", bytes(range(32))), ("bearer", b"secret")):
        (folder / name).write_bytes(secret)
        (folder / name).chmod(0o600)
    (folder / "sim.toml").write_text(
        f'[listen]\nport = {ports["adapter"]}\n[database]\nurl = "sqlite:///{folder}/a.sqlite3"\n'
        '[api]\nsecret_files = ["bearer"]\n[[operators]]\nname = "test"\n'
        f'url = "http://127.0.0.1:{ports["mssp"]}/soap/services/{{port}}"\nap_id = "{AP_ID}"\n'
        f'password_file = "pw"\nprefixes = ["849000"]\nfirst_poll = 0.5\npoll = 0.5\n'
        f'format = "{_FORMAT}"\n',
        encoding="utf-8",
    )
    secret_files = ["--password-file", f"{folder}/pw", "--master-key-file", f"{folder}/master"]
    modules = {
        "phones": ["sim_adapter.vsim", "--port", str(ports["smpp"]), *secret_files],
        "mssp": [
            *("sim_adapter.mssp", "--port", str(ports["mssp"]), "--smpp-port", str(ports["smpp"])),
            *("--ap-id", AP_ID, "--ap-password-file", f"{folder}/pw"),
            *("--state-folder", f"{folder}/state", *secret_files),
        ],
        "adapter": ["sim_adapter", "--config", f"{folder}/sim.toml"],
    }
    upgrade = [sys.executable, "-m", *modules["adapter"], "--upgrade"]
    subprocess.run(upgrade, check=True)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = {
        name: subprocess.Popen([sys.executable, "-m", *module], **quiet)
        for name, module in modules.items()
    }
    try:
        yield (
            {name: process.pid for name, process in processes.items()},
            f"http://127.0.0.1:{ports['adapter']}",
        )
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(20)


async def _until_end(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    version = 0
    while True:
        answer = await http.get(path, params={"wait": 20, "version": version})
        members: dict[str, Any] = answer.json()
        if members["outcome"] is not None:
            return members
        version = members["version"]


async def _ready(http: httpx.AsyncClient) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post("/v1/profiles", json={"msisdn": "84900000099"})
            if answer.status_code == 200 and answer.json()["outcome"]["code"] == 100:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError


async def _enrol(http: httpx.AsyncClient, ca: SimCa, number: str) -> None:
    path = f"/v1/registrations/registration-{number}"
    order = {
        "msisdn": number,
        "credential_id": "credential",
        "challenge": base64.b64encode(secrets.token_bytes(32)).decode(),
        "relying_party": "Bộ Nội vụ",
        "verification_code": "1357",
        "mode": "digest",
        "deadline": int((time.time() + 120) * 1000),
    }
    (await http.put(path, json=order)).raise_for_status()
    done = await _until_end(http, path)
    der = ca.certify(base64.b64decode(done["public_key"]))
    given = {"certificate": base64.b64encode(der).decode()}
    (await http.post(f"{path}/certificate", json=given)).raise_for_status()


async def _consent(http: httpx.AsyncClient, number: str) -> float:
    path = f"/v1/transactions/transaction-{secrets.token_hex(8)}"
    order = {
        "msisdn": number,
        "mode": "digest",
        "display_text": "Bộ Nội vụ: ký 12/QĐ-BNV",
        "verification_code": "4821",
        "consent": base64.b64encode(secrets.token_bytes(400)).decode(),
        "deadline": int((time.time() + 120) * 1000),
    }
    began = time.perf_counter()
    (await http.put(path, json=order)).raise_for_status()
    ended = await _until_end(http, path)
    if ended["state"] != "SIGNED":
        raise RuntimeError(str(ended))
    return time.perf_counter() - began


async def measure(pids: dict[str, int], address: str, consents: int, at_once: int) -> None:
    """Enrol ``at_once`` SIMs, then let each sign again and again."""
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        base_url=address, headers=headers, timeout=60, trust_env=False
    ) as http:
        await _ready(http)
        numbers = [f"849000000{at:02d}" for at in range(at_once)]
        ca = SimCa()
        for number in numbers:
            await _enrol(http, ca, number)
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began, left, took = time.perf_counter(), iter(range(consents)), []

        async def holder(number: str) -> None:
            took.extend([await _consent(http, number) for _ in left])

        await asyncio.gather(*(holder(number) for number in numbers))
        seconds = time.perf_counter() - began
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    took.sort()
    print(f"{consents} consents, {at_once} SIMs at once: {consents / seconds:.1f} a second")
    print(f"from PUT to SIGNED: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    for name, cpu in used.items():
        print(f"{name:8} {cpu / consents * 1000:6.1f} CPU-ms a consent")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consents", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=16, help="SIMs, up to 99")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (pids, address):
        asyncio.run(measure(pids, address, given.consents, given.at_once))


if __name__ == "__main__":
    main()
