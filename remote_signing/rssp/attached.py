"""What a request says of the documents that its portal attached: one for a hash, or none.

It is stored with the request and bound by the SAM's challenge (:func:`lines`), so whoever consents
with a factor that signs has signed which bytes he was shown. The bytes are in :mod:`.attachments`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remote_signing.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Attached:
    """``position`` is that of the hash, from 0. ``sha256`` (hexadecimal) is of the file.

    ``basis`` says how the hash follows from the file (:class:`.attachments.binding.Basis`);
    ``pages`` is None where a document has none; ``remarks`` are names of what the signer should
    know (:mod:`.attachments.inspection`).
    """

    position: int
    attachment_id: str
    sha256: str
    size: int
    media_type: str
    basis: str
    pages: int | None = None
    remarks: tuple[str, ...] = ()

    def members(self) -> dict[str, JsonValue]:
        """As it is stored."""
        return {**asdict(self), "remarks": list(self.remarks)}


def from_members(members: Mapping[str, Any]) -> Attached:
    """What :meth:`Attached.members` stored."""
    return Attached(**{**members, "remarks": tuple(members["remarks"])})


def lines(attached: Iterable[Attached]) -> list[str]:
    """What the challenge binds: one line for each document.

    Each begins with a tabulator, which no text of a portal can hold (:mod:`.showable`), so no label
    passes for a document that was bound.
    """
    return [f"\tdocument {each.position}: {each.basis} sha256 {each.sha256}" for each in attached]


@dataclass(frozen=True, slots=True)
class Named:
    """Which attachment a client wants shown for the hash at ``position``.

    ``attributes``: DER of the CMS signed attributes, where the hash is theirs.
    """

    position: int
    attachment_id: str
    attributes: bytes | None = None
