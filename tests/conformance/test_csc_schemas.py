"""Every method of both versions: a request as the standard has it, an answer as it has it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, update

from remote_signing.rssp.csc.v1.routes import METHODS as V1_METHODS
from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.csc.v2.routes import METHODS as V2_METHODS
from remote_signing.rssp.models import oauth_client
from remote_signing.rssp.signing_worker import step
from tests.support.csc import DOCUMENT, LOGIN, CscPortal
from tests.support.csc_schema import BROKEN, ERRATA, check_answer, check_request, published
from tests.support.world import PASSWORD, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases

BASIC = "Basic " + base64.b64encode(f"an.nguyen:{PASSWORD}".encode()).decode()
# Their own files judge them: they need keys, or documents, of their own.
ELSEWHERE = {
    *("signatures/timestamp", "signatures/signDoc"),
    *("signatures/prepareDoc", "signatures/attachDoc"),  # our own
}
RIGHTS = (
    update(oauth_client)
    .where(oauth_client.c.id == bindparam("the_client"))
    .values(scopes=json.dumps(["service", "credential-creation", "credential-deletion"]))
)


@pytest.fixture(scope="module")
def furnished(databases: Databases) -> Iterator[CscPortal]:
    with new_world(databases) as world:
        yield CscPortal.at(world, strict=True)


@pytest.fixture
def portal(furnished: CscPortal) -> CscPortal:
    made = replace(furnished, world=replace(furnished.world))
    made.signer_is_ready()
    return made


class Exchange:
    """Asks in one version and compares both ways; remembers what was asked."""

    def __init__(self, portal: CscPortal, version: str) -> None:
        self.portal = portal.at_version(version)
        self.version = version
        self.seen: set[str] = set()

    def __call__(
        self, method: str, body: dict[str, Any], token: str = "", status: int = 200
    ) -> dict[str, Any]:
        check_request(self.version, method, body)
        if method == "auth/login":
            header = {"Authorization": BASIC}
            answer = self.portal.raw("POST", method, json=body, headers=header)
        else:
            answer = self.portal.post(method, body, token)
        assert answer.status_code == status, answer.text
        self.seen.add(method)
        return check_answer(self.version, method, answer)


def test_every_method_of_v1_is_as_the_standard_has_it(portal: CscPortal) -> None:
    ask, world = Exchange(portal, "v1"), portal.world
    ask("info", {"lang": "vi"})
    token = ask("auth/login", {"rememberMe": True, "clientData": "x"})["access_token"]
    assert ask("credentials/list", {"maxResults": 5, "clientData": "x"}, token)["credentialIDs"]
    shown = {"certificates": "chain", "certInfo": True, "authInfo": True, "lang": "en-US"}
    credential = {"credentialID": world.credential_id}
    assert ask("credentials/info", credential | shown, token)["authMode"] == "oauth2code"
    world.new_credential(scal="1")
    credential = {"credentialID": world.credential_id}
    assert ask("credentials/info", credential | shown, token)["PIN"]["presence"] == "true"
    hashes = portal.sign_body("a", "b")["hashes"]
    codes = {"PIN": world.pin, "OTP": world.otp(), "description": "Hai văn bản"}
    wanted = {"numSignatures": 2, "hash": hashes, "clientData": "x"}
    sad = ask("credentials/authorize", credential | codes | wanted, token)["SAD"]
    use = {"SAD": sad, "signAlgo": "1.2.840.10045.4.3.2", "clientData": "x"}
    first = {"hash": hashes[:1]}
    assert len(ask("signatures/signHash", credential | use | first, token)["signatures"]) == 1
    rest = {"hash": hashes[1:]}
    extended = ask("credentials/extendTransaction", credential | rest | {"SAD": sad}, token)
    use["SAD"] = extended["SAD"]
    assert len(ask("signatures/signHash", credential | use | rest, token)["signatures"]) == 1
    ask("credentials/sendOTP", credential, token, status=400)
    ask("auth/revoke", {"token": token, "token_type_hint": "access_token"}, status=400)
    ask("auth/revoke", {"token": token, "clientData": "x"}, token, status=204)
    assert ask.seen == V1_METHODS.keys() - ELSEWHERE


def test_every_method_of_v2_is_as_the_standard_has_it(portal: CscPortal) -> None:
    ask, world = Exchange(portal, "v2"), portal.world
    ask("info", {"lang": "vi"})
    token = ask("auth/login", {"rememberMe": True, "clientData": "x"})["access_token"]
    world.database.run(RIGHTS, {"the_client": LOGIN})
    world.clock.advance(5)
    everything = {"credentialInfo": True, "certInfo": True, "authInfo": True, "onlyValid": True}
    listed = ask("credentials/list", everything | {"certificates": "chain"}, token)
    assert len(listed["credentialInfos"]) == len(listed["credentialIDs"])
    credential = {"credentialID": world.credential_id}
    ask("credentials/info", credential | {"certInfo": True, "authInfo": True}, token)
    asked = portal.authorize_body("a", "b", "c", description="Ba văn bản", clientData="x")
    handle = ask("credentials/authorize", asked, token, status=202)["handle"]
    ask("credentials/authorizeCheck", {"handle": handle}, token, status=202)
    world.approve(handle.partition(".")[0])
    sad = ask("credentials/authorizeCheck", {"handle": handle}, token)["SAD"]
    ask("signatures/signHash", portal.sign_body("a", SAD=sad), token)
    rest = portal.authorize_body("b", "c")
    del rest["numSignatures"]
    sad = ask("credentials/extendTransaction", rest | {"SAD": sad}, token)["SAD"]
    later = portal.sign_body("b", "c", SAD=sad, operationMode="A", validity_period=60_000)
    request_id = ask("signatures/signHash", later, token)["responseID"]
    ask("signatures/signPolling", {"requestID": request_id}, token, status=202)
    assert step(world.services, polling.make)
    done = ask("signatures/signPolling", {"requestID": request_id, "clientData": "x"}, token)
    assert len(done["signatures"]) == 2
    challenge = credential | {"authObjectID": "PIN"}
    ask("credentials/getChallenge", challenge, token, status=400)
    policy = world.services.config.policy.certificate_policies[0]
    wanted = {"certificatePolicy": policy, "subjectData": {"given_name": "An"}}
    ask("credentials/create", {"credentialCreationRequest": wanted}, token, status=202)
    world.new_credential()
    gone = {"credentialID": world.credential_id, "revoke": True, "revocationReason": 5}
    ask("credentials/delete", {"credentialDeletionRequest": gone}, token, status=204)
    ask("auth/revoke", {"token": token, "clientData": "x"}, token, status=204)
    assert ask.seen == V2_METHODS.keys() - ELSEWHERE


def test_codes_at_scal1_are_as_the_standard_has_it(portal: CscPortal) -> None:
    ask, world = Exchange(portal, "v2"), portal.world
    world.new_credential(scal="1")
    objects = ask("credentials/info", {"credentialID": world.credential_id})["auth"]["objects"]
    codes = zip(objects, (world.pin, world.otp()), strict=True)
    data = [{"id": item["id"], "value": value} for item, value in codes]
    body = portal.authorize_body(DOCUMENT, authData=data)
    assert ask("credentials/authorize", body)["SAD"]


def test_the_published_schema_has_the_mistakes_that_are_corrected() -> None:
    found = published(corrected=False)
    for place, (wrong, _) in ERRATA.items():
        inner: Any = found
        for name in place:
            inner = inner[name]
        assert inner == wrong, place
    assert BROKEN in json.dumps(found)
