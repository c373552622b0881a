"""Test numbers: +84 9000 NNN XX, where NNN chooses what happens. XX is free: 100 phones for each.

Where NNN is a code of ETSI TS 102 204 an order for a signature ends with that code. Everything
begins after the first answer of the card, which is its enrolment (docs/virtual-sim.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim_adapter.vsim.persons import ScriptedPerson

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.vsim.persons import Person

_CHOICE = slice(6, 9)
_FOREVER = 2**31


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is true of one phone and its holder."""

    says: str = "approves"
    person: Callable[[], Person] = ScriptedPerson
    copies: int = 1  # of every short message, in both directions
    # From here on: after the card's first answer.
    is_off: bool = False
    is_replaced: bool = False  # the SIM in the phone is another one
    loses: frozenset[int] = field(default_factory=frozenset)  # which short messages, from 1
    hears: int = _FOREVER  # short messages until the phone hears nothing more
    puk_tries: int | None = None


BEHAVIOURS: dict[str, Behaviour] = {
    "000": Behaviour("approves"),
    "001": Behaviour("approves, 3 s a page", lambda: ScriptedPerson(delay=3.0, first_well=1)),
    "002": Behaviour(
        "types the PIN wrong once", lambda: ScriptedPerson(wrong_pins=1, first_well=1)
    ),
    "003": Behaviour("approves; every short message comes three times", copies=3),
    "004": Behaviour("approves; the first short message is lost", loses=frozenset({1})),
    "005": Behaviour(
        "approves after 8 s and hears no cancellation",
        lambda: ScriptedPerson(delay=2.0, first_well=1),
        hears=1,
    ),
    "007": Behaviour("another SIM is in the phone", is_replaced=True),
    "208": Behaviour(
        "does nothing until the handset gives up",
        lambda: ScriptedPerson(ignores=True, first_well=1),
    ),
    "209": Behaviour("is switched off", is_off=True),
    "401": Behaviour(
        "refuses when the text is shown", lambda: ScriptedPerson(refuses_page=1, first_well=1)
    ),
    "402": Behaviour(
        "types the PIN wrong until it is blocked",
        lambda: ScriptedPerson(wrong_pins=_FOREVER, first_well=1),
    ),
    "403": Behaviour(
        "as 402, with a blocked PUK",
        lambda: ScriptedPerson(wrong_pins=_FOREVER, first_well=1),
        puk_tries=0,
    ),
    "404": Behaviour("approves, once it is enrolled; until then the card has no key"),
}


def behaviour_of(msisdn: str) -> Behaviour:
    """What the phone with this number does; numbers outside the table approve."""
    return BEHAVIOURS.get(msisdn[_CHOICE], BEHAVIOURS["000"])
