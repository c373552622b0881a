"""The members that the parsers ask for are the members that the description names.

A full request goes to each method, and every object in it notes which of its members are looked at.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from remote_signing import strict_json
from remote_signing.clock import FixedClock
from remote_signing.rssp import bearer, oauth
from remote_signing.rssp.app import create_app
from remote_signing.rssp.bearer import Caller, Proved
from remote_signing.rssp.deps import Services
from remote_signing.rssp.openapi.document import document
from tests.support.asgi import call
from tests.support.described import WHERE
from tests.support.world import ECDSA_SHA256, SHA256, configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

ID = "0" * 26
TICKET = f"{ID}.{'x' * 43}"
DIGEST = "A" * 43 + "="
CONFIG = configuration("sqlite:///nowhere", csc={"strict": True, "login_client": "direct"})
DESCRIBED = document(CONFIG)
# Read by the registration authority, not here; looked at where the request is worked on.
LATER = {"credentialCreationRequest.subjectData"}
PROPERTIES = [{"attribute_name": "Reason", "attribute_value": "eA=="}]
NO_PROPERTIES: list[dict[str, str]] = []
SIGNATURE: dict[str, Any] = {
    "signature_format": "P",
    "conformance_level": "Ades-B-B",
    "signed_envelope_property": "Revision",
    "signAlgo": "1.2.840.10045.2.1",
    "hashAlgorithmOID": SHA256,
    "signAlgoParams": "MDA=",
    "signed_props": PROPERTIES,
}
VALUES: dict[str, Any] = {
    "credentialID": ID,
    "userID": ID,
    "requestID": ID,
    "handle": TICKET,
    "SAD": TICKET,
    "hashes": [DIGEST],
    "hashAlgorithmOID": SHA256,
    "hashAlgo": SHA256,
    "signAlgo": ECDSA_SHA256,
    "signAlgoParams": "MDA=",
    "numSignatures": 1,
    "maxResults": 1,
    "pageToken": "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA",
    "nonce": "ff",
    "certificates": "chain",
    "operationMode": "A",
    "validity_period": 60_000,
    "response_uri": "https://portal.example/told",
    "token_type_hint": "access_token",
    "authData": [{"id": "PIN", "value": "x"}],
    "credentialCreationRequest": {"certificatePolicy": "1.2.3", "subjectData": {}},
    "credentialDeletionRequest": {"credentialID": ID, "revoke": True, "revocationReason": 5},
    "requestDetails": {
        "urgency": "urgent",
        "deadline": "2026-11-27T17:00:00+07:00",
        "label": "x",
        "number": "x",
        "symbol": "x",
        "documentName": "x",
        "agencyNames": ["x"],
        "attachments": [{"attachmentID": ID, "hashIndex": 0, "signedAttributes": "MAA="}],
    },
    "claimedTime": "2026-11-26T01:02:03Z",
}
_PICTURE = {"kind": "signature", "image": "eA=="}
APPEARANCES: list[dict[str, Any]] = [
    _PICTURE | {"rect": [1, 2, 3, 4], "page": 1},
    _PICTURE | {"field": "x"},
    _PICTURE | {"between": {"title": "x", "name": "y"}},
    {"kind": "copy", "lines": ["x"]},
]
DOCUMENTS = [{"document": "eA==", "appearance": look} | SIGNATURE for look in APPEARANCES]
CONTAINED = [
    {"document": "eA==", "documentName": "x.txt", "signature_format": "X"}
    | {"signAlgo": ECDSA_SHA256}
]
# Of one member alone, or in one method, another value makes a good request.
FURTHER: dict[str, list[dict[str, Any]]] = {
    "/csc/v1/signatures/timestamp": [{"hash": DIGEST}],
    "/csc/v2/signatures/timestamp": [{"hash": DIGEST}],
    "/csc/v1/auth/login": [{"refresh_token": "x"}],
    "/csc/v2/auth/login": [{"refresh_token": "x"}],
    "/csc/v2/signatures/signDoc": [
        {"documents": DOCUMENTS, "documentDigests": None, "container": None},
        {
            "documents": None,
            "documentDigests": [
                {"hashes": [DIGEST]} | SIGNATURE | {"signed_props": given}
                for given in (NO_PROPERTIES, PROPERTIES)  # which a digest of a PDF does not take
            ],
            "container": None,
        },
        {"documents": CONTAINED, "documentDigests": None, "container": "ASiC-E"},
    ],
}


class Noted(dict[str, Any]):
    """An object that notes which of its members are asked for, by their path."""

    def __init__(self, members: dict[str, Any], seen: set[str], at: str = "") -> None:
        super().__init__({name: noted(value, seen, at + name) for name, value in members.items()})
        self._seen = seen
        self._at = at

    def get(self, name: str, default: Any = None) -> Any:
        self._seen.add(self._at + name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self._seen.add(self._at + name)
        return super().__getitem__(name)


def noted(value: Any, seen: set[str], at: str) -> Any:
    if isinstance(value, list):
        return [noted(each, seen, at) for each in value]
    return Noted(value, seen, f"{at}.") if isinstance(value, dict) else value


def described(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """The paths of all members that a schema names."""
    if "$ref" in schema:
        schema = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for name, inner in schema.get("properties", {}).items():
        yield at + name
        yield from described(inner, f"{at}{name}.")
    if "items" in schema:
        yield from described(schema["items"], at)


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    """A good token, and nothing behind it."""

    class Nothing:
        def apart(self) -> Nothing:
            return self

        def run(self, _statement: object, _values: object) -> int:
            return 1

        def one(self, *_: object) -> None:
            return None

        all = one

    services = Services(
        config=CONFIG,
        database=cast("Any", Nothing()),
        sam=cast("Any", None),
        clock=FixedClock(),
        clients=cast("Any", SimpleNamespace(get=lambda _id: None)),
    )

    def identify(_services: Services, proved: Proved) -> Caller:
        # Of another credential: whatever was read well is refused right after.
        return Caller("credential", "portal", ID, "1" * 26, (), proved)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bearer, "identify", identify)
        made = create_app(CONFIG, services)
        yield made
        made.state.desk.close()


METHODS = [path for path in DESCRIBED["paths"] if path.startswith(("/csc/v1/", "/csc/v2/"))]


@pytest.mark.parametrize("path", [path for path in METHODS if "oauth2" not in path])
def test_a_method_reads_what_is_described(
    app: FastAPI, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = DESCRIBED["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    seen: set[str] = set()
    loads = strict_json.loads_object
    monkeypatch.setattr(strict_json, "loads_object", lambda text: Noted(loads(text), seen))
    full = {name: _value(path, name, inner) for name, inner in schema["properties"].items()}
    for more in FURTHER.get(path, [{}]):
        headers = {"Authorization": f"Bearer s.{TICKET}"}
        body = {name: value for name, value in (full | more).items() if value is not None}
        if "login" in path and "refresh_token" in body:
            headers = {}
        call(app, "POST", path, json=body, headers=headers)
    known = {each for each in described(schema) if each not in LATER}
    asked = {each for each in seen if each not in LATER}
    if path.endswith("/info") and path.count("/") == 3:
        known -= {"lang"}  # one language, whatever is asked for
    assert asked - known == set(), f"read, not described: {WHERE}"
    assert known - asked == set(), "described, not read"


def _value(path: str, name: str, schema: dict[str, Any]) -> Any:
    if name == "hash":
        return [DIGEST] if path.startswith("/csc/v1") else DIGEST
    if name in VALUES:
        return VALUES[name]
    return {"boolean": True, "string": "x", "integer": 1}.get(schema["type"])


def test_the_authorization_server_reads_what_is_described() -> None:
    """By name alone, over all its endpoints: a parameter is read with ``get`` or ``required``."""
    asked = {name for path in Path(oauth.__path__[0]).glob("*.py") for name in _names(path)}
    known = {
        name
        for path, methods in DESCRIBED["paths"].items()
        if "/oauth2/" in path
        for operation in methods.values()
        for name in _parameters(operation)
    }
    headers = {"authorization", "dpop", "content-type", "content-length", "accept", "DPoP"}
    assert known - asked - headers == set(), "described, not read"


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    yield from (each["name"] for each in operation.get("parameters", ()))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from content["schema"]["properties"]
