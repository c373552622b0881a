"""A small world around the rssp's database: a ministry, an official, a portal, a credential."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import load_der_x509_certificate
from joserfc.jwk import ECKey
from sqlalchemy import event, insert, select, text

from remote_signing.clock import FixedClock, SystemClock
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, clients, enrolment, migrations, subscribers
from remote_signing.rssp.clients import ClientDirectory
from remote_signing.rssp.config import read
from remote_signing.rssp.db import Database
from remote_signing.rssp.deps import Services
from remote_signing.rssp.models import access_token, login_session, signature_activation
from remote_signing.rssp.registration import RegistrationAuthority
from tests.support.fake_sam import FakeSam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.activation import NewActivation, Use
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.enrolment import Issued
    from remote_signing.sap import SapClient
    from tests.conftest import Databases

# A new value for a field of a dataclass, whichever it is.
Field: TypeAlias = Any

SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
PORTAL = "portal"
REDIRECT = "https://portal.example/back?lang=vi"
VERIFIER = "a" * 43
PASSWORD = "một mật khẩu đủ dài"


def configuration(url: str, folder: Path | None = None, **tables: dict[str, Any]) -> RsspConfig:
    """A configuration for ``url``; ``tables`` (name → members) are added to what is needed."""
    members: dict[str, Any] = {
        "service": {
            "name": "Ký số từ xa",
            "logo": "https://rssp.example/logo.png",
            "region": "VN",
            "description": "Test",
        },
        "urls": {"issuer": "https://rssp.example", "consent": "https://consent.example"},
        "database": {"url": url},
        "sam": {"socket": "sap.sock"},
        "policy": {"certificate_policies": ["1.3.6.1.4.1.55555.1.1"]},
    }
    for name, values in tables.items():
        members[name] = members.get(name, {}) | values
    return read(members, folder or Path("/nowhere"))


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class Killed(BaseException):
    """Where a process is killed; nothing catches it as a fault of its own."""


@dataclass
class World:
    """One of each, and what the signer knows."""

    services: Services
    clock: FixedClock
    authority: RegistrationAuthority
    sam: FakeSam
    agency_id: str = ""
    subscriber_id: str = ""
    credential_id: str = ""
    pin: str = ""
    totp_secret: str = field(default="", repr=False)
    session: Ticket = field(default_factory=lambda: Ticket("", ""))

    @property
    def database(self) -> Database:
        return self.services.database

    def otp(self) -> str:
        return pyotp.TOTP(self.totp_secret).generate_otp(self.clock.now_ms() // 30_000)

    def next_step(self) -> None:
        """Wait until the signer's device shows another code."""
        self.clock.advance(30)

    def request(self, *documents: str, **changes: Field) -> NewActivation:
        names = documents or ("quyết định.pdf",)
        new = activation.NewActivation(
            credential_id=self.credential_id,
            client_id=PORTAL,
            channel=activation.Channel.OAUTH,
            hash_algorithm="sha256",
            hashes=tuple(map(digest, names)),
            num_signatures=len(names),
            labels=names,
            description="Quyết định bổ nhiệm",
            redirect_uri=REDIRECT,
            oauth_state="xyz",
            code_challenge=activation.s256(VERIFIER),
            authorization_details=[{"type": "credential"}],
        )
        return replace(new, **changes)

    def opened(self, *documents: str, **changes: Field) -> str:
        """An activation that waits for the signer; its id."""
        asked = activation.request_activation(self.services, self.request(*documents, **changes))
        if changes.get("channel", "oauth") == "oauth":
            activation.open_request(self.services, PORTAL, asked.ticket)
        return asked.activation_id

    def approve(self, activation_id: str, otp: str | None = None) -> activation.Approved:
        self.match(activation_id)
        code = otp or self.otp()
        return activation.approve(self.services, self.session, activation_id, self.pin, code)

    def match(self, activation_id: str) -> None:
        """Pick the code that the portal shows, where the signer must."""
        row = signature_activation.c
        waiting = (row.channel == "decoupled", row.state == "PENDING", row.matched_at.is_(None))
        query = select(row.verification_code).where(row.id == activation_id, *waiting)
        found = self.database.one(query)
        if found is not None:
            activation.pick_code(self.services, self.session, activation_id, found[0])

    def code(self, *documents: str, **changes: Field) -> Ticket:
        """An authorization code, fresh from the signer's consent."""
        approved = self.approve(self.opened(*documents, **changes))
        assert approved.redirect_to is not None
        code = approved.redirect_to.partition("code=")[2].partition("&")[0]
        return cast("Ticket", Ticket.parse(code))

    def redeem(self, code: Ticket, **changes: Field) -> activation.CredentialToken:
        given: dict[str, Any] = {
            "client_id": PORTAL,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        return activation.redeem_code(self.services, code, **(given | changes))

    def token(self, *documents: str, **changes: Field) -> Ticket:
        return self.redeem(self.code(*documents, **changes)).ticket

    def use(self, token: Ticket, *documents: str, **changes: Field) -> Use:
        use = activation.Use(
            ticket=token,
            credential_id=self.credential_id,
            hashes=tuple(map(digest, documents or ("quyết định.pdf",))),
            sign_algo=ECDSA_SHA256,
        )
        return replace(use, **changes)

    def sign(self, token: Ticket, *documents: str, **changes: Field) -> tuple[bytes, ...]:
        return activation.sign_hash(self.services, self.use(token, *documents, **changes))

    def number(self, count: int) -> Ticket:
        """The SAD of an authorisation for ``count`` signatures, whatever they are for (SCAL1)."""
        nothing_named = {"hashes": (), "labels": (), "hash_algorithm": None}
        new = self.request(
            channel=activation.Channel.DECOUPLED,
            redirect_uri=None,
            num_signatures=count,
            **nothing_named,
        )
        handle = activation.request_activation(self.services, new).ticket
        self.approve(handle.row_id)
        issued = activation.check_handle(self.services, handle, PORTAL)
        assert isinstance(issued, activation.SadIssued)
        return issued.ticket

    def kill_before_outcome(self) -> None:
        """The next signature is made and its process ends (``Killed``) before it is told."""

        def die() -> None:
            self.sam.before_answer.clear()
            raise Killed

        self.sam.before_answer["sign"] = die

    def new_credential(self, **changes: Field) -> Issued:
        """A further credential of the same signer; the world goes on with it."""
        new = enrolment.NewCredential(subscriber_id=self.subscriber_id, **changes)
        issued = enrolment.Enrolment(self.services, self.authority).issue(new)
        self.credential_id = issued.credential_id
        self.pin = next(iter(issued.secrets.pins.values()), "")
        self.totp_secret = next(iter(issued.secrets.totp.values()), "")
        return issued

    def new_signer(self, username: str) -> str:
        """A signer with a session; the world goes on with that one."""
        new = subscribers.NewSubscriber(
            agency_id=self.agency_id,
            full_name="Nguyễn Văn An",
            username=username,
            password=PASSWORD,
            position="Chánh Văn phòng",
        )
        self.subscriber_id = subscribers.add_subscriber(self.database, self.clock, new)
        self.session = self.new_session()
        return self.subscriber_id

    def new_session(self) -> Ticket:
        now = self.clock.now_ms()
        ticket = Ticket.issue(new_id(now))
        row = {
            "id": ticket.row_id,
            "secret_hash": ticket.secret_hash,
            "subscriber_id": self.subscriber_id,
            "created_at": now,
            "last_used_at": now,
            "expires_at": now + 12 * 3_600_000,
        }
        self.database.run(insert(login_session), row)
        return ticket

    def join(self, sam: SapClient) -> None:
        """Go on with another SAM, at the machine's time: its clock cannot be held."""
        self.services = replace(self.services, sam=sam)
        self.clock.advance((SystemClock().now_ms() - self.clock.now_ms()) / 1000)
        self.session = self.new_session()

    def service_token(self, **changes: Field) -> Ticket:
        """A token of scope ``service`` of portal and signer, made past the token endpoint."""
        now = self.clock.now_ms()
        ticket = Ticket.issue(new_id(now))
        row = {
            "id": ticket.row_id,
            "secret_hash": ticket.secret_hash,
            "client_id": PORTAL,
            "subscriber_id": self.subscriber_id,
            "scope": "service",
            "created_at": now,
            "expires_at": now + 3_600_000,
        }
        self.database.run(insert(access_token), row | changes)
        return ticket

    @staticmethod
    def verify(certificate: bytes, value: bytes, signature: bytes) -> None:
        """``InvalidSignature`` unless it is an ECDSA signature of the SHA-256 ``value``."""
        key = load_der_x509_certificate(certificate).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, value, ec.ECDSA(Prehashed(hashes.SHA256())))

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements that run inside."""
        statements: list[str] = []

        def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            statements.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", count)
        try:
            yield statements
        finally:
            event.remove(self.database.engine, "before_cursor_execute", count)

    @contextmanager
    def planned(self) -> Iterator[list[str]]:
        """After the block: how the database finds the rows of each statement that ran inside."""
        asked: list[tuple[Any, Any]] = []
        plans: list[str] = []

        def note(_connection: object, _cursor: object, *given: Any) -> None:
            asked.append((given[0], given[1]))

        engine = self.database.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield plans
        finally:
            event.remove(engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN "
        with engine.connect() as connection:
            if self.database.dialect == "postgresql":
                explain = "EXPLAIN "
                # The tables are nearly empty: reading them whole, or sorting, would be cheaper.
                for way in ("seqscan", "bitmapscan", "sort"):
                    connection.exec_driver_sql(f"SET enable_{way} = off")
            for statement, values in asked:
                plan = connection.exec_driver_sql(explain + statement, values).fetchall()
                plans.append(str(plan))


def connect(url: str, clock: FixedClock | None = None) -> World:
    """A world on a database that has its tables; empty as yet."""
    clock = clock or FixedClock()
    sam = FakeSam(clock)
    database = Database(url)
    services = Services(
        config=configuration(url),
        database=database,
        sam=cast("SapClient", sam),
        clock=clock,
        clients=ClientDirectory(database, clock),
    )
    authority = RegistrationAuthority(Ed25519PrivateKey.generate())
    return World(services, clock, authority, sam)


def furnish(world: World) -> World:
    """One of each."""
    agency = subscribers.NewAgency(name="Bộ Nội vụ", code="G08")
    world.agency_id = subscribers.add_agency(world.database, world.clock, agency)
    key: Any = ECKey.generate_key("P-256").as_dict(private=False)
    clients.register(
        world.database,
        world.clock,
        clients.NewClient(
            client_id=PORTAL,
            name="Cổng dịch vụ công",
            auth_method="private_key_jwt",
            jwks={"keys": [key]},
            redirect_uris=(REDIRECT,),
            agencies=(world.agency_id,),
        ),
    )
    world.new_signer("an.nguyen")
    world.new_credential()
    return world


def furnish_before(world: World) -> World:
    """:func:`furnish` on PostgreSQL with an older schema, for what works on while it is raised.

    Enrolment itself does not: it knows the column ``frozen`` of revision 0019.
    """
    world.database.run(text("ALTER TABLE credential ADD frozen boolean NOT NULL DEFAULT false"))
    furnish(world)
    world.database.run(text("ALTER TABLE credential DROP frozen"))
    return world


# Dialect → what was furnished into the template that new worlds are copies of.
_FURNISHED: dict[str, dict[str, Any]] = {}


def _furnished(url: str) -> None:
    migrations.upgrade(url)
    world = furnish(connect(url))
    world.services.close()
    _FURNISHED[world.database.dialect] = {
        name: getattr(world, name)
        for name in (
            *("agency_id", "subscriber_id", "credential_id", "pin", "totp_secret"),
            *("session", "authority"),
        )
    }


@contextmanager
def new_world(databases: Databases) -> Iterator[World]:
    """A furnished world on a new database."""
    url = databases.fresh(_furnished)
    world = connect(url)
    for name, value in _FURNISHED[world.database.dialect].items():
        setattr(world, name, value)
    world.clock.advance(60)  # since it was furnished
    try:
        yield world
    finally:
        world.services.close()
        databases.drop(url)
