"""A person at a terminal plays the phone: pages are printed, keys read, the PIN is not echoed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sim_adapter.vsim.persons import Press

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WIDTH = 40
_PATIENCE = 60.0  # seconds until the handset gives up, as phones do
_KEYS = "[Enter] đồng ý · OK    [h] hủy · cancel"
_PIN_KEYS = "PIN ([Enter]: hủy · cancel)"
_LOCAL_MODES = 3  # termios.tcgetattr: where ECHO is


class Keyboard(Protocol):
    """Where lines are typed."""

    async def line(self, *, is_hidden: bool) -> str | None:
        """The next line without its end, None when there will be none."""
        ...


class TerminalKeyboard:
    """Lines from a terminal or a pipe, without a thread that would outlive the program."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._typed = b""

    async def line(self, *, is_hidden: bool) -> str | None:
        """The next line; with ``is_hidden`` the terminal doesn't echo what is typed meanwhile."""
        with _without_echo(self._descriptor) if is_hidden else contextlib.nullcontext():
            while b"\n" not in self._typed:
                await self._readable()
                octets = os.read(self._descriptor, 1024)
                if not octets:
                    return None
                self._typed += octets
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", "replace")

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


@contextlib.contextmanager
def _without_echo(descriptor: int) -> Iterator[None]:
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    silent = termios.tcgetattr(descriptor)
    silent[_LOCAL_MODES] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


@dataclass(slots=True)
class TerminalPerson:
    """``write`` prints one line."""

    write: Callable[[str], None]
    keyboard: Keyboard
    patience: float = _PATIENCE

    async def read(self, page: str) -> Press:
        """Print the page and wait for a key."""
        line = await self._ask(page, _KEYS, is_hidden=False)
        if line is None:
            return Press.NOTHING
        return Press.CANCEL if line.strip().lower() in {"h", "c", "n"} else Press.OK

    async def type_in(self, prompt: str, *, is_hidden: bool) -> str | Press:
        """Print the prompt and read digits."""
        line = await self._ask(prompt, _PIN_KEYS, is_hidden=is_hidden)
        if line is None:
            return Press.NOTHING
        return line.strip() or Press.CANCEL

    async def _ask(self, page: str, keys: str, *, is_hidden: bool) -> str | None:
        """A line, None at the end of lines or of the handset's patience."""
        self.write("┌" + "─" * (_WIDTH + 2) + "┐")
        for line in _wrapped(page):
            self.write(f"│ {line:<{_WIDTH}} │")
        self.write("└" + "─" * (_WIDTH + 2) + "┘")
        self.write(keys)
        try:
            async with asyncio.timeout(self.patience):
                return await self.keyboard.line(is_hidden=is_hidden)
        except TimeoutError:
            return None


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
