"""The reference at ``/docs`` and the collections: made from the document, safe, and complete."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from remote_signing import cli
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.openapi import reference, routes
from remote_signing.rssp.openapi.collection import SECRET, requests, variables
from remote_signing.rssp.openapi.document import document
from tests.support.asgi import call
from tests.support.world import PASSWORD, configuration

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = configuration("sqlite:///nowhere", csc={"login_client": "direct"})
DESCRIBED = document(CONFIG)
OPERATIONS = [each for methods in DESCRIBED["paths"].values() for each in methods.values()]
TICKET = re.compile(r"[0-9a-z]{26}\.[A-Za-z0-9_-]{43}")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    made = FastAPI(openapi_url=None)
    made.state.services = SimpleNamespace(config=CONFIG)
    made.include_router(routes.router)
    middleware.install(made)
    return made


def test_the_document_is_served_as_it_is(app: FastAPI) -> None:
    answer = call(app, "GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/openapi+json"
    assert answer.json() == json.loads(json.dumps(DESCRIBED))
    assert answer.json()["servers"] == [{"url": CONFIG.urls.issuer}]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_overview_leads_to_every_operation(app: FastAPI, lang: str) -> None:
    page = call(app, "GET", f"/docs?lang={lang}").text
    assert f'<html lang="{lang}">' in page
    links = set(re.findall(r'href="/docs/(\w+)\?lang=(\w\w)"', page))
    assert links == {(each["operationId"], lang) for each in OPERATIONS}


def test_every_operation_has_a_page() -> None:
    for each in OPERATIONS:
        page = reference.operation(CONFIG, each["operationId"], "vi")
        assert page is not None
        assert f"<h1><code>{call_of(each)}" in page


def call_of(operation: dict[str, Any]) -> str:
    return str(operation["operationId"].partition("_")[0].upper())


def test_a_page_runs_and_loads_nothing_from_elsewhere(app: FastAPI) -> None:
    for path in ("/docs", "/docs/post_csc_v2_signatures_signHash"):
        answer = call(app, "GET", path)
        assert "default-src 'none'; style-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script|<form|<img|\son\w+=|style=", answer.text)
        assert re.findall(r'(?:src|href)="(?:https?:)?//', answer.text) == []
    style = call(app, "GET", "/docs.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text


def test_an_operation_shows_members_answers_and_examples(app: FastAPI) -> None:
    page = call(app, "GET", "/docs/post_csc_v2_signatures_signHash?lang=en").text
    for text in ("Ký giá trị băm", "Sign hashes", "hashes", "required", "Invalid parameter SAD"):
        assert text in page
    assert "One of the credential&#39;s <code>key.algo</code>." in page
    nested = call(app, "GET", "/docs/post_csc_v2_signatures_signDoc").text
    assert "documents[].appearance.between.title" in nested
    stamp = call(app, "GET", "/docs/post_tsa").text
    assert "bytes, base64" in stamp


def test_what_is_not_there_is_not_found(app: FastAPI) -> None:
    answer = call(app, "GET", "/docs/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert call(app, "GET", "/docs?lang=fr").text.count('<html lang="vi">') == 1


def test_collections_have_a_request_for_every_operation_and_nobodys_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rssp.toml").write_text(RSSP, encoding="utf-8")
    texts = []
    for name in ("document", "postman"):
        assert cli.main(["--config", str(tmp_path), "openapi", name]) == 0
        texts.append(capsys.readouterr().out)
    assert json.loads(texts[0])["openapi"] == "3.1.1"
    collection = json.loads(texts[1])
    folder = tmp_path / "bruno"
    assert cli.main(["--config", str(tmp_path), "openapi", "bruno", str(folder)]) == 0
    assert cli.main(["--config", str(tmp_path), "openapi", "bruno", str(folder)]) == 2
    found = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.bru")}
    asked = [item for tag in collection["item"] for item in tag["item"]]
    assert len(found) == len(asked) + 1  # the environment
    described = json.loads(texts[0])["paths"]
    made = {(item["request"]["method"].lower(), path_of(item["request"])) for item in asked}
    assert made == {(method, path) for path, methods in described.items() for method in methods}
    for text in (texts[1], *found.values()):
        assert TICKET.search(text) is None
        assert PASSWORD not in text


def path_of(request: dict[str, Any]) -> str:
    path: str = request["url"]["raw"].removeprefix("{{base_url}}").partition("?")[0]
    return path.replace("{{", "{").replace("}}", "}")


def test_every_variable_of_a_collection_is_declared_and_has_no_value() -> None:
    names = variables(DESCRIBED)
    assert {"access_token", "session", "client_id", "sad", "pin", "otp"} <= set(names)
    assert set(names) >= SECRET - {"client_assertion"}
    bodies = [json.dumps(one.body) for one in requests(DESCRIBED)]
    used = {name for body in bodies for name in re.findall(r"\{\{(\w+)\}\}", body)}
    assert used <= set(names)


RSSP = """
[service]
name = "Ký số từ xa"
logo = "https://rssp.example/logo.png"
region = "VN"
description = "Test"
[urls]
issuer = "https://rssp.example"
consent = "https://consent.example"
[database]
url = "sqlite:///nowhere.db"
[sam]
socket = "sap.sock"
"""
