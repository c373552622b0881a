"""The card's side of TS 102 225: what is checked, in which order, and what is told of it.

Lengths, then the TAR, the security level, the keys, the counter, which is stored durably before
anything is done. A packet that fails gets the bare status and nothing that a key was used for; a
wrong checksum does not move the counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.ota import counters, packet, spi
from sim_adapter.ota.errors import (
    CounterBlocked,
    CounterHigh,
    CounterLow,
    SecurityRefused,
)
from sim_adapter.ota.packet import ResponseStatus
from sim_adapter.ota.spi import Proof, SecurityParameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_adapter.ota.keysets import CardRecord
    from sim_adapter.vsim.state import CardState

_ANSWERS_RESERVED = 16


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that passed, with what its proof of receipt shall look like."""

    parameters: SecurityParameters
    counter: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that did not; ``report`` is the bare response, empty when none is due."""

    status: ResponseStatus
    report: bytes
    is_submitted: bool


class OtaSecurity:
    """The key sets and counters of one card."""

    def __init__(self, record: CardRecord, state: CardState, save: Callable[[], None]) -> None:
        self._record = record
        self._state = state
        self._save = save
        self._answer_counter = state.answer_counter

    def open(self, octets: bytes) -> Accepted | Refused:
        """Check a command packet. ``Malformed`` when it is not even one."""
        command = packet.parse_command(octets)
        parameters = command.parameters
        try:
            if command.tar != self._record.tar:
                return self._refused(parameters, command.tar, ResponseStatus.TAR_UNKNOWN)
            if not parameters.is_strong:
                return self._refused(parameters, command.tar, ResponseStatus.INSUFFICIENT_SECURITY)
            opened = packet.open_command(command, self._record.command_keys)
            counters.check(parameters.counter, self._state.command_counter, opened.counter)
        except SecurityRefused:
            status = ResponseStatus.CHECK_FAILED
        except CounterLow:
            status = ResponseStatus.COUNTER_LOW
        except CounterHigh:
            status = ResponseStatus.COUNTER_HIGH
        except CounterBlocked:
            status = ResponseStatus.COUNTER_BLOCKED
        else:
            self._state.command_counter = opened.counter
            self._save()
            return Accepted(parameters, opened.counter, opened.data)
        return self._refused(parameters, command.tar, status)

    def prove(self, accepted: Accepted, data: bytes) -> bytes:
        """The secured proof of receipt with ``data``; empty when none is asked for."""
        if accepted.parameters.proof is not Proof.ALWAYS:
            return b""
        return packet.seal_response(
            accepted.parameters,
            self._record.command_keys,
            self._record.tar,
            accepted.counter,
            status=ResponseStatus.OK,
            data=data,
        )

    def seal_answer(self, message: bytes) -> bytes:
        """A packet of the card's own, for the gateway; its counter is reserved before."""
        self._answer_counter += 1
        if self._answer_counter > counters.LAST:
            raise CounterBlocked("the card's own counter")
        if self._answer_counter > self._state.answer_counter:
            ceiling = min(self._answer_counter + _ANSWERS_RESERVED - 1, counters.LAST)
            self._state.answer_counter = ceiling
            self._save()
        record = self._record
        return packet.seal_command(
            spi.ANSWER, record.response_keys, record.tar, self._answer_counter, message
        )

    def _refused(
        self, parameters: SecurityParameters, tar: bytes, status: ResponseStatus
    ) -> Refused:
        is_due = parameters.proof is not Proof.NEVER
        report = packet.bare_response(tar, status) if is_due else b""
        return Refused(status, report, parameters.is_proof_submitted)


def is_proof_secured(parameters: SecurityParameters) -> bool:
    """Whether data may ride on the proof of receipt: only under a checksum and ciphered."""
    is_checked = parameters.proof_integrity is spi.Integrity.CRYPTOGRAPHIC
    return is_checked and parameters.is_proof_ciphered
