"""The site: a whole service on loopback, in one folder, with everybody who takes part."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loadtests import slow_token, toml_text
from loadtests.events import find_node
from loadtests.hosts import Host
from loadtests.postgres import PostgresServer
from loadtests.programs import CommandLine, Program, free_ports
from loadtests.sims import SimSide

if TYPE_CHECKING:
    from collections.abc import Collection

    from loadtests.options import Options
    from loadtests.scenarios import Needs

AGENCY = "G09"
_CONNECTIONS = 8
_CUSTODIANS = ("Trần Thị Bình", "Lê Văn Cường", "Phạm Thị Dung")
_POLICY = "1.3.6.1.4.1.55555.1.1"  # of the documentation's example arc, no authority's


class Site:
    """``open`` starts it, ``close`` ends it and removes its folder unless that is to be kept."""

    def __init__(self, options: Options, needs: Needs) -> None:
        self._options = options
        self._needs = needs
        self._stack = ExitStack()
        self.folder = (
            options.kept.absolute() if options.kept else Path(tempfile.mkdtemp(prefix="load-"))
        )
        self.config = self.folder / "config"
        self.command = CommandLine(self.config)
        self.postgres: PostgresServer | None = None
        self.programs: dict[str, Program] = {}
        self._postgres_pid = 0
        self.is_new = True  # nobody is registered yet
        first, second, third, *ports = free_ports(3 + 2 * options.hosts)
        self._sim_ports = (first, second, third)
        self.hosts = [
            Host(number, ports.pop(), ports.pop()) for number in range(1, options.hosts + 1)
        ]
        self.issuer, self.consent = self.hosts[0].addresses
        self._sims: SimSide | None = None

    def __enter__(self) -> Self:
        self._stack.__enter__()
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self.folder.exists():  # it is kept
            self.left.touch()

    @property
    def left(self) -> Path:
        """A file of a kept site, as old as the end of its last run; not there before."""
        return self.folder / "left"

    @property
    def roots(self) -> dict[str, int]:
        """Role → process id of its first process."""
        roots = {role: program.pid for role, program in self.programs.items()}
        if self._postgres_pid:
            roots["postgres"] = self._postgres_pid
        return roots

    def restart_postgres(self) -> None:
        """Without a shutdown; nothing for SQLite, which is no process."""
        if self.postgres is not None:
            self.postgres.stop(crash=True)
            self._postgres_pid = self.postgres.start()

    def count_missing(self, activations: Collection[str]) -> int:
        """How many of ``activations`` are not on record as SIGNED."""
        statement = "SELECT id FROM signature_activation WHERE state = 'SIGNED' AND id >= "
        oldest = [min(activations, default="")]  # identifiers rise with time
        if self.postgres is not None:
            with self.postgres.connect() as connection:
                rows = connection.execute(f"{statement}%s", oldest).fetchall()
        else:
            with closing(sqlite3.connect(self.folder / "rssp.sqlite3", timeout=30)) as file:
                rows = file.execute(f"{statement}?", oldest).fetchall()
        return len(set(activations) - {str(row[0]) for row in rows})

    @property
    def worker_count(self) -> int:
        """The SAMs' workers, each with a session of an HSM node."""
        return self._options.hosts * self._options.nodes * self._options.sam_workers

    def _open(self) -> None:
        if self._options.kept is None:
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("", "config", "log", "secrets"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        url = f"sqlite:///{self.folder / 'rssp.sqlite3'}"
        if self._options.database == "postgresql":
            # PostgreSQL works as another user when we are root, who must find the way.
            kept = None if self._options.kept is None else self.folder / "postgres"
            self.folder.chmod(0o711)
            self.postgres = PostgresServer(durable=self._options.durable, kept=kept)
            self._stack.callback(self.postgres.remove)
            self._postgres_pid = self.postgres.start()
            url = self.postgres.url
        if self._needs.sim:
            self._sims = SimSide(self.folder, self._sim_ports)
        find_node(self)
        self._configure(url)
        self._hold_ceremony()
        self.command.run("db", "upgrade")
        if self._sims is not None:
            # The phones, before who needs them; the adapter's tables are its own.
            upgrade = ["sim_adapter", "--config", str(self.config / "sim.toml"), "--upgrade"]
            Program("upgrade", upgrade, self.folder / "log" / "upgrade.log").run_to_end()
            self._start(self._sims.programs(self.config / "sim.toml"))
        self._start(
            [
                Program(role, arguments, self.folder / "log" / f"{role}.log", ready)
                for role, arguments, ready in self._to_start()
            ]
        )

    def _start(self, programs: list[Program]) -> None:
        """One after the other, and then until all are ready."""
        for program in programs:
            self.programs[program.role] = program
            self._stack.callback(program.stop)
            program.start()
            if program.port is not None:
                program.wait_until_ready()
        for program in programs:
            program.wait_until_ready()

    def _to_start(self) -> list[tuple[str, list[str], str | None]]:
        def told(host: Host, name: str) -> list[str]:
            return ["--config", str(self._file(host, name))]

        programs: list[tuple[str, list[str], str | None]] = []
        for host in self.hosts:
            rssp, _ = host.addresses
            consent = f"http://127.0.0.1:{host.consent}"
            own = [
                ("sam", "remote_signing.sam", None),
                ("rssp", "remote_signing.rssp", f"{rssp}/readyz"),
                ("consent_app", "consent_app", f"{consent}/readyz"),
            ]
            if not (self._options.consent_page or self._needs.consent_page):
                own.pop()
            programs += [
                (host.named(role), [module, *told(host, role)], ready)
                for role, module, ready in own
            ]
        return programs

    def _file(self, host: Host, role: str) -> Path:
        """The program's configuration. ``sam.toml`` is the operator's, who has all nodes in it."""
        name = {"consent_app": "consent"}.get(role, role)
        if role == "sam" and len(self.hosts) > 1:
            return self.config / f"sam@{host.number}.toml"
        return self.config / f"{host.named(name)}.toml"

    def _configure(self, url: str) -> None:
        count = self._options.nodes
        tokens = [self._token(f"node-{number + 1}") for number in range(len(self.hosts) * count)]
        if self._options.hsm_latency:
            module = slow_token.build(self.folder)
            tokens = [
                slow_token.before(token, module, self._options.hsm_latency) for token in tokens
            ]
        if not (self.config / "ra.key").exists():
            pinned = self.command.json("ra", "init")
        else:
            pinned = self.command.json("ra", "show")
        self._write(self.config / "sam.toml", self._of_sam(self.hosts[0], tokens, pinned))
        for number, host in enumerate(self.hosts):
            own = tokens[number * count : (number + 1) * count]
            self._write(self._file(host, "sam"), self._of_sam(host, own, pinned))
            self._write(self._file(host, "rssp"), self._of_rssp(host, url))
            self._write(self._file(host, "consent_app"), self._of_consent(host))
        if self._sims is not None:
            self._write(self.config / "sim.toml", self._sims.of_adapter(self.issuer))

    def _write(self, file: Path, tables: dict[str, Any]) -> None:
        file.write_text(toml_text.document(tables), encoding="utf-8")

    def _token(self, name: str) -> dict[str, object]:
        folder = self.folder / "hsm" / name
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        made = self.command.json("hsm", "development-token", str(folder), name)
        workers = self._options.sam_workers
        return {"name": name, "token_label": name, "workers": workers, **made}

    def _hold_ceremony(self) -> None:
        self.is_new = not (self.folder / "ceremony").exists()
        if not self.is_new:
            return
        custodians = [part for name in _CUSTODIANS for part in ("--custodian", name)]
        self.command.json(
            *("hsm", "init", *custodians, "--threshold", "2", "--operator", "Người đo tải"),
            *("--organization", "Cơ quan chứng thực (đo tải)", "--root-name", "Root CA (đo tải)"),
            *("--issuing-name", "CA (đo tải)", "--out", str(self.folder / "ceremony")),
        )

    def _of_sam(
        self, host: Host, tokens: list[dict[str, object]], pinned: dict[str, str]
    ) -> dict[str, Any]:
        return {
            "cluster_file": str(self.folder / "ceremony" / "cluster.json"),
            "state_folder": str(self.folder / host.named("sam-state")),
            "socket": str(self.folder / host.named("sap.sock")),
            "allowed_uids": [os.getuid()],
            "registration_keys": {pinned["key_id"]: pinned["public_key"]},
            "authority": {
                "policy_oid": _POLICY,
                "practice_statement_url": "http://pki.example.vn/cps",
                "crl_url": f"{self.issuer}/pki/issuing.crl",
                "ocsp_url": f"{self.issuer}/pki/ocsp",
                "issuer_url": f"{self.issuer}/pki/issuing.crt",
            },
            "passkey": {
                "rp_id": "localhost",
                "origins": [self.consent],
                "cool_off_seconds": 0,
            },
            **({} if self._sims is None else {"sim": self._sims.of_sam}),
            "nodes": tokens,
        }

    def _of_rssp(self, host: Host, url: str) -> dict[str, Any]:
        options = self._options
        return {
            "service": {
                "name": "Ký số từ xa (đo tải)",
                "logo": f"{self.consent}/static/mark.svg",
                "region": "VN",
                "description": "Đo tải.",
            },
            "urls": {"issuer": self.issuer, "consent": self.consent},
            # So few that all are open early in a run: what is opened later would look like growth.
            "database": {"url": url, "connections": _CONNECTIONS},
            "sam": {"socket": str(self.folder / host.named("sap.sock"))},
            **({} if self._sims is None else {"sim": self._sims.of_rssp}),
            "listen": {
                "port": host.rssp,
                "workers": options.rssp_workers,
                "notice": 0,
            },
        }

    def _of_consent(self, host: Host) -> dict[str, Any]:
        return {
            "public": {"url": self.consent},
            "rssp": {"url": host.addresses[0]},
            "brand": {
                "name": "Ký số từ xa",
                "name_en": "Remote signing",
                "operator": "Đo tải",
                "operator_en": "Load test",
            },
            "listen": {"port": host.consent},
        }


def read_secrets(file: Path) -> list[dict[str, str]]:
    """The lines of ``subscriber enrol-list``."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
