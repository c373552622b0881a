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

from loadtests import toml_text
from loadtests.events import find_node
from loadtests.postgres import PostgresServer
from loadtests.programs import CommandLine, Program, free_ports
from loadtests.sims import SimSide

if TYPE_CHECKING:
    from loadtests.options import Options
    from loadtests.scenarios import Needs

AGENCY = "G09"
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
        rssp, consent, *sim = free_ports(5)
        self.issuer = f"http://127.0.0.1:{rssp}"
        # WebAuthn knows sites by name: a page at an address has no passkeys.
        self.consent = f"http://localhost:{consent}"
        self._ports = {"rssp": rssp, "consent": consent}
        self._sim_ports = (sim[0], sim[1], sim[2])
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

    def count_signed(self) -> int:
        """How many authorisations are on record as used up."""
        statement = "SELECT count(*) FROM signature_activation WHERE state = 'SIGNED'"
        if self.postgres is not None:
            with self.postgres.connect() as connection:
                row = connection.execute(statement).fetchone()
        else:
            with closing(sqlite3.connect(self.folder / "rssp.sqlite3", timeout=30)) as file:
                row = file.execute(statement).fetchone()
        return 0 if row is None else int(str(row[0]))

    @property
    def worker_count(self) -> int:
        """The SAM's workers, each with a session of an HSM node."""
        return self._options.nodes * self._options.sam_workers

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
        def configured(name: str) -> list[str]:
            return ["--config", str(self.config / name)]

        programs: list[tuple[str, list[str], str | None]] = [
            ("sam", ["remote_signing.sam", *configured("sam.toml")], None),
            ("rssp", ["remote_signing.rssp", *configured("rssp.toml")], f"{self.issuer}/readyz"),
        ]
        if self._options.consent_page or self._needs.consent_page:
            consent = f"http://127.0.0.1:{self._ports['consent']}/readyz"
            programs.append(("consent_app", ["consent_app", *configured("consent.toml")], consent))
        return programs

    def _configure(self, url: str) -> None:
        tokens = [self._token(f"node-{number}") for number in range(1, self._options.nodes + 1)]
        if not (self.config / "ra.key").exists():
            pinned = self.command.json("ra", "init")
        else:
            pinned = self.command.json("ra", "show")
        self._write("sam.toml", self._of_sam(tokens, pinned))
        self._write("rssp.toml", self._of_rssp(url))
        self._write("consent.toml", self._of_consent())
        if self._sims is not None:
            self._write("sim.toml", self._sims.of_adapter(self.issuer))

    def _write(self, name: str, tables: dict[str, Any]) -> None:
        (self.config / name).write_text(toml_text.document(tables), encoding="utf-8")

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

    def _of_sam(self, tokens: list[dict[str, object]], pinned: dict[str, str]) -> dict[str, Any]:
        return {
            "cluster_file": str(self.folder / "ceremony" / "cluster.json"),
            "state_folder": str(self.folder / "sam-state"),
            "socket": str(self.folder / "sap.sock"),
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

    def _of_rssp(self, url: str) -> dict[str, Any]:
        options = self._options
        return {
            "service": {
                "name": "Ký số từ xa (đo tải)",
                "logo": f"{self.consent}/static/mark.svg",
                "region": "VN",
                "description": "Đo tải.",
            },
            "urls": {"issuer": self.issuer, "consent": self.consent},
            "database": {"url": url},
            "sam": {"socket": str(self.folder / "sap.sock")},
            **({} if self._sims is None else {"sim": self._sims.of_rssp}),
            "listen": {
                "port": self._ports["rssp"],
                "workers": options.rssp_workers,
                "notice": 0,
            },
        }

    def _of_consent(self) -> dict[str, Any]:
        return {
            "public": {"url": self.consent},
            "rssp": {"url": self.issuer},
            "brand": {
                "name": "Ký số từ xa",
                "name_en": "Remote signing",
                "operator": "Đo tải",
                "operator_en": "Load test",
            },
            "listen": {"port": self._ports["consent"]},
        }


def read_secrets(file: Path) -> list[dict[str, str]]:
    """The lines of ``subscriber enrol-list``."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
