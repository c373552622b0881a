"""What the applet asks and shows, as generators: each ``yield`` is one proactive command.

A dialogue ends by returning, or by :class:`Stopped` with the cause. The decisive words come first:
who asks and the code, then the text, then the PIN.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, TypeAlias

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.orders import Cause
from sim_adapter.ota.tpdu import decode_time
from sim_adapter.vsim import toolkit
from sim_adapter.vsim.pins import LONGEST_PIN, SHORTEST_PIN, is_acceptable
from sim_adapter.vsim.toolkit import Proactive, Result, TerminalResponse

if TYPE_CHECKING:
    from collections.abc import Generator

    from sim_adapter.vsim.pins import Pins
    from sim_adapter.vsim.state import CardState

Steps: TypeAlias = "Generator[Proactive, TerminalResponse, None]"
Typed: TypeAlias = "Generator[Proactive, TerminalResponse, str]"
Moment: TypeAlias = "Generator[Proactive, TerminalResponse, int]"

_BUSY_TRIES = 3
_CHOICES = 3  # attempts to choose a new PIN
_CAUSES: dict[int, Cause] = {
    Result.ENDED_BY_USER: Cause.REFUSED,
    Result.BACKWARD: Cause.REFUSED,
    Result.NOT_ACCEPTED: Cause.REFUSED,
    Result.NO_RESPONSE: Cause.NO_ANSWER,
}
CODE_WORDS = "Mã xác nhận"
CURRENT_WORDS = "PIN hiện tại"
PROMPT_PIN = "Nhập mã PIN ký số (còn {tries} lần)"
PROMPT_CURRENT = f"Phải đổi PIN mặc định. Nhập {CURRENT_WORDS} (còn {{tries}} lần)"
PROMPT_NEW = "Nhập PIN mới (6–8 chữ số)"
PROMPT_AGAIN = "Nhập lại PIN mới"


class Stopped(Exception):
    """The dialogue ends without a result."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.name)
        self.cause = cause


def show(page: str) -> Steps:
    """Show one page; ``Stopped`` unless the person goes on."""
    yield from _done(toolkit.display(page))


def time_now(packet_time: int) -> Moment:
    """Seconds since 1970 as the handset knows them, never before the time the packet was sent.

    A SIM has no clock. A handset that cannot tell leaves the packet's own time.
    """
    response = yield toolkit.ask_time()
    if response.result != Result.OK or not response.time:
        return packet_time
    try:
        moment = decode_time(response.time)
    except Malformed:
        return packet_time
    return max(packet_time, int(moment.astimezone(dt.UTC).timestamp()))


def check_time(packet_time: int, not_after: int) -> Steps:
    """``Stopped`` with EXPIRED when the time is over."""
    if (yield from time_now(packet_time)) > not_after:
        raise Stopped(Cause.EXPIRED)


def prove_person(pins: Pins, state: CardState) -> Steps:
    """Ask for the PIN until it is right or blocked; the default one must be changed first."""
    if state.pin_is_default:
        yield from _ask_until_right(pins, state, PROMPT_CURRENT)
        pins.change((yield from _choose()))
    else:
        yield from _ask_until_right(pins, state, PROMPT_PIN)


def _ask_until_right(pins: Pins, state: CardState, prompt: str) -> Steps:
    while not pins.is_blocked:
        if pins.verify((yield from _typed(prompt.format(tries=state.pin_tries)))):
            return
    raise Stopped(Cause.CARD_BLOCKED if pins.is_dead else Cause.PIN_BLOCKED)


def _choose() -> Typed:
    for _ in range(_CHOICES):
        new = yield from _typed(PROMPT_NEW)
        if is_acceptable(new) and new == (yield from _typed(PROMPT_AGAIN)):
            return new
    raise Stopped(Cause.REFUSED)


def _typed(prompt: str) -> Typed:
    response = yield from _done(toolkit.ask_hidden(prompt, SHORTEST_PIN, LONGEST_PIN))
    return response.text


def _done(command: Proactive) -> Generator[Proactive, TerminalResponse, TerminalResponse]:
    for _ in range(_BUSY_TRIES):
        response = yield command
        if response.result == Result.OK:
            return response
        if response.result != Result.TERMINAL_BUSY:
            break
    raise Stopped(_CAUSES.get(response.result, Cause.CARD_FAULT))
