"""Every row of the standard's error tables, of both versions: status, code and text.

Each row is brought about by a request, or where a request can't, by a state of the world. What
nothing here can bring about is ordered from the SAM. ``pytest -rP`` shows how many rows there are.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from sqlalchemy import update

from remote_signing.errors import EvidenceInvalid
from remote_signing.rssp import activation, clients
from remote_signing.rssp.csc.v1.routes import METHODS as V1_METHODS
from remote_signing.rssp.csc.v2.routes import METHODS as V2_METHODS
from remote_signing.rssp.models import credential
from tests.support.csc import DOCUMENT, CscPortal, b64
from tests.support.examples import example
from tests.support.world import PASSWORD, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.conftest import Databases

    Scene = Callable[[CscPortal], httpx.Response]

TABLE = json.loads(
    (Path(__file__).parents[1] / "data" / "csc" / "csc_errors.json").read_text("utf-8")
)
METHODS = {"v1": V1_METHODS, "v2": V2_METHODS}
# Rows that other files bring about: methods with a world of their own.
ELSEWHERE = {
    "oauth2/token",
    "oauth2/revoke",
    "signatures/timestamp",
    "signatures/signDoc",
    "signatures/signDoc(additional)",
    "signatures/prepareDoc",
    "signatures/attachDoc",
}


class Row(NamedTuple):
    version: str
    method: str
    case: str
    status: int
    error: str
    text: str


ROWS = [
    Row(version, method, case, status, error, text)
    for version, methods in TABLE["cases"].items()
    for method, rows in methods.items()
    if method not in ELSEWHERE
    for case, status, error, text in rows
]
SCENES: dict[tuple[str, str], Scene] = {}

EC_PUBLIC_KEY, RSASSA_PSS = "1.2.840.10045.2.1", "1.2.840.113549.1.1.10"
HEADER = "header does not match Bearer pattern"
V1_NAMES = {"hashes": "hash", "hashAlgorithmOID": "hashAlgo"}


@pytest.fixture(scope="module")
def furnished(databases: Databases) -> Iterator[CscPortal]:
    with new_world(databases) as world:
        yield CscPortal.at(world)


@pytest.fixture
def portal(furnished: CscPortal) -> CscPortal:
    """A scene may go on with another credential; the next one has the first again."""
    world = replace(furnished.world)
    return replace(furnished, world=world)


def scene(method: str, case: str) -> Callable[[Scene], Scene]:
    def keep(found: Scene) -> Scene:
        SCENES[method, case] = found
        return found

    return keep


def spelled(portal: CscPortal, body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with the names of the portal's version, without what is None."""
    names = V1_NAMES if portal.version == "v1" else {}
    return {names.get(name, name): value for name, value in body.items() if value is not None}


def post(portal: CscPortal, method: str, **changes: Any) -> httpx.Response:
    """A good request, but for the ``changes``."""
    return portal.post(method, spelled(portal, BODIES[method](portal) | changes))


def request(method: str, case: str, **changes: Any) -> None:
    """A row that a changed request brings about; a member that is None is left out."""
    SCENES[method, case] = lambda portal: post(portal, method, **changes)


def scal1(portal: CscPortal) -> dict[str, Any]:
    """A request with the codes of a new credential that takes them."""
    portal.world.next_step()
    portal.world.new_credential(scal="1")
    codes = {"PIN": portal.world.pin, "OTP": portal.world.otp()}
    return portal.authorize_body() | (codes if portal.version == "v1" else {})


def authorize_body(portal: CscPortal) -> dict[str, Any]:
    return scal1(portal) if portal.version == "v1" else portal.authorize_body()


def sad(portal: CscPortal) -> str:
    """By v2's own way, which v1 does not have; a SAD is good for both."""
    return portal.at_version("v2").sad()


BODIES: dict[str, Callable[[CscPortal], dict[str, Any]]] = {
    "auth/revoke": lambda portal: {"token": portal.user_token()},
    "credentials/list": lambda _portal: {},
    "credentials/info": lambda portal: {"credentialID": portal.world.credential_id},
    "credentials/authorize": authorize_body,
    "credentials/authorizeCheck": lambda _portal: {"handle": "x"},
    "credentials/getChallenge": lambda portal: {
        "credentialID": portal.world.credential_id,
        "authObjectID": "x",
    },
    "credentials/extendTransaction": lambda portal: {
        "credentialID": portal.world.credential_id,
        "SAD": sad(portal),
    },
    "credentials/sendOTP": lambda portal: {"credentialID": portal.world.credential_id},
    "signatures/signHash": lambda portal: portal.sign_body(SAD=sad(portal)),
    "signatures/signPolling": lambda _portal: {"requestID": "0" * 26},
}

request("auth/revoke", "token missing/type", token=7)
request("auth/revoke", "token_type_hint", token_type_hint="id_token")
request("auth/revoke", "token unknown", token=f"s.{'0' * 26}.{'x' * 43}")
request("credentials/list", "pageToken", pageToken="x")
request("credentials/getChallenge", "credentialID", credentialID="0" * 26)
request("credentials/getChallenge", "authObjectID", authObjectID="PIN")
request("credentials/sendOTP", "credentialID missing/type", credentialID=None)
request("credentials/sendOTP", "credentialID invalid", credentialID="0" * 26)
request("signatures/signPolling", "requestID missing/type", requestID=7)
request("signatures/signPolling", "requestID invalid", requestID="0" * 26)
request("signatures/signPolling", "userID given", userID="0" * 26)
request("signatures/signPolling", "userID format", userID="an.nguyen")
request("signatures/signPolling", "clientData", clientData=7)
request("credentials/list", "userID given with user-specific auth", userID="0" * 26)
request("credentials/list", "certificates", credentialInfo=True, certificates="leaf")
request("credentials/info", "credentialID missing/type", credentialID=None)
request("credentials/info", "credentialID invalid", credentialID="0" * 26)
request("credentials/info", "certificates", certificates="leaf")
request("credentials/authorize", "credentialID missing/type", credentialID=7)
request("credentials/authorize", "credentialID invalid", credentialID="0" * 26)
request("credentials/authorize", "numSignatures missing/type", numSignatures="1")
request("credentials/authorize", "numSignatures<1", numSignatures=0)
request("credentials/authorize", "authData wrong", authData=[{"id": "PIN", "value": "24681357"}])
request("credentials/authorizeCheck", "handle", handle="x")
request("signatures/signHash", "SAD missing/type", SAD=7)
request("signatures/signHash", "SAD invalid", SAD="x")
request("signatures/signHash", "credentialID missing/type", credentialID=None)
request("signatures/signHash", "credentialID invalid", credentialID="nobody")
request("signatures/signHash", "hash array missing/type", hashes="x")
request("signatures/signHash", "hash array empty", hashes=[])
request("signatures/signHash", "hash base64", hashes=["&"])
request("signatures/signHash", "hash not authorized", hashes=[b64(bytes(32))])
request("signatures/signHash", "signAlgo missing/type", signAlgo=None)
request("signatures/signHash", "signAlgoParams missing/type", signAlgo=RSASSA_PSS)
for _name in ("hashAlgorithmOID", "hashAlgo"):
    request("signatures/signHash", f"{_name} missing/type when needed", signAlgo=EC_PUBLIC_KEY)
    request(
        "signatures/signHash",
        f"{_name} invalid",
        signAlgo=EC_PUBLIC_KEY,
        hashAlgorithmOID="1.3.14.3.2.26",
    )
request("signatures/signHash", "signAlgo invalid", signAlgo="1.2.840.113549.1.1.5")
request("signatures/signHash", "clientData type", clientData=7)
request("signatures/signHash", "digest length", hashes=[b64(bytes(48))])
request("signatures/signHash", "operationMode", operationMode="B")
request("signatures/signHash", "validity_period", operationMode="A", validity_period="soon")
request("signatures/signHash", "validity_period bounds", operationMode="A", validity_period=2**50)
request("signatures/signHash", "response_uri", operationMode="A", response_uri="ftp://x")


def _no_bearer(method: str) -> Scene:
    return lambda portal: portal.raw("POST", method, json={}, headers={"Authorization": "Basic x"})


for _method in BODIES:
    SCENES[_method, HEADER] = _no_bearer(_method)


def basic(portal: CscPortal, header: str, **body: Any) -> httpx.Response:
    headers = {"Authorization": header} if header else {}
    return portal.raw("POST", "auth/login", json=body, headers=headers)


def encoded(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


SCENES |= {
    ("auth/login", "header not Basic pattern and no refresh_token"): lambda p: basic(p, "Bearer x"),
    ("auth/login", "not user:password"): lambda p: basic(p, encoded("an.nguyen")),
    ("auth/login", "refresh_token type"): lambda p: basic(p, "", refresh_token=7),
    ("auth/login", "refresh_token value"): lambda p: basic(p, "", refresh_token="r.x"),
    ("auth/login", "login failed"): lambda p: basic(p, encoded(f"an.nguyen:{PASSWORD} ")),
}


@scene("credentials/list", "userID format")
def _user_id_that_is_none(portal: CscPortal) -> httpx.Response:
    return portal.post("credentials/list", {"userID": "an.nguyen"}, portal.client_token())


@contextmanager
def credential_with(portal: CscPortal, **values: object) -> Iterator[None]:
    """The credential's row is so for a moment."""
    row = portal.world.database.one(
        credential.select().where(credential.c.id == portal.world.credential_id)
    )
    assert row is not None
    before = {name: getattr(row, name) for name in values}
    statement = update(credential).where(credential.c.id == portal.world.credential_id)
    portal.world.database.run(statement.values(**values))
    try:
        yield
    finally:
        portal.world.database.run(statement.values(**before))


@scene("credentials/authorize", "key disabled")
def _disabled(portal: CscPortal) -> httpx.Response:
    body = spelled(portal, authorize_body(portal))
    with credential_with(portal, state="disabled"):
        return portal.post("credentials/authorize", body)


@scene("credentials/authorize", "numSignatures>multisign")
def _too_many(portal: CscPortal) -> httpx.Response:
    body = authorize_body(portal) | portal.authorize_body("a", "b")
    with credential_with(portal, multisign=1):
        return portal.post("credentials/authorize", spelled(portal, body))


@scene("credentials/authorize", "locked")
@scene("credentials/authorize", "PIN locked")
def _locked(portal: CscPortal) -> httpx.Response:
    body = spelled(portal, authorize_body(portal))
    with credential_with(portal, failed_attempts=5):
        return portal.post("credentials/authorize", body)


@scene("credentials/authorize", "OTP locked")
def _code_locked(portal: CscPortal) -> httpx.Response:
    portal.world.new_credential(scal="1", factors=("totp",))
    body = portal.authorize_body(OTP=portal.world.otp())
    with credential_with(portal, failed_attempts=5):
        return portal.post("credentials/authorize", spelled(portal, body))


@scene("credentials/authorize", "OTP wrong")
def _code_wrong(portal: CscPortal) -> httpx.Response:
    return post(portal, "credentials/authorize", OTP="000000x")


@scene("credentials/authorize", "PIN wrong")
def _pin_wrong(portal: CscPortal) -> httpx.Response:
    portal.world.new_credential(scal="1", factors=("pin",))
    body = portal.authorize_body(PIN="87654321")
    return portal.post("credentials/authorize", spelled(portal, body))


@scene("credentials/sendOTP", "OTP locked")
def _nothing_to_send(portal: CscPortal) -> httpx.Response:
    with credential_with(portal, failed_attempts=5):
        return post(portal, "credentials/sendOTP")


@scene("signatures/signPolling", "pending")
def _accepted(portal: CscPortal) -> httpx.Response:
    body = portal.sign_body(SAD=portal.sad(), operationMode="A")
    accepted = portal.post("signatures/signHash", body).json()
    return portal.post("signatures/signPolling", {"requestID": accepted["responseID"]})


@scene("credentials/authorizeCheck", "authData wrong")
def _refused_by_the_signer(portal: CscPortal) -> httpx.Response:
    asked = post(portal, "credentials/authorize").json()["handle"]
    activation_id = asked.partition(".")[0]
    activation.deny(portal.world.services, portal.world.session, activation_id)
    return portal.post("credentials/authorizeCheck", {"handle": asked})


@scene("credentials/authorizeCheck", "locked")
def _locked_meanwhile(portal: CscPortal) -> httpx.Response:
    asked = portal.post("credentials/authorize", portal.authorize_body()).json()["handle"]
    with credential_with(portal, failed_attempts=5):
        return portal.post("credentials/authorizeCheck", {"handle": asked})


@scene("signatures/signHash", "OTP of the SAD invalid")
def _evidence_refused_by_the_sam(portal: CscPortal) -> httpx.Response:
    given = sad(portal)
    portal.world.sam.faults["sign"] = [EvidenceInvalid("a SAM that checks at signing")]
    return portal.post("signatures/signHash", spelled(portal, portal.sign_body(SAD=given)))


@scene("signatures/signHash", "SAD expired")
def _sad_expired(portal: CscPortal) -> httpx.Response:
    given = sad(portal)
    portal.world.clock.advance(301)
    return portal.post("signatures/signHash", spelled(portal, portal.sign_body(SAD=given)))


@scene("signatures/signHash", "certificate expired")
def _certificate_expired(portal: CscPortal) -> httpx.Response:
    given = sad(portal)
    with credential_with(portal, not_after=portal.world.clock.now_ms()):
        return portal.post("signatures/signHash", spelled(portal, portal.sign_body(SAD=given)))


def expected_text(row: Row, portal: CscPortal) -> str:
    """v1 names the certificate that is expired by its subject."""
    if "[organization]" not in row.text:
        return row.text
    found = portal.post("credentials/info", {"credentialID": portal.world.credential_id}).json()
    der = base64.b64decode(found["cert"]["certificates"][0])
    name = x509.load_der_x509_certificate(der).subject
    return row.text.replace("O=[organization],", "").replace(
        "CN=[common_name]", name.rfc4514_string()
    )


def test_every_row_of_every_method_has_a_scene() -> None:
    assert {(row.method, row.case) for row in ROWS} == SCENES.keys()
    assert {(row.version, row.method) for row in ROWS} == {
        (version, method)
        for version, methods in METHODS.items()
        for method in methods.keys() - ELSEWHERE - {"info"}
        if not method.startswith(("credentials/create", "credentials/delete"))  # no table
    }
    for version, count in Counter(row.version for row in ROWS).items():
        print(f"error rows of {version}: {count}")


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.version} {row.method}: {row.case}" for row in ROWS]
)
def test_error_has_the_standards_status_code_and_text(portal: CscPortal, row: Row) -> None:
    portal = portal.at_version(row.version)
    answer = SCENES[row.method, row.case](portal)
    example(row.case, answer)
    assert answer.headers["Content-Type"] == "application/json"
    text = expected_text(row, portal)
    assert answer.json() == {"error": row.error, "error_description": text}
    assert answer.status_code == row.status


# Methods whose good request is refused here: nothing is sent, challenged, or known by that name.
ALWAYS_REFUSED = {
    "credentials/authorizeCheck",
    "credentials/getChallenge",
    "credentials/sendOTP",
    "signatures/signPolling",
}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_same_request_without_the_mistake_is_served(portal: CscPortal, version: str) -> None:
    for method in sorted((BODIES.keys() & METHODS[version].keys()) - ALWAYS_REFUSED):
        there = replace(portal, version=version, world=replace(portal.world))
        answer = post(there, method)
        assert answer.status_code in {200, 202, 204}, (method, answer.text)


def test_foreign_credential_is_like_none(portal: CscPortal) -> None:
    services = portal.world.services
    stranger = clients.NewClient(
        "stranger", "X", "client_secret_basic", grant_types=("client_credentials",)
    )
    clients.register(services.database, services.clock, stranger)
    body = {"credentialID": portal.world.credential_id}
    answer = portal.post("credentials/info", body, portal.client_token("stranger"))
    assert answer.json()["error_description"] == "Invalid parameter credentialID"
    assert DOCUMENT not in answer.text
