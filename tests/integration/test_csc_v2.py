"""CSC API v2 with a real database: consent asked for and given, hashes signed, nothing twice."""

from __future__ import annotations

import base64
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from sqlalchemy import select, update

from remote_signing.errors import AccessRefused, HsmUnavailable, SadInvalid, SamUnavailable
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, clients, credentials, subscribers
from remote_signing.rssp.models import credential
from tests.support.asgi import BASE
from tests.support.csc import DOCUMENT, CscPortal, b64
from tests.support.oauth import OAuthPortal
from tests.support.world import PORTAL, SHA256, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases
    from tests.support.world import World

SIGN, AUTHORIZE, CHECK = (
    "signatures/signHash",
    "credentials/authorize",
    "credentials/authorizeCheck",
)


@pytest.fixture(scope="module")
def furnished(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture
def portal(furnished: World) -> CscPortal:
    """A test may go on with another signer or credential; the next one has the first again."""
    portal = CscPortal.at(replace(furnished))
    portal.signer_is_ready()
    return portal


def verify(portal: CscPortal, answer: httpx.Response, *documents: str) -> list[str]:
    """The signatures, each of which is the credential's over its document."""
    assert answer.status_code == 200, answer.text
    signatures: list[str] = answer.json()["signatures"]
    found = credentials.visible(
        portal.world.database,
        portal.world.credential_id,
        subscriber_id=portal.world.subscriber_id,
    )
    assert found is not None
    key = cast("ec.EllipticCurvePublicKey", serialization.load_der_public_key(found.public_key))
    for signature, name in zip(signatures, documents or (DOCUMENT,), strict=True):
        algorithm = ec.ECDSA(Prehashed(hashes.SHA256()))
        key.verify(base64.b64decode(signature, validate=True), digest(name), algorithm)
    return signatures


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_description"]


# ----------------------------------------------------------------------- three ways to authorise


def test_service_token_with_sad_signs(portal: CscPortal) -> None:
    sad = portal.sad("a", "b")
    verify(portal, portal.post(SIGN, portal.sign_body("a", "b", SAD=sad)), "a", "b")


def test_service_token_with_credential_token_as_sad_signs(portal: CscPortal) -> None:
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=portal.credential_token())))


def test_credential_token_alone_signs(portal: CscPortal) -> None:
    verify(portal, portal.post(SIGN, portal.sign_body(), portal.credential_token()))


def test_credential_token_that_is_sent_again_as_sad_signs(portal: CscPortal) -> None:
    token = portal.credential_token()
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=token), token))


def test_credential_token_beside_another_sad_is_refused(portal: CscPortal) -> None:
    token, sad = portal.credential_token(), portal.sad("b")
    answer = portal.post(SIGN, portal.sign_body("b", SAD=sad), token)
    assert told(answer) == (400, "Invalid parameter SAD")


def test_service_token_without_sad_is_told_so(portal: CscPortal) -> None:
    answer = portal.post(SIGN, portal.sign_body())
    assert told(answer) == (400, "Missing (or invalid type) string parameter SAD")


def test_sad_is_no_bearer_token(portal: CscPortal) -> None:
    answer = portal.post(SIGN, portal.sign_body(), portal.sad())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_sad_of_another_clients_token_is_refused(portal: CscPortal) -> None:
    world = portal.world
    other = clients.NewClient(
        "other", "X", "client_secret_basic", grant_types=("client_credentials",), agencies=("*",)
    )
    clients.register(world.database, world.clock, other)
    sad = portal.sad()
    for token in (portal.client_token("other"), portal.user_token(client_id="other")):
        answer = portal.post(SIGN, portal.sign_body(SAD=sad), token)
        assert told(answer) == (400, "Invalid parameter SAD")
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=sad), portal.client_token()))


def test_sad_of_another_credential_is_refused(portal: CscPortal) -> None:
    sad, token = portal.sad(), portal.credential_token("b")
    portal.world.new_credential()
    answer = portal.post(SIGN, portal.sign_body(SAD=sad))
    assert told(answer) == (400, "Invalid parameter SAD")
    answer = portal.post(SIGN, portal.sign_body("b"), token)
    assert told(answer) == (400, "Invalid parameter credentialID")


def test_credential_token_that_is_over_is_401(portal: CscPortal) -> None:
    token = portal.credential_token()
    portal.world.clock.advance(301)
    answer = portal.post(SIGN, portal.sign_body(), token)
    assert (answer.status_code, answer.json()["error"]) == (401, "expired_token")


def test_credential_token_that_was_revoked_is_401(portal: CscPortal) -> None:
    token = portal.credential_token()
    assert activation.revoke(portal.world.services, cast("Ticket", Ticket.parse(token)), "portal")
    answer = portal.post(SIGN, portal.sign_body(), token)
    assert (answer.status_code, answer.json()["error"]) == (401, "expired_token")


# --------------------------------------------------------------------- suspended and disabled


def suspend(portal: CscPortal, state: str) -> None:
    world = portal.world
    subscribers.set_state(world.database, world.clock, world.subscriber_id, state)


@pytest.fixture
def back_in_service(portal: CscPortal) -> Iterator[None]:
    yield
    world = portal.world
    suspend(portal, "active")
    clients.set_state(world.database, world.clock, PORTAL, "active")
    world.clock.advance(5)  # until the directory of clients has noticed


@pytest.mark.usefixtures("back_in_service")
def test_signer_who_is_suspended_signs_with_no_token_of_his(portal: CscPortal) -> None:
    sad, token = portal.sad(), portal.credential_token("b")
    own, client = portal.user_token(), portal.client_token()
    suspend(portal, "suspended")
    for bearer, body in ((token, portal.sign_body("b")), (own, portal.sign_body(SAD=sad))):
        answer = portal.post(SIGN, body, bearer)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    answer = portal.post(SIGN, portal.sign_body(SAD=sad), client)
    assert told(answer) == (400, "The credential identified by credentialID is disabled")
    suspend(portal, "active")
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=sad), own))


@pytest.mark.usefixtures("back_in_service")
@pytest.mark.parametrize("kind", ["signer's", "client's", "credential"])
def test_client_that_is_disabled_signs_with_no_token(portal: CscPortal, kind: str) -> None:
    sad, world = portal.sad(), portal.world
    token, body = {
        "signer's": (portal.user_token(), portal.sign_body(SAD=sad)),
        "client's": (portal.client_token(), portal.sign_body(SAD=sad)),
        "credential": (portal.credential_token("b"), portal.sign_body("b")),
    }[kind]
    clients.set_state(world.database, world.clock, PORTAL, "suspended")
    answer = portal.post(SIGN, body, token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.usefixtures("back_in_service")
@pytest.mark.parametrize("kind", ["signer's", "client's"])
@pytest.mark.parametrize("method", ["credentials/list", "credentials/info", AUTHORIZE, CHECK])
def test_client_that_is_disabled_is_served_nothing(
    portal: CscPortal, method: str, kind: str
) -> None:
    world = portal.world
    token = portal.user_token() if kind == "signer's" else portal.client_token()
    body = {
        "credentials/list": {} if kind == "signer's" else {"userID": world.subscriber_id},
        "credentials/info": {"credentialID": world.credential_id},
        AUTHORIZE: portal.authorize_body(),
        CHECK: {"handle": portal.post(AUTHORIZE, portal.authorize_body()).json()["handle"]},
    }[method]
    assert portal.post(method, body, token).status_code in {200, 202}
    clients.set_state(world.database, world.clock, PORTAL, "suspended")
    answer = portal.post(method, body, token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.usefixtures("back_in_service")
def test_credential_of_a_suspended_signer_is_shown_as_disabled(portal: CscPortal) -> None:
    token, world = portal.client_token(), portal.world
    body = {"credentialID": world.credential_id}
    listed = {"userID": world.subscriber_id, "onlyValid": True}
    assert world.credential_id in portal.post("credentials/list", listed, token).text
    suspend(portal, "suspended")
    assert portal.post("credentials/info", body, token).json()["key"]["status"] == "disabled"
    assert portal.post("credentials/list", listed, token).json()["credentialIDs"] == []


def test_credential_whose_time_has_not_come_is_disabled_and_not_expired(
    portal: CscPortal,
) -> None:
    sad, world = portal.sad(), portal.world
    world_credential = update(credential).where(credential.c.id == world.credential_id)
    row = world.database.one(select(credential.c.not_before))
    assert row is not None
    world.database.run(world_credential.values(not_before=world.clock.now_ms() + 60_000))
    for method, body in ((SIGN, portal.sign_body(SAD=sad)), (AUTHORIZE, portal.authorize_body())):
        answer = portal.post(method, body)
        assert told(answer) == (400, "The credential identified by credentialID is disabled")
    world.database.run(world_credential.values(not_before=row.not_before))
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=sad)))


@pytest.mark.parametrize("error", [AccessRefused(reason="invalid_token"), SadInvalid()])
def test_what_the_signing_statement_says_of_a_token_counts(
    portal: CscPortal, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was good a moment later or before is not good."""

    def sign_hash(*_: object) -> None:
        raise error

    monkeypatch.setattr(activation, "sign_hash", sign_hash)
    answer = portal.post(SIGN, portal.sign_body(), portal.credential_token())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_token_bound_to_a_key_needs_the_proof(portal: CscPortal) -> None:
    client = OAuthPortal.at(portal.world)
    proof = client.proof()
    code = client.consent(client.credential_request())["code"]
    token = client.token(client.redemption(code), headers=proof).json()["access_token"]
    assert portal.post(SIGN, portal.sign_body(), token).status_code == 401
    headers = {
        "Authorization": f"DPoP {token}",
        **client.proof("POST", f"/csc/v2/{SIGN}", token=token),
    }
    verify(portal, portal.raw("POST", SIGN, json=portal.sign_body(), headers=headers))
    replayed = portal.raw("POST", SIGN, json=portal.sign_body(), headers=headers)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_dpop_proof")


def test_v1_names_an_expired_certificate_to_a_client_with_proofs_too(portal: CscPortal) -> None:
    portal.world.new_credential()
    client = OAuthPortal.at(portal.world, "of-v1")
    code = client.consent(client.credential_request())["code"]
    token = client.token(client.redemption(code), headers=client.proof()).json()["access_token"]
    mine = update(credential).where(credential.c.id == portal.world.credential_id)
    portal.world.database.run(mine.values(not_after=portal.world.clock.now_ms()))
    proof = client.proof("POST", f"/csc/v1/{SIGN}", token=token)
    headers = {"Authorization": f"DPoP {token}", **proof}
    body = portal.sign_body()
    body["hash"], body["SAD"] = body.pop("hashes"), token
    answer = portal.at_version("v1").raw("POST", SIGN, json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error_description"].endswith("' is expired.")


@pytest.mark.parametrize(
    "where",
    [
        ("POST", f"/csc/v2/{SIGN}", {"htu": f"{BASE}/csc/v2/{SIGN}"}),
        ("POST", "/csc/v2/credentials/info", {}),
        ("GET", f"/csc/v2/{SIGN}", {}),
    ],
    ids=["another host", "another address", "another method"],
)
def test_a_proof_is_for_the_configured_address_whatever_host_is_asked(
    portal: CscPortal, where: tuple[str, str, dict[str, str]]
) -> None:
    """The tests ask another host than the issuer, as a proxy does."""
    client = OAuthPortal.at(portal.world, f"host-{where[0]}-{len(where[1])}-{len(where[2])}")
    code = client.consent(client.credential_request())["code"]
    token = client.token(client.redemption(code), headers=client.proof()).json()["access_token"]
    method, path, changes = where
    proofs = (client.proof(method, path, token=token, **changes),)
    good = client.proof("POST", f"/csc/v2/{SIGN}", token=token)
    for proof, status in ((*proofs, 401), (good, 200)):
        headers = {"Authorization": f"DPoP {token}", **proof}
        answer = portal.raw("POST", SIGN, json=portal.sign_body(), headers=headers)
        assert answer.status_code == status


# ------------------------------------------------------------------------------------- signHash


@pytest.mark.parametrize("spelling", ["standard", "url", "bare", "bare url"])
def test_hashes_are_compared_as_bytes(portal: CscPortal, spelling: str) -> None:
    name = next(n for n in map(str, range(999)) if {"+", "/"} <= set(b64(digest(n))))
    text = b64(digest(name))
    if "url" in spelling:
        text = text.translate(str.maketrans("+/", "-_"))
    if "bare" in spelling:
        text = text.rstrip("=")
    body = portal.sign_body(name, hashes=[text], SAD=portal.sad(name))
    verify(portal, portal.post(SIGN, body), name)


def test_signatures_come_in_the_order_of_the_request(portal: CscPortal) -> None:
    sad = portal.sad("a", "b", "c")
    verify(portal, portal.post(SIGN, portal.sign_body("c", "a", "b", SAD=sad)), "c", "a", "b")


def test_hashes_may_be_signed_in_several_calls_and_none_twice(portal: CscPortal) -> None:
    sad = portal.sad("a", "b", "b")
    verify(portal, portal.post(SIGN, portal.sign_body("b", SAD=sad)), "b")
    verify(portal, portal.post(SIGN, portal.sign_body("a", "b", SAD=sad)), "a", "b")
    answer = portal.post(SIGN, portal.sign_body("a", SAD=sad))
    assert told(answer) == (400, "Hash is not authorized by the SAD")


def test_more_signatures_than_authorised_are_refused_whole(portal: CscPortal) -> None:
    sad = portal.sad("a")
    answer = portal.post(SIGN, portal.sign_body("a", "a", SAD=sad))
    assert answer.status_code == 400
    verify(portal, portal.post(SIGN, portal.sign_body("a", SAD=sad)), "a")


def test_identical_repeat_gets_the_same_signatures_without_the_key(portal: CscPortal) -> None:
    body = portal.sign_body(SAD=portal.sad())
    first = verify(portal, portal.post(SIGN, body))
    calls = portal.world.sam.calls["sign"]
    assert verify(portal, portal.post(SIGN, body)) == first
    assert portal.world.sam.calls["sign"] == calls


def test_hash_under_another_algorithm_of_the_same_length_is_refused(portal: CscPortal) -> None:
    body = portal.sign_body(
        SAD=portal.sad(),
        signAlgo="1.2.840.10045.2.1",
        hashAlgorithmOID="2.16.840.1.101.3.4.2.8",
    )
    assert told(portal.post(SIGN, body)) == (400, "Hash is not authorized by the SAD")


def test_algorithm_of_another_kind_of_key_is_refused_and_consumes_nothing(
    portal: CscPortal,
) -> None:
    sad = portal.sad()
    answer = portal.post(SIGN, portal.sign_body(SAD=sad, signAlgo="1.2.840.113549.1.1.11"))
    assert told(answer) == (400, "Invalid parameter signAlgo")
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=sad)))


@pytest.mark.parametrize("fault", [HsmUnavailable("no node"), SamUnavailable("no SAM")])
def test_fault_of_ours_is_503_and_the_consent_stays_good(
    portal: CscPortal, fault: Exception
) -> None:
    sad = portal.sad()
    portal.world.sam.faults["sign"] = [fault]
    answer = portal.post(SIGN, portal.sign_body(SAD=sad))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "1"
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=sad)))


# ------------------------------------------------------------------- authorize, authorizeCheck


def test_scal2_waits_for_the_signer_and_gives_the_sad(portal: CscPortal) -> None:
    asked = portal.post(AUTHORIZE, portal.authorize_body(description="Tờ trình", clientData="7"))
    handle = asked.json()["handle"]
    code = asked.json()["verificationCode"]
    waiting = portal.post(CHECK, {"handle": handle})
    assert (asked.status_code, waiting.status_code) == (202, 202)
    its_id = handle.partition(".")[0]
    shown = {"handle": handle, "verificationCode": code, "activationID": its_id}
    assert waiting.json() == shown
    details = activation.details(
        portal.world.services, handle.partition(".")[0], portal.world.subscriber_id
    )
    assert (details.description, details.verification_code) == ("Tờ trình", None)
    assert code in details.codes
    portal.world.approve(details.activation_id)
    given = portal.post(CHECK, {"handle": handle})
    assert given.status_code == 200
    assert given.json().keys() == {"SAD", "expiresIn"}
    assert 290 <= given.json()["expiresIn"] <= 300
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=given.json()["SAD"])))
    assert told(portal.post(CHECK, {"handle": handle})) == (400, "Invalid parameter handle")


def test_handle_is_its_clients_and_its_signers_only(portal: CscPortal) -> None:
    world, mine = portal.world, portal.world.subscriber_id
    asked = portal.post(AUTHORIZE, portal.authorize_body(), portal.client_token()).json()
    assert portal.post(CHECK, asked).status_code == 202
    world.new_signer("binh.tran")
    for token in (portal.user_token(), portal.user_token(client_id="portal")):
        assert told(portal.post(CHECK, asked, token)) == (400, "Invalid parameter handle")
    world.subscriber_id = mine
    assert portal.post(CHECK, asked).status_code == 202


def test_credential_token_opens_no_handle(portal: CscPortal) -> None:
    asked = portal.post(AUTHORIZE, portal.authorize_body("b"))
    handle = {"handle": asked.json()["handle"]}
    answer = portal.post(CHECK, handle, portal.credential_token())
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert portal.post(CHECK, handle).status_code == 202


def test_question_that_nobody_answered_is_over(portal: CscPortal) -> None:
    asked = portal.post(AUTHORIZE, portal.authorize_body()).json()
    portal.world.clock.advance(301)
    assert told(portal.post(CHECK, asked)) == (400, "The authentication data is invalid")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hashes": None}, "Missing (or invalid type) array parameter hashes"),
        ({"numSignatures": 2}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": 2**53 - 1}, "Numbers of signatures is too high"),
    ],
)
def test_scal2_needs_each_hash(portal: CscPortal, change: dict[str, Any], text: str) -> None:
    assert told(portal.post(AUTHORIZE, portal.authorize_body(**change))) == (400, text)


def codes(portal: CscPortal, **changes: str) -> list[dict[str, str]]:
    """What an application makes it from the answer of credentials/info."""
    body = {"credentialID": portal.world.credential_id, "authInfo": True, "lang": "en"}
    objects = portal.post("credentials/info", body).json()["auth"]["objects"]
    portal.world.next_step()
    known = {"Signing PIN": portal.world.pin, "One-time code": portal.world.otp()}
    return [
        {"id": item["id"], "value": changes.get(item["label"], known[item["label"]])}
        for item in objects
    ]


def test_scal1_takes_the_signers_codes(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    answer = portal.post(AUTHORIZE, portal.authorize_body(authData=codes(portal)))
    assert answer.status_code == 200
    assert answer.json().keys() == {"SAD", "expiresIn"}
    verify(portal, portal.post(SIGN, portal.sign_body(SAD=answer.json()["SAD"])))


def test_scal1_without_hashes_signs_up_to_the_count(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    body = {
        "credentialID": portal.world.credential_id,
        "numSignatures": 3,
        "authData": codes(portal),
    }
    sad = portal.post(AUTHORIZE, body).json()["SAD"]
    verify(portal, portal.post(SIGN, portal.sign_body("a", "b", SAD=sad)), "a", "b")
    answer = portal.post(SIGN, portal.sign_body("c", "d", SAD=sad))
    assert told(answer) == (400, "Invalid parameter SAD")
    verify(portal, portal.post(SIGN, portal.sign_body("c", SAD=sad)), "c")


FLAWS = ["wrong PIN", "wrong code", "none", "half", "half empty", "no value", "twice", "more"]


@pytest.mark.parametrize("change", FLAWS)
def test_scal1_has_one_answer_for_every_wrong_factor(portal: CscPortal, change: str) -> None:
    portal.world.new_credential(scal="1")
    good: list[dict[str, Any]] = list(codes(portal))
    data = {
        "wrong PIN": [{**good[0], "value": "00000000"}, good[1]],
        "wrong code": [good[0], {**good[1], "value": "000000"}],
        "none": [],
        "half": good[:1],
        "half empty": [good[0], {"id": good[1]["id"]}],
        "no value": [{"id": item["id"]} for item in good],
        "twice": [good[0], *good],
        "more": [*good, {"id": "FACE", "value": "x"}],
    }[change]
    asked = portal.world.sam.calls["activate"]
    answer = portal.post(AUTHORIZE, portal.authorize_body(authData=data))
    # What can't be right costs the signer no attempt.
    assert portal.world.sam.calls["activate"] - asked == change.startswith("wrong")
    assert answer.json() == {
        "error": "invalid_authentication_data",
        "error_description": "The authentication data is invalid",
    }
    assert answer.status_code == 400


def test_scal1_locks_after_too_many_wrong_codes(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    texts = []
    for _ in range(6):
        data = codes(portal, **{"Signing PIN": "00000000"})
        texts.append(told(portal.post(AUTHORIZE, portal.authorize_body(authData=data)))[1])
    assert texts == ["The authentication data is invalid"] * 5 + ["Credential locked"]


def test_one_time_code_is_good_once(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    data = codes(portal)
    assert portal.post(AUTHORIZE, portal.authorize_body(authData=data)).status_code == 200
    answer = portal.post(AUTHORIZE, portal.authorize_body(authData=data))
    assert told(answer) == (400, "The authentication data is invalid")


# -------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize("layout", ["token alone", "service token and SAD"])
def test_sign_hash_costs_two_statements(portal: CscPortal, layout: str) -> None:
    alone = layout == "token alone"
    token = portal.credential_token("a", "b") if alone else portal.user_token()
    body = portal.sign_body("a", "b", **({} if alone else {"SAD": portal.sad("a", "b")}))
    with portal.world.counted() as statements:
        answer = portal.post(SIGN, body, token)
    verify(portal, answer, "a", "b")
    assert len(statements) == 2, statements


@pytest.mark.parametrize(
    ("method", "body", "budget"),
    [
        ("info", {}, 0),
        ("credentials/list", {"credentialInfo": True, "certificates": "chain"}, 2),
        ("credentials/info", {"certInfo": True, "authInfo": True}, 2),
        ("credentials/authorize", {}, 4),
    ],
)
def test_other_methods_cost_the_token_and_one_statement(
    portal: CscPortal, method: str, body: dict[str, Any], budget: int
) -> None:
    token = portal.user_token()
    members = portal.authorize_body(**body)
    with portal.world.counted() as statements:
        assert portal.post(method, members, token).status_code in {200, 202}
    assert len(statements) <= budget, statements


# -------------------------------------------------------------------------------- a real server


@pytest.fixture
def address(portal: CscPortal) -> Iterator[str]:
    """The same application behind a real HTTP server."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(portal.app, log_config=None, http="httptools", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/csc/v2"
    server.should_exit = True
    thread.join()
    listener.close()


def test_over_real_http_everything_is_the_same(portal: CscPortal, address: str) -> None:
    sad, token = portal.sad(), portal.user_token()
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "portal-0042"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        answer = client.post(f"{address}/{SIGN}", json=portal.sign_body(SAD=sad))
        verify(portal, answer)
        assert answer.headers["X-Request-Id"] == "portal-0042"
        assert answer.headers["Cache-Control"] == "no-store"
        assert client.post(f"{address}/signatures/unknown", json={}).status_code == 501
        assert client.get(f"{address}/info").status_code == 405


def test_over_real_http_an_endless_body_is_a_clear_400(portal: CscPortal, address: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 65_536

    headers = {"Authorization": f"Bearer {portal.user_token()}"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        for content in (endless(), b" " * 4_000_000):
            answer = client.post(f"{address}/{SIGN}", content=content)
            assert told(answer) == (400, "The request body is longer than 1048576 bytes")
        answer = client.post(f"{address}/{SIGN}", json={"hashAlgorithmOID": SHA256})
        assert answer.status_code == 400
