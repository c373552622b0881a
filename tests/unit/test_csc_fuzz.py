"""Whatever arrives at the CSC API, the answer is the standard's error body and never a 5xx."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote_signing.clock import FixedClock
from remote_signing.errors import ActivationUnknown, SadInvalid
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, bearer, credentials, service_tokens, signing_jobs
from remote_signing.rssp.bearer import Caller, Proved
from remote_signing.rssp.csc.v1.routes import METHODS as V1_METHODS
from remote_signing.rssp.csc.v2.routes import METHODS as V2_METHODS
from remote_signing.rssp.deps import Services
from tests.support.asgi import call
from tests.support.csc import application
from tests.support.world import configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

ROUNDS = int(os.environ.get("CSC_FUZZ_ROUNDS", "300"))
METHODS = sorted(
    f"{version}/{name}"
    for version, methods in (("v1", V1_METHODS), ("v2", V2_METHODS))
    for name in methods
)
ID = "0" * 26
TICKET = f"{ID}.{'x' * 43}"
MEMBERS = [
    *("credentialID", "SAD", "hashes", "hashAlgorithmOID", "signAlgo", "signAlgoParams"),
    *("operationMode", "validity_period", "response_uri", "clientData", "numSignatures"),
    *("authData", "description", "lang", "handle", "userID", "credentialInfo", "certificates"),
    *("certInfo", "authInfo", "onlyValid", "id", "value", "hash", "hashAlgo", "PIN", "OTP"),
    *("pageToken", "maxResults", "token", "token_type_hint", "refresh_token", "rememberMe"),
    *("requestID", "authObjectID", "credentialCreationRequest", "credentialDeletionRequest"),
    *("certificatePolicy", "subjectData", "revoke", "revocationReason", "nonce"),
]
LIKELY = [
    *(ID, TICKET, "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"),
    *("2.16.840.1.101.3.4.2.1", "A" * 43 + "=", "MDA=", "S", "A", "https://x.test", "chain"),
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(LIKELY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(MEMBERS) | st.text(), inner, max_size=6)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=12)
bodies = (
    st.binary(max_size=300)
    | values.map(lambda value: json.dumps(value).encode())
    | objects.map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    """No database and no SAM: a good token, and nothing behind it but the record of refusals."""

    class Record:
        def run(self, _statement: object, _values: object) -> int:
            return 1

    services = Services(
        config=configuration("sqlite:///nowhere"),
        database=cast("Any", Record()),
        sam=cast("Any", None),
        clock=FixedClock(),
        clients=cast("Any", SimpleNamespace(get=lambda _id: None)),
    )

    def identify(_services: Services, proved: Proved) -> Caller:
        return Caller("service", "portal", None, None, ("*",), proved)

    def sign_hash(*_: object) -> None:
        raise SadInvalid

    def unknown(*_: object, **__: object) -> None:
        raise ActivationUnknown

    def bad_sad(*_: object) -> None:
        raise SadInvalid

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bearer, "identify", identify)
        patch.setattr(activation, "sign_hash", sign_hash)
        patch.setattr(activation, "check_handle", unknown)
        patch.setattr(activation, "extend", bad_sad)
        patch.setattr(activation, "foresee", bad_sad)
        patch.setattr(signing_jobs, "find", unknown)
        patch.setattr(service_tokens, "revoke", lambda *_: False)
        patch.setattr(credentials, "visible", lambda *_, **__: None)
        patch.setattr(credentials, "of_subscriber", lambda *_, **__: [])
        yield application(services)


def check(app: FastAPI, method: str, http_method: str, content: bytes, headers: Any) -> None:
    answer = call(app, http_method, f"/csc/{method}", content=content, headers=headers)
    assert answer.status_code < 500 or answer.status_code == 501
    if answer.status_code >= 300:
        members = answer.json()
        assert members.keys() == {"error", "error_description"}
        assert members["error_description"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"]


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(METHODS), content=bodies, service=st.booleans())
def test_any_body(app: FastAPI, method: str, content: bytes, service: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
    token = f"s.{TICKET}" if service else TICKET
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    check(app, method, "POST", content, headers)


printable = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60)


@settings(max_examples=ROUNDS // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(METHODS) | st.text("abc/ %", max_size=12).map("v2/{}".format),
    http_method=st.sampled_from(["POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    authorization=printable | st.sampled_from([f"bearer s.{TICKET}", f"DPoP {TICKET}"]),
    content_type=printable | st.just("application/json"),
    request_id=printable,
    content=bodies,
)
def test_any_request(  # noqa: PLR0913, PLR0917 - each part of a request may be anything
    app: FastAPI,
    method: str,
    http_method: str,
    authorization: str,
    content_type: str,
    request_id: str,
    content: bytes,
) -> None:
    headers = {
        "Authorization": authorization.encode("latin-1"),
        "Content-Type": content_type.encode("latin-1"),
        "X-Request-Id": request_id.encode("latin-1"),
        "DPoP": authorization.encode("latin-1"),
    }
    check(app, method, http_method, content, headers)


def test_ticket_of_these_tests_has_the_shape_of_one() -> None:
    assert Ticket.parse(TICKET) is not None
