"""Mends how asn1crypto 1.5 reads lengths before it encodes.

A header whose last octet is 0x80 it takes for one of indefinite length (X.690 cl. 8.1.3.6), also
where that octet ends a definite length, as in ``30 82 01 80``. Then it encodes everything below
anew, at a cost that is exponential in the depth: one signature in 256 would take minutes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from asn1crypto import core

if TYPE_CHECKING:
    from collections.abc import Callable

_INDEFINITE, _MORE = 0x80, 0x1F
_MENDED = "_lengths_are_mended"


def mend() -> None:
    """Have this process read lengths right. Once more is the same as once."""
    if hasattr(core, _MENDED):
        return
    setattr(core, _MENDED, True)
    for kind in vars(core).values():
        if isinstance(kind, type) and issubclass(kind, core.Asn1Value) and "dump" in vars(kind):
            setattr(kind, "dump", _mended(vars(kind)["dump"]))  # noqa: B010 - it has no type


def is_indefinite(header: bytes) -> bool:
    """Whether the last length of ``header`` (identifiers and lengths, one in the other) is."""
    at, length = 0, 0
    while at < len(header):
        if header[at] & _MORE == _MORE:  # an identifier of several octets
            at += 1
            while header[at] & 0x80:
                at += 1
        length = header[at + 1]
        at += 2 + (length & 0x7F if length & 0x80 else 0)
    return length == _INDEFINITE


def _mended(dump: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(dump)
    def encoded(value: Any, force: bool = False) -> bytes:  # noqa: ANN401, FBT001, FBT002 - as what it stands for
        header = value._header  # noqa: SLF001 - the library has no other place for it
        if header is not None and header[-1:] == b"\x80" and not is_indefinite(header):
            value._header = None  # noqa: SLF001 - it is written again from the content
        return dump(value, force)

    return encoded
