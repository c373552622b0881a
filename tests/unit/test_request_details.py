from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.rssp import request_details
from remote_signing.rssp.activation_refuse import codes
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2 import request_details as reader
from remote_signing.rssp.csc.v2.parameters import Parameters
from remote_signing.rssp.request_details import RequestDetails, Urgency

FULL: dict[str, Any] = {
    "urgency": "express",
    "deadline": "2026-11-27T17:00:00+07:00",
    "label": "Trình ký lần 2",
    "number": "1234",
    "symbol": "QĐ-BNV",
    "documentName": "Quyết định về việc bổ nhiệm",
    "agencyNames": ["Bộ Nội vụ", "Văn phòng Bộ"],
}
DETAILS = RequestDetails(
    urgency=Urgency.EXPRESS,
    deadline_ms=1795773600000,
    label="Trình ký lần 2",
    number="1234",
    symbol="QĐ-BNV",
    document_name="Quyết định về việc bổ nhiệm",
    agency_names=("Bộ Nội vụ", "Văn phòng Bộ"),
)


def read(value: Any) -> RequestDetails | None:
    return reader.read(Parameters({"requestDetails": value}))


def test_every_member_is_read_and_every_one_may_be_left_out() -> None:
    assert read(FULL) == DETAILS
    assert reader.read(Parameters({})) is None
    assert read(None) is None
    assert read({}) == read(dict.fromkeys(FULL)) == RequestDetails()
    for name in FULL:
        rest = {key: value for key, value in FULL.items() if key != name}
        assert read(rest) is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "Missing (or invalid type) object parameter requestDetails"),
        ({"colour": "red"}, "Invalid parameter requestDetails"),
        ({"urgency": "now"}, "Invalid parameter requestDetails.urgency"),
        ({"urgency": 3}, "Invalid parameter requestDetails.urgency"),
        ({"urgency": []}, "Invalid parameter requestDetails.urgency"),
        ({"label": 7}, "Missing (or invalid type) string parameter requestDetails.label"),
        ({"label": ""}, "Invalid parameter requestDetails.label"),
        ({"label": "  "}, "Invalid parameter requestDetails.label"),
        ({"label": "x" * 61}, "Invalid parameter requestDetails.label"),
        ({"number": "1" * 21}, "Invalid parameter requestDetails.number"),
        ({"symbol": "x" * 41}, "Invalid parameter requestDetails.symbol"),
        ({"documentName": "x" * 301}, "Invalid parameter requestDetails.documentName"),
        (
            {"agencyNames": "x"},
            "Missing (or invalid type) array parameter requestDetails.agencyNames",
        ),
        ({"agencyNames": ["x"] * 6}, "Invalid parameter requestDetails.agencyNames"),
        ({"agencyNames": [None]}, "Invalid parameter requestDetails.agencyNames"),
        ({"agencyNames": ["x" * 151]}, "Invalid parameter requestDetails.agencyNames"),
        ({"deadline": 1}, "Missing (or invalid type) string parameter requestDetails.deadline"),
    ],
)
def test_what_is_wrong_is_said_by_the_members_name(value: Any, text: str) -> None:
    with pytest.raises(CscError) as caught:
        read(value)
    assert caught.value.description == text


@pytest.mark.parametrize(
    "text",
    [
        "\u202egnp.tnemucod",  # turns the writing direction
        "a\u2066b",
        "dòng một\ndòng hai",
        "a\u200bb",
        "a\u3164b",  # a filler: a letter by its category, and nothing to see
        "a\u2800b",
        "a\0b",
        "\ue000",
    ],
)
@pytest.mark.parametrize("name", ["label", "number", "symbol", "documentName", "agencyNames"])
def test_a_hostile_text_is_refused_in_every_member(name: str, text: str) -> None:
    with pytest.raises(CscError):
        read({name: [text] if name == "agencyNames" else text})


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-27", "2026-11-27T17:00:00", "27/11/2026 17:00", "2026-11-27 17:00:00Z"),
        *("2026-13-01T00:00:00Z", "2026-11-27T25:00:00Z", "2026-11-27T17:00:00+99:00", "now"),
        *("2026-11-27T17:00:00.1234567Z", "\uff12026-11-27T17:00:00Z"),
    ],
)
def test_a_deadline_is_rfc_3339_with_an_offset(text: str) -> None:
    with pytest.raises(CscError) as caught:
        read({"deadline": text})
    assert caught.value.description == "Invalid parameter requestDetails.deadline"


@pytest.mark.parametrize("text", ["2026-11-27T10:00:00Z", "2026-11-27t10:00:00.000z"])
def test_a_deadline_may_be_written_in_any_zone(text: str) -> None:
    assert read({"deadline": text}) == RequestDetails(deadline_ms=DETAILS.deadline_ms)


def test_details_survive_being_stored() -> None:
    for details in (DETAILS, RequestDetails()):
        assert request_details.from_members(details.members()) == details
    assert request_details.from_members(None) is None


_TEXT = st.text("aB:đ ", min_size=1, max_size=6)
_SOME = st.none() | _TEXT
_DETAILS = st.builds(
    RequestDetails,
    urgency=st.sampled_from(Urgency),
    deadline_ms=st.none() | st.integers(0, 10**12),
    label=_SOME,
    number=_SOME,
    symbol=_SOME,
    document_name=_SOME,
    agency_names=st.lists(_TEXT, max_size=2).map(tuple),
)


@given(_DETAILS, _DETAILS)
def test_other_details_are_other_lines_for_the_challenge(
    one: RequestDetails, other: RequestDetails
) -> None:
    assert (one == other) == (request_details.lines(one) == request_details.lines(other))


def test_no_details_bind_no_line_so_that_older_requests_stay_as_they_were() -> None:
    assert request_details.lines(None) == []


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        *(("quyet dinh", True), ("QUYẾT ĐỊNH", True), ("Quyết  định", True), ("dinh ve", True)),
        *(("1234/qđ", True), ("nội vụ", True), ("bo nhiem x", False), ("%", False), ("_", False)),
    ],
)
def test_a_search_needs_no_accents_and_knows_no_wildcards(typed: str, *, found: bool) -> None:
    text = request_details.searchable([*DETAILS.texts, DETAILS.reference])
    assert (request_details.folded(typed) in text) is found


def test_what_is_searched_has_an_end() -> None:
    assert len(request_details.searchable(["x" * 3000, None, "y" * 3000])) == 4000


def test_a_reference_is_number_and_symbol_as_they_are_written() -> None:
    assert DETAILS.reference == "1234/QĐ-BNV"
    assert replace(DETAILS, symbol=None).reference == "1234"
    assert RequestDetails().reference == ""


@given(st.binary(min_size=1, max_size=40), st.integers(0, 9999).map("{:04d}".format))
def test_three_codes_to_pick_from_are_the_same_at_each_look(challenge: bytes, right: str) -> None:
    offered = codes(challenge, right)
    assert offered == codes(challenge, right)
    assert len(set(offered)) == 3
    assert right in offered
    assert list(offered) == sorted(offered)
    for other in set(offered) - {right}:
        assert len(other) == 4
        assert sum(a != b for a, b in zip(other, right, strict=True)) >= 2


def test_the_right_code_is_at_each_place_as_often() -> None:
    places = [0, 0, 0]
    for number in range(3000):
        challenge = number.to_bytes(4)
        right = f"{number * 7919 % 10_000:04d}"
        places[codes(challenge, right).index(right)] += 1
    assert min(places) > 880
