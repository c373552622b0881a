"""Documents on the wire of the client: in pieces, whatever the pieces are."""

from __future__ import annotations

import base64
import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.client.document_wire import Answer, order_body
from remote_signing.client.errors import AnswerUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable

MEGABYTE = 1024 * 1024


def text(*documents: bytes, signatures: Iterable[bytes] = (), info: Any = None) -> bytes:
    members: dict[str, Any] = {
        "DocumentWithSignature": [base64.b64encode(each).decode() for each in documents],
        "SignatureObject": [base64.b64encode(each).decode() for each in signatures],
        "validationInfo": info,
    }
    return json.dumps({name: value for name, value in members.items() if value}).encode()


def fed(answer: Answer, *pieces: bytes) -> Answer:
    for piece in pieces:
        answer.feed(piece)
    return answer


@given(
    st.lists(st.binary(max_size=50), max_size=3),
    st.lists(st.binary(max_size=50), max_size=3),
    st.lists(st.integers(1, 30), min_size=1),
)
def test_an_answer_is_the_same_in_any_pieces(
    documents: list[bytes], signatures: list[bytes], sizes: list[int]
) -> None:
    info = {"ocsp": ["DocumentWithSignature"], "a \\ b": '["'}
    whole = text(*documents, signatures=signatures, info=info)
    with tempfile.TemporaryDirectory() as folder:
        answer = Answer(Path(folder))
        answer.feed(whole[: len(whole) // 2])  # an earlier try, which broke off
        answer.begin()
        place = number = 0
        while place < len(whole):
            size = sizes[number % len(sizes)]
            answer.feed(whole[place : place + size])
            place, number = place + size, number + 1
        found = answer.close()
        assert [path.read_bytes() for path in found[0]] == documents
        assert [path.read_bytes() for path in found[1]] == signatures
        assert found[2] == info
        answer.begin()
        assert list(Path(folder).iterdir()) == []


def test_a_slash_may_be_written_with_a_backslash(tmp_path: Path) -> None:
    answer = Answer(tmp_path)
    answer.feed(b'{"SignatureObject": ["\\/\\/\\/\\/"]}')
    assert answer.close()[1][0].read_bytes() == b"\xff\xff\xff"


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"DocumentWithSignature":["A"]}',
        b'{"DocumentWithSignature":["A?=="]}',
        b'{"DocumentWithSignature":["\\u0041AAA"]}',
        b'{"DocumentWithSignature":["AAAA',
        b'["AAAA"]',
        b"{",
    ],
)
def test_an_answer_that_is_none_is_unusable(tmp_path: Path, wrong: bytes) -> None:
    answer = Answer(tmp_path)
    with pytest.raises(AnswerUnusable):
        fed(answer, wrong).close()
    answer.begin()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_document_may_not_be_long(tmp_path: Path) -> None:
    answer = Answer(tmp_path)
    with pytest.raises(AnswerUnusable, match="too long"):
        fed(answer, b'{"x":"', *[b"A" * MEGABYTE] * 17)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 384 * 1024, 384 * 1024 + 1])
def test_an_order_says_its_length_and_can_be_sent_again(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    path = tmp_path / "a.pdf"
    path.write_bytes(content[:size])
    entries = [({"signature_format": "P"}, path), ({"signature_format": "C"}, path)]
    body = order_body({"credentialID": "c", "label": "quyết định"}, entries)
    for _ in range(2):
        sent = b"".join(body.pieces)
        assert len(sent) == body.length
    members = json.loads(sent)
    assert members["label"] == "quyết định"
    for entry, kind in zip(members["documents"], "PC", strict=True):
        assert entry["signature_format"] == kind
        assert base64.b64decode(entry["document"], validate=True) == content[:size]


def test_a_long_document_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    with path.open("wb") as stream:
        stream.truncate(30 * MEGABYTE)
    answer = Answer(tmp_path)
    tracemalloc.start()
    try:
        length = sum(map(len, order_body({"x": 1}, [({"y": 1}, path)]).pieces))
        answer.feed(b'{"DocumentWithSignature":["')
        for _ in range(40):
            answer.feed(b"A" * MEGABYTE)
        answer.feed(b'"]}')
        ((signed,), _, _) = answer.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > 40 * MEGABYTE
    assert signed.stat().st_size == 30 * MEGABYTE
    assert peak < 8 * MEGABYTE
