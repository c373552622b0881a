"""Who holds the phone: the shape of a person, and persons that follow a script."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from typing import Protocol

from sim_adapter.vsim.dialogue import CODE_WORDS, CURRENT_WORDS
from sim_adapter.vsim.state import DEFAULT_PIN

CHOSEN_PIN = "135790"
WRONG_PIN = "999999"


class Press(enum.Enum):
    """What a person does with a page."""

    OK = "ok"
    CANCEL = "cancel"
    NOTHING = "nothing"  # until the handset gives up


class Person(Protocol):
    """Reads pages and types digits."""

    async def read(self, page: str) -> Press:
        """A page is on the screen."""
        ...

    async def type_in(self, prompt: str, *, is_hidden: bool) -> str | Press:
        """Digits are asked for: they, or CANCEL or NOTHING."""
        ...


@dataclass(slots=True)
class ScriptedPerson:
    """Approves, unless the script says otherwise. ``seen`` keeps all pages and prompts.

    The script begins after ``first_well`` dialogues that go well, so that a test number can be
    enrolled before it does what it is for. Every dialogue begins with the page that has the code.
    """

    pin: str = CHOSEN_PIN
    delay: float = 0.0  # seconds before each page is answered
    refuses_page: int | None = None  # 0 is the page with name and code, 1 the text
    refuses_pin: bool = False
    ignores: bool = False
    wrong_pins: int = 0  # how many times the PIN is typed wrong, counted down
    first_well: int = 0
    seen: list[str] = field(default_factory=list)
    _dialogues: int = 0
    _page: int = 0

    async def read(self, page: str) -> Press:
        """Press what the script says."""
        is_first = CODE_WORDS in page
        self._page = 0 if is_first else self._page + 1
        self._dialogues += is_first
        await self._think(page)
        if self._follows_script and self.ignores:
            return Press.NOTHING
        is_refused = self._follows_script and self._page == self.refuses_page
        return Press.CANCEL if is_refused else Press.OK

    async def type_in(self, prompt: str, *, is_hidden: bool) -> str | Press:  # noqa: ARG002 - the shape
        """The PIN that the prompt asks for."""
        await self._think(prompt)
        if self._follows_script and self.refuses_pin:
            return Press.CANCEL
        if self._follows_script and self.wrong_pins:
            self.wrong_pins -= 1
            return WRONG_PIN
        return DEFAULT_PIN if CURRENT_WORDS in prompt else self.pin

    @property
    def _follows_script(self) -> bool:
        return self._dialogues > self.first_well

    async def _think(self, shown: str) -> None:
        self.seen.append(shown)
        if self.delay and self._follows_script:
            await asyncio.sleep(self.delay)
