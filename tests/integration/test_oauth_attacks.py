"""What an attacker tries at the authorization server, one test for each try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from remote_signing.errors import SamUnavailable
from remote_signing.rssp import service_authorization
from remote_signing.rssp.clients import RIGHTS
from remote_signing.rssp.models import signature_activation
from tests.support.asgi import call
from tests.support.oauth import (
    BACK,
    CHALLENGE,
    DOCUMENT,
    ISSUER,
    OAuthPortal,
    b64url,
    new_key,
    parameters_of,
)
from tests.support.world import SHA256, VERIFIER, digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.world import World

MALFORMED = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed."
)
OTHER_VERIFIER = "b" * 43


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture(scope="module")
def portal(world: World) -> OAuthPortal:
    return OAuthPortal.at(world)


@pytest.fixture(scope="module")
def attacker(world: World) -> OAuthPortal:
    return OAuthPortal.at(world, "attacker", redirect_uris=(BACK, "https://attacker.example/"))


@pytest.fixture(params=["service", "credential"])
def request_of(portal: OAuthPortal, request: pytest.FixtureRequest) -> dict[str, Any]:
    """An authorization request of each scope in turn."""
    if request.param == "service":
        return portal.request()
    return portal.credential_request()


def refused(response: httpx.Response, error: str, text: str | None = None) -> None:
    assert response.status_code == 400, response.text
    members = response.json()
    assert members["error"] == error, members
    if text is not None:
        assert members["error_description"] == text


# --- codes


def test_a_replayed_code_is_refused_and_ends_what_it_gave(
    portal: OAuthPortal, request_of: dict[str, Any]
) -> None:
    form = portal.redemption(portal.consent(request_of)["code"])
    token = portal.token(form).json()
    refused(portal.token(form), "invalid_grant", "Authorization code is invalid or expired")
    assert portal.revoke(token["access_token"]).status_code == 400, "it has ended already"
    if "refresh_token" in token:
        refused(portal.refresh(token["refresh_token"]), "invalid_grant")


def test_a_code_of_another_client_is_refused_and_stays_good(
    portal: OAuthPortal, attacker: OAuthPortal, request_of: dict[str, Any]
) -> None:
    form = portal.redemption(portal.consent(request_of)["code"])
    refused(attacker.token(form), "invalid_grant", "Invalid parameter code")
    assert portal.token(form).status_code == 200


def test_a_code_without_its_verifier_is_refused_and_stays_good(
    portal: OAuthPortal, request_of: dict[str, Any]
) -> None:
    form = portal.redemption(portal.consent(request_of)["code"])
    for verifier in (OTHER_VERIFIER, CHALLENGE, "short", "x" * 129, "é" * 43):
        response = portal.token(form | {"code_verifier": verifier})
        refused(response, "invalid_grant", "Invalid parameter code_verifier")
    without = {name: value for name, value in form.items() if name != "code_verifier"}
    refused(portal.token(without), "invalid_request", "Missing parameter code_verifier")
    assert portal.token(form).status_code == 200


def test_a_code_with_another_redirect_uri_is_refused_and_stays_good(
    portal: OAuthPortal, request_of: dict[str, Any]
) -> None:
    form = portal.redemption(portal.consent(request_of)["code"])
    for address in (f"{BACK}/", f"{BACK}?a=1", BACK.upper(), "https://attacker.example/"):
        response = portal.token(form | {"redirect_uri": address})
        refused(
            response,
            "invalid_grant",
            "redirect_uri parameter does not match redirect_uri parameter of authorization request",
        )
    assert portal.token(form).status_code == 200


def test_a_client_with_two_addresses_must_say_which(attacker: OAuthPortal) -> None:
    refused(attacker.push(attacker.request(redirect_uri=None)), "invalid_request")
    form = attacker.redemption(attacker.consent()["code"], redirect_uri=None)
    refused(attacker.token(form), "invalid_grant")


def test_an_old_code_is_refused(portal: OAuthPortal, request_of: dict[str, Any]) -> None:
    form = portal.redemption(portal.consent(request_of)["code"])
    portal.world.clock.advance(61)
    refused(portal.token(form), "invalid_grant", "Authorization code is invalid or expired")


@pytest.mark.parametrize(
    "code", ["x", "s.x", "s.", "\u0661" * 70, "r." + "0" * 26 + "." + "A" * 43]
)
def test_a_made_up_code_is_refused(portal: OAuthPortal, code: str) -> None:
    refused(portal.token(portal.redemption(code)), "invalid_grant", "Invalid parameter code")


def test_a_code_of_one_scope_is_none_of_the_other(portal: OAuthPortal) -> None:
    service = portal.consent()["code"]
    credential = portal.consent(portal.credential_request())["code"]
    for code in (service.removeprefix("s."), f"s.{credential}"):
        refused(portal.token(portal.redemption(code)), "invalid_grant", "Invalid parameter code")


# --- PKCE


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": "s256"},
        {"code_challenge": VERIFIER[:-1]},
        {"code_challenge": CHALLENGE + "="},
        {"code_challenge": CHALLENGE[:-1] + "+"},
    ],
    ids=str,
)
def test_pkce_cannot_be_left_out_or_weakened(portal: OAuthPortal, changes: dict[str, Any]) -> None:
    refused(portal.push(portal.request(**changes)), "invalid_request")
    answer = parameters_of(portal.visit(**portal.request(**changes)).headers["location"])
    assert answer["error"] == "invalid_request"


def test_the_challenge_itself_is_no_verifier(portal: OAuthPortal) -> None:
    """What ``plain`` would have accepted."""
    form = portal.redemption(portal.consent()["code"], code_verifier=CHALLENGE)
    refused(portal.token(form), "invalid_grant")


# --- redirect_uri

TRICKS = (
    "https://attacker.example/",
    f"{BACK}/../evil",
    f"{BACK}/",
    f"{BACK}?next=https://attacker.example",
    f"{BACK}#x",
    BACK.replace("https", "http"),
    BACK.replace("portal.example", "portal.example:443"),
    BACK.replace("portal.example", "portal.example.attacker.example"),
    BACK.replace("portal.example", "portal.example@attacker.example"),
    BACK.replace("portal", "PORTAL"),
    BACK.replace("back", "%62ack"),
    f"{BACK} ",
    f"{BACK}\r\nLocation: https://attacker.example/",
    "javascript:alert(1)",
    "//attacker.example",
)


@pytest.mark.parametrize("address", TRICKS, ids=ascii)
def test_an_address_that_is_not_registered_is_never_redirected_to(
    portal: OAuthPortal, address: str
) -> None:
    request = portal.request(redirect_uri=address)
    refused(portal.push(request), "invalid_request", "Invalid parameter redirect_uri")
    page = portal.visit(**request)
    refused(page, "invalid_request", "Invalid parameter redirect_uri")
    assert "location" not in page.headers


@pytest.mark.parametrize("client_id", ["nobody", "x" * 5000, "portal\n", "oauth-portal ", None])
def test_an_unknown_client_is_never_redirected(portal: OAuthPortal, client_id: str | None) -> None:
    query = portal.request(client_id=client_id)
    page = portal.visit(**query)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert page.json()["error"] == "invalid_request"


def test_the_page_for_people_repeats_nothing_of_the_request(portal: OAuthPortal) -> None:
    script = "<script>alert(1)</script>"
    page = portal.visit("text/html,*/*", client_id=script, state=script, redirect_uri=script)
    assert page.status_code == 400
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.text
    assert "Yêu cầu không hợp lệ" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    twice = call(
        portal.app,
        "GET",
        "/oauth2/authorize?client_id=a&client_id=b",
        headers={"Accept": "text/html"},
    )
    assert twice.status_code == 400
    assert twice.headers["content-type"].startswith("text/html")


def test_errors_that_are_told_by_redirect_carry_iss_and_state(portal: OAuthPortal) -> None:
    for changes in (
        {"response_type": "token"},
        {"scope": "everything"},
        {"code_challenge": None},
        {"response_mode": "fragment"},
        {"request": "e30.e30.e30"},
    ):
        page = portal.visit(**portal.request(**changes))
        assert page.status_code == 303
        assert page.headers["location"].startswith(f"{BACK}?")
        answer = parameters_of(page.headers["location"])
        assert answer["iss"] == ISSUER
        assert answer["state"] == "một trạng thái"
        assert "code" not in answer


# --- duplicate and odd parameters


@pytest.mark.parametrize("endpoint", ["token", "revoke", "pushed_authorize"])
def test_a_parameter_sent_twice_is_refused(portal: OAuthPortal, endpoint: str) -> None:
    for body in ("scope=service&scope=credential", "client_id=a&client_id=a", "a=1&%61=2"):
        refused(portal.raw(endpoint, body), "invalid_request", MALFORMED)


def test_a_parameter_sent_twice_in_a_browser_is_refused(portal: OAuthPortal) -> None:
    query = f"client_id={portal.client_id}&redirect_uri={BACK}&redirect_uri=https://a.example/"
    page = call(portal.app, "GET", f"/oauth2/authorize?{query}")
    refused(page, "invalid_request", MALFORMED)


@pytest.mark.parametrize("endpoint", ["token", "revoke", "pushed_authorize"])
def test_secrets_in_the_url_of_a_post_are_refused(portal: OAuthPortal, endpoint: str) -> None:
    response = call(portal.app, "POST", f"/oauth2/{endpoint}?client_id=a", data=portal.auth())
    refused(response, "invalid_request", MALFORMED)


def test_bodies_that_are_no_forms_are_refused(portal: OAuthPortal) -> None:
    as_json = call(portal.app, "POST", "/oauth2/token", json=portal.auth())
    multipart = portal.post("token", portal.auth(), files={"a": b"b"})
    for response in (as_json, multipart, portal.raw("token", b"a=\xff"), portal.raw("token", "a")):
        refused(response, "invalid_request", MALFORMED)


def test_an_oversized_form_is_refused_as_soon_as_it_is_known(portal: OAuthPortal) -> None:
    response = portal.raw("token", "a=" + "x" * 300_000)
    refused(response, "invalid_request", "The request body is too large")


def test_client_data_has_one_limit_everywhere(portal: OAuthPortal) -> None:
    assert portal.push(portal.request(clientData="ừ" * 2000)).status_code == 201


def test_an_oversized_query_is_refused(portal: OAuthPortal) -> None:
    page = portal.visit(**portal.request(clientData="x" * 20_000))
    refused(page, "invalid_request", MALFORMED)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_back_channel_takes_post_only(portal: OAuthPortal, method: str) -> None:
    for endpoint in ("token", "revoke", "pushed_authorize"):
        assert call(portal.app, method, f"/oauth2/{endpoint}").status_code == 405


@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_the_authorization_endpoint_takes_get_only(portal: OAuthPortal, method: str) -> None:
    assert call(portal.app, method, "/oauth2/authorize").status_code == 405


# --- request_uri


def test_a_request_uri_is_good_once(portal: OAuthPortal, request_of: dict[str, Any]) -> None:
    name = portal.push(request_of).json()["request_uri"]
    assert portal.visit(client_id=portal.client_id, request_uri=name).status_code == 303
    refused(portal.visit(client_id=portal.client_id, request_uri=name), "invalid_request_uri")


def test_a_request_uri_of_another_client_is_refused_and_stays_good(
    portal: OAuthPortal, attacker: OAuthPortal, request_of: dict[str, Any]
) -> None:
    name = portal.push(request_of).json()["request_uri"]
    refused(attacker.visit(client_id="attacker", request_uri=name), "invalid_request_uri")
    assert portal.visit(client_id=portal.client_id, request_uri=name).status_code == 303


def test_an_old_request_uri_is_refused(portal: OAuthPortal, request_of: dict[str, Any]) -> None:
    pushed = portal.push(request_of).json()
    portal.world.clock.advance(pushed["expires_in"] + 1)
    page = portal.visit(client_id=portal.client_id, request_uri=pushed["request_uri"])
    refused(page, "invalid_request_uri")


@pytest.mark.parametrize(
    "name",
    [
        "https://attacker.example/request.jwt",
        "urn:ietf:params:oauth:request_uri:",
        "urn:ietf:params:oauth:request_uri:s.",
        "urn:ietf:params:oauth:request_uri:x",
        "URN:ietf:params:oauth:request_uri:x",
        "x",
    ],
)
def test_a_made_up_request_uri_is_refused(portal: OAuthPortal, name: str) -> None:
    """An address among them is never fetched: there is nothing here that could."""
    page = portal.visit(client_id=portal.client_id, request_uri=name)
    refused(page, "invalid_request_uri", "Invalid parameter request_uri")


def test_a_pushed_request_cannot_name_another(portal: OAuthPortal) -> None:
    name = portal.push().json()["request_uri"]
    refused(portal.push(portal.request(request_uri=name)), "invalid_request")


def test_parameters_beside_a_request_uri_do_not_count(portal: OAuthPortal) -> None:
    name = portal.push().json()["request_uri"]
    page = portal.visit(
        client_id=portal.client_id,
        request_uri=name,
        redirect_uri="https://attacker.example/",
        state="other",
        scope="credential",
    )
    identifier = page.headers["location"].rpartition("/")[2]
    world = portal.world
    to = service_authorization.approve(world.services, world.session, identifier)
    assert to.startswith(f"{BACK}?")
    assert parameters_of(to)["state"] == "một trạng thái"


# --- scopes and details


def test_a_credential_must_be_asked_for_by_par(portal: OAuthPortal) -> None:
    answer = parameters_of(portal.visit(**portal.credential_request()).headers["location"])
    assert answer["error"] == "invalid_request"
    assert answer["error_description"] == "Pushed authorization request required"


@pytest.mark.parametrize("scope", ["service credential", "credential service", "openid", "SERVICE"])
def test_scopes_are_not_mixed(portal: OAuthPortal, scope: str) -> None:
    refused(portal.push(portal.request(scope=scope)), "invalid_scope")


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_of_a_client_is_no_scope_to_ask_for(world: World, right: str) -> None:
    portal = OAuthPortal.at(world, f"with-{right}", scopes=("service", right))
    asked = {
        "credentialID": world.credential_id,
        "numSignatures": "1",
        "hashes": b64url(digest(DOCUMENT)),
        "hashAlgorithmOID": SHA256,
    }
    refused(portal.push(portal.request(scope=right, **asked)), "invalid_scope")


def test_scope_service_with_details_is_refused(portal: OAuthPortal) -> None:
    request = portal.credential_request(scope="service")
    refused(portal.push(request), "invalid_scope")


def test_a_client_gets_only_scopes_and_grants_it_is_registered_for(world: World) -> None:
    few = OAuthPortal.at(world, "few", scopes=("credential",), grant_types=("authorization_code",))
    refused(few.push(few.request()), "invalid_scope")
    refused(few.token({"grant_type": "client_credentials"}), "unauthorized_client")
    refused(few.refresh("r.x"), "unauthorized_client")
    back_end = OAuthPortal.at(world, "back-end", grant_types=("client_credentials",))
    refused(back_end.push(), "unauthorized_client")
    token = back_end.token({"grant_type": "client_credentials", "scope": "credential"})
    refused(token, "invalid_scope")


def test_no_code_for_service_without_the_grant_gives_a_refresh_token(world: World) -> None:
    short = OAuthPortal.at(world, "short", grant_types=("authorization_code",))
    assert "refresh_token" not in short.service_tokens()


def test_a_token_request_may_not_widen_the_details(portal: OAuthPortal) -> None:
    code = portal.consent(portal.credential_request())["code"]
    wider = portal.details("another.pdf")
    response = portal.token(portal.redemption(code, authorization_details=wider))
    refused(response, "invalid_authorization_details")
    activation_id = code.partition(".")[0]
    query = select(signature_activation.c.state).where(signature_activation.c.id == activation_id)
    row = portal.world.database.one(query)
    assert row is not None
    assert row.state == "REVOKED", "before the code comes again, which would end it too"
    again = portal.token(portal.redemption(code))
    refused(again, "invalid_grant")


def test_details_that_are_no_json_are_refused(portal: OAuthPortal) -> None:
    code = portal.consent(portal.credential_request())["code"]
    response = portal.token(portal.redemption(code, authorization_details="[{'type': 1}]"))
    refused(response, "invalid_authorization_details")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"credentialID": None}, "Missing parameter credentialID"),
        ({"credentialID": "x"}, "Invalid parameter credentialID"),
        ({"credentialID": "0" * 26}, "Invalid parameter credentialID"),
        ({"numSignatures": None}, "Missing parameter numSignatures"),
        ({"numSignatures": "0"}, "Invalid parameter numSignatures"),
        ({"numSignatures": "-1"}, "Invalid parameter numSignatures"),
        ({"numSignatures": "1.0"}, "Invalid parameter numSignatures"),
        ({"numSignatures": "٣"}, "Invalid parameter numSignatures"),
        ({"numSignatures": "999999"}, None),
        ({"hashes": None}, "Invalid parameter hashes"),
        ({"hashes": "!"}, "Invalid parameter hashes"),
        ({"hashes": "YWJj"}, "Invalid digest value length"),
        ({"hashes": ",YWJj"}, "Invalid parameter hashes"),
        ({"hashAlgorithmOID": None}, "Missing parameter hashAlgorithmOID"),
        ({"hashAlgorithmOID": "1.2.3"}, "Invalid parameter hashAlgorithmOID"),
        ({"state": "x" * 256}, "Invalid parameter state"),
        ({"description": "x" * 501}, "Invalid parameter description"),
        ({"description": "a\nb"}, "Invalid parameter description"),
        ({"description": "\u202egpj.exe"}, "Invalid parameter description"),
        ({"clientData": "x" * 2001}, "Invalid parameter clientData"),
        ({"dpop_jkt": "x"}, "Invalid parameter dpop_jkt"),
        ({"response_type": None}, "Missing parameter response_type"),
    ],
    ids=str,
)
def test_a_credential_request_with_a_bad_parameter_is_refused(
    portal: OAuthPortal, changes: dict[str, Any], text: str | None
) -> None:
    given = {
        "scope": "credential",
        "credentialID": portal.world.credential_id,
        "numSignatures": "1",
        "hashes": "A" * 43,
        "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
    }
    refused(portal.push(portal.request(**(given | changes))), "invalid_request", text)


@pytest.mark.parametrize("text", ["a\nb", "\u202egpj.exe", "x" * 501], ids=ascii)
def test_a_service_request_shows_the_signer_what_it_says(portal: OAuthPortal, text: str) -> None:
    response = portal.push(portal.request(description=text))
    refused(response, "invalid_request", "Invalid parameter description")
    assert portal.push(portal.request(description="Danh sách chứng thư")).status_code == 201


# --- DPoP


def test_a_replayed_dpop_proof_is_refused(portal: OAuthPortal) -> None:
    proof = portal.proof()
    grant = {"grant_type": "client_credentials"}
    assert portal.token(grant, headers=proof).status_code == 200
    refused(portal.token(grant, headers=proof), "invalid_dpop_proof")


def test_two_dpop_proofs_are_refused(portal: OAuthPortal) -> None:
    headers = [("DPoP", portal.proof()["DPoP"]), ("DPoP", portal.proof()["DPoP"])]
    response = portal.token({"grant_type": "client_credentials"}, headers=headers)
    refused(response, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "make",
    [
        lambda portal: portal.proof("GET"),
        lambda portal: portal.proof("POST", "/oauth2/revoke"),
        lambda portal: portal.proof("POST", "/oauth2/token", {"typ": "JWT"}),
        lambda portal: portal.proof(
            "POST", "/oauth2/token", {"jwk": new_key().as_dict(private=False)}
        ),
        lambda portal: portal.proof(iat=1_700_000_000),
        lambda portal: portal.proof(jti=None),
        lambda _portal: {"DPoP": "x" * 20_000},
        lambda _portal: {"DPoP": ""},
    ],
    ids=["htm", "htu", "typ", "jwk", "iat", "jti", "oversized", "empty"],
)
def test_a_bad_dpop_proof_is_refused_and_the_code_stays_good(
    portal: OAuthPortal, make: Callable[[OAuthPortal], dict[str, str]]
) -> None:
    form = portal.redemption(portal.consent()["code"])
    refused(portal.token(form, headers=make(portal)), "invalid_dpop_proof")
    assert portal.token(form, headers=portal.proof()).status_code == 200


def test_a_code_bound_to_a_key_is_good_with_that_key_only(
    portal: OAuthPortal, request_of: dict[str, Any]
) -> None:
    bound = request_of | {"dpop_jkt": portal.dpop_key.thumbprint()}
    form = portal.redemption(portal.consent(bound)["code"])
    thief = OAuthPortal(portal.world, portal.app, portal.client_id, portal.key, new_key())
    refused(portal.token(form), "invalid_grant")
    refused(thief.token(form, headers=thief.proof()), "invalid_grant")
    assert portal.token(form, headers=portal.proof()).json()["token_type"] == "DPoP"


def test_a_proof_at_par_binds_the_code(portal: OAuthPortal, request_of: dict[str, Any]) -> None:
    path = "/oauth2/pushed_authorize"
    code = portal.consent(request_of, headers=portal.proof("POST", path))["code"]
    refused(portal.token(portal.redemption(code)), "invalid_grant")
    assert portal.token(portal.redemption(code), headers=portal.proof()).status_code == 200


def test_proof_and_dpop_jkt_at_par_must_agree(portal: OAuthPortal) -> None:
    proof = portal.proof("POST", "/oauth2/pushed_authorize")
    request = portal.request(dpop_jkt=new_key().thumbprint())
    refused(portal.push(request, headers=proof), "invalid_request", "Invalid parameter dpop_jkt")


def test_a_client_registered_for_dpop_gets_no_bearer_token(world: World) -> None:
    strict = OAuthPortal.at(world, "strict", dpop_required=True)
    grant = {"grant_type": "client_credentials"}
    refused(strict.token(grant), "invalid_dpop_proof")
    assert strict.token(grant, headers=strict.proof()).json()["token_type"] == "DPoP"


def test_a_client_registered_for_dpop_names_its_key_before_anything_is_written(
    world: World,
) -> None:
    """Else whoever gets hold of the code could bind the token to a key of his own."""
    strict = OAuthPortal.at(world, "strict-par", dpop_required=True, par_required=False)
    for form in (strict.request(), strict.credential_request()):
        with world.counted() as statements:
            refused(strict.push(form), "invalid_dpop_proof")
        assert not any("INSERT INTO s" in statement for statement in statements)
        jkt = strict.dpop_key.thumbprint()
        assert strict.push(form | {"dpop_jkt": jkt}).status_code == 201
        proof = strict.proof("POST", "/oauth2/pushed_authorize")
        assert strict.push(form, headers=proof).status_code == 201
        answer = parameters_of(strict.visit(**form).headers["location"])
        assert answer["error_description"] == "Missing parameter dpop_jkt"
        assert "consent" in strict.visit(**form, dpop_jkt=jkt).headers["location"]


# --- what is not told


def test_unknown_grants_and_the_implicit_one_are_refused(portal: OAuthPortal) -> None:
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        refused(
            portal.token({"grant_type": grant}), "invalid_request", "Invalid parameter grant_type"
        )
    for kind in ("token", "code token", "id_token"):
        refused(portal.push(portal.request(response_type=kind)), "unsupported_response_type")


def test_a_fault_of_ours_is_told_as_such_and_nothing_more(portal: OAuthPortal) -> None:
    portal.world.sam.faults["challenge"] = [
        SamUnavailable("secret detail"),
        RuntimeError("secret detail"),
    ]
    response = portal.push(portal.credential_request())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"] == "temporarily_unavailable"
    response = portal.push(portal.credential_request())
    assert response.status_code == 500
    assert "secret" not in response.text


def test_answers_are_never_cached(portal: OAuthPortal) -> None:
    for response in (portal.push(), portal.token({"grant_type": "x"}), portal.visit()):
        assert response.headers["cache-control"] == "no-store"
