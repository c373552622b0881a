"""Client authentication: each way in, and each way around it that is closed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from joserfc.jwk import OctKey

from remote_signing.errors import InvalidInput
from remote_signing.rssp import activation, client_certificate, clients
from remote_signing.rssp.oauth import client_auth
from remote_signing.rssp.oauth.errors import OAuthRefused
from remote_signing.rssp.oauth.request import Headers, HttpRequest
from tests.support.asgi import BASE, call
from tests.support.client_certificates import certificate, escaped
from tests.support.oauth import ISSUER, OAuthPortal, b64url, new_key
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.world import World

GRANT = {"grant_type": "client_credentials"}
TOKEN = f"{ISSUER}/oauth2/token"
NOW = 1_800_000_060  # what the world's clock shows


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture(scope="module")
def portal(world: World) -> OAuthPortal:
    return OAuthPortal.at(world)


@pytest.fixture(scope="module")
def older(world: World) -> OAuthPortal:
    return OAuthPortal.at(world, "older", endpoint_audience=True)


@pytest.fixture(scope="module")
def basic(world: World) -> OAuthPortal:
    return OAuthPortal.at(world, "basic", auth_method="client_secret_basic", jwks=None)


@pytest.fixture(scope="module")
def post(world: World) -> OAuthPortal:
    return OAuthPortal.at(world, "post", auth_method="client_secret_post", jwks=None)


def with_assertion(portal: OAuthPortal, assertion: str, **changes: Any) -> httpx.Response:
    return portal.post("token", GRANT | portal.auth() | {"client_assertion": assertion} | changes)


def assert_bad_assertion(response: httpx.Response) -> None:
    assert response.status_code == 400
    assert response.json() == {
        "error": "invalid_client",
        "error_description": "Invalid parameter client_assertion",
    }


def header(name: str, secret: str) -> dict[str, str]:
    text = f"{quote(name)}:{quote(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(text).decode()}"}


def test_an_assertion_lets_its_client_in(portal: OAuthPortal) -> None:
    assert portal.token(GRANT).status_code == 200
    form = GRANT | portal.auth()
    del form["client_id"]  # the assertion names the client too
    assert portal.post("token", form).status_code == 200


def test_an_assertion_is_good_once(portal: OAuthPortal) -> None:
    assertion = portal.assertion()
    assert with_assertion(portal, assertion).status_code == 200
    assert_bad_assertion(with_assertion(portal, assertion))
    assert portal.post("revoke", portal.auth() | {"client_assertion": assertion}).status_code == 400


def test_an_assertion_stays_known_until_no_host_accepts_it(databases: Databases) -> None:
    """Longer than it lives by this host's clock: another one's may be slow."""
    with new_world(databases) as world:
        portal = OAuthPortal.at(world)
        assertion = portal.assertion()
        assert with_assertion(portal, assertion).status_code == 200
        world.clock.advance(60 + client_auth.FUTURE_MS / 1000)
        activation.prune(world.services)
        world.clock.advance(-client_auth.FUTURE_MS / 1000 - 1)
        assert_bad_assertion(with_assertion(portal, assertion))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "another"},
        {"sub": "another"},
        {"iss": None},
        {"aud": None},
        {"aud": f"{ISSUER}/"},
        {"aud": TOKEN},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, TOKEN]},
        {"aud": {"iss": ISSUER}},
        {"exp": None},
        {"exp": "soon"},
        {"exp": NOW},
        {"exp": NOW - 100_000_000},
        {"exp": NOW + 3600},
        {"exp": 1e300},
        {"iat": NOW - 3600},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
    ],
    ids=str,
)
def test_an_assertion_with_other_claims_is_refused(
    portal: OAuthPortal, claims: dict[str, Any]
) -> None:
    assert portal.now() == NOW
    assert_bad_assertion(with_assertion(portal, portal.assertion(**claims)))


def test_an_assertion_may_come_from_a_clock_ten_seconds_fast(portal: OAuthPortal) -> None:
    ahead = portal.now() + 10
    assert with_assertion(portal, portal.assertion(iat=ahead, nbf=ahead)).status_code == 200


DOUBLE = f"{ISSUER}//oauth2/token"


@pytest.mark.parametrize("audience", [ISSUER, TOKEN, [TOKEN], DOUBLE, [DOUBLE]], ids=str)
def test_an_older_client_may_name_the_endpoint(older: OAuthPortal, audience: object) -> None:
    assert with_assertion(older, older.assertion(aud=audience)).status_code == 200


@pytest.mark.parametrize(
    "audience", [f"{ISSUER}/oauth2/revoke", [ISSUER, TOKEN], [], {}, None], ids=str
)
def test_not_even_an_older_client_may_name_anything(older: OAuthPortal, audience: object) -> None:
    assert_bad_assertion(with_assertion(older, older.assertion(aud=audience)))


def test_an_assertion_signed_by_another_key_is_refused(portal: OAuthPortal) -> None:
    mine = new_key()
    forged = portal.assertion({"alg": "ES256", "kid": portal.key.kid}, mine)
    assert_bad_assertion(with_assertion(portal, forged))


def test_an_assertion_that_brings_its_own_key_is_refused(portal: OAuthPortal) -> None:
    mine = new_key()
    for member in ({"jwk": mine.as_dict(private=False)}, {"jku": "https://attacker.example/k"}):
        forged = portal.assertion({"alg": "ES256", **member}, mine)
        assert_bad_assertion(with_assertion(portal, forged))


def test_an_assertion_with_alg_none_is_refused(portal: OAuthPortal) -> None:
    claims = portal.assertion().split(".")[1]
    head = b64url(json.dumps({"alg": "none"}).encode())
    for signature in ("", "AAAA"):
        assert_bad_assertion(with_assertion(portal, f"{head}.{claims}.{signature}"))


def test_an_assertion_keyed_with_the_public_key_is_refused(portal: OAuthPortal) -> None:
    secret = OctKey.import_key(json.dumps(portal.key.as_dict(private=False)))
    assert_bad_assertion(with_assertion(portal, portal.assertion({"alg": "HS256"}, secret)))


def test_an_oversized_assertion_is_refused(portal: OAuthPortal) -> None:
    assert_bad_assertion(with_assertion(portal, portal.assertion(padding="x" * 10_000)))
    form = GRANT | {"client_assertion": "x" * 10_000}
    assert_bad_assertion(portal.post("token", form | {"client_assertion_type": "x"}))


def test_a_dpop_proof_is_no_client_assertion(portal: OAuthPortal) -> None:
    for kind in ("dpop+jwt", "oauth-authz-req+jwt"):
        assertion = portal.assertion({"alg": "ES256", "typ": kind})
        assert_bad_assertion(with_assertion(portal, assertion))
    explicit = portal.assertion({"alg": "ES256", "typ": "client-authentication+jwt"})
    assert with_assertion(portal, explicit).status_code == 200


def test_another_type_of_assertion_is_refused(portal: OAuthPortal) -> None:
    saml = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    response = with_assertion(portal, portal.assertion(), **saml)
    assert response.json()["error_description"] == "Invalid parameter client_assertion_type"


def test_an_assertion_for_another_client_is_refused(
    portal: OAuthPortal, older: OAuthPortal
) -> None:
    response = with_assertion(portal, older.assertion())
    assert_bad_assertion(response)
    mixed = older.auth() | {"client_id": portal.client_id}
    assert_bad_assertion(portal.post("token", GRANT | mixed))


def test_a_secret_in_the_body_lets_its_client_in(post: OAuthPortal) -> None:
    assert post.token(GRANT).status_code == 200
    wrong = post.post("token", GRANT | post.auth() | {"client_secret": "x"})
    assert wrong.status_code == 400
    assert wrong.json() == {
        "error": "invalid_request",
        "error_description": "Invalid parameter client_secret",
    }


def test_a_secret_in_the_header_lets_its_client_in(basic: OAuthPortal) -> None:
    good = header(basic.client_id, basic.secret or "")
    assert basic.post("token", GRANT, headers=good).status_code == 200
    assert (
        basic.post("token", GRANT | {"client_id": basic.client_id}, headers=good).status_code == 200
    )


def test_a_wrong_secret_in_the_header_is_answered_with_a_challenge(basic: OAuthPortal) -> None:
    response = basic.post("token", GRANT, headers=header(basic.client_id, "wrong"))
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic realm=")
    assert response.json()["error_description"] == "Invalid parameter client_secret"


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !",
        "Basic YQ==",
        "Basic YTo=",
        "Basic OmI=",
        "Bearer abc",
        "Basic //79/w==",
        "Basic " + base64.b64encode(b"a:%ff").decode(),
        "Basic " + base64.b64encode(b"a:b%00").decode(),
    ],
)
def test_a_header_that_is_not_basic_is_refused(basic: OAuthPortal, value: str) -> None:
    response = basic.post("token", GRANT, headers={"Authorization": value})
    assert response.status_code == 401
    assert response.json() == {
        "error": "invalid_client",
        "error_description": "Invalid authorization header",
    }


def test_two_authorization_headers_are_refused(basic: OAuthPortal) -> None:
    good = header(basic.client_id, basic.secret or "")["Authorization"]
    headers = [("Authorization", good), ("Authorization", good)]
    response = basic.post("token", GRANT, headers=headers)
    assert response.status_code == 401


def test_header_and_body_must_name_the_same_client(basic: OAuthPortal, portal: OAuthPortal) -> None:
    good = header(basic.client_id, basic.secret or "")
    response = basic.post("token", GRANT | {"client_id": portal.client_id}, headers=good)
    assert response.json()["error_description"] == "Invalid parameter client_id"


def test_two_ways_at_once_are_refused(
    basic: OAuthPortal, post: OAuthPortal, portal: OAuthPortal
) -> None:
    good = header(basic.client_id, basic.secret or "")
    both = [
        basic.post("token", GRANT | {"client_secret": basic.secret}, headers=good),
        portal.post("token", GRANT | portal.auth() | {"client_secret": "x"}),
        post.post("token", GRANT | post.auth() | {"client_assertion": portal.assertion()}),
    ]
    for response in both:
        assert response.status_code == 400
        assert response.json()["error"] == "invalid_request"


def test_a_client_gets_in_by_its_own_way_only(
    basic: OAuthPortal, post: OAuthPortal, portal: OAuthPortal
) -> None:
    as_post = {"client_id": basic.client_id, "client_secret": basic.secret}
    as_basic = header(post.client_id, post.secret or "")
    nothing = {"client_id": portal.client_id}
    secret = nothing | {"client_secret": "anything"}
    for form, headers in ((as_post, {}), ({}, as_basic), (nothing, {}), (secret, {})):
        response = basic.post("token", GRANT | form, headers=headers)
        assert response.status_code == (401 if headers else 400)
        assert response.json() == {
            "error": "invalid_request",
            "error_description": "Client authorization required",
        }


def test_a_suspended_client_is_unknown(world: World) -> None:
    gone = OAuthPortal.at(world, "gone")
    clients.set_state(world.database, world.clock, "gone", "suspended")
    assert gone.token(GRANT).json()["error_description"] == "Invalid parameter client_id"


def test_a_client_has_one_of_two_states(world: World, portal: OAuthPortal) -> None:
    with pytest.raises(InvalidInput):
        clients.set_state(world.database, world.clock, portal.client_id, "disabled")
    assert portal.token(GRANT).status_code == 200


def test_secrets_are_kept_as_digests(world: World, post: OAuthPortal) -> None:
    client = world.services.clients.get(post.client_id)
    assert client is not None
    assert client.secret_hash is not None
    assert (post.secret or "").encode() not in client.secret_hash
    assert "secret_hash" not in repr(client)


# --- mutual TLS: the certificate comes from the proxy, so these build the request themselves.


def mutual(
    world: World, name: str, found: client_certificate.ClientCertificate | None
) -> clients.Client:
    request = HttpRequest("POST", TOKEN, {"client_id": name}, Headers((), ()), found)
    return client_auth.authenticate(world.services, request)


def test_a_certificate_lets_its_client_in(world: World) -> None:
    ours, other = (client_certificate.read(escaped(certificate(name))) for name in ("A", "B"))
    OAuthPortal.at(
        world, "tls", auth_method="tls_client_auth", jwks=None, tls_thumbprint=ours.thumbprint
    )
    OAuthPortal.at(world, "tls-name", auth_method="tls_client_auth", jwks=None, tls_subject="CN=A")
    for name in ("tls", "tls-name"):
        assert mutual(world, name, ours).client_id == name
        for wrong in (other, None):
            with pytest.raises(OAuthRefused):
                mutual(world, name, wrong)


def test_a_certificate_does_not_replace_another_way(world: World, portal: OAuthPortal) -> None:
    ours = client_certificate.read(escaped(certificate("A")))
    with pytest.raises(OAuthRefused, match="Client authorization required"):
        mutual(world, portal.client_id, ours)


def test_a_certificate_header_from_a_stranger_counts_for_nothing(world: World) -> None:
    stolen = certificate("C")
    thumbprint = client_certificate.read(escaped(stolen)).thumbprint
    portal = OAuthPortal.at(
        world, "tls-far", auth_method="tls_client_auth", jwks=None, tls_thumbprint=thumbprint
    )
    response = portal.post(
        "token",
        GRANT | {"client_id": "tls-far"},
        headers={"X-Client-Certificate": escaped(stolen)},
    )
    assert response.json()["error_description"] == "Client authorization required"


def test_a_slash_too_many_does_not_matter_to_proofs_and_audiences(older: OAuthPortal) -> None:
    """As clients join ``oauth2`` of ``info`` and the rest of the address."""
    for path in ("/oauth2/token", "//oauth2/token"):
        form = GRANT | older.auth() | {"client_assertion": older.assertion(aud=DOUBLE)}
        headers = older.proof("POST", "//oauth2/token")
        answer = call(older.app, "POST", f"{BASE}{path}", data=form, headers=headers)
        assert answer.json()["token_type"] == "DPoP"


# --- registration


@pytest.mark.parametrize(
    "uri",
    [
        "http://portal.example/back",
        "https://portal.example/back#fragment",
        "https://portal.example#",
        "https://user@portal.example/back",
        "https://portal.example\\@attacker.example/",
        "https://portal.example/a b",
        "https://portal.example/\n",
        "https://cổng.example/",
        "https:///back",
        "javascript:alert(1)",
        "data:text/html,x",
        "//portal.example/back",
        "portal.example/back",
        "",
    ],
    ids=ascii,
)
def test_an_address_that_can_be_mistaken_cannot_be_registered(world: World, uri: str) -> None:
    with pytest.raises(InvalidInput):
        OAuthPortal.at(world, "never", redirect_uris=(uri,))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8000/back", "http://[::1]/", "https://a.vn/?b"])
def test_loopback_and_https_can_be_registered(world: World, uri: str) -> None:
    OAuthPortal.at(world, f"fine{abs(hash(uri))}", redirect_uris=(uri,))


def test_a_private_key_cannot_be_registered(world: World) -> None:
    with pytest.raises(InvalidInput):
        OAuthPortal.at(world, "never", jwks={"keys": [new_key().as_dict(private=True)]})


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "01mcc5rm008cek0xjq3f3r5e1j"},
        {"client_id": "01MCC5RM008CEK0XJQ3F3R5E1J"},
        {"client_id": "x" * 101},
        {"client_id": " "},
        {"name": ""},
        {"name": "Bộ \u202egnọc"},
        {"name": "Bộ\nNội vụ"},
        {"name": "x" * 201},
        {"logo_uri": "http://portal.example/logo.png"},
        {"logo_uri": "javascript:alert(1)"},
        {"logo_uri": "https://[::1"},
        {"tls_thumbprint": "A" * 42},
        {"tls_thumbprint": "ab:cd"},
        {"tls_subject": "CN=A\n"},
        {"jwks": {"keys": []}},
        {"scopes": ()},
    ],
    ids=ascii,
)
def test_a_registration_that_could_mislead_is_refused(
    world: World, changes: dict[str, Any]
) -> None:
    given = dict(changes)
    with pytest.raises(InvalidInput):
        OAuthPortal.at(world, given.pop("client_id", "never"), **given)


def test_a_clients_registration_is_changed_by_the_same_checks(world: World) -> None:
    client = OAuthPortal.at(world, "changing")
    former, client.key = client.key, new_key()
    assert_bad_assertion(client.token(GRANT))

    def change(**changes: Any) -> bool:
        return clients.change(world.database, world.clock, "changing", changes)

    assert change(jwks={"keys": [client.key.as_dict(private=False)]}, dpop_required=True)
    world.clock.advance(clients.TTL_MS / 1000)
    assert client.token(GRANT).json()["error"] == "invalid_dpop_proof"
    assert client.token(GRANT, headers=client.proof()).status_code == 200
    client.key = former
    assert_bad_assertion(client.token(GRANT, headers=client.proof()))
    for bad in (
        {"jwks": None},
        {"redirect_uris": ()},
        {"name": ""},
        {"auth_method": "client_secret_basic"},
        {"client_id": "other"},
    ):
        with pytest.raises(InvalidInput):
            change(**bad)
    assert not clients.change(world.database, world.clock, "nobody", {"name": "X"})


# --- the directory


def remembered(world: World) -> int:
    return len(world.services.clients._cache)  # noqa: SLF001 - what it keeps is what is asked


def test_names_that_are_no_clients_leave_nothing_in_memory(
    world: World, portal: OAuthPortal, basic: OAuthPortal
) -> None:
    before = remembered(world)
    for name in ("nobody", "x" * 100, "x" * 101, "x" * 200_000):
        for endpoint in ("token", "pushed_authorize", "revoke"):
            answer = portal.post(endpoint, GRANT | {"client_id": name, "client_secret": "x"})
            assert answer.json()["error_description"] == "Invalid parameter client_id"
        assert basic.post("token", GRANT, headers=header(name, "x")).status_code == 401
        by_assertion = {"client_assertion": portal.assertion(iss=name, sub=name)}
        assert portal.post("token", GRANT | by_assertion).status_code == 400
    assert remembered(world) == before


def test_a_name_that_no_client_can_have_costs_no_statement(world: World) -> None:
    with world.counted() as statements:
        assert world.services.clients.get("x" * 101) is None
    assert statements == []


def test_a_full_directory_forgets_one_client_and_not_all(
    world: World, portal: OAuthPortal, older: OAuthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_LARGEST_CACHE", 2)
    directory = clients.ClientDirectory(world.database, world.clock)
    for name in (portal.client_id, older.client_id, "portal"):
        assert directory.get(name) is not None
    with world.counted() as statements:
        assert directory.get(older.client_id) is not None
        assert directory.get("portal") is not None
    assert statements == []
