"""What somebody typed and could not be sent: the page that says so keeps it, all but secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPED = ("text", "username", "name")
_UNSEEN = ("kind", "reason", "next", "made")  # what was chosen, or made by the browser
_SECRET = ("password", "pin", "otp")


@dataclass(frozen=True, slots=True)
class Kept:
    """A form to be sent again to ``path``: texts are shown, ``secrets`` are asked for anew."""

    path: str
    texts: dict[str, str]
    unseen: dict[str, str]
    secrets: tuple[str, ...]


def kept(path: str, sent: Mapping[str, str]) -> Kept | None:
    """The form that was ``sent`` to ``path``; None when nothing in it was written by hand."""
    texts = {name: sent[name] for name in TYPED if sent.get(name)}
    if not texts:
        return None
    unseen = {name: sent[name] for name in _UNSEEN if sent.get(name)}
    return Kept(path, texts, unseen, tuple(name for name in _SECRET if name in sent))
