"""The facts that can go wrong between the gateway and a card, one class each.

OtaError
├── Malformed            octets from outside are not what the standard says
├── TextUnfit            a text cannot be coded, is too long, or could deceive who reads it
├── SecurityRefused      a secured packet fails its check; nothing more is told
├── CounterRefused
│   ├── CounterLow       seen before, or older than what was seen
│   ├── CounterHigh      not the very next one, where the packet asks for that
│   └── CounterBlocked   the last value is used up; the key set is dead
├── SegmentRefused       a segment contradicts the others or is beyond a bound
├── SecretInvalid        a file that should hold a secret does not
└── LinkFault            the SMPP peer is away, slow or says no

The text of an exception is for the log, never for a peer.
"""

from __future__ import annotations


class OtaError(Exception):
    """Root of the tree."""


class Malformed(OtaError):
    """Octets from outside are not what the standard says."""


class TextUnfit(OtaError):
    """A text cannot be coded, is too long, or could deceive who reads it."""


class SecurityRefused(OtaError):
    """A secured packet fails its check. One class, so that nobody can tell which part failed."""


class CounterRefused(OtaError):
    """A replay counter forbids the packet."""


class CounterLow(CounterRefused):
    """The counter is not above the stored one."""


class CounterHigh(CounterRefused):
    """The counter is not the very next one, where the packet asks for that."""


class CounterBlocked(CounterRefused):
    """The stored counter has reached its last value; it never wraps."""


class SegmentRefused(OtaError):
    """A segment contradicts those already there, or too many wait to be completed."""


class SecretInvalid(OtaError):
    """A file that should hold a secret does not."""


class LinkFault(OtaError):
    """The SMPP peer is away, slow or says no; ``status`` is its command_status, 0 for none."""

    def __init__(self, cause: str, status: int = 0) -> None:
        super().__init__(cause)
        self.status = status
