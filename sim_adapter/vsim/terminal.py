"""A person at a terminal plays the phone: pages are printed, keys read, the PIN is not echoed."""

from __future__ import annotations

import asyncio
import getpass
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.vsim.persons import Press

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH = 40
_PATIENCE = 60.0  # seconds until the handset gives up, as phones do
_KEYS = "[Enter] đồng ý · OK    [h] hủy · cancel: "
_PIN_KEYS = "PIN ([Enter]: hủy · cancel): "


@dataclass(slots=True)
class TerminalPerson:
    """``ask`` and ``ask_hidden`` read one line; ``write`` prints one."""

    write: Callable[[str], None]
    ask: Callable[[str], str] = input
    ask_hidden: Callable[[str], str] = getpass.getpass
    patience: float = _PATIENCE

    async def read(self, page: str) -> Press:
        """Print the page and wait for a key."""
        self._print(page)
        line = await self._line(self.ask, _KEYS)
        if line is None:
            return Press.NOTHING
        return Press.CANCEL if line.strip().lower() in {"h", "c", "n"} else Press.OK

    async def type_in(self, prompt: str, *, is_hidden: bool) -> str | Press:
        """Print the prompt and read digits."""
        self._print(prompt)
        line = await self._line(self.ask_hidden if is_hidden else self.ask, _PIN_KEYS)
        if line is None:
            return Press.NOTHING
        return line.strip() or Press.CANCEL

    async def _line(self, ask: Callable[[str], str], keys: str) -> str | None:
        """A line, None when the handset's patience is over. The thread that reads stays behind."""
        try:
            async with asyncio.timeout(self.patience):
                return await asyncio.to_thread(ask, keys)
        except (TimeoutError, EOFError):
            return None

    def _print(self, page: str) -> None:
        self.write("┌" + "─" * (_WIDTH + 2) + "┐")
        for line in _wrapped(page):
            self.write(f"│ {line:<{_WIDTH}} │")
        self.write("└" + "─" * (_WIDTH + 2) + "┘")


def _wrapped(page: str) -> list[str]:
    """Lines of a small screen; words are divided only when they are longer than a line."""
    lines: list[str] = []
    for paragraph in unicodedata.normalize("NFC", page).split("\n"):
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}".strip()
            while len(joined) > _WIDTH:
                head, joined = (line, word) if line else (joined[:_WIDTH], joined[_WIDTH:])
                lines.append(head)
                line = ""
            line = joined
        lines.append(line)
    return lines
