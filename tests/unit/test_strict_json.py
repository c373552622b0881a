import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing import strict_json
from remote_signing.errors import InvalidInput

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: len(str(number)) <= 32)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            children,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b"NaN",
        b"-Infinity",
        b"[1e999]",
        b"1e" + b"0" * 40,
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\u0000"',
        b'"\x00"',
        b'{"\\u0000":1}',
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        b"[" * 100_000,
        b"[" * 18 + b"]" * 18,
        b"\xff",
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"",
        b"{} {}",
        b"{'a':1}",
        b"[1,]",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        strict_json.loads(text)


def test_escaped_surrogate_pair_and_backslash_before_u_are_fine() -> None:
    assert strict_json.loads(b'["\\ud83d\\ude00", "\\\\u0000"]') == ["\U0001f600", "\\u0000"]


def test_nesting_to_the_limit_is_accepted() -> None:
    depth = strict_json.MAX_DEPTH
    assert strict_json.loads(b"[" * depth + b"]" * depth) is not None


def test_object_is_demanded_where_one_is_needed() -> None:
    assert strict_json.loads_object(b'{"a": 1.5}') == {"a": 1.5}
    with pytest.raises(InvalidInput):
        strict_json.loads_object(b"[]")


@given(values)
def test_every_ordinary_value_comes_back(value: object) -> None:
    assert strict_json.loads(json.dumps([value]).encode()) == [value]


@given(values)
def test_canonical_form_does_not_depend_on_spelling(value: object) -> None:
    spelled = json.dumps(value, indent=1, ensure_ascii=True)
    assert strict_json.canonical(json.loads(spelled)) == strict_json.canonical(value)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        strict_json.loads(data)
    except InvalidInput:
        return
    json.loads(data)
