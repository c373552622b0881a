"""``container``, our own member of ``signDoc``: all documents of a call in one ASiC-E container.

They have one signature, so their entries say the same of it and differ in the document and its
``documentName`` alone (docs/sign-doc.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from remote_signing.rssp.csc.errors import invalid
from remote_signing.rssp.documents import asic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from remote_signing.rssp.csc.v2.document_order import Entry
    from remote_signing.rssp.csc.v2.parameters import Parameters

_KINDS = {None, "ASiC-E"}


def wanted(parameters: Parameters, documents: Sequence[Parameters]) -> bool:
    """Whether the call asks for one; digests have no documents to put into it."""
    value = parameters.optional_text("container")
    if value not in _KINDS or (value is not None and not documents):
        raise invalid("container")
    return value is not None


def names(documents: Sequence[Parameters]) -> tuple[str, ...]:
    """Of the files in the container."""
    found = tuple(each.text("documentName") for each in documents)
    if not asic.fit_names(found):
        raise invalid("documentName")
    return found


def together(entries: Sequence[Entry], given: tuple[str, ...], folder: Path) -> Entry:
    """One entry for all of them, their files in the new ``folder``."""
    first = replace(entries[0], path=folder, names=given)
    if any(replace(each, path=folder, names=given) != first for each in entries):
        raise invalid("container")
    folder.mkdir()
    for number, each in enumerate(entries):
        cast("Path", each.path).rename(folder / str(number))
    return first
