"""Forms and queries: one value per name, within bounds, or a clear refusal."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.errors import InvalidInput
from remote_signing.rssp.oauth import form


def test_a_form_is_read() -> None:
    encoded = b"state=m%E1%BB%99t+tr%E1%BA%A1ng&scope=service"
    assert form.parse(encoded) == {"state": "một trạng", "scope": "service"}
    assert form.parse(b"") == {}


def test_a_parameter_without_a_value_counts_as_left_out() -> None:
    assert form.parse(b"scope=&state=1") == {"state": "1"}


@pytest.mark.parametrize(
    "encoded",
    [
        b"a=1&a=2",
        b"a=1&a=1",
        b"a=&a=1",
        b"%61=1&a=2",
        b"a",
        b"a=1&&b=2",
        b"a=%ff",
        b"a=%ED%A0%80",
        b"a=%00",
        b"%00=a",
        "a=ộ".encode(),
        b"x" * 65 + b"=1",
        b"&".join(b"p%d=1" % number for number in range(51)),
    ],
    ids=lambda encoded: encoded[:20].decode("latin-1"),
)
def test_an_odd_form_is_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidInput):
        form.parse(encoded)


@given(st.binary(max_size=40) | st.text("a=&%+01cf;é\0", max_size=40).map(str.encode))
def test_whatever_is_sent_is_either_read_or_refused(encoded: bytes) -> None:
    with suppress(InvalidInput):
        form.parse(encoded)
