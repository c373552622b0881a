"""What a phone shows: who asks and for what, within its room, and never shortened silently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.rssp.sim import words
from remote_signing.rssp.sim_client import USUAL_TEXTS, Room
from remote_signing.sam.consent_structure import encode_text
from sim_adapter import display_text as adapter_display
from sim_adapter.display_text import TextLimits

QUESTION, RECEIPT = USUAL_TEXTS.question, USUAL_TEXTS.receipt
PORTAL = "Cổng dịch vụ công Bộ Nội vụ"


def test_one_document_is_named_after_who_asks() -> None:
    assert words.display_text("Bộ Nội vụ", ["12/QĐ-BNV"], "vi", "digest", QUESTION) == (
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
    assert words.display_text("P", labels, lang, "digest", QUESTION) == text


def test_what_is_left_out_is_marked() -> None:
    text = words.display_text(
        PORTAL * 3, ["Quyết định số 12/QĐ-BNV " * 9], "vi", "structure", QUESTION
    )
    assert len(text) == words.LONGEST_TEXT
    assert text.count("…") == 2
    (label,) = words.structure_labels(["x" * 41])
    assert label == "x" * 39 + "…"


@given(st.text(max_size=300), st.lists(st.none() | st.text(max_size=300), min_size=1, max_size=4))
def test_whatever_a_portal_writes_a_sim_can_show_it(client: str, labels: list[str | None]) -> None:
    for mode, room in (("structure", 119), ("text", 92)):
        text = words.display_text(client, labels, "vi", mode, QUESTION)
        assert len(text) <= room
        encode_text(text, "t", 239, room)
    for label in words.structure_labels(labels):
        assert len(label) <= 40
        if label:
            encode_text(label, "l", 40, 40)


def test_a_receipt_says_what_and_when() -> None:
    assert words.receipt_text(["12/QĐ-BNV"], "14:07 05/03/2026", "vi", RECEIPT) == (
        "đã ký 12/QĐ-BNV lúc 14:07 05/03/2026"
    )
    assert words.receipt_text(["a", "b"], "14:07", "vi", RECEIPT) == "đã ký 2 văn bản lúc 14:07"
    assert words.receipt_text(["", ""], "14:07", "en", RECEIPT) == "signed 2 document(s) at 14:07"
    assert words.receipt_text(["a"], "14:07", "en", RECEIPT) == "signed a at 14:07"


LIMITS = [
    TextLimits(),
    TextLimits(prefix="Ky so: "),
    TextLimits(gsm7=160, ucs2=70, prefix="Bộ Nội vụ: "),
    TextLimits(gsm7=239, ucs2=55, prefix="[BNV] "),
]


@given(
    st.sampled_from(LIMITS),
    st.text(max_size=60),
    st.lists(st.none() | st.text(max_size=60), min_size=1, max_size=4),
    st.sampled_from(["vi", "en"]),
)
def test_an_operator_gets_its_own_words_first_and_takes_what_it_has_room_for(
    limits: TextLimits, client: str, labels: list[str | None], lang: str
) -> None:
    room = Room(limits.prefix, limits.room)
    text = words.display_text(client, labels, lang, "structure", room)
    adapter_display.check(text, limits)
    encode_text(text, "t", 239, 119)
    shown = words.structure_labels(labels)
    for told in (shown, shown * 250):
        adapter_display.check(words.receipt_text(told, "14:07 05/03/2026", lang, room), limits)


def test_causes_are_told_in_both_languages_and_an_unknown_one_is_a_suspension() -> None:
    assert words.say("cancelled", "en") != words.say("cancelled", "vi")
    assert words.say("whatever an officer wrote", "vi") == words.say("suspended", "vi")


def test_a_number_is_shown_by_its_end_alone() -> None:
    assert words.masked("84912345678") == "+84 *** *** 678"
