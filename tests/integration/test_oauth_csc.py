"""What the CSC API adds to OAuth: v1's addresses and members, account_token, signatureQualifier."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import ActivationUnknown
from remote_signing.rssp import service_authorization
from remote_signing.rssp.config import CscConfig
from tests.support.asgi import call
from tests.support.csc import b64
from tests.support.oauth import CHALLENGE, OAuthPortal, application, b64url, parameters_of
from tests.support.world import SHA256, digest

if TYPE_CHECKING:
    import httpx

    from tests.support.world import World

QUALIFIER = "eu_eidas_qes"


@pytest.fixture
def portal(world: World) -> OAuthPortal:
    """A client of v1: a secret, no PAR."""
    config = replace(world.services.config, csc=CscConfig(signature_qualifier=QUALIFIER))
    world.services = replace(world.services, config=config)
    return OAuthPortal.at(world, auth_method="client_secret_post", jwks=None, par_required=False)


def v1(portal: OAuthPortal, method: str, endpoint: str, **options: Any) -> httpx.Response:
    path = f"/csc/v1/oauth2/{endpoint}"
    return call(portal.app, method, path, follow_redirects=False, **options)


def asked(portal: OAuthPortal, *documents: str, **changes: Any) -> dict[str, Any]:
    """The parameters of v1 for scope ``credential``."""
    names = documents or ("a",)
    given: dict[str, Any] = {
        "credentialID": portal.world.credential_id,
        "numSignatures": len(names),
        "hash": ",".join(b64url(digest(name)) for name in names),
        "description": "Quyết định",
        "clientData": "x",
        "lang": "vi",
    }
    return portal.request(scope="credential") | given | changes


def told(response: httpx.Response) -> dict[str, str]:
    """What the browser brings back to the client."""
    assert response.status_code == 303
    return parameters_of(response.headers["location"])


def code_for(portal: OAuthPortal, query: dict[str, Any]) -> str:
    page = v1(portal, "GET", "authorize", params=query)
    portal.world.next_step()
    portal.world.session = portal.world.new_session()
    to = portal.world.approve(page.headers["location"].rpartition("/")[2]).redirect_to
    return parameters_of(str(to))["code"]


def account_token(
    portal: OAuthPortal, header: dict[str, Any] | None = None, key: bytes = b"", **changes: Any
) -> str:
    """As a client of the standard makes it; a claim given as None is left out."""
    claims = {
        "sub": portal.world.subscriber_id,
        "iat": portal.now(),
        "jti": secrets.token_hex(8),
        "iss": "Phần mềm văn phòng",
        "azp": portal.client_id,
    } | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    parts = [header or {"typ": "JWT", "alg": "HS256"}, kept]
    text = ".".join(b64url(json.dumps(part).encode()) for part in parts)
    key = key or hashlib.sha256((portal.secret or "").encode()).digest()
    return f"{text}.{b64url(hmac.digest(key, text.encode(), 'sha256'))}"


# ------------------------------------------------------------------------------------------ v1


def test_v1_credential_token_is_of_type_sad(portal: OAuthPortal) -> None:
    code = code_for(portal, asked(portal, "a", "b"))
    form = portal.redemption(code) | portal.auth() | {"clientData": "x"}
    token = v1(portal, "POST", "token", data=form).json()
    assert (token["token_type"], token["scope"]) == ("SAD", "credential")
    revoked = v1(portal, "POST", "revoke", data=portal.auth() | {"token": token["access_token"]})
    assert revoked.status_code == 204


def test_v2_credential_token_stays_a_bearer_token(portal: OAuthPortal) -> None:
    code = code_for(portal, asked(portal))
    assert portal.token(portal.redemption(code)).json()["token_type"] == "Bearer"


def test_v1_service_token_is_a_bearer_token(portal: OAuthPortal) -> None:
    form = portal.auth() | {"grant_type": "client_credentials"}
    assert v1(portal, "POST", "token", data=form).json()["token_type"] == "Bearer"


def test_double_slash_leads_to_v1_too(portal: OAuthPortal) -> None:
    answer = call(portal.app, "POST", "/csc/v1//oauth2/token", data=portal.auth())
    assert answer.json()["error_description"] == "Missing parameter grant_type"


@pytest.mark.parametrize(
    "spell",
    [
        b64url,
        b64,
        lambda value: base64.urlsafe_b64encode(value).decode(),
        lambda value: b64(value).replace("+", " "),
    ],
    ids=["url", "standard", "url padded", "plus as space"],
)
@pytest.mark.parametrize("length", [32, 48, 64])
def test_hash_of_v1_in_every_spelling_tells_its_algorithm_by_its_length(
    portal: OAuthPortal, spell: Any, length: int
) -> None:
    value = bytes([251, 255]) * (length // 2)
    answer = v1(portal, "GET", "authorize", params=asked(portal, hash=spell(value)))
    assert "/requests/" in answer.headers["location"]


@pytest.mark.parametrize("value", ["x", "&", b64url(bytes(20)), f"{b64url(bytes(32))},", "AAAA,x"])
def test_bad_hash_is_told_to_the_client(portal: OAuthPortal, value: str) -> None:
    members = told(v1(portal, "GET", "authorize", params=asked(portal, hash=value)))
    assert members["error"] == "invalid_request"


def test_hashes_of_uneven_length_are_refused(portal: OAuthPortal) -> None:
    uneven = f"{b64url(bytes(32))},{b64url(bytes(48))}"
    query = asked(portal, "a", "b", hash=uneven)
    members = told(v1(portal, "GET", "authorize", params=query))
    assert members["error_description"] == "Invalid digest value length"


def test_v1_members_with_an_algorithm_are_those_of_v2(portal: OAuthPortal) -> None:
    query = asked(portal, hashAlgorithmOID=SHA256)
    assert "/requests/" in v1(portal, "GET", "authorize", params=query).headers["location"]


def test_client_that_can_push_must_push(world: World) -> None:
    portal = OAuthPortal.at(world)
    members = told(v1(portal, "GET", "authorize", params=asked(portal)))
    assert members["error_description"] == "Pushed authorization request required"


def test_strict_mode_knows_the_standards_spelling_only(portal: OAuthPortal) -> None:
    services = portal.world.services
    strict = replace(services, config=replace(services.config, csc=CscConfig(strict=True)))
    portal.app = application(strict)
    form = portal.auth() | {"grant_type": "refresh_token", "refreshToken": "x"}
    assert portal.post("token", form).json()["error_description"] == (
        "Missing parameter refresh_token"
    )
    assert call(portal.app, "POST", "/revoke", data=portal.auth()).status_code == 404
    assert portal.post("revoke", portal.auth()).status_code == 400


# ------------------------------------------------------------------------------- account_token


def test_account_token_asks_that_signer_only(portal: OAuthPortal) -> None:
    world = portal.world
    query = portal.request(account_token=account_token(portal))
    page = v1(portal, "GET", "authorize", params=query)
    name = page.headers["location"].rpartition("/")[2]
    meant, session = world.subscriber_id, world.session
    world.new_signer("binh.tran")
    with pytest.raises(ActivationUnknown):
        service_authorization.approve(world.services, world.session, name)
    with pytest.raises(ActivationUnknown):
        service_authorization.deny(world.services, world.session, name)
    world.subscriber_id = meant
    assert "code=" in service_authorization.approve(world.services, session, name)


def test_account_token_of_another_signer_does_not_fit_the_credential(portal: OAuthPortal) -> None:
    world = portal.world
    owner = world.subscriber_id
    world.new_signer("binh.tran")
    foreign = account_token(portal)
    world.subscriber_id = owner
    own = asked(portal, account_token=account_token(portal))
    assert "/requests/" in v1(portal, "GET", "authorize", params=own).headers["location"]
    members = told(v1(portal, "GET", "authorize", params=asked(portal, account_token=foreign)))
    assert members["error_description"] == "Invalid parameter credentialID"


def test_account_token_is_good_once(portal: OAuthPortal) -> None:
    token = account_token(portal)
    first = v1(portal, "GET", "authorize", params=asked(portal, account_token=token))
    assert "/requests/" in first.headers["location"]
    again = told(v1(portal, "GET", "authorize", params=asked(portal, account_token=token)))
    assert again["error_description"] == "Invalid parameter account_token"


@pytest.mark.parametrize(
    "change",
    [
        {"sub": None},
        {"sub": "0" * 26},
        {"sub": 7},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1_000_000_000},
        {"iat": 4_000_000_000},
        {"azp": None},
        {"azp": "somebody"},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"header": {"typ": "JWT", "alg": "none"}},
        {"header": {"typ": "JWT", "alg": "ES256"}},
        {"header": {"typ": "JWT", "alg": "HS512"}},
        {"header": {"typ": "dpop+jwt", "alg": "HS256"}},
        {"header": {"typ": "JWT", "alg": "HS256", "jku": "https://x.example"}},
        {"header": {"typ": "JWT", "alg": "HS256", "crit": ["exp"]}},
        {"header": {"typ": 7, "alg": "HS256"}},
        {"key": b"x" * 32},
    ],
    ids=lambda change: json.dumps(change, default=str)[:60],
)
def test_bad_account_token_is_refused(portal: OAuthPortal, change: dict[str, Any]) -> None:
    query = asked(portal, account_token=account_token(portal, **change))
    members = told(v1(portal, "GET", "authorize", params=query))
    assert members["error_description"] == "Invalid parameter account_token"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.b", "e30.e30.", "x" * 9000])
def test_what_is_no_token_is_refused(portal: OAuthPortal, text: str) -> None:
    query = asked(portal, account_token=text)
    answer = v1(portal, "GET", "authorize", params=query)
    if text:
        assert told(answer)["error_description"] == "Invalid parameter account_token"
    else:  # an empty parameter is none (RFC 6749 cl. 3.1)
        assert "/requests/" in answer.headers["location"]


def test_client_without_a_secret_has_no_account_tokens(world: World) -> None:
    portal = OAuthPortal.at(world, par_required=False)
    query = asked(portal, account_token=account_token(portal))
    members = told(v1(portal, "GET", "authorize", params=query))
    assert members["error_description"] == "Invalid parameter account_token"


# -------------------------------------------------------------------------- signatureQualifier


def qualified(portal: OAuthPortal, **changes: Any) -> dict[str, Any]:
    query = asked(portal, signatureQualifier=QUALIFIER, account_token=account_token(portal))
    return {name: value for name, value in (query | changes).items() if value is not None}


def test_qualifier_finds_the_credential_of_a_known_signer(portal: OAuthPortal) -> None:
    code = code_for(portal, qualified(portal, credentialID=None))
    token = v1(portal, "POST", "token", data=portal.redemption(code) | portal.auth()).json()
    assert token["credentialID"] == portal.world.credential_id


def test_qualifier_in_authorization_details_is_answered_with_the_credential(
    portal: OAuthPortal,
) -> None:
    details = portal.details(credentialID=None, signatureQualifier=QUALIFIER)
    form = portal.request(
        scope=None, authorization_details=details, account_token=account_token(portal)
    )
    token = portal.token(portal.redemption(portal.consent(form)["code"])).json()
    assert token["authorization_details"][0]["credentialID"] == portal.world.credential_id
    assert token["authorization_details"][0]["signatureQualifier"] == QUALIFIER


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"account_token": None}, "Missing parameter credentialID"),
        ({"signatureQualifier": "za_ecta_aes"}, "Invalid parameter signatureQualifier"),
        ({"signatureQualifier": None}, "Missing parameter credentialID"),
    ],
)
def test_qualifier_that_finds_nothing_is_told(
    portal: OAuthPortal, change: dict[str, Any], text: str
) -> None:
    query = qualified(portal, credentialID=None, **change)
    assert told(v1(portal, "GET", "authorize", params=query))["error_description"] == text


def test_signer_without_a_usable_credential_is_told(portal: OAuthPortal) -> None:
    portal.world.new_signer("binh.tran")
    query = qualified(portal, credentialID=None)
    members = told(v1(portal, "GET", "authorize", params=query))
    assert members["error_description"] == "Invalid parameter signatureQualifier"


def test_challenge_is_needed_in_v1_too(portal: OAuthPortal) -> None:
    query = asked(portal)
    assert query.pop("code_challenge") == CHALLENGE
    members = told(v1(portal, "GET", "authorize", params=query))
    assert members["error_description"] == "Missing parameter code_challenge"
