"""The whole chain on loopback: adapter → MSSP → gateway → SMPP → message centre → phone → card.

Every arrow is a socket or octets. The MSSP with what is behind it runs in one thread, the adapter
in another; a CA in software issues certificates for the keys that cards have made.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sim_adapter import migrations
from sim_adapter.app import create_app
from sim_adapter.config import SimAdapterConfig, read
from sim_adapter.mssp.app import create_app as create_mssp
from sim_adapter.mssp.server import Mssp
from sim_adapter.mssp.subscribers import Subscribers
from sim_adapter.ota.counters import CounterFile
from sim_adapter.ota.esme import Esme, EsmeConfig
from sim_adapter.ota.gateway import Gateway
from sim_adapter.ota.keysets import CardIssuer
from sim_adapter.ota.smsc import MessageCentre
from sim_adapter.ota.structure import possession
from sim_adapter.vsim.phones import Phones
from tests.support.served import free_port, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

AP_ID, AP_PASSWORD, BEARER = "urn:test:ap", "ap-password", "bearer-secret"
RELYING_PARTY = "Bộ Nội vụ"
_SMPP_PASSWORD = "smpp-pw"
_SECONDS = 60


class Operator:
    """A test MSSP with its SIMs; started and stopped with :attr:`app`."""

    def __init__(self, folder: Path) -> None:
        issuer = CardIssuer(secrets.token_bytes(32))
        self.phones = Phones(issuer)
        self._centre = MessageCentre(self.phones, {"ota": _SMPP_PASSWORD})
        self.phones.join(self._centre)
        self._counters = CounterFile(folder / "counters")
        self._gateway = Gateway(self._counters)
        self.subscribers = Subscribers(issuer, file=folder / "subscribers.json")
        self.mssp = Mssp(self._gateway, self.subscribers, {AP_ID: AP_PASSWORD})

    def app(self, *, unqualified: bool = False) -> Starlette:
        """The MSSP's application, which starts what is behind it."""
        app = create_mssp(self.mssp, unqualified=unqualified)
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            port = await self._centre.start()
            config = EsmeConfig("127.0.0.1", port, "ota", _SMPP_PASSWORD)
            esme = Esme(config, self._gateway.take)
            self._gateway.use(esme)
            await esme.start()
            async with inner(app):
                yield
            self.phones.power_off()
            await esme.stop()
            await self._centre.stop()
            self._counters.close()

        app.router.lifespan_context = lifespan
        return app


@contextlib.contextmanager
def running_operator(folder: Path, *, unqualified: bool = False) -> Iterator[tuple[Operator, str]]:
    """An operator and its address."""
    operator = Operator(folder)
    with served(lambda _address: operator.app(unqualified=unqualified)) as address:
        yield operator, address


class SimCa:
    """Issues certificates for SIM keys."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test SIM CA")])

    def certify(self, spki: bytes) -> bytes:
        """A certificate (DER) for the public key ``spki`` (DER)."""
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nguyễn Văn A")])
        key: Any = serialization.load_der_public_key(spki)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=365))
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.DER)


def adapter_config(
    folder: Path, mssp: str, wire: str, url: str, **operator: Any
) -> SimAdapterConfig:
    """An adapter with the one operator at ``mssp``."""
    secret_files = {"bearer": BEARER, "ap": AP_PASSWORD, "told": "notify-secret"}
    for name, value in secret_files.items():
        (folder / name).write_text(value, encoding="utf-8")
    paths = {"soap": "/soap/services/{port}", "json": "/rest/service/{port}"}
    row = {
        "name": "test",
        "url": mssp + paths[wire],
        "wire": wire,
        "ap_id": AP_ID,
        "password_file": "ap",
        "prefixes": ["849000", "849001"],
        "first_poll": 0.1,
        "poll": 0.1,
    }
    members: dict[str, Any] = {
        "database": {"url": url},
        "api": {"secret_files": ["bearer"]},
        "timing": {"tick": 0.02},
        "operators": [row | operator],
    }
    return read(members, folder)


@dataclass
class Rssp:
    """The adapter's client."""

    http: httpx.Client
    ca: SimCa

    def enrol(self, number: str, **changes: Any) -> tuple[bytes, bytes]:
        """Have a key made and certified; its certificate and its public key, both DER."""
        name = f"registration-{secrets.token_hex(6)}"
        challenge = secrets.token_bytes(32)
        body = {
            "msisdn": number,
            "credential_id": "credential-1",
            "challenge": base64.b64encode(challenge).decode(),
            "relying_party": RELYING_PARTY,
            "verification_code": "1357",
            "mode": "digest",
            "deadline": int((time.time() + 60) * 1000),
            **changes,
        }
        path = f"/v1/registrations/{name}"
        assert self.http.put(path, json=body).status_code == 201
        done = self._until(path, "DONE")
        spki = base64.b64decode(done["public_key"])
        proof = base64.b64decode(done["proof"])
        check_bare(spki, proof, possession("credential-1", challenge, spki))
        der = self.ca.certify(spki)
        given = {"certificate": base64.b64encode(der).decode()}
        for _ in range(2):  # repeating it is harmless
            taken = self.http.post(f"{path}/certificate", json=given)
            assert taken.status_code == 200, taken.text
            assert taken.json()["certificate_taken"]
        return der, spki

    def order(self, number: str, **changes: Any) -> str:
        """Make a transaction; its id."""
        name = f"transaction-{secrets.token_hex(6)}"
        body = {
            "msisdn": number,
            "mode": "digest",
            "display_text": "Bộ Nội vụ: ký 12/QĐ-BNV",
            "verification_code": "4821",
            "consent": base64.b64encode(b"a consent structure").decode(),
            "deadline": int((time.time() + 30) * 1000),
            **changes,
        }
        made = self.http.put(f"/v1/transactions/{name}", json=body)
        assert made.status_code == 201, made.text
        return name

    def ended(self, name: str) -> dict[str, Any]:
        """The transaction at its end."""
        return self._until(
            f"/v1/transactions/{name}", "SIGNED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED"
        )

    def _until(self, path: str, *states: str) -> dict[str, Any]:
        deadline, version = time.monotonic() + _SECONDS, 0
        while time.monotonic() < deadline:
            answer = self.http.get(path, params={"wait": 10, "version": version})
            members: dict[str, Any] = answer.json()
            if members["state"] in states:
                return members
            assert members["outcome"] is None, members
            version = members["version"]
        raise AssertionError(members)


def check_bare(spki: bytes, signature: bytes, signed: bytes) -> None:
    """A bare value over ``signed``: r and s, or PKCS#1 v1.5; with ``cryptography`` alone."""
    from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils  # noqa: PLC0415 - of this check alone

    key = serialization.load_der_public_key(spki)
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        return
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert len(signature) == 64
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


@contextlib.contextmanager
def running_adapter(
    folder: Path, mssp: str, wire: str = "soap", url: str | None = None, **operator: Any
) -> Iterator[Rssp]:
    """An adapter in front of the operator at ``mssp``, as its rssp sees it."""
    url = url or f"sqlite:///{folder / 'adapter.sqlite3'}"
    migrations.upgrade(url)
    if operator.get("mode") == "asynchServerServer":
        raise ValueError("use running_adapter_that_is_called")
    config = adapter_config(folder, mssp, wire, url, **operator)
    headers = {"Authorization": f"Bearer {BEARER}"}
    with (
        served(lambda _address: create_app(config)) as address,
        httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as http,
    ):
        yield Rssp(http, SimCa())


@contextlib.contextmanager
def running_adapter_that_is_called(folder: Path, mssp: str) -> Iterator[Rssp]:
    """The same in asynchServerServer: the operator calls it."""
    url = f"sqlite:///{folder / 'adapter.sqlite3'}"
    migrations.upgrade(url)

    def make(address: str) -> Any:
        told = {
            "mode": "asynchServerServer",
            "notification_url": f"{address}/mss/notification",
            "notification_secret_file": "told",
        }
        return create_app(adapter_config(folder, mssp, "soap", url, **told))

    headers = {"Authorization": f"Bearer {BEARER}"}
    with (
        served(make) as address,
        httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as http,
    ):
        yield Rssp(http, SimCa())


def unused_address() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
