"""How many consents by SIM go through the whole chain, and what each costs which program.

    python -m tests.bench.sim_consent [--sims 12] [--rounds 10] [--database URL]

Real parts, each a process of its own: rssp, SAM with two SoftHSM nodes, SIM adapter, test MSSP with
its gateway, message centre with virtual SIMs. This process plays portal and consent page over HTTP:
one thread for each official, who consents, signs once and is asked again. CPU time is read from
/proc before and after; the persons at the phones answer at once. Without rssp and SAM:
``tests.bench.sim_consents``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import insert

from remote_signing.demo.stage import Stage
from remote_signing.demo.state import fresh
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, clients, enrolment, subscribers
from remote_signing.rssp import config as configuration
from remote_signing.rssp.deps import Services, open_services
from remote_signing.rssp.models import login_session
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.rssp.sim_enrolment import NewSim, SimEnrolment

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTAL = "bench"
_TICK = os.sysconf("SC_CLK_TCK")
_PROGRAMS = {
    "remote_signing.rssp": "rssp",
    "remote_signing.sam": "sam",
    "remote_signing.sam.worker": "sam",
    "sim_adapter": "sim_adapter",
    "sim_adapter.mssp": "operator (MSSP, gateway)",
    "sim_adapter.vsim": "phones (centre, SIMs)",
    "consent_app": "consent_app",
}


@dataclass(frozen=True)
class Official:
    """One signer with a SIM and a session."""

    credential_id: str
    factor_id: str
    session: Ticket


def enrolled(services: Services, authority: RegistrationAuthority, count: int) -> list[Official]:
    agency = subscribers.NewAgency(name="Bộ Nội vụ", code="G08")
    agency_id = subscribers.add_agency(services.database, services.clock, agency)
    portal = clients.NewClient(
        client_id=PORTAL,
        name="Cổng dịch vụ công",
        auth_method="client_secret_basic",
        redirect_uris=("http://127.0.0.1:9/back",),
        agencies=(agency_id,),
    )
    clients.register(services.database, services.clock, portal)
    with ThreadPoolExecutor(4) as pool:
        numbers = range(count)
        return list(pool.map(lambda n: _official(services, authority, agency_id, n), numbers))


def _official(
    services: Services, authority: RegistrationAuthority, agency_id: str, number: int
) -> Official:
    new = subscribers.NewSubscriber(
        agency_id=agency_id,
        full_name="Nguyễn Văn An",
        username=f"official.{number}",
        password="một mật khẩu đủ dài",
    )
    subscriber_id = subscribers.add_subscriber(services.database, services.clock, new)
    desk = SimEnrolment(services, authority)
    issued = desk.issue(enrolment.NewCredential(subscriber_id=subscriber_id))
    sim = desk.enrol(issued.credential_id, NewSim(f"849000000{number:02d}"))
    now = services.now_ms()
    session = Ticket.issue(new_id(now))
    row = {
        "id": session.row_id,
        "secret_hash": session.secret_hash,
        "subscriber_id": subscriber_id,
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + 3_600_000,
    }
    services.database.run(insert(login_session), row)
    return Official(issued.credential_id, sim.factor_id, session)


def consent(services: Services, http: httpx.Client, official: Official) -> float:
    """One consent, from the question to AUTHORIZED; the seconds it took."""
    new = activation.NewActivation(
        credential_id=official.credential_id,
        client_id=PORTAL,
        channel=activation.Channel.DECOUPLED,
        hash_algorithm="sha256",
        hashes=(os.urandom(32),),
        num_signatures=1,
        labels=("12/QĐ-BNV",),
        agencies=("*",),
    )
    asked = activation.request_activation(services, new).activation_id
    headers = {"Authorization": f"Bearer {official.session}"}
    path = f"/consent/v1/requests/{asked}/sim"
    start = time.perf_counter()
    body = {"factor_id": official.factor_id, "lang": "vi"}
    told = http.post(path, json=body, headers=headers).raise_for_status().json()
    while told["state"] == "WAITING":
        params = {"wait": 20, "version": told["version"]}
        told = http.get(path, params=params, headers=headers).raise_for_status().json()
    assert told["state"] == "APPROVED", told
    return time.perf_counter() - start


def cpu() -> dict[str, float]:
    """CPU seconds so far by program, of every process of ours on this machine."""
    spent: dict[str, float] = defaultdict(float)
    for program, stat in _processes():
        fields = stat.rpartition(")")[2].split()
        spent[program] += (int(fields[11]) + int(fields[12])) / _TICK
    return spent


def _processes() -> Iterator[tuple[str, str]]:
    me = os.getpid()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            stat = (entry / "stat").read_text("utf-8")
        except OSError:
            continue
        if _ancestor(int(entry.name), me):
            name = next((word for word in words if word in _PROGRAMS), None)
            if name is not None:
                yield _PROGRAMS[name], stat


def _ancestor(pid: int, wanted: int) -> bool:
    """Whether ``wanted`` has started ``pid``, however indirectly."""
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
        if pid == wanted:
            return True
    return False


def measure(services: Services, home: str, officials: list[Official], rounds: int) -> None:
    def work(official: Official) -> list[float]:
        with httpx.Client(base_url=home, timeout=60, trust_env=False) as http:
            return [consent(services, http, official) for _ in range(rounds)]

    with ThreadPoolExecutor(len(officials)) as pool:
        list(pool.map(work, officials[:2]))  # warm
        before, own, start = cpu(), time.process_time(), time.perf_counter()
        taken = sorted(second for one in pool.map(work, officials) for second in one)
        seconds = time.perf_counter() - start
        own, after = time.process_time() - own, cpu()
    count = len(taken)
    print(f"{count} consents by {len(officials)} SIMs at once in {seconds:.1f} s")
    print(f"{count / seconds:.1f} consents/s; median {taken[count // 2] * 1000:.0f} ms", end=", ")
    print(f"95 % within {taken[int(count * 0.95)] * 1000:.0f} ms")
    costs = {name: after[name] - before.get(name, 0.0) for name in after}
    costs["this client (portal, page)"] = own
    for name, spent in sorted(costs.items(), key=lambda item: -item[1]):
        print(f"  {spent / count * 1000:6.1f} ms CPU a consent  {name}")
    print(f"  {sum(costs.values()) / count * 1000:6.1f} ms CPU a consent  together")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--database", help="SQLAlchemy URL (default: SQLite in the folder)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sim")))
        state = stack.enter_context(fresh(folder / "s"))
        stage = Stage(state, options.database, with_sim=True)
        stage.make_nodes()
        stage.hold_ceremony()
        assert stage.sims is not None
        stack.callback(stage.sims.stop)
        stage.sims.start()
        stack.callback(stage.stop)
        stage.start()
        stage.wait_until_ready()
        services = open_services(configuration.load(state.config / "rssp.toml"))
        stack.callback(services.close)
        authority = RegistrationAuthority.load(state.config / "ra.key")
        officials = enrolled(services, authority, options.sims)
        measure(services, stage.addresses.rssp, officials, options.rounds)


if __name__ == "__main__":
    main()
