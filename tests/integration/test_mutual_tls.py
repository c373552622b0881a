"""Mutual TLS over HTTP: the proxy reports a certificate, and what it binds is good with it only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.rssp import client_certificate
from tests.support.client_certificates import certificate, escaped
from tests.support.csc import CscPortal
from tests.support.oauth import OAuthPortal
from tests.support.world import configuration, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases
    from tests.support.oauth import Members

CLIENT = "tls"
HEADER = "X-Client-Certificate"
OURS, OTHER = ({HEADER: escaped(certificate(name))} for name in ("Cổng", "Khác"))
WRONG = pytest.mark.parametrize("wrong", [OTHER, {}], ids=["another certificate", "none"])


@dataclass
class TlsPortal(OAuthPortal):
    """Names itself; its certificate does the rest."""

    def auth(self) -> Members:
        return {"client_id": self.client_id}


@pytest.fixture(scope="module")
def portal(databases: Databases) -> Iterator[TlsPortal]:
    """Behind a proxy on the same machine, which is where these requests come from."""
    with new_world(databases) as world:
        url = world.database.engine.url.render_as_string(hide_password=False)
        behind = configuration(url, proxy={"trusted": ["127.0.0.1"]})
        world.services = replace(world.services, config=behind)
        thumbprint = client_certificate.read(OURS[HEADER]).thumbprint
        new = {"auth_method": "tls_client_auth", "jwks": None, "tls_thumbprint": thumbprint}
        made = TlsPortal.at(world, CLIENT, **new)
        assert isinstance(made, TlsPortal)
        yield made


@pytest.fixture(autouse=True)
def _signer_is_ready(portal: TlsPortal) -> None:
    CscPortal.at(portal.world).signer_is_ready()


def call_csc(
    portal: TlsPortal, method: str, body: Members, token: str, headers: dict[str, str]
) -> httpx.Response:
    csc = CscPortal.at(portal.world)
    bearer = {"Authorization": f"Bearer {token}", **headers}
    return csc.raw("POST", method, json=body, headers=bearer)


def token(portal: TlsPortal, form: Members) -> str:
    code = portal.consent(form, headers=OURS)["code"]
    answer = portal.token(portal.redemption(code), headers=OURS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def refused(answer: httpx.Response, text: str) -> None:
    assert answer.status_code == 400
    assert answer.json()["error_description"] == text


@WRONG
def test_only_its_certificate_lets_the_client_push_redeem_and_revoke(
    portal: TlsPortal, wrong: dict[str, str]
) -> None:
    text = "Invalid client certificate" if wrong else "Client authorization required"
    refused(portal.push(headers=wrong), text)
    form = portal.redemption(portal.consent(headers=OURS)["code"])
    refused(portal.token(form, headers=wrong), text)
    given = portal.token(form, headers=OURS)
    assert given.status_code == 200
    ended: Members = {"token": given.json()["access_token"]} | portal.auth()
    refused(portal.post("revoke", ended, headers=wrong), text)
    assert portal.post("revoke", ended, headers=OURS).status_code == 204


@WRONG
def test_a_credential_token_signs_with_its_certificate_only(
    portal: TlsPortal, wrong: dict[str, str]
) -> None:
    bound = token(portal, portal.credential_request())
    body = CscPortal.at(portal.world).sign_body()
    for method, asked in (
        ("signatures/signHash", body),
        ("credentials/info", {"credentialID": portal.world.credential_id}),
    ):
        answer = call_csc(portal, method, asked, bound, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert call_csc(portal, method, asked, bound, OURS).status_code == 200


@WRONG
def test_a_service_token_with_a_sad_signs_with_its_certificate_only(
    portal: TlsPortal, wrong: dict[str, str]
) -> None:
    csc, world = CscPortal.at(portal.world), portal.world
    bound = token(portal, portal.request())
    asked = call_csc(portal, "credentials/authorize", csc.authorize_body(), bound, OURS)
    handle = asked.json()["handle"]
    csc.signer_is_ready()
    world.approve(handle.partition(".")[0])
    given = call_csc(portal, "credentials/authorizeCheck", {"handle": handle}, bound, OURS)
    body = csc.sign_body(SAD=given.json()["SAD"])
    answer = call_csc(portal, "signatures/signHash", body, bound, wrong)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert call_csc(portal, "signatures/signHash", body, bound, OURS).status_code == 200


def test_two_certificates_from_the_proxy_are_believed_neither(portal: TlsPortal) -> None:
    both: Any = [(HEADER, OURS[HEADER]), (HEADER, OTHER[HEADER])]
    assert portal.push(headers=both).status_code == 400
    authorization = ("Authorization", f"Bearer {token(portal, portal.request())}")
    answer = CscPortal.at(portal.world).raw(
        "POST", "credentials/list", json={}, headers=[authorization, *both]
    )
    refused(answer, "Malformed authorization header")
