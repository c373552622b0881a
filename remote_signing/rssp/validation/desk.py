"""Validation from the outside: files in, a report out; the work is done in worker processes."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from remote_signing.errors import DocumentUnusable, Unavailable
from remote_signing.rssp.documents.workshop import Workshop
from remote_signing.rssp.validation.examine import Order, examine
from remote_signing.rssp.validation.model import Material, unusable
from remote_signing.rssp.validation.trust import Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from remote_signing.rssp.certificate_status import Status
    from remote_signing.rssp.deps import Services

_UPLOADS = 8  # for each place in the workshop: a slow line must not keep others out
_REASONS = {"it takes too long": "too_slow", "it takes too much": "too_heavy"}  # the workshop's


class ValidationDesk:
    """Thread-safe, except :meth:`place`, which is the event loop's; one for each process."""

    def __init__(self, services: Services, status: Status) -> None:
        self.config = services.config.validation
        self._services = services
        self._status = status
        self._workshop = Workshop(self.config)
        self._free = _UPLOADS * (self.config.workers + self.config.waiting)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Room for one upload. ``Unavailable`` when there is none: disks are finite."""
        if self._free == 0:
            raise Unavailable("all places for uploads are taken")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def report(self, path: Path, content: Path | None) -> str:
        """The report (JSON) about the file at ``path``; ``content``: what it signs beside itself.

        Raises ``DocumentUnusable`` (public ``reason``, a name), ``Unavailable``.
        """
        order = Order(
            path=path,
            content=content,
            knowledge=self._own(),
            folder=self.config.trust,
            now_ms=self._services.now_ms(),
            most=self.config.signatures,
        )
        try:
            return self._workshop.do(examine, order)
        except DocumentUnusable as error:
            reason = str(error.public["reason"])
            raise unusable(_REASONS.get(reason, reason), error.cause) from error

    def close(self) -> None:
        """End the worker processes."""
        self._workshop.close()

    def _own(self) -> Knowledge:
        """What our own authority says now. Without its lists, nothing is known of revocation."""
        if not self.config.own:
            return Knowledge()
        root = self._status.root_certificate()
        crls = []
        for find in (self._status.root_crl, self._status.crl):
            with suppress(Unavailable):
                crls.append(find())
        issuing = self._status.issuing_certificate()
        return Knowledge((root,), Material(certificates=(issuing,), crls=tuple(crls)))
