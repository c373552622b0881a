"""Key sets and the cards they belong to.

Every card has keys of its own, derived from the issuer's master key and the card's ICCID, so a
number that moves to another SIM also moves to other keys. A real issuer holds the master key in an
HSM; here it is a file of 32 octets that only its owner may read.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sim_adapter.ota.ciphers import Algorithm
from sim_adapter.ota.errors import SecretInvalid

if TYPE_CHECKING:
    from pathlib import Path

MASTER_OCTETS = 32
DEFAULT_TAR = bytes.fromhex("524d53")  # the signing applet's toolkit application reference
_COMMAND_VERSION = 1
_RESPONSE_VERSION = 2
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_ICCID = re.compile(r"89[0-9]{17,18}")


@dataclass(frozen=True, slots=True)
class KeySet:
    """One cipher key and one checksum key; ``version`` (1 to 15) names them on the wire."""

    version: int
    algorithm: Algorithm
    cipher_key: bytes = field(repr=False)
    checksum_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        lengths = {len(self.cipher_key), len(self.checksum_key)}
        if not 1 <= self.version <= 15 or not lengths <= set(self.algorithm.key_lengths):  # noqa: PLR2004 - a nibble
            raise ValueError("a key set's version or key length is out of range")

    @property
    def indicator(self) -> int:
        """The octet that stands for KIc and for KID."""
        return self.version << 4 | self.algorithm


@dataclass(frozen=True, slots=True)
class CardRecord:
    """What the gateway knows of one card: its number at present, its identity and its keys."""

    msisdn: str  # E.164, digits only
    iccid: str  # 19 or 20 digits
    command_keys: KeySet  # gateway to card
    response_keys: KeySet  # card to gateway
    tar: bytes = DEFAULT_TAR

    def __post_init__(self) -> None:
        if not _NUMBER.fullmatch(self.msisdn) or not _ICCID.fullmatch(self.iccid):
            raise ValueError("not a phone number, or not an ICCID")


class CardIssuer:
    """Derives every card's keys from one master key."""

    def __init__(self, master: bytes) -> None:
        if len(master) != MASTER_OCTETS:
            raise SecretInvalid("a card issuer's master key has 32 octets")
        self._master = master

    def card(self, msisdn: str, issue: int = 0) -> CardRecord:
        """The record of the ``issue``-th SIM for this number; 0 is the first."""
        iccid = f"8984{msisdn[-11:]:0>11}{issue:04d}"
        command = KeySet(_COMMAND_VERSION, Algorithm.AES, *self._keys(iccid, "command"))
        response = KeySet(_RESPONSE_VERSION, Algorithm.AES, *self._keys(iccid, "response"))
        return CardRecord(msisdn, iccid, command, response)

    def _keys(self, iccid: str, purpose: str) -> tuple[bytes, bytes]:
        info = f"sim card keys v1|{iccid}|{purpose}".encode("ascii")
        both = HKDF(SHA256(), length=64, salt=None, info=info).derive(self._master)
        return both[:32], both[32:]


def read_secret(path: Path, octets: int | None = None) -> bytes:
    """A secret from a file that nobody else may read, without a final newline if it is a text.

    ``octets`` asks for that many octets of anything. ``SecretInvalid`` names the path only.
    """
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SecretInvalid(f"{path}: others may read it")
    secret = path.read_bytes()
    if octets is None:
        secret = secret.removesuffix(b"\n")
    if not secret or (octets is not None and len(secret) != octets):
        raise SecretInvalid(f"{path}: empty, or not of the right length")
    return secret
