"""Signed documents from start to end. The key is used once in between, by whoever calls.

desk = Desk(services, status)
waiting = desk.prepare(items)             # their dtbs_r are what the signer consents to
done = desk.finish(waiting, signatures)   # in the same order
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remote_signing.rssp.documents import asn1_lengths, evidence
from remote_signing.rssp.documents.formats import FORMATS, stages
from remote_signing.rssp.documents.model import Ending, Material
from remote_signing.rssp.documents.workshop import Workshop
from remote_signing.rssp.timestamps import Timestamper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from remote_signing.rssp.certificate_status import Status
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.model import Prepared, Recipe

_PIECE = 3 * 64 * 1024  # bytes whose base64 needs no padding


@dataclass(frozen=True, slots=True)
class Item:
    """One signature that is asked for: of a file, or of a digest (the SDR) alone.

    For a container ``path`` is the folder of its documents.
    """

    recipe: Recipe
    path: Path | None = None
    sdr: bytes = b""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that waits for its signature, with what its level needs beside that."""

    item: Item
    prepared: Prepared
    material: Material = field(default_factory=Material)


@dataclass(frozen=True, slots=True)
class Done:
    """A signature; in its document (``enveloped``), or an object of its own."""

    enveloped: bool
    path: Path | None = None
    content: bytes = b""

    def base64(self) -> Iterator[bytes]:
        """In pieces, so that a large file is never in memory as a whole."""
        if self.path is None:
            yield base64.b64encode(self.content)
            return
        with self.path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield base64.b64encode(piece)


class Desk:
    """Thread-safe; one for each process."""

    def __init__(self, services: Services, status: Status) -> None:
        asn1_lengths.mend()
        self._status = status
        self._timestamper = Timestamper(services)
        self._workshop = Workshop(services.config.documents)

    @property
    def workshop(self) -> Workshop:
        """For other work on files of strangers."""
        return self._workshop

    def prepare(self, items: Sequence[Item]) -> list[Waiting]:
        """Everything before the key is used. Files are written to.

        Validation data is gathered here too: when it cannot be had, no consent is spent. Raises
        ``DocumentUnusable`` (public ``entry``: which one), ``Unavailable``.
        """
        return self.supplied(self.fixed(items))

    def fixed(self, items: Sequence[Item]) -> list[Waiting]:
        """What is signed, and nothing more: for who waits until validation data can be had.

        Raises ``DocumentUnusable``, ``Unavailable`` when no place is free.
        """
        return [Waiting(item, self._prepare(item)) for item in items]

    def supplied(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """The same with validation data, for the levels that have it. Raises ``Unavailable``."""
        found: dict[bytes, Material] = {}
        return [replace(each, material=self._material(each.item, found)) for each in waiting]

    def finish(self, waiting: Sequence[Waiting], signatures: Sequence[bytes]) -> list[Done]:
        """The signed documents, with time stamps. Raises ``Unavailable``, ``DocumentUnusable``."""
        return [self._finish(each, value) for each, value in zip(waiting, signatures, strict=True)]

    def material(self, certificate: bytes) -> Material:
        """What ``validationInfo`` tells. Raises ``Unavailable``."""
        return evidence.material(self._status, certificate)

    def close(self) -> None:
        """End the worker processes."""
        self._workshop.close()

    def _prepare(self, item: Item) -> Prepared:
        if item.path is None:
            return FORMATS[item.recipe.format].prepare_digest(item.recipe, item.sdr)
        return self._workshop.do(stages(item.recipe).prepare, item.recipe, item.path)

    def _material(self, item: Item, found: dict[bytes, Material]) -> Material:
        if not item.recipe.reaches("B-LT"):
            return Material()
        certificate = item.recipe.certificate
        if certificate not in found:
            found[certificate] = self.material(certificate)
        return found[certificate]

    def _finish(self, waiting: Waiting, signature: bytes) -> Done:
        recipe, prepared, path = waiting.item.recipe, waiting.prepared, waiting.item.path
        how = stages(recipe)
        stamp = None
        if recipe.reaches("B-T"):
            covered = how.stamped(recipe, prepared, signature)
            stamp = evidence.stamp(self._timestamper, recipe, covered)
        ending = Ending(signature, stamp, waiting.material)
        if path is None:
            content = FORMATS[recipe.format].finish_digest(recipe, prepared, ending)
            return Done(enveloped=False, content=content)
        unsealed = self._workshop.do(how.finish, recipe, prepared, ending)
        if unsealed is not None:
            token = evidence.stamp_digest(
                self._timestamper, recipe, unsealed.digest, unsealed.algorithm
            )
            self._workshop.do(how.seal, recipe, prepared, unsealed, token)
        return Done(enveloped=how.enveloped(recipe), path=how.result(recipe, path))
