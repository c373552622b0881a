"""The revocation list: destroyed credentials, removed factors, revoked certificates stay gone.

An older sealed record put back into the database must not bring a factor back, nor a rule of
consent that another one took the place of. The list only grows. It is two files in the SAM's state
folder:

    revoked.ids     one id a line, in the order in which they came; only ever appended to
    revoked.head    {"number", "size", "sha256"} of the first ``size`` bytes of revoked.ids,
                    signed by a key in the HSM (an attested document, :mod:`.cluster`)

so putting an id on it, or reading what was put on it since, costs the same whatever its length.
Each list's number is also kept in every token that has seen it: an older list put back into the
folder is noticed whichever node a worker has. Then every verb refuses until an operator merges a
list that is at least as new, of another SAM host.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, RevocationListInvalid, SealBroken
from remote_signing.sam.cluster import attested_document, open_attested
from remote_signing.sam.durable import HeldFile, fsync_folder, opened, replace_file, write_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from hashlib import _Hash as Hash
    from pathlib import Path

    from remote_signing.sam.hsm import Node

DOMAIN = b"revocation-list"
IDS_FILE, HEAD_FILE = "revoked.ids", "revoked.head"
_INCOMING = "revoked.incoming"
# Of nothing, by whoever can speak to the SAM; of a list, five million ids.
_LONGEST_INCOMING = 128 * 1024 * 1024
_CERTIFICATE = "cert:"
_RULE = "rule:"


@dataclass(frozen=True, slots=True)
class _Head:
    """What ``revoked.head`` says; without the file, the list is empty."""

    number: int = 0
    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()


@dataclass(slots=True)
class _Known:
    """A list as far as it was read: ``size`` bytes, the running hash over them, the ids."""

    number: int = 0
    size: int = 0
    hash: Hash = field(default_factory=hashlib.sha256)
    ids: set[str] = field(default_factory=set)
    certificates: dict[int, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)


class RevocationList:
    """The list as one worker sees it; reads what was added whenever the head has changed."""

    def __init__(self, folder: Path, node: Node) -> None:
        self._folder = folder
        self._head_file = str(folder / HEAD_FILE)  # looked at before each use of a key
        self._held = HeldFile(folder / HEAD_FILE, os.O_RDONLY)
        self._node = node
        self._public_key = node.attest_public_key()
        self._seen: tuple[int, int, int] | None = None
        self._known = _Known()
        self._accepted = False

    @property
    def number(self) -> int:
        """The number of the list that was read last."""
        return self._known.number

    def __contains__(self, identifier: object) -> bool:
        self.refresh()
        return identifier in self._known.ids

    def refresh(self) -> None:
        """Read what is new, and let this worker's token know; ``RevocationListInvalid``."""
        if not self._accepted or self._seen != self._file_state():
            with self._exclusive():
                self._accept()

    def certificates(self) -> Mapping[int, int]:
        """Serial number → end (ms) of every certificate that an order has revoked."""
        self.refresh()
        return self._known.certificates

    def rule_since(self, credential_id: str) -> int:
        """Since when (ms) the newest of its rules of consent that was used is there; 0: always.

        A record whose rule is older, and what was consented to by it, are over.
        """
        self.refresh()
        return self._known.rules.get(credential_id, 0)

    def add(self, identifiers: Iterable[str]) -> int:
        """Put ``identifiers`` on the list; the number of the list that has them, durably."""
        with self._exclusive():
            self._accept()
            added = set(identifiers) - self._known.ids
            return self._publish(added, self.number) if added else self.number

    def merge(self, at: int, ids: bytes, head: bytes | None) -> int:
        """Take in a piece of another SAM host's ``revoked.ids``, which begins at byte ``at``.

        The last piece comes with its ``revoked.head``, and only then is anything believed. The
        number of the list that results. Nothing that either list has is lost.
        """
        if at + len(ids) > _LONGEST_INCOMING:
            raise InvalidInput("longer than any list", parameter="at")
        with self._exclusive():
            with opened(self._folder / _INCOMING) as incoming:
                if not at:
                    os.ftruncate(incoming, 0)  # of a list that came before, and not to its end
                if at > os.fstat(incoming).st_size:
                    raise InvalidInput("a piece before this one is missing", parameter="at")
                write_at(incoming, ids, at)
                if head is None:
                    return self.number
                other = self._read(incoming, self._signed(head), _Known())
            (self._folder / _INCOMING).unlink()
            stale = self._stale()
            if stale and other.number < max(self.number, self._node.counter()):
                raise RevocationListInvalid("the other host's list is older as well")
            if not stale and other.ids <= self._known.ids:
                return self.number
            return self._publish(other.ids | self._known.ids, other.number)

    def _publish(self, identifiers: set[str], above: int) -> int:
        """Append what is not yet in the files, and sign the new head. Under the lock."""
        base = self._in_files()
        added = "".join(f"{each}\n" for each in sorted(identifiers - base.ids)).encode("ascii")
        with opened(self._folder / IDS_FILE) as file:
            os.ftruncate(file, base.size)  # what a killed worker left behind was never signed
            write_at(file, added, base.size)
            os.fsync(file)
        base.hash.update(added)
        number = max(self.number, base.number, self._node.counter(), above) + 1
        content: dict[str, strict_json.JsonValue] = {
            "number": number,
            "size": base.size + len(added),
            "sha256": base.hash.hexdigest(),
        }
        head = attested_document(DOMAIN, content, self._node.attest)
        replace_file(self._folder / HEAD_FILE, head)
        self._accepted = True  # this list is newer than the token's number
        self._accept()
        return number

    def _accept(self) -> None:
        """Believe the files, if they are as new as what was seen. Under the lock."""
        state = self._file_state()
        if not self._accepted or state != self._seen:
            with suppress(FileNotFoundError):
                self._held.hold()  # else a later head might look the same: number, time and size
            known = self._newest()
            # Once is enough: hosts that share a token raise its number beyond each other's lists.
            if not self._accepted and known.number < self._node.counter():
                raise RevocationListInvalid(f"number {known.number} is older than the token's")
            # Else the token could remember a list that a loss of power takes back: whoever wrote
            # it may have been killed before its name was on the disk.
            fsync_folder(self._folder)
            self._node.raise_counter(known.number)
            self._known, self._seen, self._accepted = known, state, True

    def _newest(self) -> _Known:
        """The list in the files; ``RevocationListInvalid`` when it lacks anything seen before."""
        head = self._head()
        if head.number < self.number:
            raise RevocationListInvalid(f"number {head.number} is older than one seen")
        if head.size >= self._known.size:
            with suppress(RevocationListInvalid):
                return self._read_ids(head, self._known)
        # Not what was seen and more: after a merge the same ids may stand in another order.
        whole = self._read_ids(head, _Known())
        if not self._known.ids <= whole.ids:
            raise RevocationListInvalid("ids are missing that were seen before")
        return whole

    def _stale(self) -> bool:
        try:
            self._accept()
        except RevocationListInvalid:
            return True
        return False

    def _in_files(self) -> _Known:
        """The list in the files if it is signed, however old; else an empty one."""
        try:
            head = self._head()
            known = self._known if head.sha256 == self._known.hash.hexdigest() else _Known()
            return self._read_ids(head, known)
        except RevocationListInvalid:
            return _Known()

    def _read_ids(self, head: _Head, known: _Known) -> _Known:
        with opened(self._folder / IDS_FILE) as file:
            return self._read(file, head, known)

    def _read(self, file: int, head: _Head, known: _Known) -> _Known:
        """``known`` and what ``head`` signs beyond it; ``RevocationListInvalid``."""
        more = os.pread(file, head.size - known.size, known.size)
        running = known.hash.copy()
        running.update(more)
        if running.hexdigest() != head.sha256:
            raise RevocationListInvalid("the ids are not those that were signed")
        # In place: copying a million ids for each new one would cost more than all the rest.
        added = more.decode("ascii").splitlines()
        known.ids.update(added)
        known.certificates.update(
            _certificate(each) for each in added if each.startswith(_CERTIFICATE)
        )
        for credential_id, since_ms in (_rule(each) for each in added if each.startswith(_RULE)):
            known.rules[credential_id] = max(since_ms, known.rules.get(credential_id, 0))
        return _Known(head.number, head.size, running, known.ids, known.certificates, known.rules)

    def _head(self) -> _Head:
        try:
            return self._signed((self._folder / HEAD_FILE).read_bytes())
        except FileNotFoundError:
            return _Head()

    def _signed(self, document: bytes) -> _Head:
        try:
            content = open_attested(DOMAIN, document, self._public_key)
        except SealBroken as error:
            raise RevocationListInvalid("not signed by this cluster") from error
        return _head_of(content)

    def _file_state(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._head_file)  # noqa: PTH116 - a Path costs more than the call
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with opened(self._folder / "revocations.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _head_of(content: dict[str, strict_json.JsonValue]) -> _Head:
    number, size = cast("int", content["number"]), cast("int", content["size"])
    return _Head(number, size, cast("str", content["sha256"]))


def certificate_entry(serial: int, not_after_ms: int) -> str:
    """What is put on the list for a revoked certificate."""
    return f"{_CERTIFICATE}{serial:x}:{not_after_ms}"


def _certificate(identifier: str) -> tuple[int, int]:
    serial, not_after_ms = identifier.removeprefix(_CERTIFICATE).split(":")
    return int(serial, 16), int(not_after_ms)


def rule_entry(credential_id: str, since_ms: int) -> str:
    """What is put on the list when a rule of consent that is there ``since_ms`` is used."""
    return f"{_RULE}{credential_id}:{since_ms}"


def _rule(identifier: str) -> tuple[str, int]:
    credential_id, since_ms = identifier.removeprefix(_RULE).split(":")
    return credential_id, int(since_ms)


def read_published(folder: Path) -> tuple[int, str]:
    """Number and SHA-256 of the list in ``folder``, unverified: for reporting."""
    try:
        document = strict_json.loads_object((folder / HEAD_FILE).read_bytes())
    except (FileNotFoundError, InvalidInput):
        head = _Head()
    else:
        head = _head_of(cast("dict[str, strict_json.JsonValue]", document["content"]))
    return head.number, head.sha256
