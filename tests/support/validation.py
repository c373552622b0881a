"""Somebody who puts files into a folder and has them validated, without a service around it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.validation.examine import Order, examine
from remote_signing.rssp.validation.trust import Knowledge
from tests.support.foreign_pki import SIGNED

if TYPE_CHECKING:
    from pathlib import Path

A_DAY_LATER = SIGNED + timedelta(days=1)


@dataclass
class Desk:
    """A folder, and somebody who validates what is put into it."""

    folder: Path

    def report(
        self,
        data: bytes,
        known: Knowledge,
        now: datetime = A_DAY_LATER,
        content: bytes | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        path, beside = self.folder / "document", None
        path.write_bytes(data)
        if content is not None:
            beside = self.folder / "content"
            beside.write_bytes(content)
        order = {"folder": None, "now_ms": int(now.timestamp() * 1000), "most": 5} | more
        report = examine(Order(path=path, content=beside, knowledge=known, **order))
        members: dict[str, Any] = json.loads(report)
        return members

    def one(self, data: bytes, known: Knowledge, *args: Any, **more: Any) -> dict[str, Any]:
        """The report's only signature."""
        (signature,) = self.report(data, known, *args, **more)["signatures"]
        found: dict[str, Any] = signature
        return found

    def refused(self, data: bytes, **more: Any) -> object:
        with pytest.raises(DocumentUnusable) as caught:
            self.report(data, Knowledge(), **more)
        return caught.value.public["reason"]


def told(signature: dict[str, Any]) -> tuple[object, object]:
    return signature["indication"], signature["sub_indication"]
