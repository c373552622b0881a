from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.rssp.csc.wire import answer, decode, encode


@given(st.binary(max_size=80))
def test_base64_is_read_in_every_spelling_that_clients_send(data: bytes) -> None:
    standard, url = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    for text in (standard, url, standard.rstrip("="), url.rstrip("=")):
        assert decode(text) == data
    assert encode(data) == standard


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA=", "AAA==", "AAAA=", "====", "A===", "AA A", "AA\n", "é", "AA=A", "%"],
)
def test_other_text_is_not_base64(text: str) -> None:
    assert decode(text) is None


def test_answers_are_compact_json_in_utf_8() -> None:
    response = answer({"description": "Chữ ký"}, 202, {"Retry-After": "1"})
    assert bytes(response.body) == '{"description":"Chữ ký"}'.encode()
    assert response.status_code == 202
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Retry-After"] == "1"
