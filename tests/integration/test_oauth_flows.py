"""The good ways through the authorization server, and what each costs the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.rssp import bearer, service_authorization
from remote_signing.rssp.bearer import Presented
from tests.support.oauth import ISSUER, OAuthPortal, b64url, parameters_of
from tests.support.world import SHA256, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases


@pytest.fixture(scope="module")
def portal(databases: Databases) -> Iterator[OAuthPortal]:
    with new_world(databases) as world:
        yield OAuthPortal.at(world)


def identify(portal: OAuthPortal, token: str, **changes: Any) -> bearer.Caller:
    given: dict[str, Any] = {
        "scheme": "Bearer",
        "token": token,
        "proofs": (),
        "certificate": None,
        "method": "POST",
        "path": "/csc/v2/credentials/list",
    }
    services = portal.world.services
    return bearer.identify(services, bearer.prove(services, Presented(**(given | changes))))


def test_a_credential_is_authorised_through_par_and_rar(portal: OAuthPortal) -> None:
    answer = portal.consent(portal.credential_request())
    assert set(answer) == {"code", "state", "iss"}
    assert answer["iss"] == ISSUER
    assert answer["state"] == "một trạng thái"
    response = portal.token(portal.redemption(answer["code"]))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    token = response.json()
    assert token["token_type"] == "Bearer"
    assert token["scope"] == "credential"
    assert 0 < token["expires_in"] <= 300
    assert "refresh_token" not in token
    assert token["credentialID"] == portal.world.credential_id
    assert token["authorization_details"] == json.loads(portal.details())
    caller = identify(portal, token["access_token"])
    assert caller.scope == "credential"
    assert caller.credential_id == portal.world.credential_id
    assert caller.subscriber_id == portal.world.subscriber_id
    assert caller.agencies == ()


def test_the_details_of_version_2_2_come_back_as_they_were_sent(portal: OAuthPortal) -> None:
    details = portal.details(
        type="https://cloudsignatureconsortium.org/2025/credential",
        numSignatures=1,
        locations=["https://rssp.example"],
    )
    answer = portal.consent(portal.request(scope="credential", authorization_details=details))
    token = portal.token(portal.redemption(answer["code"], authorization_details=details)).json()
    assert token["authorization_details"] == json.loads(details)


def test_a_credential_is_authorised_by_the_parameters_of_version_2_0(portal: OAuthPortal) -> None:
    hashes = portal.world.request().hashes
    request = portal.request(
        scope="credential",
        credentialID=portal.world.credential_id,
        numSignatures="1",
        hashes=",".join(map(b64url, hashes)),
        hashAlgorithmOID=SHA256,
        description="Quyết định bổ nhiệm",
        clientData="a",
        lang="vi",
    )
    token = portal.token(portal.redemption(portal.consent(request)["code"])).json()
    assert token["credentialID"] == portal.world.credential_id
    assert "authorization_details" not in token


def test_a_service_authorisation_gives_access_and_refresh_token(portal: OAuthPortal) -> None:
    tokens = portal.service_tokens()
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "service"
    assert tokens["expires_in"] == 3600
    caller = identify(portal, tokens["access_token"])
    assert caller.scope == "service"
    assert caller.client_id == portal.client_id
    assert caller.subscriber_id == portal.world.subscriber_id
    assert caller.credential_id is None


def test_service_is_the_scope_when_none_is_named(portal: OAuthPortal) -> None:
    answer = portal.consent(portal.request(scope=None))
    token = portal.token(portal.redemption(answer["code"])).json()
    assert token["scope"] == "service"


def test_a_browser_may_ask_for_service_without_par(portal: OAuthPortal) -> None:
    page = portal.visit(**portal.request())
    assert page.status_code == 303
    assert page.headers["location"].startswith("https://consent.example/services/")


def test_the_only_registered_address_may_be_left_out(portal: OAuthPortal) -> None:
    answer = portal.consent(portal.request(redirect_uri=None))
    response = portal.token(portal.redemption(answer["code"], redirect_uri=None))
    assert response.status_code == 200


def test_client_credentials_act_for_the_clients_agencies(portal: OAuthPortal) -> None:
    token = portal.token({"grant_type": "client_credentials"}).json()
    assert set(token) == {"access_token", "token_type", "expires_in", "scope"}
    caller = identify(portal, token["access_token"])
    assert caller.subscriber_id is None
    assert caller.agencies == (portal.world.agency_id,)


def test_a_client_registered_as_unable_needs_no_par(databases: Databases) -> None:
    with new_world(databases) as world:
        portal = OAuthPortal.at(world, par_required=False)
        page = portal.visit(**portal.credential_request())
        assert page.status_code == 303
        assert page.headers["location"].startswith("https://consent.example/requests/")


def test_a_signer_who_refuses_is_told_to_the_client(portal: OAuthPortal) -> None:
    pushed = portal.push().json()
    page = portal.visit(client_id=portal.client_id, request_uri=pushed["request_uri"])
    name = page.headers["location"].rpartition("/")[2]
    world = portal.world
    answer = parameters_of(service_authorization.deny(world.services, world.session, name))
    assert answer == {"error": "access_denied", "state": "một trạng thái", "iss": ISSUER}


def test_a_token_bound_by_dpop_says_so_and_needs_its_key(portal: OAuthPortal) -> None:
    code = portal.consent()["code"]
    token = portal.token(portal.redemption(code), headers=portal.proof()).json()
    assert token["token_type"] == "DPoP"
    access = token["access_token"]
    path = "/csc/v2/credentials/list"
    proof = portal.proof("POST", path, token=access)["DPoP"]
    assert identify(portal, access, scheme="DPoP", proofs=(proof,)).scope == "service"


def test_a_pushed_request_costs_one_statement_beyond_replay_rows(portal: OAuthPortal) -> None:
    for form in (portal.request(), portal.credential_request()):
        portal.push(form)  # the directory knows the client now
        with portal.world.counted() as statements:
            assert portal.push(form).status_code == 201
        assert len([text for text in statements if "replay" not in text]) == 1


def test_a_credential_token_costs_one_statement_beyond_replay_rows(portal: OAuthPortal) -> None:
    code = portal.consent(portal.credential_request())["code"]
    portal.push()  # the directory knows the client now
    with portal.world.counted() as statements:
        response = portal.token(portal.redemption(code), headers=portal.proof())
    assert response.status_code == 200
    assert len([text for text in statements if "replay" in text]) == 1
    assert len([text for text in statements if "replay" not in text]) == 1


def test_a_service_token_costs_three_statements_in_one_transaction(portal: OAuthPortal) -> None:
    code = portal.consent()["code"]
    portal.push()  # the directory knows the client now
    with portal.world.counted() as statements:
        portal.token(portal.redemption(code))
    kept = [text for text in statements if "replay" not in text]
    assert len(kept) - len({"BEGIN", "COMMIT"}) == 3


def test_a_bearer_check_costs_one_statement(portal: OAuthPortal) -> None:
    token = portal.service_tokens()["access_token"]
    with portal.world.counted() as statements:
        identify(portal, token)
    assert len(statements) == 1


def test_hundred_digests_fit_into_a_pushed_request(portal: OAuthPortal) -> None:
    names = tuple(f"Phụ lục số {number} kèm theo Quyết định bổ nhiệm" for number in range(100))
    portal.world.new_credential(multisign=100)
    form = portal.credential_request(*names)
    assert portal.push(form).status_code == 201
