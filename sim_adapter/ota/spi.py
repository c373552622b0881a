"""Security parameter indicator: what secures a packet, and what its answer shall look like.

ETSI TS 102 225 cl. 5.1.1. First octet: integrity (bits 2, 1), ciphering (3), counter (5, 4).
Second: when a proof of receipt is due (2, 1), its integrity (4, 3), ciphering (5), way back (6).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from sim_adapter.ota.counters import CounterRule
from sim_adapter.ota.errors import Malformed

_CIPHERED = 0x04
_PROOF_CIPHERED = 0x10
_PROOF_BY_SUBMIT = 0x20
_FIRST_UNUSED = 0xE0
_SECOND_UNUSED = 0xC0


class Integrity(enum.IntEnum):
    """What a packet is checked with."""

    NONE = 0
    REDUNDANCY = 1
    CRYPTOGRAPHIC = 2
    SIGNATURE = 3


class Proof(enum.IntEnum):
    """When a proof of receipt is due."""

    NEVER = 0
    ALWAYS = 1
    ON_ERROR = 2


@dataclass(frozen=True, slots=True)
class SecurityParameters:
    """The two octets of an SPI, by name."""

    integrity: Integrity
    is_ciphered: bool
    counter: CounterRule
    proof: Proof = Proof.NEVER
    proof_integrity: Integrity = Integrity.NONE
    is_proof_ciphered: bool = False
    is_proof_submitted: bool = False  # in a message of its own, not in the delivery report

    @classmethod
    def parse(cls, octets: bytes) -> SecurityParameters:
        """From two octets; ``Malformed`` for bits and values that are reserved."""
        first, second = octets
        if first & _FIRST_UNUSED or second & _SECOND_UNUSED or second & 0x03 == 0x03:  # noqa: PLR2004 - reserved
            raise Malformed("a reserved security parameter")
        return cls(
            Integrity(first & 3),
            bool(first & _CIPHERED),
            CounterRule(first >> 3 & 3),
            Proof(second & 3),
            Integrity(second >> 2 & 3),
            bool(second & _PROOF_CIPHERED),
            bool(second & _PROOF_BY_SUBMIT),
        )

    @property
    def octets(self) -> bytes:
        """The two octets."""
        first = self.integrity | _CIPHERED * self.is_ciphered | self.counter << 3
        second = self.proof | self.proof_integrity << 2 | _PROOF_CIPHERED * self.is_proof_ciphered
        return bytes([first, second | _PROOF_BY_SUBMIT * self.is_proof_submitted])

    @property
    def is_strong(self) -> bool:
        """At least level 0x16: a cryptographic checksum, ciphered, a counter that must rise."""
        rises = self.counter in {CounterRule.HIGHER, CounterRule.NEXT}
        return self.integrity is Integrity.CRYPTOGRAPHIC and self.is_ciphered and rises


# To the card: 16 19. Its proof of receipt comes ciphered and checksummed in the delivery report.
COMMAND: Final = SecurityParameters.parse(bytes.fromhex("1619"))
# From the card: 16 00. Nobody answers an answer.
ANSWER: Final = SecurityParameters.parse(bytes.fromhex("1600"))
