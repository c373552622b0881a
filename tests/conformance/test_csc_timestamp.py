"""``signatures/timestamp`` of both versions, by the standard's table of errors."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from asn1crypto import tsp

from remote_signing.clock import FixedClock
from remote_signing.rssp import bearer
from remote_signing.rssp.app import create_app
from remote_signing.rssp.bearer import Caller, Proved
from remote_signing.rssp.deps import Services
from tests.support.asgi import call
from tests.support.examples import example
from tests.support.foreign_timestamps import Foreign
from tests.support.world import configuration

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

SHA256, SHA1 = "2.16.840.1.101.3.4.2.1", "1.3.14.3.2.26"
DIGEST = hashlib.sha256(b"van ban").digest()
TICKET = f"{'0' * 26}.{'x' * 43}"
HASH = base64.b64encode(DIGEST).decode()


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """A good token, and a time-stamping authority in software for a SAM; no database."""
    services = Services(
        config=configuration("sqlite:///nowhere"),
        database=cast("Any", _Nothing()),
        sam=cast("Any", _Sam()),
        clock=FixedClock(),
        clients=cast("Any", None),
    )

    def identify(_services: Services, proved: Proved) -> Caller:
        return Caller("service", "portal", None, None, ("*",), proved)

    monkeypatch.setattr(bearer, "identify", identify)
    return create_app(services.config, services)


class _Nothing:
    """A database that keeps nothing but the record of refusals."""

    def apart(self) -> _Nothing:
        return self

    def run(self, _statement: object, _values: object) -> int:
        return 1


class _Sam(Foreign):
    """Asked for a time stamp as the SAM is."""

    timestamp = Foreign.stamp


def post(app: FastAPI, version: str, **body: object) -> httpx.Response:
    members = {"hash": HASH, "hashAlgo": SHA256, **body}
    return call(
        app,
        "POST",
        f"/csc/{version}/signatures/timestamp",
        json={name: value for name, value in members.items() if value is not None},
        headers={"Authorization": f"Bearer {TICKET}"},
    )


def test_the_answer_is_a_token_over_the_hash_with_the_nonce(app: FastAPI, version: str) -> None:
    answer = post(app, version, nonce="00fF", clientData="x")
    example("over a digest", answer)
    assert answer.status_code == 200
    assert list(answer.json()) == ["timestamp"]
    token = tsp.ContentInfo.load(base64.b64decode(answer.json()["timestamp"]))
    info = token["content"]["encap_content_info"]["content"].parsed
    assert info["message_imprint"]["hashed_message"].native == DIGEST
    assert info["nonce"].native == 255


TABLE = json.loads(
    (Path(__file__).parents[1] / "data" / "csc" / "csc_errors.json").read_text("utf-8")
)
ROWS: list[tuple[dict[str, Any], str]] = [
    ({"hash": None}, "Missing (or invalid type) string parameter hash"),
    ({"hash": 7}, "Missing (or invalid type) string parameter hash"),
    ({"hash": ""}, "Empty hash parameter"),
    ({"hash": "*"}, "Invalid Base64 hash string parameter"),
    ({"hash": "AAAA"}, "Invalid digest value length"),
    ({"hashAlgo": None}, "Missing (or invalid type) string parameter hashAlgo"),
    ({"hashAlgo": SHA1}, "Invalid parameter hashAlgo"),
    ({"nonce": "xyz"}, "Invalid parameter nonce"),
    ({"nonce": "f" * 65}, "Invalid parameter nonce"),
]


def test_no_row_of_the_table_is_left_out(app: FastAPI, version: str) -> None:
    (case, status, error, text), *rows = TABLE["cases"][version]["signatures/timestamp"]
    path = f"/csc/{version}/signatures/timestamp"
    answer = example(case, call(app, "POST", path, json={}, headers={"Authorization": "Basic x"}))
    assert answer.status_code == status
    assert answer.json() == {"error": error, "error_description": text}
    assert {text for _, _, _, text in rows} <= {text for _, text in ROWS}


@pytest.mark.parametrize(("body", "text"), ROWS, ids=range(9))
def test_every_row_of_the_table(
    app: FastAPI, version: str, body: dict[str, Any], text: str
) -> None:
    answer = post(app, version, **body)
    example(text, answer)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert answer.json()["error_description"] == text


def test_info_names_the_method(app: FastAPI, version: str) -> None:
    answer = call(app, "POST", f"/csc/{version}/info", json={})
    assert "signatures/timestamp" in answer.json()["methods"]
