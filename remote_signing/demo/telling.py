"""What a person reads while the demo runs: each step with its time."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class DemoFailed(Exception):
    """The demo cannot go on; the text says why."""


class Teller:
    """Numbers the steps and measures them."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._number = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: its title, what it has to :meth:`say`, and how long it took."""
        self._number += 1
        start = time.monotonic()
        self.line(f"\n{self._number:>2}  {title}")
        yield
        self.line(f"    ({time.monotonic() - start:.2f} s)")

    def say(self, text: str) -> None:
        """A fact of the step at hand."""
        self.line(f"    {text}")

    def line(self, text: str) -> None:
        """A line as it is, at once."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
