"""The answer with signed documents in it, in pieces: 100 MB are never in memory as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from remote_signing.rssp.csc.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from remote_signing.rssp.documents.model import Material

    Base64: TypeAlias = Iterable[bytes]
    Info: TypeAlias = Mapping[str, Sequence[str]]

ENVELOPED = "DocumentWithSignature"
APART = "SignatureObject"


def validation_info(material: Material) -> dict[str, list[str]]:
    """``validationInfo``."""
    return {
        "ocsp": [encode(each) for each in material.ocsp],
        "crl": [encode(each) for each in material.crls],
        "certificates": [encode(each) for each in material.certificates],
    }


def text(results: Mapping[str, Sequence[Base64]], info: Info | None) -> Iterator[bytes]:
    """The JSON: each member with its values, if it has any, and ``validationInfo``."""
    before = b"{"
    for name, values in results.items():
        if values:
            yield before + b'"%s":[' % name.encode("ascii")
            yield from _array(values)
            before = b","
    if info is not None:
        yield before + b'"validationInfo":' + json.dumps(info, separators=(",", ":")).encode()
    yield b"}"


def _array(values: Sequence[Base64]) -> Iterator[bytes]:
    for number, value in enumerate(values):
        yield b',"' if number else b'"'
        yield from value
        yield b'"'
    yield b"]"
