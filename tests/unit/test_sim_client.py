"""What the adapter may answer, and what the rssp takes of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from remote_signing.errors import SimAdapterAway, SimBusy, SimRequestRefused
from remote_signing.rssp.config_sim import SimConfig
from remote_signing.rssp.sim_client import USUAL_TEXTS, Room, SimAdapter, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOLD = {"state": "SENT", "version": 2, "outcome": None, "signature": None}
PROFILE = {
    "operator": "test",
    "outcome": {"code": 100, "name": "REQUEST_OK", "cause": ""},
    "iccid": "89840",
    "certificates": [{"chain": [base64.b64encode(b"leaf").decode()]}, {"chain": []}],
    "network": {"mcc": "452", "mnc": "04", "name": None},
}


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[[int, Any], SimAdapter]:
    (tmp_path / "bearer").write_text("a secret\n", "utf-8")
    config = SimConfig("http://127.0.0.1:9", tmp_path / "bearer", "Bộ Nội vụ")

    def answering(status: int, content: Any) -> SimAdapter:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.headers["authorization"] == "Bearer a secret"
            if isinstance(content, bytes):
                return httpx.Response(status, content=content)
            return httpx.Response(status, json=content)

        return SimAdapter(config, httpx.MockTransport(answer))

    return answering


def test_how_a_question_stands_is_read(adapter: Callable[[int, Any], SimAdapter]) -> None:
    assert adapter(200, TOLD).read("x").state == "SENT"
    signature = {"format": "cms", "value": "AQ==", "certificate": None}
    outcome = {"code": 500, "name": "SIGNATURE", "cause": "c" * 1000}
    told = adapter(200, TOLD | {"signature": signature, "outcome": outcome}).read("x")
    assert told.signature == ("cms", b"\1")
    assert told.outcome is not None
    assert len(told.outcome.cause) == 300


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"state":"SENT","state":"SIGNED"}',
        b" " * 300_000,
        {},
        TOLD | {"state": 1},
        TOLD | {"version": "x"},
        TOLD | {"outcome": []},
        TOLD | {"signature": "AQ=="},
        TOLD | {"signature": {"format": "cms", "value": "*"}},
    ],
)
def test_an_answer_of_another_shape_is_no_answer(
    adapter: Callable[[int, Any], SimAdapter], content: Any
) -> None:
    with pytest.raises(SimAdapterAway):
        adapter(200, content).read("x")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "sim_busy", SimBusy),
        (409, "over", SimRequestRefused),
        (422, "text_too_long", SimRequestRefused),
        (401, "unauthorized", SimRequestRefused),
        (502, "operator_unreachable", SimAdapterAway),
        (503, "temporarily_unavailable", SimAdapterAway),
    ],
)
def test_refusals_are_told_apart_from_outages(
    adapter: Callable[[int, Any], SimAdapter], status: int, code: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        adapter(status, {"code": code}).cancel("x")


def test_a_profile_without_a_network_or_a_known_number(
    adapter: Callable[[int, Any], SimAdapter],
) -> None:
    found = adapter(200, PROFILE).profile("84900000000", None)
    assert (found.network, found.leaves, found.is_known) == ("452/04", (b"leaf",), True)
    network = {"mcc": None, "mnc": None, "name": None}
    gone = {"code": 105, "name": "UNKNOWN_CLIENT", "cause": "x"}
    found = adapter(200, PROFILE | {"network": network, "outcome": gone}).profile("84", "test")
    assert (found.network, found.is_known) == (None, False)
    with pytest.raises(SimAdapterAway):
        adapter(200, PROFILE | {"certificates": [{"chain": [None]}]}).profile("84", "test")


def test_what_phones_can_show_is_asked_once_and_the_usual_until_it_is_told(
    tmp_path: Path, adapter: Any
) -> None:
    (tmp_path / "bearer").write_text("a secret", "utf-8")
    told = {
        "name": "a/b",
        "display_text": {"prefix": "Ky so: ", "room": 112},
        "receipt": {"prefix": "Ky so: ", "room": 63},
    }
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200 if len(asked) > 1 else 503, json=told)

    config = SimConfig("http://127.0.0.1:9", tmp_path / "bearer", "Bộ Nội vụ")
    sims = SimAdapter(config, httpx.MockTransport(answer))
    assert sims.texts("a/b") == USUAL_TEXTS
    for _ in range(2):
        assert sims.texts("a/b") == Texts(Room("Ky so: ", 112), Room("Ky so: ", 63))
    assert asked == ["/v1/operators/a%2Fb"] * 2
    assert adapter(422, {"code": "operator_unknown"}).texts("nobody") == USUAL_TEXTS
    assert adapter(200, told | {"receipt": {"room": 63}}).texts("test") == USUAL_TEXTS


def test_readiness_is_asked_and_an_outage_is_no(tmp_path: Path, adapter: Any) -> None:
    assert adapter(200, {}).is_ready()
    assert not adapter(503, {}).is_ready()

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    config = SimConfig("http://127.0.0.1:1", tmp_path / "bearer", "Bộ Nội vụ")
    away = SimAdapter(config, httpx.MockTransport(refuse))
    assert not away.is_ready()
    with pytest.raises(SimAdapterAway):
        away.read("x")
    away.close()
