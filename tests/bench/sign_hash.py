"""How fast signHash is, beside what the same token can do, in one run on one machine.

    python -m tests.bench.sign_hash [--database sqlite|postgresql] [--seconds 3]

Real parts: two SoftHSM nodes, the SAM, one rssp process with one uvicorn worker, one client
process with one connection. Figures are rates per second and ratios; only ratios are comparable
between machines. Credential tokens are made beforehand: consent is not what is measured.
"""

from __future__ import annotations

import argparse
import base64
import os
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey
from sqlalchemy import insert, select

from remote_signing.clock import SystemClock
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, clients, enrolment, migrations, subscribers
from remote_signing.rssp.clients import ClientDirectory
from remote_signing.rssp.db import Database
from remote_signing.rssp.deps import Services
from remote_signing.rssp.models import credential, login_session
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.sam.ceremony import bench
from remote_signing.sam.hsm.bench import C_SIGN, SINGLE
from remote_signing.sam.softhsm import make_token
from tests.support.postgres import running_server
from tests.support.rssp_process import running
from tests.support.sam import RunningSam, found_cluster, node_config
from tests.support.world import PORTAL, REDIRECT, VERIFIER, configuration

SIGNERS = {"p256": 60, "rsa2048": 30}
BATCH, BATCHES = 100, 8  # hashes a call, calls
CODES_EACH = 2  # one-time codes an official has at any moment
SIGN_ALGO = {"p256": "1.2.840.10045.4.3.2", "rsa2048": "1.2.840.113549.1.1.11"}


@dataclass(frozen=True)
class Signer:
    credential_id: str
    pin: str
    totp: pyotp.TOTP
    session: Ticket


class Site:
    """The rssp's database and the SAM, with officials, seen from inside."""

    def __init__(self, url: str, sam: RunningSam, authority: RegistrationAuthority) -> None:
        self.clock = SystemClock()
        self.database = Database(url)
        self.services = Services(
            config=configuration(url),
            database=self.database,
            sam=sam.client(),
            clock=self.clock,
            clients=ClientDirectory(self.database, self.clock),
        )
        self.enrolment = enrolment.Enrolment(self.services, authority)
        agency = subscribers.NewAgency(name="Bộ Nội vụ", code="G08")
        self.agency_id = subscribers.add_agency(self.database, self.clock, agency)
        key: Any = ECKey.generate_key("P-256").as_dict(private=False)
        client = clients.NewClient(
            client_id=PORTAL,
            name="Cổng dịch vụ công",
            auth_method="private_key_jwt",
            jwks={"keys": [key]},
            redirect_uris=(REDIRECT,),
            agencies=(self.agency_id,),
        )
        clients.register(self.database, self.clock, client)

    def signer(self, number: int, algorithm: str) -> Signer:
        new = subscribers.NewSubscriber(
            agency_id=self.agency_id,
            full_name="Nguyễn Văn An",
            username=f"{algorithm}.{number}",
            password="một mật khẩu đủ dài",
        )
        subscriber_id = subscribers.add_subscriber(self.database, self.clock, new)
        wanted = enrolment.NewCredential(
            subscriber_id=subscriber_id, algorithm=algorithm, multisign=BATCH
        )
        issued = self.enrolment.issue(wanted)
        now = self.clock.now_ms()
        session = Ticket.issue(new_id(now))
        row = {
            "id": session.row_id,
            "secret_hash": session.secret_hash,
            "subscriber_id": subscriber_id,
            "created_at": now,
            "last_used_at": now,
            "expires_at": now + 3_600_000,
        }
        self.database.run(insert(login_session), row)
        totp = pyotp.TOTP(next(iter(issued.secrets.totp.values())))
        return Signer(issued.credential_id, next(iter(issued.secrets.pins.values())), totp, session)

    def token(self, signer: Signer, hashes: tuple[bytes, ...], step: int) -> Ticket:
        """A credential token for ``hashes``, from PAR to the token endpoint, without HTTP."""
        asked = activation.request_activation(
            self.services,
            activation.NewActivation(
                credential_id=signer.credential_id,
                client_id=PORTAL,
                channel=activation.Channel.OAUTH,
                hash_algorithm="sha256",
                hashes=hashes,
                num_signatures=len(hashes),
                labels=("văn bản",) * len(hashes),
                redirect_uri=REDIRECT,
                code_challenge=activation.s256(VERIFIER),
            ),
        )
        opened = activation.open_request(self.services, PORTAL, asked.ticket)
        otp = signer.totp.generate_otp(step)
        approved = activation.approve(self.services, signer.session, opened, signer.pin, otp)
        code = (approved.redirect_to or "").partition("code=")[2].partition("&")[0]
        redeemed = activation.redeem_code(
            self.services,
            cast("Ticket", Ticket.parse(code)),
            client_id=PORTAL,
            redirect_uri=REDIRECT,
            code_verifier=VERIFIER,
        )
        return redeemed.ticket

    def multiply(self, until: int) -> None:
        """Copy a credential's row until there are ``until``; the copies are never signed with."""
        with self.database.transaction() as connection:
            rows = connection.execute(select(credential)).mappings().all()
            now = self.clock.now_ms()
            copies = [{**rows[0], "id": new_id(now)} for _ in range(until - len(rows))]
            connection.execute(insert(credential), copies)


Prepared = list[tuple[Signer, Ticket, tuple[bytes, ...]]]


def prepare(site: Site, signers: list[Signer], calls: int, hashes: int) -> Prepared:
    """Tokens for ``calls`` calls, as many from each signer as there are codes at one moment."""
    step = int(time.time()) // 30
    prepared = []
    for number in range(calls):
        signer = signers[number % len(signers)]
        values = tuple(os.urandom(32) for _ in range(hashes))
        token = site.token(signer, values, step + number // len(signers))
        prepared.append((signer, token, values))
    return prepared


def sign(client: httpx.Client, algorithm: str, prepared: Prepared) -> list[float]:
    """The seconds that each call took."""
    taken = []
    for signer, token, values in prepared:
        body = {
            "credentialID": signer.credential_id,
            "hashes": [base64.b64encode(value).decode() for value in values],
            "signAlgo": SIGN_ALGO[algorithm],
        }
        start = time.perf_counter()
        answer = client.post(
            "/csc/v2/signatures/signHash", json=body, headers={"Authorization": f"Bearer {token}"}
        )
        taken.append(time.perf_counter() - start)
        answer.raise_for_status()
    return taken


def raw_rates(sam: RunningSam, folder: Path, seconds: float) -> dict[tuple[str, str | None], float]:
    """What one session of the token does: ``hsm bench``."""
    locks = folder / "locks"
    locks.mkdir()
    rates = bench(node_config(sam.tokens[0]), locks, seconds)
    return {(rate.operation, rate.algorithm): rate.per_second for rate in rates}


def measure(site: Site, client: httpx.Client, raw: dict[tuple[str, str | None], float]) -> None:
    for algorithm in SIGN_ALGO:
        count = SIGNERS[algorithm]
        signers = [site.signer(number, algorithm) for number in range(count)]
        warm = prepare(site, signers, 4, 1)
        sign(client, algorithm, warm)
        time.sleep(31)  # the warm-up's codes are used up
        taken = sign(client, algorithm, prepare(site, signers, count * CODES_EACH, 1))
        one = len(taken) / sum(taken)
        time.sleep(61)
        taken = sign(client, algorithm, prepare(site, signers, BATCHES, BATCH))
        many = BATCH * len(taken) / sum(taken)
        c_sign = raw[C_SIGN, algorithm]
        whole = raw[SINGLE, algorithm]
        print(
            f"{algorithm}: raw C_Sign {c_sign:.0f}/s, raw unwrap+sign+verify+destroy {whole:.0f}/s;"
            f" signHash one hash {one:.0f}/s = {one / whole:.2f} of unwrap+sign,"
            f" 100 hashes {many:.0f}/s = {many / c_sign:.2f} of C_Sign",
            flush=True,
        )


def growth(site: Site, client: httpx.Client) -> None:
    """The latency of a one-hash call with 100 credentials in the database, then with 10,000."""
    signers = [site.signer(1000 + number, "p256") for number in range(60)]
    medians = []
    for rows in (100, 10_000):
        site.multiply(rows)
        taken = sign(client, "p256", prepare(site, signers, 120, 1))
        medians.append(statistics.median(taken))
        time.sleep(61)
    print(
        f"10,000 credentials against 100: median {medians[1] * 1000:.2f} ms against"
        f" {medians[0] * 1000:.2f} ms, ratio {medians[1] / medians[0]:.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each raw rate")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tokens = [make_token(folder / label, label) for label in ("node-1", "node-2")]
        authority = RegistrationAuthority(Ed25519PrivateKey.generate())
        pinned = {authority.key_id: authority.public_key}
        cluster_file = found_cluster(tokens, folder / "cluster")
        sam = RunningSam(folder / "sam", tokens, cluster_file, pinned, {}).start()
        stack.callback(sam.stop)
        raw = raw_rates(sam, folder, chosen.seconds)
        for (operation, algorithm), rate in raw.items():
            print(f"raw {operation} {algorithm or ''}: {rate:.0f}/s", flush=True)
        url = f"sqlite:///{folder}/rssp.db"
        if chosen.database == "postgresql":
            server = stack.enter_context(contextmanager(running_server)())
            url = server.fresh()
        migrations.upgrade(url)
        site = Site(url, sam, authority)
        rssp = stack.enter_context(running(folder / "rssp", url, sam))
        client = stack.enter_context(httpx.Client(base_url=rssp.home, timeout=30))
        print(f"database: {chosen.database}", flush=True)
        growth(site, client)  # first: it begins with a hundred credentials
        measure(site, client, raw)


if __name__ == "__main__":
    main()
