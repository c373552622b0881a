"""CSC API v2 beyond its error tables: shapes of answers, who may ask for what, what is served."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from sqlalchemy import update

from remote_signing.algorithms import ALGORITHMS, RSASSA_PSS
from remote_signing.pss import PssParameters, read_pss_parameters
from remote_signing.rssp import clients, service_tokens
from remote_signing.rssp.csc.v2.routes import METHODS
from remote_signing.rssp.models import credential
from tests.support.csc import CscPortal, b64
from tests.support.json_schema import mistakes
from tests.support.world import SHA256, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.world import World

DATA = Path(__file__).parents[1] / "data" / "csc"
SCHEMA = json.loads((DATA / "csc_v2_derived.schema.json").read_text("utf-8"))["$defs"]
ENDPOINTS = json.loads((DATA / "endpoints.json").read_text("utf-8"))
OURS = {"signatures/prepareDoc"}  # docs/sign-doc.md
NAMES = sorted({*ENDPOINTS["v1"], *ENDPOINTS["v2.0"], *ENDPOINTS["v2.2_added"], *OURS})
NOT_OFFERED = {"signatures/attachDoc"}  # without a folder: tests/integration/test_attachments.py
SERVED = sorted(METHODS.keys() - NOT_OFFERED)
PROTECTED = sorted(set(SERVED) - {"info", "auth/login"})
FOR_CREDENTIAL_TOKENS = {  # row 25 of docs/csc-divergences.md
    "auth/revoke",
    "credentials/extendTransaction",
    "credentials/info",
    "signatures/prepareDoc",
    "signatures/signDoc",
    "signatures/signHash",
    "signatures/signPolling",
}
AUTHORIZATION = "Malformed authorization header"


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


def fits(answer: httpx.Response, schema: str) -> dict[str, Any]:
    """The members of a good answer, which is as the standard's schema has it."""
    assert answer.headers["Content-Type"] == "application/json"
    members: dict[str, Any] = answer.json()
    assert mistakes(members, SCHEMA[schema]) == []
    assert "null" not in answer.text.replace("[null", "[").replace(",null", ",")
    return members


def told(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error"], answer.json()["error_description"]


# ---------------------------------------------------------------------------------------- info


def test_info_needs_no_authorization_and_no_body(portal: CscPortal) -> None:
    answer = portal.raw("POST", "info")
    members = fits(answer, "info.out.v2.2")
    assert members["specs"] == "2.2.0.0"
    assert members["name"] == "Ký số từ xa"
    assert members["authType"] == ["basic", "oauth2code", "oauth2client"]
    assert members["oauth2"] == "https://rssp.example/"
    assert not {"oauth2Issuer", "oauth2Servers"} & members.keys()
    assert members["supportsRar"] is True
    assert members["asynchronousOperationMode"] is True
    assert members["supportedHashTypes"] == ["dtbsr"]


def test_info_names_the_algorithms_that_keys_list(portal: CscPortal) -> None:
    offered = portal.raw("POST", "info", json={}).json()["signAlgorithms"]
    assert set(offered["algos"]) == {oid for a in ALGORITHMS.values() for oid in a.sign_oids}
    parameters = dict(zip(offered["algos"], offered["algoParams"], strict=True))
    pss = parameters.pop(RSASSA_PSS)
    sha256 = "2.16.840.1.101.3.4.2.1"
    assert read_pss_parameters(base64.b64decode(pss)) == PssParameters(sha256, sha256, 32)
    assert set(parameters.values()) == {None}


@pytest.mark.parametrize("lang", ["it-IT", "", None, 7, "x" * 999])
def test_info_falls_back_to_its_own_language(portal: CscPortal, lang: object) -> None:
    answer = portal.raw("POST", "info", json={"lang": lang, "clientData": "x", "other": 1})
    assert (answer.status_code, answer.json()["lang"]) == (200, "vi")


@pytest.mark.parametrize("value", [7, {}, "x" * 2001])
def test_info_takes_client_data_as_every_method_does(portal: CscPortal, value: object) -> None:
    answer = portal.raw("POST", "info", json={"clientData": value})
    assert answer.status_code == 400
    assert answer.json()["error_description"] == "Invalid parameter clientData"


def test_info_names_exactly_the_methods_that_are_served(portal: CscPortal) -> None:
    named = portal.raw("POST", "info").json()["methods"]
    assert len(named) == len(set(named))
    served = [name for name in NAMES if portal.raw("POST", name).status_code != 501]
    assert sorted(named) == sorted(served) == SERVED


@pytest.mark.parametrize(
    "name", [*sorted({*NAMES, *NOT_OFFERED} - {*SERVED}), "no/such", "", "signHash"]
)
def test_method_that_is_not_served_is_501(portal: CscPortal, name: str) -> None:
    for http_method in ("POST", "GET"):
        answer = portal.raw(http_method, name)
        assert told(answer) == (501, "not_implemented", "The method is not implemented")


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("http_method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_are_posts(portal: CscPortal, http_method: str, name: str) -> None:
    answer = portal.raw(http_method, name)
    assert told(answer)[:2] == (405, "invalid_request")
    assert answer.headers["Allow"] == "POST"


def test_final_slash_does_not_matter(portal: CscPortal) -> None:
    assert portal.raw("POST", "info/").status_code == 200


# ------------------------------------------------------------------------------- authorization


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer ä".encode()},
        [("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
    ],
)
def test_malformed_authorization_header_is_400(
    portal: CscPortal, name: str, headers: dict[str, str]
) -> None:
    answer = portal.raw("POST", name, json={}, headers=headers)
    assert told(answer) == (400, "invalid_request", AUTHORIZATION)


@pytest.mark.parametrize("name", PROTECTED)
def test_unknown_token_is_401_before_anything_is_said_of_the_parameters(
    portal: CscPortal, name: str
) -> None:
    stranger = f"s.{'0' * 26}.{'x' * 43}"
    for token in ("x", stranger, stranger.removeprefix("s."), stranger.replace("s.", "r.")):
        for content in (b"{}", b'{"a":1,"a":2}', b"no JSON", b" " * 2_000_000):
            answer = portal.raw(
                "POST",
                name,
                content=content,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            assert told(answer) == (
                401,
                "invalid_token",
                "The token provided is not a valid OAuth access or refresh token.",
            )
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("name", PROTECTED)
def test_token_that_is_over_is_401(portal: CscPortal, name: str) -> None:
    token = portal.user_token()
    portal.world.clock.advance(3601)
    answer = portal.post(name, {"handle": "x", **portal.sign_body(SAD="x")}, token)
    assert told(answer) == (
        401,
        "expired_token",
        "The access or refresh token is expired or has been revoked.",
    )
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_revoked_token_is_401(portal: CscPortal) -> None:
    token = portal.user_token()
    assert service_tokens.revoke(portal.world.services, token, "portal")
    assert told(portal.post("credentials/list", {}, token))[:2] == (401, "expired_token")


NOBODY = "0" * 26
BODIES: dict[str, dict[str, Any]] = {
    "credentials/authorizeCheck": {"handle": f"{NOBODY}.{'x' * 43}"},
    "credentials/getChallenge": {"credentialID": NOBODY, "authObjectID": "PIN"},
    "credentials/create": {"credentialCreationRequest": {"certificatePolicy": "1.2.3"}},
    "credentials/delete": {"credentialDeletionRequest": {"credentialID": NOBODY}},
    "signatures/timestamp": {"hash": b64(bytes(32)), "hashAlgo": SHA256},
}


@pytest.mark.parametrize("name", sorted({*PROTECTED} - FOR_CREDENTIAL_TOKENS))
def test_credential_token_is_not_for_this_method(portal: CscPortal, name: str) -> None:
    body = BODIES.get(name) or portal.authorize_body()
    answer = portal.post(name, body, portal.credential_token())
    assert told(answer) == (
        400,
        "unauthorized_client",
        "The client is not authorized to use this method.",
    )


# ---------------------------------------------------------------------------- strictness of JSON


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize(
    "content",
    [
        b'{"clientData":"a","clientData":"b"}',
        b'{"clientData":NaN}',
        b'{"clientData":"\\ud800"}',
        b'{"clientData":"\\u0000"}',
        b'{"numSignatures":9223372036854775808}',
        b"[" * 50_000,
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_loose_json_is_a_clear_400(portal: CscPortal, name: str, content: bytes) -> None:
    token = portal.user_token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    status, error, text = told(portal.raw("POST", name, content=content, headers=headers))
    assert (status, error) == (400, "invalid_request")
    assert text.startswith("The request body is not a JSON object in UTF-8")


@pytest.mark.parametrize("name", SERVED)
def test_large_body_is_a_clear_400(portal: CscPortal, name: str) -> None:
    headers = {"Authorization": f"Bearer {portal.user_token()}"}
    body = {"clientData": "x" * 1024 * 1024}
    answer = portal.raw("POST", name, json=body, headers=headers)
    text = "The request body is longer than 1048576 bytes"
    assert told(answer) == (400, "invalid_request", text)


@pytest.mark.parametrize("name", SERVED)
def test_other_media_type_is_a_clear_400(portal: CscPortal, name: str) -> None:
    headers = {"Authorization": f"Bearer {portal.user_token()}"}
    answer = portal.raw("POST", name, data={"credentialID": "x"}, headers=headers)
    text = "The request body is not declared as application/json in UTF-8"
    assert told(answer) == (400, "invalid_request", text)


# ------------------------------------------------------------------------------ credentials/list


def test_list_gives_ids_and_nothing_else_unless_asked(portal: CscPortal) -> None:
    members = fits(portal.post("credentials/list"), "credentials/list.out")
    assert members == {"credentialIDs": [portal.world.credential_id]}


def test_list_gives_infos_in_the_order_of_the_ids(portal: CscPortal) -> None:
    first = portal.world.credential_id
    second = portal.world.new_credential(description="Chữ ký thứ hai").credential_id
    members = fits(
        portal.post("credentials/list", {"credentialInfo": True, "certInfo": True}),
        "credentials/list.out",
    )
    assert members["credentialIDs"] == [first, second]
    assert [item["credentialID"] for item in members["credentialInfos"]] == [first, second]
    assert members["credentialInfos"][1]["description"] == "Chữ ký thứ hai"
    assert "onlyValid" not in members


def test_list_of_valid_ones_leaves_out_what_cannot_sign(portal: CscPortal) -> None:
    database, credential_id = portal.world.database, portal.world.credential_id
    statement = update(credential).where(credential.c.id == credential_id)
    for broken, whole in (
        ({"state": "disabled"}, {"state": "enabled"}),
        ({"failed_attempts": 5}, {"failed_attempts": 0}),
    ):
        database.run(statement.values(**broken))
        members = fits(
            portal.post("credentials/list", {"onlyValid": True, "credentialInfo": True}),
            "credentials/list.out",
        )
        assert members["onlyValid"] is True
        assert credential_id not in members["credentialIDs"]
        shown = portal.post("credentials/info", {"credentialID": credential_id}).json()
        assert shown["key"]["status"] == "disabled"
        database.run(statement.values(**whole))
    assert (
        credential_id
        in portal.post("credentials/list", {"onlyValid": True}).json()["credentialIDs"]
    )


def test_client_names_the_user_whose_credentials_it_wants(portal: CscPortal) -> None:
    token = portal.client_token()
    body = {"userID": portal.world.subscriber_id}
    assert (
        portal.world.credential_id
        in portal.post("credentials/list", body, token).json()["credentialIDs"]
    )
    assert told(portal.post("credentials/list", {}, token)) == (
        400,
        "invalid_request",
        "Missing (or invalid type) string parameter userID",
    )


def test_client_of_other_agencies_sees_no_more_than_of_nobody(portal: CscPortal) -> None:
    services = portal.world.services
    new = clients.NewClient(
        "other-portal", "X", "client_secret_basic", grant_types=("client_credentials",)
    )
    clients.register(services.database, services.clock, new)
    token = portal.client_token("other-portal")
    for user_id in (portal.world.subscriber_id, "0" * 26):
        answer = portal.post("credentials/list", {"userID": user_id}, token)
        assert answer.json() == {"credentialIDs": []}
    for name, body in (
        ("credentials/info", {"credentialID": portal.world.credential_id}),
        ("credentials/authorize", portal.authorize_body()),
    ):
        answer = portal.post(name, body, token)
        assert told(answer) == (400, "invalid_request", "Invalid parameter credentialID")


def test_signers_see_their_own_only(portal: CscPortal) -> None:
    mine = portal.world.credential_id
    portal.world.new_signer("binh.tran")
    token = portal.user_token()
    assert portal.post("credentials/list", {}, token).json() == {"credentialIDs": []}
    answer = portal.post("credentials/info", {"credentialID": mine}, token)
    assert told(answer)[2] == "Invalid parameter credentialID"


# ------------------------------------------------------------------------------ credentials/info


def info(portal: CscPortal, **members: Any) -> dict[str, Any]:
    body = {"credentialID": portal.world.credential_id, **members}
    return fits(portal.post("credentials/info", body), "credentials/info.out")


def test_info_gives_the_leaf_and_no_details_by_default(portal: CscPortal) -> None:
    members = info(portal)
    assert members["cert"].keys() == {"status", "certificates"}
    assert len(members["cert"]["certificates"]) == 1
    assert members["auth"] == {"mode": "oauth2code", "objects": []}
    assert members["SCAL"] == "2"
    assert members["multisign"] == 100
    assert members["key"] == {
        "status": "enabled",
        "algo": list(ALGORITHMS["p256"].sign_oids),
        "len": 256,
        "curve": "1.2.840.10045.3.1.7",
    }
    assert "credentialID" not in members


def test_info_gives_no_certificate_when_none_is_wanted(portal: CscPortal) -> None:
    assert info(portal, certificates="none")["cert"] == {"status": "valid"}


def test_info_gives_the_chain_leaf_first(portal: CscPortal) -> None:
    leaf = info(portal)["cert"]["certificates"][0]
    chain = info(portal, certificates="chain")["cert"]["certificates"]
    assert chain[0] == leaf
    assert [base64.b64decode(der) for der in chain[1:]] == [b"issuing", b"root"]


def test_info_tells_of_the_certificate(portal: CscPortal) -> None:
    members = info(portal, certInfo=True)["cert"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(members["certificates"][0]))
    assert members["subjectDN"] == certificate.subject.rfc4514_string()
    assert members["issuerDN"] == "CN=CA thử nghiệm"
    assert int(members["serialNumber"], 16) == certificate.serial_number
    assert len(members["serialNumber"]) % 2 == 0
    assert members["validTo"] == certificate.not_valid_after_utc.strftime("%Y%m%d%H%M%SZ")
    assert members["status"] == "valid"


def test_credential_token_shows_its_own_credential_only(portal: CscPortal) -> None:
    token, mine = portal.credential_token(), portal.world.credential_id
    other = portal.world.new_credential().credential_id
    assert portal.post("credentials/info", {"credentialID": mine}, token).status_code == 200
    answer = portal.post("credentials/info", {"credentialID": other}, token)
    assert told(answer) == (400, "invalid_request", "Invalid parameter credentialID")


def test_explicit_credential_tells_its_factors(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    members = info(portal, authInfo=True, lang="en-GB")
    pin, otp = members["auth"]["objects"]
    assert members["auth"]["mode"] == "explicit"
    assert members["SCAL"] == "1"
    assert members["lang"] == "en"
    assert pin["type"] == otp["type"] == "Password"
    assert (pin["label"], otp["label"]) == ("Signing PIN", "One-time code")
    assert (pin["format"], otp["generator"]) == ("N", "totp")
    assert members["auth"]["expression"] == f"{pin['id']} AND {otp['id']}"
    assert "expression" not in info(portal)["auth"]


def test_explicit_credential_at_scal2_tells_of_consent_in_our_own_page(portal: CscPortal) -> None:
    portal.world.new_credential()
    mine = credential.c.id == portal.world.credential_id
    portal.world.database.run(update(credential).where(mine).values(auth_mode="explicit"))
    auth = info(portal, authInfo=True)["auth"]
    assert [(item["type"], item["id"]) for item in auth["objects"]] == [("PasswordOOB", "CONSENT")]
    assert (auth["mode"], auth["expression"]) == ("explicit", "CONSENT")
    body = portal.authorize_body(authData=[{"id": "CONSENT"}])
    assert fits(portal.post("credentials/authorize", body), "credentials/authorize.out.202")


def test_labels_are_english_where_the_services_language_has_none(portal: CscPortal) -> None:
    world = portal.world
    service = replace(world.services.config.service, lang="ja")
    config = replace(world.services.config, service=service)
    world.services = replace(world.services, config=config)
    assert info(CscPortal.at(world), lang="ko")["lang"] == "en"


def test_unknown_language_falls_back(portal: CscPortal) -> None:
    assert info(portal, lang="it-IT")["lang"] == "vi"


def test_expired_certificate_is_said_so(portal: CscPortal) -> None:
    portal.world.new_credential(validity_days=1)
    portal.world.clock.advance(2 * 86_400)
    members = info(portal, certInfo=True)
    assert (members["cert"]["status"], members["key"]["status"]) == ("expired", "disabled")
    answer = portal.post("credentials/authorize", portal.authorize_body())
    assert told(answer)[2] == "Signing certificate is expired"
