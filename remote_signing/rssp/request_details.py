"""What a portal may say of a request beside its hashes, and how the signer searches for it.

The member ``requestDetails`` of ``credentials/authorize`` is ours (docs/csc-divergences.md); a
client may leave it, and every member in it, out. What is said here is shown to the signer, so all
of it is bound by the SAM's challenge (:func:`lines`) and must be showable.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from remote_signing.clock import as_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remote_signing.strict_json import JsonValue

LONGEST_DEADLINE_MS: Final = 366 * 86_400_000
MOST_AGENCIES: Final = 5
LONGEST: Final = {
    "label": 60,
    "number": 20,
    "symbol": 40,
    "document_name": 300,
    "agency_name": 150,
}
"""Characters. Decree 30/2020/ND-CP: number, symbol, name of the document, who issues it."""
LONGEST_SEARCH: Final = 80
_LONGEST_SEARCHED = 4000


class Urgency(IntEnum):
    """The degrees of Decree 30/2020/ND-CP art. 8(8): none, khẩn, thượng khẩn, hỏa tốc."""

    NORMAL = 0
    URGENT = 1
    VERY_URGENT = 2
    EXPRESS = 3

    @property
    def wire(self) -> str:
        """As JSON has it."""
        return _WIRE[self]

    @classmethod
    def from_wire(cls, name: object) -> Urgency | None:
        """The degree called ``name``; None for anything else."""
        return next((urgency for urgency, known in _WIRE.items() if known == name), None)


_WIRE = {
    Urgency.NORMAL: "normal",
    Urgency.URGENT: "urgent",
    Urgency.VERY_URGENT: "veryUrgent",
    Urgency.EXPRESS: "express",
}


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """``number`` and ``symbol`` are written together, as 123/QĐ-BNV. ``deadline_ms``: epoch."""

    urgency: Urgency = Urgency.NORMAL
    deadline_ms: int | None = None
    label: str | None = None
    number: str | None = None
    symbol: str | None = None
    document_name: str | None = None
    agency_names: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """Every text in it that a signer reads."""
        named = (self.label, self.number, self.symbol, self.document_name)
        return [text for text in (*named, *self.agency_names) if text is not None]

    @property
    def reference(self) -> str:
        """Number and symbol as they are written: 123/QĐ-BNV; empty without both."""
        return "/".join(filter(None, (self.number, self.symbol)))

    def members(self) -> dict[str, JsonValue]:
        """As it is stored and as the consent API tells it; what was left out is null."""
        return {
            "urgency": self.urgency.wire,
            "deadline_ms": self.deadline_ms,
            "label": self.label,
            "number": self.number,
            "symbol": self.symbol,
            "document_name": self.document_name,
            "agency_names": list(self.agency_names),
        }


def from_members(members: Mapping[str, Any] | None) -> RequestDetails | None:
    """The details of :meth:`RequestDetails.members`; None where none were given."""
    if members is None:
        return None
    rest = {name: members[name] for name in ("deadline_ms", "label", "number", "symbol")}
    return RequestDetails(
        urgency=Urgency.from_wire(members["urgency"]) or Urgency.NORMAL,
        document_name=members["document_name"],
        agency_names=tuple(members["agency_names"]),
        **rest,
    )


def lines(details: RequestDetails | None) -> list[str]:
    """What the challenge binds: one line for each member that was given, with its name.

    Nobody reads these lines; each must say the same as what is shown, and no two details may give
    the same lines. A text holds no line break, so none can look like another member.
    """
    if details is None:
        return []
    told = [f"urgency: {details.urgency.wire}"]
    if details.deadline_ms is not None:
        told.append(f"deadline: {as_datetime(details.deadline_ms).isoformat()}")
    for name in ("label", "number", "symbol", "document_name"):
        value = getattr(details, name)
        if value is not None:
            told.append(f"{name}: {value}")
    return told + [f"agency: {name}" for name in details.agency_names]


def searchable(texts: Iterable[str | None]) -> str:
    """What a search looks at: ``texts`` folded, one line each."""
    return "\n".join(folded(text) for text in texts if text)[:_LONGEST_SEARCHED]


def folded(text: str) -> str:
    """``text`` without accents and capitals, as people type it on a phone: Quyết định → quyet dinh.

    đ is a letter of its own and does not decompose.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def pattern(text: str) -> str:
    """The LIKE pattern (escape ``!``) that finds the folded ``text`` anywhere."""
    escaped = folded(text)
    for character in "!%_":
        escaped = escaped.replace(character, f"!{character}")
    return f"%{escaped}%"
