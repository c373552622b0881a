"""The stage: two HSM nodes, a key ceremony, the programs, and who takes part."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx

from remote_signing import cli
from remote_signing.demo import configuration
from remote_signing.demo.outage import Node
from remote_signing.demo.sims import MSISDN, SimPlace
from remote_signing.demo.state import free_ports
from remote_signing.demo.telling import DemoFailed
from remote_signing.sam.softhsm import TokenNotMade, make_token

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.demo.state import State

NODES = ("node-1", "node-2")
CUSTODIANS = ("Trần Thị Bình", "Lê Văn Cường", "Phạm Thị Dung")
AGENCY, AGENCY_CODE = "Bộ Nội vụ", "G09"
OFFICIAL, POSITION, USERNAME = "Nguyễn Văn An", "Vụ trưởng", "an.nguyen"
PORTAL = "Cổng quản lý văn bản Bộ Nội vụ"
_SECONDS_TO_READY = 60.0
_SECONDS_TO_END = 90.0
# The programs are asked on this machine: without it, each question reads the system's authorities.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everybody is found."""

    rssp: str
    consent: str
    portal_port: int

    @property
    def redirect_uri(self) -> str:
        """Where the portal takes the official's browser back."""
        return f"http://127.0.0.1:{self.portal_port}/callback"

    @property
    def tour_uri(self) -> str:
        """The same for the tour by hand: the page shows what the browser brought."""
        return f"http://127.0.0.1:{self.portal_port}/tour"


@dataclass(frozen=True, slots=True)
class Signer:
    """What the official knows and holds. The secrets are in the files of ``state.secrets``."""

    subscriber_id: str
    username: str
    password: str
    pin: str
    totp_secret: str
    credential_id: str
    certificate: bytes

    @property
    def certificate_pem(self) -> str:
        """The certificate as openssl reads it."""
        return ssl.DER_cert_to_PEM_cert(self.certificate)


class Stage:
    """Sets the stage step by step; ``stop`` ends the programs."""

    def __init__(self, state: State, database_url: str | None, *, with_sim: bool = False) -> None:
        rssp, consent, portal = free_ports(3)
        self.state = state
        self.addresses = Addresses(
            f"http://127.0.0.1:{rssp}", f"http://127.0.0.1:{consent}", portal
        )
        self._ports = rssp, consent
        self._database_url = database_url or f"sqlite:///{state.folder / 'rssp.sqlite3'}"
        self._programs: subprocess.Popen[bytes] | None = None
        self.sims = SimPlace(state) if with_sim else None

    def command(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever the command tells in JSON
        """Run ``remote-signing ARGUMENTS``; what it tells, when it tells JSON."""
        told, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(said):
            status = cli.main(["--config", str(self.state.config), *arguments])
        if status:
            line = " ".join(arguments)
            raise DemoFailed(f"remote-signing {line}: exit status {status}\n{said.getvalue()}")
        return json.loads(told.getvalue()) if "--json" in arguments else None

    def make_nodes(self) -> list[Node]:
        """Two development tokens, each with a folder and PINs of its own; the configuration."""
        try:
            tokens = [make_token(self.state.node(name), name) for name in NODES]
        except TokenNotMade as error:
            raise DemoFailed(str(error)) from error
        pinned = self.command("ra", "init", "--json")
        configuration.write(
            self.state,
            tokens,
            {pinned["key_id"]: pinned["public_key"]},
            rssp_port=self._ports[0],
            consent_port=self._ports[1],
            database_url=self._database_url,
            sims=self.sims,
        )
        sam_file = self.state.config / "sam.toml"
        return [Node(name, sam_file, self.state.node(name) / "tokens") for name in NODES]

    def hold_ceremony(self) -> dict[str, Any]:
        """Found the cluster: two of three custodians can recover it."""
        custodians = [part for name in CUSTODIANS for part in ("--custodian", name)]
        rssp = f"http://127.0.0.1:{self._ports[0]}"
        found: dict[str, Any] = self.command(
            "hsm",
            "init",
            *custodians,
            "--threshold",
            "2",
            "--operator",
            "Người vận hành bản trình diễn",
            "--organization",
            "Cơ quan chứng thực (trình diễn)",
            "--root-name",
            "Root CA ký số từ xa (trình diễn)",
            "--issuing-name",
            "CA ký số từ xa (trình diễn)",
            "--root-crl-url",
            f"{rssp}/pki/root.crl",
            "--root-certificate-url",
            f"{rssp}/pki/root.crt",
            "--out",
            str(self.state.ceremony),
            "--json",
        )
        return found

    def start(self) -> None:
        """The database's schema, then every program."""
        self.command("db", "upgrade")
        self.command("config", "check")
        with self.state.log.open("ab") as log:
            self._programs = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", "remote_signing.cli"),
                    *("--config", str(self.state.config), "serve"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C reaches us, and we stop the programs in order.
                start_new_session=True,
            )

    def wait_until_ready(self) -> dict[str, str]:
        """The rssp's checks, once all of them and the consent page's say yes."""
        deadline = time.monotonic() + _SECONDS_TO_READY
        while time.monotonic() < deadline:
            if self._programs is None or self._programs.poll() is not None:
                break
            checks = self.checks()
            if checks and set(checks.values()) == {"ok"} and all(map(_is_ready, self._others)):
                return checks
            time.sleep(0.1)
        raise DemoFailed(f"the programs did not get ready: see {self.state.log}")

    def checks(self) -> dict[str, str]:
        """What the rssp's ``/readyz`` tells; empty while it does not answer."""
        try:
            answer = httpx.get(f"{self.addresses.rssp}/readyz", timeout=10, verify=_NO_TLS)
            return dict(answer.json()["checks"])
        except (httpx.HTTPError, ValueError):
            return {}

    @property
    def _others(self) -> list[str]:
        """Programs beside the rssp that must be ready."""
        adapter = [] if self.sims is None else [f"http://127.0.0.1:{self.sims.adapter_port}"]
        return [self.addresses.consent, *adapter]

    def enrol(self) -> tuple[str, Signer]:
        """The ministry and its official, with a credential; the agency's id and the signer."""
        agency = self._agency()
        password = secrets.token_urlsafe(12)
        file = str(self.state.secret("password", password + "\n"))
        subscriber_id = self._official(file)
        issued_file = self.state.secrets / "credential.json"
        issued = self.command(
            *("credential", "issue", USERNAME, "--secrets-file", str(issued_file), "--json")
        )
        handed = json.loads(issued_file.read_text(encoding="utf-8"))
        totp = parse_qs(urlsplit(handed["otpauth_uri"]).query)["secret"][0]
        return agency, Signer(
            subscriber_id,
            USERNAME,
            password,
            handed["pin"],
            totp,
            issued["credential_id"],
            base64.b64decode(issued["certificate"]),
        )

    def enrol_sim(self, signer: Signer) -> str:
        """The official's SIM makes a key, which is certified and pinned; the factor's id."""
        enrolled = self.command("sim", "enrol", signer.credential_id, "--msisdn", MSISDN, "--json")
        return str(enrolled["factor_id"])

    def export_evidence(self, activation_id: str) -> Path:
        """The SIM's consent as a file that anybody can check."""
        path = self.state.signed / "evidence.json"
        self.command("sim", "evidence", activation_id, str(path))
        return path

    def register_portal(self, client_id: str, jwks: dict[str, Any], agency: str) -> None:
        """The portal as a client: keys of its own, DPoP required, for its ministry's signers."""
        file = self.state.config / "portal-jwks.json"
        file.write_text(json.dumps(jwks), encoding="utf-8")
        self.command(
            *("client", "add", client_id, "--name", PORTAL, "--jwks", str(file), "--dpop"),
            *("--redirect-uri", self.addresses.redirect_uri, "--agency", agency),
            *("--grant", "authorization_code", "--grant", "client_credentials", "--json"),
        )

    def signing_events(self, credential_id: str) -> list[dict[str, Any]]:
        """The audit rows of the credential's signature activations."""
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            cli.main(["--config", str(self.state.config), "audit", "show", "--json"])
        events = map(json.loads, told.getvalue().splitlines())
        return [
            event
            for event in events
            if event["credential_id"] == credential_id and event["activation_id"]
        ]

    def wait_for_end(self) -> int:
        """Until the programs end by themselves; their exit status."""
        return self._programs.wait() if self._programs else 0

    def stop(self) -> None:
        """SIGTERM: each program answers what it has taken and ends; ``DemoFailed`` otherwise."""
        if self._programs is None:
            return
        self._programs.send_signal(signal.SIGTERM)
        try:
            status = self._programs.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(self._programs.pid, signal.SIGKILL)
            status = self._programs.wait()
        self._programs = None
        if status:
            raise DemoFailed(f"the programs ended with status {status}: see {self.state.log}")

    def _agency(self) -> str:
        """A database that outlives the demo's folder may know the ministry already."""
        known = self.command("agency", "list", "--json")
        for agency in known:
            if agency["code"] == AGENCY_CODE:
                return str(agency["id"])
        options = ("--name-en", "Ministry of Home Affairs", "--code", AGENCY_CODE)
        added = self.command("agency", "add", AGENCY, *options, "--province", "Hà Nội", "--json")
        return str(added["agency_id"])

    def _official(self, password_file: str) -> str:
        """As with the ministry."""
        for signer in self.command("subscriber", "list", "--agency", AGENCY_CODE, "--json"):
            if signer["username"] == USERNAME:
                self.command(
                    "subscriber", "set-password", USERNAME, "--password-file", password_file
                )
                return str(signer["id"])
        added = self.command(
            *("subscriber", "add", USERNAME, "--agency", AGENCY_CODE, "--name", OFFICIAL),
            *("--position", POSITION, "--email", "an.nguyen@moha.example.vn"),
            *("--phone", "+84912345678", "--password-file", password_file, "--json"),
        )
        return str(added["subscriber_id"])


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=10, verify=_NO_TLS).is_success
    except httpx.HTTPError:
        return False


def root_certificate(ceremony: Path) -> bytes:
    """The root CA's certificate (DER) from the public cluster file."""
    return _certificate(ceremony, "root")


def issuing_certificate(ceremony: Path) -> bytes:
    """The issuing CA's certificate (DER), likewise."""
    return _certificate(ceremony, "issuing")


def _certificate(ceremony: Path, name: str) -> bytes:
    cluster = json.loads((ceremony / "cluster.json").read_text(encoding="utf-8"))
    return base64.b64decode(cluster["content"]["certificates"][name])
