"""CSC API v1 beyond its error tables; aliases and strict mode of both versions."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.rssp.csc.v1.routes import METHODS as V1_METHODS
from remote_signing.rssp.csc.v2.routes import METHODS as V2_METHODS
from tests.support.csc import DOCUMENT, CscPortal, b64
from tests.support.csc_schema import check_answer
from tests.support.world import ECDSA_SHA256, SHA256, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.world import World

ENDPOINTS = json.loads(
    (Path(__file__).parents[1] / "data" / "csc" / "endpoints.json").read_text("utf-8")
)
NOT_OFFERED = {"signatures/attachDoc"}  # without a folder for documents
OWN = "signatures/prepareDoc"  # beside the standard's (docs/csc-divergences.md)
NAMES = sorted({*ENDPOINTS["v1"], *ENDPOINTS["v2.0"], *ENDPOINTS["v2.2_added"], OWN})
METHODS = {"v1": V1_METHODS, "v2": V2_METHODS}
PROTECTED = sorted(V1_METHODS.keys() - {"info", "auth/login"})
GENERIC = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed."
)
LIST, INFO, AUTHORIZE = "credentials/list", "credentials/info", "credentials/authorize"
SIGN = "signatures/signHash"


@pytest.fixture(scope="module")
def furnished(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture
def portal(furnished: World) -> CscPortal:
    made = CscPortal.at(replace(furnished), "v1")
    made.signer_is_ready()
    return made


@pytest.fixture
def strict(furnished: World) -> CscPortal:
    made = CscPortal.at(replace(furnished), "v1", strict=True)
    made.signer_is_ready()
    return made


def told(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json()["error"], answer.json()["error_description"]


def codes(portal: CscPortal, *documents: str, **changes: Any) -> dict[str, Any]:
    """A good ``credentials/authorize`` of v1, for a new credential of SCAL1."""
    portal.world.new_credential(scal="1")
    names = documents or (DOCUMENT,)
    given = {
        "credentialID": portal.world.credential_id,
        "numSignatures": len(names),
        "hash": [b64(digest(name)) for name in names],
        "PIN": portal.world.pin,
        "OTP": portal.world.otp(),
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def signing(portal: CscPortal, sad: str, *documents: str, **changes: Any) -> dict[str, Any]:
    body = {
        "credentialID": portal.world.credential_id,
        "SAD": sad,
        "hash": [b64(digest(name)) for name in documents or (DOCUMENT,)],
        "signAlgo": ECDSA_SHA256,
    }
    return body | changes


def sad(portal: CscPortal, *documents: str) -> str:
    answer = portal.post(AUTHORIZE, codes(portal, *documents))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["SAD"])


# ---------------------------------------------------------------------------------------- info


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_info_names_exactly_the_methods_that_are_served(portal: CscPortal, version: str) -> None:
    there = portal.at_version(version)
    named = there.raw("POST", "info").json()["methods"]
    served = [name for name in NAMES if there.raw("POST", name).status_code != 501]
    assert sorted(named) == sorted(served) == sorted(METHODS[version].keys() - NOT_OFFERED)
    unserved = set(NAMES) - set(named)
    assert unserved, "each version has methods that the other has not"
    for name in unserved:
        assert told(there.raw("POST", name))[:2] == (501, "not_implemented")


def test_info_has_the_members_of_v1_and_its_own_oauth_addresses(portal: CscPortal) -> None:
    members = check_answer("v1", "info", portal.raw("POST", "info", json={"lang": "it-IT"}))
    assert members.keys() == {
        *("specs", "name", "logo", "region", "lang", "description"),
        *("authType", "oauth2", "methods"),
    }
    assert (members["specs"], members["lang"]) == ("1.0.4.0", "vi")
    assert members["oauth2"] == "https://rssp.example/csc/v1/"


# ------------------------------------------------------------------------------- authorization


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}])
def test_malformed_header_is_told_in_v1s_words(
    portal: CscPortal, name: str, header: dict[str, str]
) -> None:
    text = "Malformed authroization header." if name == "credentials/sendOTP" else GENERIC
    answer = portal.raw("POST", name, json={}, headers=header)
    assert told(answer) == (400, "invalid_request", text)


@pytest.mark.parametrize("name", PROTECTED)
def test_bad_and_expired_tokens_are_401(portal: CscPortal, name: str) -> None:
    unknown = portal.post(name, {}, f"s.{'0' * 26}.{'x' * 43}")
    assert told(unknown)[:2] == (401, "invalid_token")
    token = portal.user_token()
    portal.world.clock.advance(3601)
    expired = portal.post(name, {"token": "x", **signing(portal, "x")}, token)
    assert told(expired)[:2] == (401, "expired_token")
    assert unknown.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_credential_token_gets_no_time_stamp(portal: CscPortal) -> None:
    asked = {"hash": b64(digest(DOCUMENT)), "hashAlgo": SHA256}
    answer = portal.post("signatures/timestamp", asked, portal.credential_token())
    assert told(answer)[:2] == (400, "unauthorized_client")


@pytest.mark.parametrize("name", PROTECTED)
def test_client_data_must_be_a_text(portal: CscPortal, name: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        AUTHORIZE: codes(portal) if name == AUTHORIZE else {},
        "auth/revoke": {"token": "x"},
        "signatures/timestamp": {"hash": b64(bytes(32)), "hashAlgo": SHA256},
    }
    body = bodies.get(name, signing(portal, "x"))
    answer = portal.post(name, body | {"clientData": 7})
    assert told(answer) == (400, "invalid_request", "Invalid parameter clientData")


@pytest.mark.parametrize("name", ["info", "auth/login", LIST])
def test_what_the_consortiums_tester_gets_may_be_got(portal: CscPortal, name: str) -> None:
    headers = {"Authorization": f"Bearer {portal.user_token()}"}
    assert portal.raw("GET", name, headers=headers).status_code in {200, 401}
    assert portal.at_version("v2").raw("GET", name).status_code == 405


@pytest.mark.parametrize("name", sorted(V1_METHODS.keys() - {"info", "auth/login", LIST}))
def test_other_methods_are_posts(portal: CscPortal, name: str) -> None:
    assert told(portal.raw("GET", name))[:2] == (405, "invalid_request")


# ---------------------------------------------------------------------------------------- list


def test_list_comes_in_pages(portal: CscPortal) -> None:
    own = portal.world
    own.new_signer("nhieu.chung.thu")
    made = [own.new_credential().credential_id for _ in range(5)]
    found: list[str] = []
    body: dict[str, Any] = {"maxResults": 2}
    for length in (2, 2, 1):
        members = check_answer("v1", LIST, portal.post(LIST, body))
        assert len(members["credentialIDs"]) == length
        found += members["credentialIDs"]
        body["pageToken"] = members.get("nextPageToken")
    assert found == sorted(made)
    assert body["pageToken"] is None


@pytest.mark.parametrize("count", [0, -1, 101, "2", 1.5, True, None, [], 2**53 - 1])
def test_bad_max_results_is_the_services_own(portal: CscPortal, count: object) -> None:
    members = portal.post(LIST, {"maxResults": count}).json()
    assert portal.world.credential_id in members["credentialIDs"]


@pytest.mark.parametrize("token", ["", "x", 7, [], "MDA=", b64(b"!" * 26), "é"])
def test_bad_page_token_is_told(portal: CscPortal, token: object) -> None:
    answer = portal.post(LIST, {"pageToken": token})
    assert told(answer)[2] == "Invalid parameter pageToken"


def test_user_is_needed_without_a_signers_token(portal: CscPortal) -> None:
    token, signer = portal.client_token(), portal.world.subscriber_id
    missing = portal.post(LIST, {}, token)
    assert told(missing)[2] == "Missing (or invalid type) string parameter userID"
    assert portal.post(LIST, {"userID": signer}, token).json()["credentialIDs"]
    assert told(portal.post(LIST, {"userID": signer}))[2] == "userID parameter MUST be null"
    for_none = portal.post(LIST, {"userID": "0" * 26}, token).json()
    assert for_none == {"credentialIDs": []}


def test_user_id_must_be_a_text(portal: CscPortal) -> None:
    answer = portal.post(LIST, {"userID": 7}, portal.client_token())
    assert told(answer)[2] == "Invalid parameter userID"


def test_members_of_v2_are_not_v1s(portal: CscPortal) -> None:
    members = portal.post(LIST, {"credentialInfo": True, "onlyValid": True}).json()
    assert members.keys() == {"credentialIDs"}


# ---------------------------------------------------------------------------------------- info


def info(portal: CscPortal, **body: Any) -> dict[str, Any]:
    answer = portal.post(INFO, {"credentialID": portal.world.credential_id} | body)
    return check_answer("v1", INFO, answer)


def test_credential_of_scal2_is_oauth2code(portal: CscPortal) -> None:
    members = info(portal, authInfo=True)
    assert (members["authMode"], members["SCAL"]) == ("oauth2code", "2")
    assert not {"PIN", "OTP", "auth", "signatureQualifier"} & members.keys()
    assert type(members["multisign"]) is int


def test_credential_of_scal1_tells_its_factors_when_asked(portal: CscPortal) -> None:
    portal.world.new_credential(scal="1")
    assert not {"PIN", "OTP"} & info(portal).keys()
    members = info(portal, authInfo=True, lang="en-US")
    assert (members["authMode"], members["SCAL"]) == ("explicit", "1")
    assert members["PIN"]["presence"] == members["OTP"]["presence"] == "true"
    assert members["OTP"]["type"] == "offline"
    assert members["lang"] == "en"


@pytest.mark.parametrize(("kind", "name"), [("totp", "PIN"), ("pin", "OTP")])
def test_factor_that_a_credential_has_not_is_not_present(
    portal: CscPortal, kind: str, name: str
) -> None:
    portal.world.new_credential(scal="1", factors=(kind,))
    assert info(portal, authInfo=True)[name] == {"presence": "false"}


@pytest.mark.parametrize(("wanted", "count"), [("none", 0), ("single", 1), ("chain", 3)])
def test_certificates_are_told_as_wanted(portal: CscPortal, wanted: str, count: int) -> None:
    cert = info(portal, certificates=wanted)["cert"]
    assert len(cert.get("certificates", [])) == count
    assert "policy" not in info(portal, certInfo=True)["cert"]


# ------------------------------------------------------------------- authorize and sign at SCAL1


def test_pin_and_code_sign_at_scal1(portal: CscPortal) -> None:
    given = sad(portal, "a", "b")
    answer = portal.post(SIGN, signing(portal, given, "b", "a"))
    signatures = check_answer("v1", SIGN, answer)["signatures"]
    leaf = base64.b64decode(info(portal)["cert"]["certificates"][0])
    for name, value in zip(("b", "a"), signatures, strict=True):
        portal.world.verify(leaf, digest(name), base64.b64decode(value))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"PIN": None}, "invalid_pin", "The PIN is invalid"),
        ({"OTP": None}, "invalid_otp", "The OTP is invalid"),
        ({"PIN": ""}, "invalid_pin", "The PIN is invalid"),
        ({"PIN": 7}, "invalid_request", "Invalid parameter PIN"),
        ({"OTP": 7}, "invalid_request", "Invalid parameter OTP"),
        ({"PIN": "1" * 65}, "invalid_request", "Invalid parameter PIN"),
        ({"hash": ["&"]}, "invalid_request", "Invalid Base64 hash string parameter"),
        ({"hash": []}, "invalid_request", "Empty hash array"),
        ({"hash": "x"}, "invalid_request", "Missing (or invalid type) array parameter hash"),
        ({"hash": [b64(bytes(20))]}, "invalid_request", "Invalid digest value length"),
        ({"numSignatures": 2}, "invalid_request", "Invalid value for parameter numSignatures"),
        ({"numSignatures": True}, "invalid_request", "Missing (or invalid type) integer parameter"),
        ({"description": "x" * 501}, "invalid_request", "Invalid parameter description"),
    ],
)
def test_mistake_in_authorize_is_told(
    portal: CscPortal, change: dict[str, Any], error: str, text: str
) -> None:
    answer = portal.post(AUTHORIZE, codes(portal) | change)
    assert told(answer)[:2] == (400, error)
    assert told(answer)[2].startswith(text)


def test_code_is_good_once(portal: CscPortal) -> None:
    body = codes(portal)
    assert portal.post(AUTHORIZE, body).status_code == 200
    assert told(portal.post(AUTHORIZE, body))[1] == "invalid_otp"


def test_codes_lock_after_too_many_guesses(portal: CscPortal) -> None:
    body = codes(portal)
    for number in range(5):
        assert told(portal.post(AUTHORIZE, body | {"PIN": f"{number:08d}"}))[1] == "invalid_otp"
    assert told(portal.post(AUTHORIZE, body))[2] == "PIN locked"
    sent = portal.post("credentials/sendOTP", {"credentialID": portal.world.credential_id})
    assert told(sent)[2] == "OTP locked"


@pytest.mark.parametrize("factors", [{}, {"PIN": "24681357", "OTP": "123456"}])
def test_scal2_never_takes_codes(portal: CscPortal, factors: dict[str, str]) -> None:
    body = {"credentialID": portal.world.credential_id, "numSignatures": 1, **factors}
    before = portal.world.sam.calls["activate"]
    answer = portal.post(AUTHORIZE, body | {"hash": [b64(digest("a"))]})
    assert told(answer)[:2] == (400, "unauthorized_client")
    assert portal.world.sam.calls["activate"] == before


def test_v2_takes_no_codes_at_scal2_under_v1s_names_either(portal: CscPortal) -> None:
    v2 = portal.at_version("v2")
    answer = v2.post(AUTHORIZE, v2.authorize_body(PIN="24681357", OTP="123456"))
    assert told(answer)[1] == "invalid_authentication_data"


def test_sad_of_one_version_signs_in_the_other(portal: CscPortal) -> None:
    v2 = portal.at_version("v2")
    assert portal.post(SIGN, signing(portal, v2.sad("a"), "a")).status_code == 200
    given = sad(portal, "b")
    assert v2.post(SIGN, v2.sign_body("b", SAD=given)).status_code == 200


def test_asynchronous_members_mean_nothing_in_v1(portal: CscPortal) -> None:
    odd = {"operationMode": "A", "validity_period": "x", "response_uri": 7}
    answer = portal.post(SIGN, signing(portal, sad(portal)) | odd)
    assert answer.json().keys() == {"signatures"}


def test_no_code_is_ever_sent(portal: CscPortal) -> None:
    body = {"credentialID": portal.world.credential_id}
    assert portal.post("credentials/sendOTP", body).status_code == 400
    portal.world.new_credential(scal="1")
    body = {"credentialID": portal.world.credential_id}
    assert "none is sent" in told(portal.post("credentials/sendOTP", body))[2]


@pytest.mark.parametrize("qualifier", ["eu_eidas_qes", None])
def test_qualifier_of_the_installation_is_told_in_v2(
    furnished: World, qualifier: str | None
) -> None:
    portal = CscPortal.at(replace(furnished), signature_qualifier=qualifier)
    answer = portal.post(INFO, {"credentialID": portal.world.credential_id})
    assert check_answer("v2", INFO, answer).get("signatureQualifier") == qualifier


# -------------------------------------------------------------------------- aliases, strict mode


def test_v2s_names_are_read_in_v1(portal: CscPortal) -> None:
    body = codes(portal)
    given = portal.post(AUTHORIZE, {**body, "hash": None, "hashes": body["hash"]}).json()["SAD"]
    body = signing(portal, given, signAlgo="1.2.840.10045.2.1")
    named = {"hashAlgorithmOID": "2.16.840.1.101.3.4.2.1", "hashes": body.pop("hash")}
    assert portal.post(SIGN, body | named).status_code == 200


def test_two_names_with_two_values_are_refused(portal: CscPortal) -> None:
    body = codes(portal)
    other = {"hashes": [b64(digest("another"))]}
    assert told(portal.post(AUTHORIZE, body | other))[2] == "Invalid parameter hash"
    assert portal.post(AUTHORIZE, body | {"hashes": body["hash"]}).status_code == 200


def test_v1s_names_are_read_in_v2(portal: CscPortal) -> None:
    given = portal.at_version("v2").post(AUTHORIZE, codes(portal))
    assert given.status_code == 200, given.text
    body = signing(portal, given.json()["SAD"])
    assert portal.at_version("v2").post(SIGN, body).status_code == 200


def test_response_id_is_read_as_request_id(portal: CscPortal) -> None:
    v2 = portal.at_version("v2")
    answer = v2.post("signatures/signPolling", {"responseID": "0" * 26})
    assert told(answer)[2] == "Invalid parameter requestID"


def test_strict_mode_reads_its_own_names_only(strict: CscPortal) -> None:
    v2 = strict.at_version("v2")
    body = codes(strict)
    missing = "Missing (or invalid type) {} parameter {}"
    alias = {**body, "hash": None, "hashes": body["hash"]}
    # At SCAL1 the array may be missing, so what is under another name is not there.
    given = strict.post(AUTHORIZE, alias).json()["SAD"]
    sign = signing(strict, given)
    sign["hashes"] = sign.pop("hash")
    assert told(strict.post(SIGN, sign))[2] == missing.format("array", "hash")
    assert told(v2.post(AUTHORIZE, codes(strict)))[1] == "invalid_authentication_data"
    polled = v2.post("signatures/signPolling", {"responseID": "0" * 26})
    assert told(polled)[2] == missing.format("string", "requestID")


def odd_base64(spelling: str, length: int = 32) -> str:
    if spelling == "url":
        return base64.urlsafe_b64encode(bytes([255]) * length).decode()
    return b64(bytes(length)).rstrip("=")


@pytest.mark.parametrize("spelling", ["url", "bare"])
def test_strict_mode_reads_standard_base64_only(strict: CscPortal, spelling: str) -> None:
    odd, v2 = odd_base64(spelling), strict.at_version("v2")
    answer = strict.post(AUTHORIZE, codes(strict) | {"hash": [odd]})
    assert told(answer)[2] == "Invalid Base64 hash string parameter"
    for portal in (strict, v2):
        answer = portal.post("signatures/timestamp", {"hash": odd, "hashAlgo": SHA256})
        assert told(answer)[2] == "Invalid Base64 hash string parameter"
    entry = {"signature_format": "C", "signAlgo": ECDSA_SHA256}
    body = {"credentialID": strict.world.credential_id}
    digests = [{**entry, "hashes": [odd]}]
    answer = v2.post("signatures/signDoc", {**body, "documentDigests": digests})
    assert told(answer)[2] == "Invalid Base64 hashes string parameter"
    for length in (32, 20_000):  # in the body, and in a file beside it
        documents = [{**entry, "document": odd_base64(spelling, length)}]
        answer = v2.post("signatures/signDoc", {**body, "documents": documents})
        assert told(answer)[2] == "Invalid Base64 documents string parameter"


def test_strict_mode_is_posts_at_exact_addresses(strict: CscPortal) -> None:
    assert strict.raw("GET", "info").status_code == 405
    assert strict.raw("POST", "info/").status_code == 501
    assert strict.raw("POST", "info").status_code == 200
