"""Phones on the radio side of a message centre, made when they are first called.

What a phone does is decided by its number (:mod:`sim_adapter.vsim.numbers`) or by a behaviour that
a test gives it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from sim_adapter.ota.smsc import Absent
from sim_adapter.vsim.card import Card
from sim_adapter.vsim.handset import Handset
from sim_adapter.vsim.numbers import Behaviour, behaviour_of
from sim_adapter.vsim.state import CardState, MemoryStore, StateStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.ota.keysets import CardIssuer, CardRecord
    from sim_adapter.ota.smsc import MessageCentre
    from sim_adapter.vsim.persons import Person


class Phone:
    """A handset with a card in it, and what goes wrong on the way to it."""

    def __init__(
        self,
        msisdn: str,
        behaviour: Behaviour,
        make_card: Callable[[int], Card],
        transmit: Callable[[str, bytes], None],
    ) -> None:
        self._msisdn = msisdn
        self._make_card = make_card
        self._to_network = transmit
        self.behaviour = behaviour
        self._received = 0  # short messages after the first answer
        self._has_answered = False
        self._is_replaced = False
        self.handset = Handset(make_card(0), behaviour.person(), self._transmit)
        self.handset.power_on()

    async def receive(self, tpdu: bytes) -> bytes:
        """An SMS-DELIVER; gives the delivery report. ``Absent`` while the phone is off."""
        behaviour = self.behaviour
        if self._has_answered:
            if behaviour.is_off:
                raise Absent
            self._received += 1
            if self._received in behaviour.loses or self._received > behaviour.hears:
                return b""
            if behaviour.is_replaced and not self._is_replaced:
                self.replace_card()
        report = b""
        for _ in range(behaviour.copies):
            report = await self.handset.receive(tpdu) or report
        return report

    def replace_card(self) -> None:
        """Put the next SIM for this number into the phone."""
        self._is_replaced = True
        self.handset.power_off()
        self.handset = Handset(self._make_card(1), self.handset.person, self._transmit)
        self.handset.power_on()

    def _transmit(self, tpdu: bytes) -> None:
        self._has_answered = True
        for _ in range(self.behaviour.copies):
            self._to_network(self._msisdn, tpdu)


class Phones:
    """All numbers that start with ``prefix``; ``store_of`` says where a card's memory is kept."""

    def __init__(
        self,
        issuer: CardIssuer,
        *,
        prefix: str = "849000",
        store_of: Callable[[str], StateStore] | None = None,
    ) -> None:
        self._issuer = issuer
        self._prefix = prefix
        self._store_of = store_of or (lambda _iccid: MemoryStore())
        self._phones: dict[str, Phone] = {}
        self._centre: MessageCentre | None = None
        self._persons: dict[str, Person] = {}

    def join(self, centre: MessageCentre) -> None:
        """Be on the radio side of ``centre``."""
        self._centre = centre

    def knows(self, msisdn: str) -> bool:
        """Whether somebody has this number."""
        return msisdn.startswith(self._prefix)

    async def deliver(self, msisdn: str, tpdu: bytes) -> bytes:
        """Hand an SMS-DELIVER to the phone, which is made if nobody called it before."""
        return await self.phone(msisdn).receive(tpdu)

    def phone(self, msisdn: str, behaviour: Behaviour | None = None) -> Phone:
        """The phone with this number; a ``behaviour`` other than the number's for a new one."""
        found = self._phones.get(msisdn)
        if found is None:
            chosen = behaviour or behaviour_of(msisdn)
            found = self._phones[msisdn] = self._make(msisdn, chosen)
        return found

    def give_to(self, msisdn: str, person: Person) -> None:
        """Let ``person`` hold the phone with this number."""
        self._persons[msisdn] = person
        self.phone(msisdn).handset.person = person

    async def idle(self) -> None:
        """Wait until no card wants anything."""
        await asyncio.gather(*(phone.handset.idle() for phone in self._phones.values()))

    def power_off(self) -> None:
        """End every dialogue."""
        for phone in self._phones.values():
            phone.handset.power_off()

    def _make(self, msisdn: str, behaviour: Behaviour) -> Phone:
        centre = self._centre
        if centre is None:
            raise RuntimeError("the phones are on no network yet")

        def make_card(issue: int) -> Card:
            record = self._issuer.card(msisdn, issue)
            store = self._store_of(record.iccid)
            return Card(record, store, lambda: new_state(record, behaviour.puk_tries))

        return Phone(msisdn, behaviour, make_card, centre.take_from_phone)


def new_state(record: CardRecord, puk_tries: int | None = None) -> CardState:
    """A card as it leaves the factory, with a PUK of its own; ``puk_tries`` for a spoilt one."""
    digits = int.from_bytes(hashlib.sha256(record.response_keys.checksum_key).digest()[:4], "big")
    state = CardState(record.iccid, puk=f"{digits % 10**8:08d}")
    if puk_tries is not None:
        state.puk_tries = puk_tries
    return state
