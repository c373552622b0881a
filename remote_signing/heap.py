"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc
from typing import Final

NEW_OBJECTS: Final = 10_000
"""After so many the youngest are looked through; Python's own 700 is what one request makes."""


def settle() -> None:
    """Once everything is loaded: what is there now stays, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
