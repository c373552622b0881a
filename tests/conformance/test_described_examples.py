"""The examples of good requests: told by a portal and a signer who do their work, method by method.

Errors are kept by the tests of the error tables, documents by those of ``signDoc``, certificates
and time stamps by those of the PKI, the SIM by those of its routes. In the end every operation and
every error of a table has one.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import HsmUnavailable, RemoteSigningError
from remote_signing.rssp import activation, clients, service_authorization, vapid
from remote_signing.rssp.config_push import PushConfig
from remote_signing.rssp.consent import time_text
from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.openapi.document import document
from remote_signing.rssp.request_details import RequestDetails, Urgency
from remote_signing.rssp.signing_worker import step
from tests.conformance.test_csc_errors import ROWS as CSC_ROWS
from tests.conformance.test_csc_sign_doc import ROWS as DOCUMENT_ROWS
from tests.conformance.test_csc_timestamp import TABLE
from tests.conformance.test_oauth_errors import NEVER
from tests.conformance.test_oauth_errors import ROWS as OAUTH_ROWS
from tests.support.asgi import call
from tests.support.csc import LOGIN, CscPortal
from tests.support.documents import DocumentPortal
from tests.support.examples import example
from tests.support.oauth import OAuthPortal, application
from tests.support.passkey_world import DAY, PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.world import PASSWORD, PORTAL, VERIFIER, configuration, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.sqlite import SqliteFolder
    from tests.support.world import World

SHOWN = {"certificates": "chain", "certInfo": True, "authInfo": True, "lang": "vi"}
BASIC = "Basic " + base64.b64encode(f"an.nguyen:{PASSWORD}".encode()).decode()
OLD_PORTAL = "old-portal"


@pytest.fixture(scope="module")
def documents(sqlite_folder: SqliteFolder) -> Iterator[DocumentPortal]:
    """The whole application, with logins."""
    with new_world(sqlite_folder) as world:
        CscPortal.at(world)  # registers the client of logins
        made = DocumentPortal.at(world, login_client=LOGIN)
        yield made
        made.close()


@pytest.fixture
def portal(documents: DocumentPortal) -> CscPortal:
    documents.portal.world = replace(documents.world)
    documents.portal.signer_is_ready()
    return documents.portal


@pytest.fixture
def oauth(documents: DocumentPortal) -> OAuthPortal:
    """A portal that authenticates with a secret, as most do at first."""
    world = replace(documents.world)
    if world.services.clients.get(OLD_PORTAL) is None:
        world.clock.advance(6)
    name = f"portal-{world.clock.now_ms()}"
    made = OAuthPortal.at(world, name, auth_method="client_secret_post", jwks=None)
    made.app = documents.app
    world.next_step()
    world.session = world.new_session()
    return made


class Asking:
    """Asks methods of one version with the signer's token."""

    def __init__(self, portal: CscPortal, version: str) -> None:
        self.portal = portal.at_version(version)
        self.token = portal.user_token(client_id=LOGIN)

    def __call__(self, name: str, method: str, body: dict[str, Any]) -> Any:
        answer = example(name, self.portal.post(method, body, self.token))
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def login(self, name: str, http: str = "POST", **body: Any) -> Any:
        headers = {"Authorization": BASIC}
        options: dict[str, Any] = {"json": body} if http == "POST" else {}
        return example(name, self.portal.raw(http, "auth/login", headers=headers, **options))


def test_examples_of_v2(portal: CscPortal) -> None:
    ask, world = Asking(portal, "v2"), portal.world
    credential = {"credentialID": world.credential_id}
    ask("in Vietnamese", "info", {"lang": "vi"})
    ask.login("with a refresh token for later", rememberMe=True)
    ask("the ids", "credentials/list", {})
    ask("with everything", "credentials/list", {"credentialInfo": True, "onlyValid": True} | SHOWN)
    ask("with everything", "credentials/info", credential | SHOWN)
    wanted = portal.authorize_body("a", "b", description="Quyết định bổ nhiệm và phụ lục")
    handle = ask("the signer is asked", "credentials/authorize", wanted)["handle"]
    ask("not yet", "credentials/authorizeCheck", {"handle": handle})
    world.approve(handle.partition(".")[0])
    sad = ask("consented", "credentials/authorizeCheck", {"handle": handle})["SAD"]
    ask("with a SAD", "signatures/signHash", portal.sign_body("a", SAD=sad))
    rest = credential | {"SAD": sad, "hashes": portal.sign_body("b")["hashes"]}
    sad = ask("for the rest", "credentials/extendTransaction", rest)["SAD"]
    later = portal.sign_body("b", SAD=sad, operationMode="A", validity_period=600_000)
    request = ask("asynchronous", "signatures/signHash", later)["responseID"]
    assert step(world.services, polling.make)
    ask("done", "signatures/signPolling", {"requestID": request})
    ask("a token of a login", "auth/revoke", {"token": portal.user_token(client_id=LOGIN)})


def test_examples_of_a_request_that_comes_by_itself(portal: CscPortal) -> None:
    ask, world = Asking(portal, "v2"), portal.world
    details = {
        "urgency": "urgent",
        "deadline": time_text(world.clock.now_ms() + 7_200_000),
        "number": "1234",
        "symbol": "QĐ-BNV",
        "documentName": "Quyết định bổ nhiệm",
        "agencyNames": ["Bộ Nội vụ"],
    }
    wanted = portal.authorize_body("a", requestDetails=details)
    asked = ask("with what the signer reads", "credentials/authorize", wanted)
    said = activation.Denial("returned", "content", "Sai tên ở điều 2")
    activation.deny(world.services, world.session, asked["activationID"], said)
    handle = {"handle": asked["handle"]}
    example("returned", portal.post("credentials/authorizeCheck", handle, ask.token))


def test_examples_of_codes_at_scal1(portal: CscPortal) -> None:
    ask, world = Asking(portal, "v2"), portal.world
    world.new_credential(scal="1")
    info = ask("SCAL1", "credentials/info", {"credentialID": world.credential_id} | SHOWN)
    codes = zip(info["auth"]["objects"], (world.pin, world.otp()), strict=True)
    data = [{"id": item["id"], "value": value} for item, value in codes]
    ask("with codes, SCAL1", "credentials/authorize", portal.authorize_body(authData=data))


def test_examples_of_v1(portal: CscPortal) -> None:
    ask, world = Asking(portal, "v1"), portal.world
    ask("in Vietnamese", "info", {"lang": "vi"})
    example("by GET", ask.portal.raw("GET", "info"))
    ask.login("with a refresh token for later", rememberMe=True)
    ask.login("by GET", "GET")
    ask("a page", "credentials/list", {"maxResults": 10})
    headers = {"Authorization": f"Bearer {ask.token}"}
    example("by GET", ask.portal.raw("GET", "credentials/list", headers=headers))
    credential = {"credentialID": world.credential_id}
    ask("SCAL2", "credentials/info", credential | SHOWN)
    world.new_credential(scal="1")
    credential = {"credentialID": world.credential_id}
    ask("SCAL1", "credentials/info", credential | SHOWN)
    hashes = portal.sign_body("a", "b")["hashes"]
    codes = {"PIN": world.pin, "OTP": world.otp(), "numSignatures": 2, "hash": hashes}
    sad = ask("with PIN and code", "credentials/authorize", credential | codes)["SAD"]
    use = credential | {"SAD": sad, "signAlgo": "1.2.840.10045.4.3.2"}
    ask("the first of two", "signatures/signHash", use | {"hash": hashes[:1]})
    rest = {"SAD": sad, "hash": hashes[1:]}
    ask("for the rest", "credentials/extendTransaction", credential | rest)
    ask("a token of a login", "auth/revoke", {"token": portal.user_token(client_id=LOGIN)})


def test_examples_of_requests_to_the_authority(portal: CscPortal) -> None:
    world = portal.world
    agencies = (world.agency_id,)
    wanted = clients.NewClient(
        f"registrar-{world.clock.now_ms()}",
        "Phòng nhân sự",
        "client_secret_basic",
        grant_types=("client_credentials",),
        scopes=("service", *clients.RIGHTS),
        agencies=agencies,
    )
    clients.register(world.database, world.clock, wanted)
    ask = Asking(portal, "v2")
    ask.token = portal.client_token(wanted.client_id)
    subject = {"sub": world.subscriber_id, "given_name": "An"}
    policy = world.services.config.policy.certificate_policies[0]
    made = {"certificatePolicy": policy, "subjectData": subject}
    ask("filed", "credentials/create", {"credentialCreationRequest": made})
    world.new_credential()
    gone = {"credentialID": world.credential_id, "revoke": True, "revocationReason": 5}
    ask("with revocation", "credentials/delete", {"credentialDeletionRequest": gone})


def test_examples_of_mistakes_that_no_table_has(portal: CscPortal) -> None:
    ask, old = Asking(portal, "v2"), portal.at_version("v1")
    headers = {"Authorization": f"Bearer {ask.token}"}
    example("clientData", portal.post("info", {"clientData": 7}))
    example("no rights", portal.post("credentials/create", {"credentialCreationRequest": {}}))
    example("no object", portal.post("credentials/delete", {"credentialDeletionRequest": 7}))
    example("no documents", portal.post("signatures/prepareDoc", {"signatureQualifier": "x"}))
    broken = {"headers": headers | {"Content-Type": "application/json"}, "content": b'{"a":'}
    example("not JSON", old.raw("POST", "info", **broken))
    example("not JSON", old.raw("GET", "info", **broken))
    example("not JSON", old.raw("GET", "credentials/list", **broken))
    example("Malformed header", old.raw("GET", "auth/login"))
    wrong = "Basic " + base64.b64encode(b"an.nguyen:wrong").decode()
    example("login failed", old.raw("GET", "auth/login", headers={"Authorization": wrong}))


def test_examples_of_refused_tokens_and_faults(portal: CscPortal) -> None:
    """One of each; every method answers them the same way."""
    body = portal.sign_body(SAD=portal.sad())
    made_up = f"s.{'0' * 26}.{'x' * 43}"
    example("unknown", portal.post("signatures/signHash", body, made_up), "CscUnauthorized")
    world = portal.world
    over = portal.user_token()
    world.clock.advance(7 * 86400)
    example("over", portal.post("signatures/signHash", body, over), "CscUnauthorized")
    headers = {"Authorization": f"DPoP {made_up}", "DPoP": "x"}
    answer = portal.raw("POST", "credentials/list", json={}, headers=headers)
    example("without a good proof", answer, "CscUnauthorized")
    world.session = world.new_session()
    body = portal.sign_body(SAD=portal.sad())
    for name, error in (
        ("CscUnavailable", HsmUnavailable("away")),
        ("CscFault", RemoteSigningError("a mistake of ours")),
    ):
        world.sam.faults["sign"] = [error]
        example("a fault", portal.post("signatures/signHash", body), name)


def test_examples_of_the_authorization_server(oauth: OAuthPortal) -> None:
    asked = example("a decision to sign", oauth.push(oauth.credential_request())).json()
    visit = oauth.visit(client_id=oauth.client_id, request_uri=asked["request_uri"])
    name = example("to the consent page", visit).headers["location"].rpartition("/")[2]
    to = oauth.world.approve(name).redirect_to or ""
    code = to.partition("code=")[2].partition("&")[0]
    example("scope credential", oauth.token(oauth.redemption(code)))
    example("the list of credentials", oauth.push())
    tokens = example("scope service", oauth.token(oauth.redemption(oauth.consent()["code"]))).json()
    renewed = example("refreshed", oauth.refresh(tokens["refresh_token"])).json()
    example("an access token", oauth.revoke(renewed["access_token"]))
    grant = {"grant_type": "client_credentials"}
    more = example("of the client", oauth.token(grant)).json()
    form = {"token": more["access_token"]} | oauth.auth()
    example("an access token", call(oauth.app, "POST", "/revoke", data=form))
    example("nobody's request", oauth.visit(client_id="nobody"))


def test_examples_of_metadata(oauth: OAuthPortal) -> None:
    services = oauth.world.services
    urls = replace(services.config.urls, issuer="https://sign.example/rssp")
    below = application(replace(services, config=replace(services.config, urls=urls)))
    for place in ("oauth-authorization-server", "openid-configuration"):
        example("the metadata", call(oauth.app, "GET", f"/.well-known/{place}"))
        example("of an issuer with a path", call(below, "GET", f"/.well-known/{place}/rssp"))


def test_examples_of_v1s_authorization_server(oauth: OAuthPortal) -> None:
    oauth.base = "/csc/v1"
    tokens = example("scope service", oauth.token(oauth.redemption(oauth.consent()["code"]))).json()
    example("an access token", oauth.revoke(tokens["access_token"]))
    query = oauth.request()
    visit = call(oauth.app, "GET", "/csc/v1/oauth2/authorize", params=query)
    example("to the consent page", visit)
    example("nobody's request", call(oauth.app, "GET", "/csc/v1/oauth2/authorize?client_id=nobody"))


def test_examples_of_an_authorization_server_in_trouble(
    oauth: OAuthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: RemoteSigningError) -> httpx.Response:
        def raising(*_: object) -> None:
            raise error

        monkeypatch.setattr(activation, "request_activation", raising)
        return oauth.push(oauth.credential_request())

    example("try again", fails(HsmUnavailable("away")), "OAuthUnavailable")
    example("a fault", fails(RemoteSigningError("a mistake of ours")), "OAuthFault")
    bad = base64.b64encode(b"no colon").decode()
    headers = {"Authorization": f"Basic {bad}"}
    for base in ("", "/csc/v1"):
        there = replace(oauth, base=base)
        grant = {"grant_type": "client_credentials"}
        example("a header that is none", there.post("token", grant, headers=headers))
        example("a header that is none", there.post("revoke", {"token": "x"}, headers=headers))
    form = {"token": "x"}
    example("a header that is none", oauth.post("pushed_authorize", form, headers=headers))
    example("a header that is none", call(oauth.app, "POST", "/revoke", data=form, headers=headers))
    example("no token", call(oauth.app, "POST", "/revoke", data=oauth.auth()))
    example("no request", oauth.post("pushed_authorize", oauth.auth()))


def test_examples_of_consent(documents: DocumentPortal, portal: CscPortal) -> None:
    world = portal.world

    def ask(name: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {world.session}"}
        answer = call(documents.app, method, f"/consent/v1{path}", headers=headers, json=body)
        return example(name, answer)

    credentials = {"username": "an.nguyen", "password": PASSWORD}
    ask("by name and password", "POST", "/sessions", credentials)
    first, second = world.opened("quyết định.pdf"), world.opened("phụ lục.pdf")
    ask("what is to be signed", "GET", f"/requests/{first}")
    evidence = {"pin": world.pin, "otp": world.otp()}
    ask("with PIN and code", "POST", f"/requests/{first}/approve", evidence)
    ask("without a reason", "POST", f"/requests/{second}/deny", {})
    for verb in ("approve", "deny"):
        name = wish(world)
        ask("to see the credentials", "GET", f"/services/{name}")
        ask("settled", "POST", f"/services/{name}/{verb}", {})
    ask("signed out", "DELETE", "/sessions/current")


@pytest.fixture
def place(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    """A signer for himself alone, and a SAM that takes passkeys."""
    with new_world(sqlite_folder) as world:
        yield passkey_world(world, tmp_path)


def told(place: PasskeyWorld, name: str, method: str, path: str, body: Any = None) -> Any:
    answer = example(name, place.ask(method, path, body))
    assert answer.status_code < 300, answer.text
    return answer.json()


def test_examples_of_the_signers_desk(place: PasskeyWorld) -> None:
    world = place.world
    names = ["quyết định.pdf", "tờ trình.pdf", "phụ lục.pdf"]
    first, second, third = (came_by_itself(world, name) for name in names)
    told(place, "three", "GET", "/requests")
    told(place, "it came by itself", "GET", f"/requests/{first.activation_id}")
    code = {"code": first.verification_code}
    told(place, "the right one", "POST", f"/requests/{first.activation_id}/match", code)
    returned = {"kind": "returned", "reason": "content", "text": "Sai tên ở điều 2"}
    told(place, "returned", "POST", f"/requests/{second.activation_id}/deny", returned)
    world.match(third.activation_id)
    ids = [item["id"] for item in told(place, "two", "GET", "/batch")["requests"]]
    world.next_step()
    body = {"ids": ids, "pin": world.pin, "otp": world.otp()}
    told(place, "two", "POST", "/batch", body)
    told(place, "three", "GET", "/history")
    told(place, "with PIN and code", "GET", f"/history/{first.activation_id}")


def came_by_itself(world: World, document_name: str) -> activation.Requested:
    world.clock.advance(1)
    details = RequestDetails(
        urgency=Urgency.URGENT,
        deadline_ms=world.clock.now_ms() + 3_600_000,
        number="1234",
        symbol="QĐ-BNV",
        document_name="Quyết định bổ nhiệm",
        agency_names=("Bộ Nội vụ",),
    )
    channel = activation.Channel.DECOUPLED
    new = world.request(document_name, channel=channel, redirect_uri=None, details=details)
    return activation.request_activation(world.services, new)


def test_examples_of_the_signers_account(place: PasskeyWorld) -> None:
    told(place, "one", "GET", "/sessions")
    told(place, "all keys", "POST", "/freeze", {})
    told(place, "all sessions", "DELETE", "/sessions")


def test_examples_of_the_phone(place: PasskeyWorld, tmp_path: Path) -> None:
    world = place.world
    came_by_itself(world, "quyết định.pdf")
    told(place, "one request", "GET", "/waiting")
    vapid.make_key(tmp_path / "vapid.pem")
    push = PushConfig(
        key_file=tmp_path / "vapid.pem",
        contact="mailto:admin@example.gov.vn",
        hosts=("fcm.googleapis.com",),
    )
    world.services = replace(world.services, config=replace(world.services.config, push=push))
    browser = {"endpoint": "https://fcm.googleapis.com/fcm/send/abc"}
    told(place, "a browser", "POST", "/push", browser)
    told(place, "the same again", "POST", "/push", browser)
    told(place, "one browser", "GET", "/push")
    told(place, "this browser", "POST", "/push/end", browser)
    told(place, "every browser", "DELETE", "/push")


def test_examples_of_passkeys(place: PasskeyWorld) -> None:
    world, credential = place.world, {"credential_id": place.world.credential_id}
    begun = told(place, "the first", "POST", "/passkeys/options", credential)
    new = {"passkey": place.made(begun), "name": "Điện thoại của tôi"}
    body = credential | new | {"proof": place.proof()}
    told(place, "with PIN and code", "POST", "/passkeys", body)
    found = told(place, "one", "GET", "/passkeys")
    world.clock.advance(DAY)
    world.session = world.new_session()
    newest = found["notices"][-1]["id"]
    told(place, "all", "POST", "/notices/seen", {"newest": newest})
    asked = f"/requests/{world.opened('quyết định.pdf')}/passkey"
    question = told(place, "one", "POST", f"{asked}/options", {})
    told(place, "of one document", "POST", asked, place.answered(question["challenge"]))
    both = [came_by_itself(world, name).activation_id for name in ("quyết định.pdf", "phụ lục.pdf")]
    for each in both:
        world.match(each)
    question = told(place, "two", "POST", "/batch/passkey/options", {"ids": both})
    body = {"ids": both, "answer": place.answered(question["challenge"])}
    told(place, "two", "POST", "/batch/passkey", body)
    begun = place.begin()
    made = place.made(begun, Authenticator())
    question = told(
        place, "a second passkey", "POST", "/passkeys/confirm", credential | {"passkey": made}
    )
    new = {"passkey": made, "name": "Khoá dự phòng"}
    proof = {"passkey": place.answered(question["challenge"])}
    body = credential | new | {"proof": proof}
    gone = told(place, "with another passkey", "POST", "/passkeys", body)["factor_id"]
    begun = told(place, "the second", "POST", f"/passkeys/{gone}/options", {})
    proof = {"passkey": place.answered(begun["challenge"])}
    body = {"token": begun["token"], "proof": proof}
    told(place, "with the other passkey", "POST", f"/passkeys/{gone}/drop", body)


def wish(world: World) -> str:
    challenge = activation.s256(VERIFIER)
    redirect = "https://portal.example/back?lang=vi"
    new = service_authorization.NewServiceRequest(PORTAL, redirect, challenge, "xyz")
    ticket = service_authorization.request(world.services, new)
    return service_authorization.open_request(world.services, PORTAL, ticket)


def test_examples_of_health(documents: DocumentPortal) -> None:
    example("it does", call(documents.app, "GET", "/healthz"))
    example("ready", call(documents.app, "GET", "/readyz"))
    documents.world.services.drain.started = True
    example("on its way out", call(documents.app, "GET", "/readyz"))
    documents.world.services.drain.started = False


DESCRIBED = document(
    configuration(
        "sqlite:///nowhere", csc={"login_client": LOGIN}, attachments={"folder": "attachments"}
    )
)
EVERY = [
    (path, method, operation)
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
]
# Methods of which every request is refused here (docs/csc-divergences.md, 45 and 46), and pages.
NEVER_SERVED = {"credentials/sendOTP", "credentials/getChallenge", "/docs", "/openapi"}


def contents(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What an answer may hold, by media type."""
    if "$ref" in answer:
        answer = DESCRIBED["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return list(answer.get("content", {}).values())


@pytest.mark.parametrize(
    ("path", "method", "operation"), EVERY, ids=[f"{each[1]} {each[0]}" for each in EVERY]
)
def test_every_operation_and_every_status_has_an_example(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    if any(name in path for name in ("/docs", "/openapi")):
        return
    bare = [
        status
        for status, answer in operation["responses"].items()
        if any(not each.get("examples") for each in contents(answer))
    ]
    assert bare == []
    asked = operation.get("requestBody", {"content": {}})["content"].values()
    refuses = any(name in path for name in NEVER_SERVED)
    assert refuses or method == "get" or all(each.get("examples") for each in asked)


def test_every_row_of_the_error_tables_has_an_example() -> None:
    told = {
        (path, error["value"]["error"], error["value"]["error_description"])
        for path, _, operation in EVERY
        for answer in operation["responses"].values()
        for each in contents(answer)
        for error in each.get("examples", {}).values()
        if "error" in error.get("value", {})
    }
    rows = {
        (f"/csc/{row.version}/{row.method}", row.error, row.text)
        for row in CSC_ROWS
        if "[organization]" not in row.text  # filled in with the certificate's
    }
    rows |= {
        (f"/csc/{version}/signatures/timestamp", error, text)
        for version, methods in TABLE["cases"].items()
        for _, _, error, text in methods["signatures/timestamp"]
    }
    rows |= {("/csc/v2/signatures/signDoc", error, text) for _, _, error, text in DOCUMENT_ROWS}
    rows |= {
        (f"{'/csc/v1' if row.version == 'v1' else ''}/{row.method}", row.error, row.text)
        for row in OAUTH_ROWS
        if (row.method, row.case) not in NEVER
    }
    assert rows - told == set()
    print(f"rows of error tables with an example: {len(rows)}")
