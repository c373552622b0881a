"""Identifiers of rows and the one-time secrets that open them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 26
_ID = re.compile(rf"[{_ALPHABET}]{{{_ID_LENGTH}}}")
_TICKET = re.compile(rf"([{_ALPHABET}]{{{_ID_LENGTH}}})\.([A-Za-z0-9_-]{{43}})")


def new_id(now_ms: int) -> str:
    """A 26-character identifier: 48 bits of time, then 80 random bits (Crockford base 32).

    Rising with time, so that indexes grow at one end and tables can be partitioned by it.
    """
    number = (now_ms & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def made_at_ms(identifier: str) -> int:
    """When an identifier of :func:`new_id` was made."""
    time = identifier[:10]
    return sum(_ALPHABET.index(digit) << 5 * place for place, digit in enumerate(reversed(time)))


def is_id(value: str) -> bool:
    """Whether ``value`` has the shape of :func:`new_id`."""
    return _ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A row's id and a 256-bit secret: what an access token, a code or a handle is made of.

    The database keeps :attr:`secret_hash` only. Looking a ticket up is by primary key, and the
    hash is compared inside the statement that uses it up.
    """

    row_id: str
    secret: str = field(repr=False)

    @classmethod
    def issue(cls, row_id: str) -> Ticket:
        """A fresh ticket for the row ``row_id``."""
        return cls(row_id, secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Ticket | None:
        """The ticket written as ``text``; None when it is none."""
        match = _TICKET.fullmatch(text)
        return cls(match[1], match[2]) if match else None

    @property
    def secret_hash(self) -> bytes:
        """SHA-256 of the secret. It has 256 random bits, so no salt or stretching is needed."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()

    def __str__(self) -> str:
        return f"{self.row_id}.{self.secret}"


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """What the database keeps of a :class:`Ticket`: enough to use it, too little to show it."""

    row_id: str
    secret_hash: bytes = field(repr=False)
