"""Lengths that end with the octet 0x80 are definite ones, and cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms, core

from remote_signing.rssp.documents import asn1_lengths

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def mended() -> None:
    asn1_lengths.mend()
    asn1_lengths.mend()  # once more is the same


@pytest.mark.parametrize("header", ["30820180", "308180", "a08201843082" + "0180", "7f81018180"])
def test_a_definite_length_that_ends_so_is_none_of_indefinite_length(header: str) -> None:
    assert not asn1_lengths.is_indefinite(bytes.fromhex(header))


@pytest.mark.parametrize("header", ["3080", "a0803080", "7f810180"])
def test_an_indefinite_length_is_one(header: str) -> None:
    assert asn1_lengths.is_indefinite(bytes.fromhex(header))


def nested(length: int) -> bytes:
    """A CMS object of data whose content makes its outermost length just that."""
    for size in range(length):
        made = cms.ContentInfo(
            {"content_type": "data", "content": core.OctetString(b"x" * size)}
        ).dump()
        if made[-1:] == b"x" and len(made) - 4 == length and made[:2] == b"\x30\x82":
            return bytes(made)
    raise AssertionError(length)


def test_what_has_such_a_length_is_not_encoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = nested(0x180)
    message = cms.ContentInfo.load(encoded)
    assert message["content"].native.strip(b"x") == b""
    calls: list[Any] = []
    former: Callable[..., None] = core.Sequence._set_contents  # noqa: SLF001 - whether it is called is the point

    def counted(value: Any, *given: Any, **named: Any) -> None:
        calls.append(value)
        former(value, *given, **named)

    monkeypatch.setattr(core.Sequence, "_set_contents", counted)
    assert encoded[:4] == b"\x30\x82\x01\x80"
    assert message.dump() == encoded
    assert calls == []


def test_indefinite_lengths_still_become_definite() -> None:
    kind, content = "06092a864886f70d010701", "a0800403616263"
    message = cms.ContentInfo.load(bytes.fromhex(f"3080{kind}{content}00000000"))
    assert message["content"].native == b"abc"
    assert message.dump().hex() == f"3012{kind}a0050403616263"
