"""What a card remembers without power, and the sealed file it is kept in.

The file is AES-256-GCM under a key that is derived from this instance's secret, with the ICCID as
associated data: a copy beside another secret, or under another card's name, does not open. Every
``save`` is on disk before it returns. What sealing cannot do is notice an older file put back.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sim_adapter.ota.errors import SecretInvalid
from sim_adapter.ota.orders import Mode

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PIN = "012345"
PIN_TRIES = 3
PUK_TRIES = 10
_NONCE_OCTETS = 12
_REMEMBERED = 64


@dataclass(slots=True)
class CardState:
    """The non-volatile memory. Counters are the highest accepted and the highest reserved value."""

    iccid: str
    puk: str = field(repr=False)
    pin: str = field(default=DEFAULT_PIN, repr=False)
    pin_tries: int = PIN_TRIES
    puk_tries: int = PUK_TRIES
    command_counter: int = 0
    answer_counter: int = 0
    algorithm: int = 0  # 0: no key
    private_key: str = field(default="", repr=False)  # PKCS#8, DER, hexadecimal
    relying_party: str = ""
    modes: list[int] = field(default_factory=lambda: [Mode.STRUCTURE])  # what the key may sign
    seen: list[str] = field(default_factory=list)  # transaction ids, the latest last

    @property
    def pin_is_default(self) -> bool:
        """Whether the PIN is the one that everybody knows."""
        return self.pin == DEFAULT_PIN

    def remember(self, transaction_id: bytes) -> None:
        """Never take this transaction again."""
        self.seen = [*self.seen, transaction_id.hex()][-_REMEMBERED:]


class StateStore(Protocol):
    """Where a card's memory is kept."""

    def load(self) -> CardState | None:
        """What was saved last, None for a new card."""
        ...

    def save(self, state: CardState) -> None:
        """Keep ``state``; durable when this returns."""
        ...


class MemoryStore:
    """Keeps the memory as long as the process lives, for load: no disk is waited for."""

    def __init__(self) -> None:
        self._saved: bytes | None = None

    def load(self) -> CardState | None:
        """What was saved last."""
        return None if self._saved is None else _read(self._saved)

    def save(self, state: CardState) -> None:
        """Keep a copy."""
        self._saved = _write(state)


class SealedFile:
    """One card's file in a folder; ``secret`` (32 octets) is this instance's own."""

    def __init__(self, folder: Path, iccid: str, secret: bytes) -> None:
        self._path = folder / f"{iccid}.sim"
        self._bound_to = f"virtual sim v1|{iccid}".encode("ascii")
        key = HKDF(SHA256(), length=32, salt=None, info=self._bound_to).derive(secret)
        self._cipher = AESGCM(key)

    def load(self) -> CardState | None:
        """What was saved last; ``SecretInvalid`` for a file of another instance or card."""
        if not self._path.exists():
            return None
        sealed = self._path.read_bytes()
        try:
            plain = self._cipher.decrypt(
                sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], self._bound_to
            )
        except (InvalidTag, ValueError):
            raise SecretInvalid(f"{self._path.name}: not sealed by this instance") from None
        return _read(plain)

    def save(self, state: CardState) -> None:
        """Replace the file by one step, so that a power loss leaves the old or the new one."""
        nonce = os.urandom(_NONCE_OCTETS)
        sealed = nonce + self._cipher.encrypt(nonce, _write(state), self._bound_to)
        fresh = self._path.with_suffix(".new")
        with open(fresh, "wb", opener=_private) as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _write(state: CardState) -> bytes:
    return json.dumps(dataclasses.asdict(state)).encode("utf-8")


def _read(plain: bytes) -> CardState:
    return CardState(**json.loads(plain))
