"""``/pki/…`` and ``/tsa`` with a real SAM behind: what OpenSSL asks and what it makes of it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import pytest
from asn1crypto import core, tsp
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp

from remote_signing.algorithms import DIGESTS
from remote_signing.cli import main
from remote_signing.errors import (
    AlgorithmUnsupported,
    ClockSuspicious,
    InvalidInput,
    SamUnavailable,
    ServicesUncertified,
)
from remote_signing.rssp import certificate_status, credentials
from remote_signing.rssp.app import create_app
from remote_signing.rssp.pki import MAX_QUERY
from remote_signing.rssp.timestamps import Timestamper
from remote_signing.sap import UnixAddress
from tests.support.asgi import call
from tests.support.certificates import OpenSsl
from tests.support.examples import example
from tests.support.sam import toml
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from fastapi import FastAPI

    from remote_signing.rssp.certificate_status import Status
    from remote_signing.sap import SapClient, TimestampRequest
    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder
    from tests.support.world import World

OCSP, TSQ = "application/ocsp-request", "application/timestamp-query"
CONTENT = b"van ban"


class Service:
    """The application on a world whose SAM is a real one, and OpenSSL beside it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.certificate = world.new_credential().certificate
        self.app: FastAPI = create_app(world.services.config, world.services)
        self.openssl = OpenSsl(world.services.sam.status().chain, folder)

    @property
    def status(self) -> Status:
        found: Status = self.app.state.status
        return found

    def get(self, path: str) -> httpx.Response:
        return call(self.app, "GET", path)

    def ask(self, body: bytes, path: str = "/pki/ocsp", kind: str = OCSP) -> httpx.Response:
        return call(self.app, "POST", path, content=body, headers={"Content-Type": kind})

    def question(self, *arguments: str) -> bytes:
        """An OCSP request as OpenSSL makes it."""
        pem = x509.load_der_x509_certificate(self.certificate)
        signer = self.openssl.file("it.pem", pem.public_bytes(Encoding.PEM))
        out = self.openssl.folder / "request.der"
        self.openssl.run(
            *("ocsp", "-issuer", str(self.openssl.issuing), *arguments, "-cert", signer),
            *("-reqout", str(out)),
        )
        return out.read_bytes()


@pytest.fixture
def world(sqlite_folder: SqliteFolder) -> Iterator[World]:
    """On one database: what depends on it is in test_revocation.py."""
    with new_world(sqlite_folder) as made:
        yield made


@pytest.fixture(scope="module")
def sam(sam_factory: Callable[..., RunningSam], sqlite_folder: SqliteFolder) -> RunningSam:
    """One for all tests that revoke nothing; it pins the authority of every such world."""
    with new_world(sqlite_folder) as made:
        return sam_factory(workers=1, pinned=pinned(made))


@pytest.fixture
def service(world: World, sam: RunningSam, tmp_path: Path) -> Service:
    world.join(sam.client())
    return Service(world, tmp_path)


def pinned(world: World) -> dict[str, bytes]:
    return {world.authority.key_id: world.authority.public_key}


def failure(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    (told,) = core.SequenceOf.load(answer.content, spec=tsp.PKIStatusInfo)
    assert told["status"].native == "rejection"
    (name,) = told["fail_info"].native
    return str(name)


def query(**changes: object) -> tsp.TimeStampReq:
    imprint = {
        "hash_algorithm": {"algorithm": "sha256"},
        "hashed_message": hashlib.sha256(CONTENT).digest(),
    }
    return tsp.TimeStampReq({"version": 1, "message_imprint": imprint, **changes})


def test_the_whole_life_of_a_certificate_as_openssl_sees_it(
    world: World, start_sam: Callable[..., RunningSam], tmp_path: Path
) -> None:
    world.join(start_sam(workers=1, pinned=pinned(world)).client())
    service = Service(world, tmp_path)
    write_configuration(world, tmp_path)

    def credential(command: str, *options: str) -> None:
        arguments = ("credential", command, world.credential_id, *options)
        assert main(["--config", str(tmp_path), *arguments]) == 0

    question, former = service.question(), service.certificate

    def ocsp_says() -> str:
        answer = service.ask(question)
        assert answer.headers["content-type"] == "application/ocsp-response"
        return service.openssl.ocsp_says(service.certificate, answer.content)

    def path_is_good() -> bool:
        crls = (service.get(f"/pki/{name}.crl").content for name in ("issuing", "root"))
        return service.openssl.path_is_good(service.certificate, *crls)

    assert (ocsp_says(), path_is_good()) == ("good", True)
    credential("suspend")
    assert (ocsp_says(), path_is_good()) == ("revoked", False)
    credential("resume")
    assert (ocsp_says(), path_is_good()) == ("good", True)
    credential("certify")
    view = credentials.newest_usable(world.database, world.subscriber_id, world.clock.now_ms())
    assert view is not None
    service.certificate = view.certificate or b""
    question = service.question()
    assert service.certificate != former
    assert (ocsp_says(), path_is_good()) == ("good", True)
    credential("revoke", "--reason", "keyCompromise", "--yes")
    assert (ocsp_says(), path_is_good()) == ("revoked", False)
    service.certificate = former
    question = service.question()
    assert (ocsp_says(), path_is_good()) == ("revoked", False), "the one before it, of the same key"
    again = ("revoke", world.credential_id, "--reason", "keyCompromise", "--yes")
    assert main(["--config", str(tmp_path), "credential", *again]) == 1


def write_configuration(world: World, folder: Path) -> None:
    """What the command line needs: the rssp's file, and the authority's key."""
    config = world.services.config
    address = world.services.sam._address  # noqa: SLF001 - where the running SAM is
    assert isinstance(address, UnixAddress)
    tables: dict[str, dict[str, object]] = {
        "service": asdict(config.service),
        "urls": asdict(config.urls),
        "database": {"url": config.database.url},
        "sam": {"socket": str(address.path)},
        "policy": {"certificate_policies": list(config.policy.certificate_policies)},
    }
    text = ""
    for name, members in tables.items():
        text += f"[{name}]\n" + "".join(
            f"{key} = {toml(value)}\n" for key, value in members.items()
        )
    (folder / "rssp.toml").write_text(text, "utf-8")
    key = folder / "ra.key"
    key.touch(0o600)
    key.write_bytes(
        world.authority._key.private_bytes(  # noqa: SLF001 - the desk keeps it in a file
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )


def test_certificates_point_to_addresses_that_answer(service: Service) -> None:
    for name, expected in (
        ("issuing", service.world.services.sam.status().chain[0]),
        ("root", service.world.services.sam.status().chain[1]),
    ):
        answer = example("the certificate", service.get(f"/pki/{name}.crt"))
        assert answer.content == expected
        example("the list", service.get(f"/pki/{name}.crl"))
        assert answer.headers["content-type"] == "application/pkix-cert"
        assert answer.headers["cache-control"] == "public, max-age=600"


def test_answers_without_a_nonce_are_signed_once_and_may_be_kept(service: Service) -> None:
    question = service.question("-no_nonce")
    first, second = example("good", service.ask(question)), service.ask(question)
    assert first.content == second.content
    assert "max-age=600" in first.headers["cache-control"]
    service.world.clock.advance(25 * 60)
    told = service.ask(question).headers["cache-control"]
    assert 240 < int(told.partition("max-age=")[2].partition(",")[0]) < 330
    service.world.clock.advance(6 * 60)
    assert service.ask(question).content != first.content


def test_a_nonce_is_given_back_and_that_answer_is_for_nobody_else(service: Service) -> None:
    question = service.question("-nonce")
    answer = service.ask(question)
    assert answer.headers["cache-control"] == "no-store"
    asked = ocsp.load_der_ocsp_request(question).extensions
    told = ocsp.load_der_ocsp_response(answer.content).extensions
    expected = asked.get_extension_for_class(x509.OCSPNonce).value.nonce
    assert told.get_extension_for_class(x509.OCSPNonce).value.nonce == expected


def test_a_request_may_come_in_the_url(service: Service) -> None:
    question = service.question("-no_nonce")
    encoded = quote(base64.b64encode(question).decode(), safe="")
    answer = example("good", service.get(f"/pki/ocsp/{encoded}"))
    assert service.openssl.ocsp_says(service.certificate, answer.content) == "good"
    for wrong in ("no*base64", "AAAA", base64.b64encode(b"0" * 3 * MAX_QUERY).decode()):
        response = ocsp.load_der_ocsp_response(service.get(f"/pki/ocsp/{wrong}").content)
        assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def ocsp_status(answer: httpx.Response) -> ocsp.OCSPResponseStatus:
    assert answer.status_code == 200
    return ocsp.load_der_ocsp_response(answer.content).response_status


def request_by_hash(
    service: Service, serial: int, digest: hashes.HashAlgorithm | None = None
) -> ocsp.OCSPRequestBuilder:
    question = ocsp.load_der_ocsp_request(service.question("-no_nonce", "-sha256"))
    return ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        question.issuer_name_hash, question.issuer_key_hash, serial, digest or hashes.SHA256()
    )


def der(builder: ocsp.OCSPRequestBuilder) -> bytes:
    return builder.build().public_bytes(Encoding.DER)


def about_two(request: bytes) -> bytes:
    """The same question, asked twice in one request."""
    parsed = asn1_ocsp.OCSPRequest.load(request)
    single = parsed["tbs_request"]["request_list"][0]
    twice = asn1_ocsp.TBSRequest({"request_list": [single, single]})
    encoded: bytes = asn1_ocsp.OCSPRequest({"tbs_request": twice}).dump()
    return encoded


def test_a_number_that_was_never_issued_is_unknown(service: Service) -> None:
    answer = service.ask(der(request_by_hash(service, 4711)))
    response = ocsp.load_der_ocsp_response(answer.content)
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert answer.headers["cache-control"] == "no-store"


def test_what_is_not_an_ocsp_request_for_us_gets_the_standards_answer(service: Service) -> None:
    status = ocsp.OCSPResponseStatus
    good = request_by_hash(service, 1)
    for body, expected in (
        (b"", status.MALFORMED_REQUEST),
        (about_two(der(good)), status.MALFORMED_REQUEST),
        (b"0" * (MAX_QUERY + 1), status.MALFORMED_REQUEST),
        (der(request_by_hash(service, 1 << 159)), status.MALFORMED_REQUEST),
        (
            der(good.add_extension(x509.OCSPNonce(b"n" * 129), critical=False)),
            status.MALFORMED_REQUEST,
        ),
        (der(good.add_extension(x509.OCSPNonce(b"n" * 128), critical=True)), status.SUCCESSFUL),
        (
            der(
                good.add_extension(
                    x509.OCSPAcceptableResponses([x509.ObjectIdentifier("1.2.3")]), critical=True
                )
            ),
            status.MALFORMED_REQUEST,
        ),
    ):
        assert ocsp_status(service.ask(body)) is expected
    foreign = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        b"1" * 32, b"2" * 32, 1, hashes.SHA256()
    )
    assert ocsp_status(service.ask(der(foreign))) is status.UNAUTHORIZED


def test_the_services_own_certificates_have_a_status_too(service: Service) -> None:
    own = service.world.services.sam.service_certificates()
    for certificate in (own.timestamps, own.responder):
        response = ocsp.load_der_ocsp_response(service.status.ocsp(certificate))
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert service.status.own_certificates() == own


def test_the_services_own_certificates_are_looked_up_again_now_and_then(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_status, "_KNOWN_FOR", -1.0)
    assert service.status.own_certificates() == service.status.own_certificates()


def test_only_so_many_answers_are_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_status, "_CACHED", 1)
    own = service.world.services.sam.service_certificates()
    first = service.status.ocsp(own.timestamps)
    assert service.status.ocsp(own.timestamps) == first
    service.status.ocsp(service.certificate)
    assert service.status.ocsp(own.timestamps) != first


def test_without_a_sam_ocsp_says_try_later_and_crls_say_503(service: Service) -> None:
    question = service.question("-no_nonce")
    gone = _Gone()
    app = create_app(
        service.world.services.config,
        replace(service.world.services, sam=cast("SapClient", gone)),
    )
    answer = call(app, "POST", "/pki/ocsp", content=question, headers={"Content-Type": OCSP})
    assert ocsp_status(answer) is ocsp.OCSPResponseStatus.TRY_LATER
    assert call(app, "GET", "/pki/issuing.crl").status_code == 503


class _Gone:
    """A SAM that cannot be reached."""

    def __getattr__(self, _name: str) -> Callable[..., bytes]:
        def fail(*_arguments: object) -> bytes:
            raise SamUnavailable("gone")

        return fail


# ------------------------------------------------------------------------ time stamps


def test_openssl_asks_for_a_time_stamp_and_verifies_it(service: Service) -> None:
    openssl = service.openssl
    data = openssl.file("data", CONTENT)
    wanted = openssl.folder / "wanted.tsq"
    openssl.run("ts", "-query", "-data", data, "-sha512", "-cert", "-out", str(wanted))
    answer = example("of SHA-512", service.ask(wanted.read_bytes(), "/tsa", TSQ))
    assert answer.headers["content-type"] == "application/timestamp-reply"
    text = openssl.run(
        *("ts", "-verify", "-queryfile", str(wanted)),
        *("-in", openssl.file("reply.tsr", answer.content)),
        *("-CAfile", str(openssl.root), "-untrusted", str(openssl.issuing)),
    )
    assert "Verification: OK" in text


def test_every_failure_of_the_standard_is_told_in_its_words(service: Service) -> None:
    sha1 = {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": b"1" * 20}
    short = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"short"}
    extension = [{"extn_id": "1.2.3", "critical": False, "extn_value": core.OctetString(b"x")}]
    for body, expected in (
        (b"", "bad_data_format"),
        (b"\x30\x03\x02\x01\x01", "bad_data_format"),
        (query().dump() + b"\0", "bad_data_format"),
        (b"0" * (MAX_QUERY + 1), "bad_data_format"),
        (query(message_imprint=short).dump(), "bad_data_format"),
        (query(message_imprint=sha1).dump(), "bad_alg"),
        (query(version=2).dump(), "bad_request"),
        (query(nonce=-1).dump(), "bad_request"),
        (query(nonce=1 << 256).dump(), "bad_request"),
        (query(req_policy="1.2.3").dump(), "unaccepted_policy"),
        (query(extensions=extension).dump(), "unaccepted_extensions"),
    ):
        assert failure(service.ask(body, "/tsa", TSQ)) == expected, (body.hex(), expected)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ClockSuspicious("jumped"), "time_not_available"),
        (ServicesUncertified("none"), "system_failure"),
        (SamUnavailable("gone"), "system_failure"),
        (InvalidInput("what"), "bad_request"),
        (AlgorithmUnsupported("what"), "bad_alg"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_sam_refuses_is_a_failure_of_the_protocol(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def timestamp(_request: TimestampRequest) -> bytes:
        raise error

    monkeypatch.setattr(world.sam, "timestamp", timestamp, raising=False)
    app = create_app(world.services.config, world.services)
    headers = {"Content-Type": TSQ}
    answer = call(app, "POST", "/tsa", content=query().dump(), headers=headers)
    assert failure(answer) == expected


def test_a_query_of_another_media_type_is_415(service: Service) -> None:
    assert service.ask(query().dump(), "/tsa", "application/json").status_code == 415
    assert service.get("/tsa").status_code == 405


def test_the_timestamper_gives_our_own_token(service: Service) -> None:
    digest = hashlib.sha384(CONTENT).digest()
    token = Timestamper(service.world.services).stamp(digest, "sha384")
    info = tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    assert info["message_imprint"]["hashed_message"].native == digest
    assert info["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha384"
    assert DIGESTS["sha384"].length == len(digest)
