"""What a phone shows: who asks and for what, within its room, and never shortened silently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.rssp.sim import words
from remote_signing.sam.consent_structure import encode_text

PORTAL = "Cổng dịch vụ công Bộ Nội vụ"


def test_one_document_is_named_after_who_asks() -> None:
    assert words.display_text("Bộ Nội vụ", ["12/QĐ-BNV"], "vi", "digest") == (
        "Bộ Nội vụ: ký 12/QĐ-BNV"
    )


@pytest.mark.parametrize(
    ("labels", "lang", "text"),
    [
        (["a", "b"], "vi", "P: ký 2 văn bản: a"),
        ([None, "b"], "en", "P: sign 2 documents: b"),
        ([None], "vi", "P: ký 1 văn bản"),
        ([None, None], "vi", "P: ký 2 văn bản"),
    ],
)
def test_several_documents_are_counted(labels: list[str | None], lang: str, text: str) -> None:
    assert words.display_text("P", labels, lang, "digest") == text


def test_what_is_left_out_is_marked() -> None:
    text = words.display_text(PORTAL * 3, ["Quyết định số 12/QĐ-BNV " * 9], "vi", "structure")
    assert len(text) == words.LONGEST_TEXT
    assert text.count("…") == 2
    (label,) = words.structure_labels(["x" * 41])
    assert label == "x" * 39 + "…"


@given(st.text(max_size=300), st.lists(st.none() | st.text(max_size=300), min_size=1, max_size=4))
def test_whatever_a_portal_writes_a_sim_can_show_it(client: str, labels: list[str | None]) -> None:
    for mode, room in (("structure", 119), ("text", 92)):
        text = words.display_text(client, labels, "vi", mode)
        assert len(text) <= room
        encode_text(text, "t", 239, room)
    for label in words.structure_labels(labels):
        assert len(label) <= 40
        if label:
            encode_text(label, "l", 40, 40)


def test_a_receipt_says_what_and_when() -> None:
    assert words.receipt_text(["12/QĐ-BNV"], "14:07 05/03/2026", "vi") == (
        "đã ký 12/QĐ-BNV lúc 14:07 05/03/2026"
    )
    assert words.receipt_text(["a", "b"], "14:07", "vi") == "đã ký 2 văn bản lúc 14:07"
    assert words.receipt_text(["", ""], "14:07", "en") == "signed 2 document(s) at 14:07"
    assert words.receipt_text(["a"], "14:07", "en") == "signed a at 14:07"


def test_causes_are_told_in_both_languages_and_an_unknown_one_is_a_suspension() -> None:
    assert words.say("cancelled", "en") != words.say("cancelled", "vi")
    assert words.say("whatever an officer wrote", "vi") == words.say("suspended", "vi")


def test_a_number_is_shown_by_its_end_alone() -> None:
    assert words.masked("84912345678") == "+84 *** *** 678"
