"""The signing PIN and its PUK. A try is spent, durably, before anything is compared."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sim_adapter.vsim.state import DEFAULT_PIN, PIN_TRIES, PUK_TRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.vsim.state import CardState

SHORTEST_PIN, LONGEST_PIN = 6, 8


def is_acceptable(pin: str) -> bool:
    """Whether a person may choose this PIN: six to eight digits, not the default one."""
    is_digits = pin.isascii() and pin.isdecimal()
    return is_digits and SHORTEST_PIN <= len(pin) <= LONGEST_PIN and pin != DEFAULT_PIN


class Pins:
    """Works on ``state``; ``save`` makes a change durable."""

    def __init__(self, state: CardState, save: Callable[[], None]) -> None:
        self._state = state
        self._save = save

    @property
    def is_blocked(self) -> bool:
        """Whether no try is left for the PIN."""
        return self._state.pin_tries == 0

    @property
    def is_dead(self) -> bool:
        """Whether no try is left for PIN and PUK."""
        return self.is_blocked and self._state.puk_tries == 0

    def verify(self, pin: str) -> bool:
        """Whether ``pin`` is the PIN; false without a look when it is blocked."""
        state = self._state
        if state.pin_tries == 0:
            return False
        state.pin_tries -= 1
        self._save()
        if not hmac.compare_digest(state.pin.encode(), pin.encode()):
            return False
        state.pin_tries = PIN_TRIES
        self._save()
        return True

    def change(self, new: str) -> None:
        """Set a new PIN, after :meth:`verify` or a PUK; ``ValueError`` for one that may not be."""
        if not is_acceptable(new):
            raise ValueError("not a PIN that may be chosen")
        self._state.pin = new
        self._state.pin_tries = PIN_TRIES
        self._save()

    def unblock(self, puk: str, new: str) -> bool:
        """Set a new PIN by the PUK, which has tries of its own."""
        state = self._state
        if state.puk_tries == 0:
            return False
        state.puk_tries -= 1
        self._save()
        if not hmac.compare_digest(state.puk.encode(), puk.encode()):
            return False
        state.puk_tries = PUK_TRIES
        self.change(new)
        return True
