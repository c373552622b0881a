"""The revocation list: destroyed credentials, removed factors, revoked certificates stay gone.

An older sealed record put back into the database must not bring a factor back. The list only
grows; it is signed by a key in the HSM, numbered, kept in the SAM's state folder, and its number
is also kept in the tokens, so that an older list put back into the folder is noticed too. When it
is, every verb refuses: an operator has to merge the newer list of another SAM host.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidSignature

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, RevocationListInvalid
from remote_signing.sam.cluster import verify_attestation
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from remote_signing.sam.hsm import Node

DOMAIN = b"revocation-list"
_NAME = "revocations.json"
_CERTIFICATE = "cert:"


class RevocationList:
    """The list as one worker sees it; reads the file again whenever it has changed."""

    def __init__(self, folder: Path, node: Node) -> None:
        self._path = folder / _NAME
        self._lock_path = folder / "revocations.lock"
        self._node = node
        self._public_key = node.attest_public_key()
        self._seen: tuple[int, int, int] | None = None
        self._ids: frozenset[str] = frozenset()
        self._certificates: Mapping[int, int] = {}
        self._anchored = False
        self.number = 0

    def __contains__(self, identifier: object) -> bool:
        self._refresh()
        return identifier in self._ids

    def certificates(self) -> Mapping[int, int]:
        """Serial number → end (ms) of every certificate that an order has revoked."""
        self._refresh()
        return self._certificates

    def add(self, identifiers: Iterable[str]) -> int:
        """Put ``identifiers`` on the list; its new number. Durable when this returns."""
        with self._exclusive():
            self._refresh()
            return self._publish(self._ids | frozenset(identifiers))

    def merge(self, document: bytes) -> int:
        """Take in another SAM host's list; the number of the list that results."""
        number, identifiers = self._verified(document)
        with self._exclusive():
            if self._stale():
                # Another host's newer list is the one way out of a list that was put back.
                if number < max(self.number, self._node.counter()):
                    raise RevocationListInvalid("the other host's list is older as well")
                return self._publish(identifiers, number)
            if identifiers <= self._ids:
                return self.number
            return self._publish(self._ids | identifiers, number)

    def _publish(self, identifiers: frozenset[str], above: int = 0) -> int:
        number = max(self.number, self._node.counter(), above) + 1
        payload = strict_json.canonical({"number": number, "ids": sorted(identifiers)})
        document = {"payload": b64(payload), "signature": b64(self._node.attest(DOMAIN, payload))}
        fresh = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(strict_json.canonical(document))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._node.raise_counter(number)
        self._refresh()
        return number

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._accept(0, frozenset(), None)
            return
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            number, identifiers = self._verified(self._path.read_bytes())
            self._accept(number, identifiers, seen)

    def _accept(
        self, number: int, identifiers: frozenset[str], seen: tuple[int, int, int] | None
    ) -> None:
        if number < self.number or (not self._anchored and number < self._node.counter()):
            raise RevocationListInvalid(f"number {number} is older than one seen")
        self.number, self._ids, self._seen = number, identifiers, seen
        self._certificates = dict(map(_certificate, filter(_is_certificate, identifiers)))
        self._anchored = True

    def _stale(self) -> bool:
        try:
            self._refresh()
        except RevocationListInvalid:
            return True
        return False

    def _verified(self, document: bytes) -> tuple[int, frozenset[str]]:
        try:
            members = strict_json.loads_object(document)
            payload = unb64(members.get("payload"), "payload")
            signature = unb64(members.get("signature"), "signature")
            verify_attestation(self._public_key, DOMAIN, payload, signature)
            content = strict_json.loads_object(payload)
        except (InvalidInput, InvalidSignature) as error:
            raise RevocationListInvalid("not signed by this cluster") from error
        return cast("int", content["number"]), frozenset(cast("list[str]", content["ids"]))

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def certificate_entry(serial: int, not_after_ms: int) -> str:
    """What is put on the list for a revoked certificate."""
    return f"{_CERTIFICATE}{serial:x}:{not_after_ms}"


def _is_certificate(identifier: str) -> bool:
    return identifier.startswith(_CERTIFICATE)


def _certificate(identifier: str) -> tuple[int, int]:
    serial, not_after_ms = identifier.removeprefix(_CERTIFICATE).split(":")
    return int(serial, 16), int(not_after_ms)


def read_published(folder: Path) -> tuple[int, bytes]:
    """Number and document of the list in ``folder``, unverified: for reporting and handing on."""
    try:
        document = (folder / _NAME).read_bytes()
        payload = unb64(strict_json.loads_object(document).get("payload"), "payload")
        return cast("int", strict_json.loads_object(payload)["number"]), document
    except (FileNotFoundError, InvalidInput):
        return 0, b""
