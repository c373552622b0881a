from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.in_memory import place_in_memory

if TYPE_CHECKING:
    from pathlib import Path


def with_room(monkeypatch: pytest.MonkeyPatch, size: int, flags: int = 0) -> None:
    """Every file system has ``size`` bytes free."""
    found: Any = os.statvfs_result((4096, 4096, 0, 0, size // 4096, 0, 0, 0, flags, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: found)


def test_a_roomy_place_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_room(monkeypatch, 2 << 30)
    assert place_in_memory(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("size", "flags"),
    [((2 << 30) - 4096, 0), (4 << 30, os.ST_NOEXEC)],
    ids=["too small", "runs no program"],
)
def test_a_place_that_does_not_serve_is_left(
    size: int, flags: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_room(monkeypatch, size, flags)
    assert place_in_memory(tmp_path) is None


def test_a_missing_place_is_left(tmp_path: Path) -> None:
    assert place_in_memory(tmp_path / "nowhere") is None
