"""Numbers that answer a code at once, without a phone: +84 9001 NNN XX answers code NNN.

For integrators who want to see a code that no SIM can be made to cause. A status of a signature
comes with bytes that are no signature, so nobody can take it for one.
"""

from __future__ import annotations

from sim_adapter.mss import codes
from sim_adapter.mss.model import MssFault, Signature

PREFIX = "849001"
_NUMBER = slice(6, 9)
_NO_SIGNATURE = Signature(b"not a signature")


def answer(msisdn: str) -> tuple[int, Signature | None] | None:
    """The code and what comes with it; ``MssFault`` for a fault's code; None: ask the phone."""
    if not msisdn.startswith(PREFIX):
        return None
    number = msisdn[_NUMBER]
    row = codes.meaning_of(int(number)) if len(number) == 3 else None  # noqa: PLR2004 - three digits
    if row is None or row.carried == "fault":
        raise MssFault(row.number if row else codes.UNKNOWN_CLIENT, "a canned answer")
    has_signature = codes.SIGNATURE <= row.number <= codes.INVALID_SIGNATURE
    return row.number, _NO_SIGNATURE if has_signature else None
