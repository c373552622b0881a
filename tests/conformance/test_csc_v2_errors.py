"""Every row of the standard's error tables, for each method that is served: status, code, text.

Each row is brought about by a request, or where a request can't, by a state of the world. The one
that nothing here can bring about is ordered from the SAM.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import update

from remote_signing.errors import EvidenceInvalid
from remote_signing.rssp import activation, clients
from remote_signing.rssp.csc.v2.routes import METHODS
from remote_signing.rssp.models import credential
from tests.support.csc import DOCUMENT, CscPortal, b64
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.conftest import Databases

    Scene = Callable[[CscPortal], httpx.Response]

TABLE = json.loads(
    (Path(__file__).parents[1] / "data" / "csc" / "csc_errors.json").read_text("utf-8")
)


class Row(NamedTuple):
    method: str
    case: str
    status: int
    error: str
    text: str


ROWS = [
    Row(method, case, status, error, text)
    for method, rows in TABLE["cases"]["v2"].items()
    if method in METHODS
    for case, status, error, text in rows
]
SCENES: dict[tuple[str, str], Scene] = {}

EC_PUBLIC_KEY, RSASSA_PSS = "1.2.840.10045.2.1", "1.2.840.113549.1.1.10"


@pytest.fixture(scope="module")
def portal(databases: Databases) -> Iterator[CscPortal]:
    with new_world(databases) as world:
        yield CscPortal.at(world)


def scene(method: str, case: str) -> Callable[[Scene], Scene]:
    def keep(found: Scene) -> Scene:
        SCENES[method, case] = found
        return found

    return keep


def request(method: str, case: str, **changes: Any) -> None:
    """A row that a changed request brings about; a member that is None is left out."""

    def post(portal: CscPortal) -> httpx.Response:
        body = BODIES[method](portal) | changes
        return portal.post(method, {n: v for n, v in body.items() if v is not None})

    SCENES[method, case] = post


BODIES: dict[str, Callable[[CscPortal], dict[str, Any]]] = {
    "credentials/list": lambda _portal: {},
    "credentials/info": lambda portal: {"credentialID": portal.world.credential_id},
    "credentials/authorize": lambda portal: portal.authorize_body(),
    "credentials/authorizeCheck": lambda _portal: {"handle": "x"},
    "signatures/signHash": lambda portal: portal.sign_body(SAD=portal.sad()),
}
HEADER = "header does not match Bearer pattern"

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
request("signatures/signHash", "hashAlgorithmOID missing/type when needed", signAlgo=EC_PUBLIC_KEY)
request(
    "signatures/signHash",
    "hashAlgorithmOID invalid",
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
    with credential_with(portal, state="disabled"):
        return portal.post("credentials/authorize", portal.authorize_body())


@scene("credentials/authorize", "numSignatures>multisign")
def _too_many(portal: CscPortal) -> httpx.Response:
    with credential_with(portal, multisign=1):
        return portal.post("credentials/authorize", portal.authorize_body("a", "b"))


@scene("credentials/authorize", "locked")
def _locked(portal: CscPortal) -> httpx.Response:
    with credential_with(portal, failed_attempts=5):
        return portal.post("credentials/authorize", portal.authorize_body())


@scene("credentials/authorizeCheck", "authData wrong")
def _refused_by_the_signer(portal: CscPortal) -> httpx.Response:
    asked = portal.post("credentials/authorize", portal.authorize_body()).json()["handle"]
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
    sad = portal.sad()
    portal.world.sam.faults["sign"] = [EvidenceInvalid("a SAM that checks at signing")]
    return portal.post("signatures/signHash", portal.sign_body(SAD=sad))


@scene("signatures/signHash", "SAD expired")
def _sad_expired(portal: CscPortal) -> httpx.Response:
    sad = portal.sad()
    portal.world.clock.advance(301)
    return portal.post("signatures/signHash", portal.sign_body(SAD=sad))


@scene("signatures/signHash", "certificate expired")
def _certificate_expired(portal: CscPortal) -> httpx.Response:
    sad = portal.sad()
    with credential_with(portal, not_after=portal.world.clock.now_ms()):
        return portal.post("signatures/signHash", portal.sign_body(SAD=sad))


def test_every_row_of_every_method_served_has_a_scene() -> None:
    assert {row[:2] for row in ROWS} == SCENES.keys()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.method}: {row.case}" for row in ROWS])
def test_error_has_the_standards_status_code_and_text(portal: CscPortal, row: Row) -> None:
    answer = SCENES[row.method, row.case](portal)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"error": row.error, "error_description": row.text}
    assert answer.status_code == row.status


def test_same_request_without_the_mistake_is_served(portal: CscPortal) -> None:
    for method, body in BODIES.items():
        if method != "credentials/authorizeCheck":
            answer = portal.post(method, body(portal))
            assert answer.status_code in {200, 202}, (method, answer.text)


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
