"""The SAM's own count of guesses, the one-time codes it has seen, and answers it keeps for a while.

The rssp counts failed attempts in its database; whoever can write there could reset them. So every
worker also keeps to this journal in the SAM's state folder: one line per guess, success and used
TOTP step, appended under a lock that all workers of the host share. It survives restarts.

A guess is known by a keyed digest and the time step, so a request that is soon sent again because a
worker died is the same guess, not another one; for the same reason a TOTP step may be used again by
the same challenge, and by no other. The signer never pays for a fault of ours with a second code.

    G <credential id> <guess>.<step>  a guess, before it is checked
    C <credential id>                 it was right, the authority unlocked, or it was destroyed
    T <factor id> <step> <binding>    a TOTP step, used for one challenge
    A <request> <expires> <answer>    what a request that must not work twice was answered
    U <SAD> <expires> <hash>          a hash that a SAD without hashes was used for

A step is remembered for three minutes whoever's it is, and an older one than that is refused; so
what the workers remember of steps is bounded by the rate, not by the number of signers. Guesses
stay: a locked credential's until it is destroyed, also those from before an unlocking, for the
record from before it may be put back. That is ``limit`` lines for each order to unlock.

What a guess, an answer or a use depends on is on the disk before the worker goes on, also when
another worker wrote it, which may have been killed before it was there. Used steps are not forced
there (the database keeps them too), nor is what only takes a count back.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remote_signing.errors import CredentialLocked, EvidenceReplayed, TooManySignatures
from remote_signing.sam.durable import HeldFile, fsync_folder, opened, replace_file, write_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_COMPACT_ABOVE = 1024 * 1024
_STEPS_KEPT = 6  # three minutes; a code is accepted for at most a minute and a half
STEP_MS = 30_000  # of a one-time code (RFC 6238)
_LONGEST_MS = 15 * 60 * 1000  # orders and SADs live less: what ends that long before others is over


class AttemptJournal:
    """``limit`` wrong guesses in a row lock a credential until the registration authority acts."""

    def __init__(self, folder: Path, limit: int, compact_above: int = _COMPACT_ABOVE) -> None:
        self._path = folder / "attempts"
        self._lock_path = folder / "attempts.lock"
        self._limit = limit
        self._compact_above = compact_above
        # Each worker compacts in its turn: who met a file before must know it from the next ones.
        self._file = HeldFile(self._path, os.O_RDWR | os.O_CREAT)
        self._position = 0
        self._guesses: dict[str, set[str]] = {}
        self._steps: dict[int, dict[str, str]] = {}  # step → factor → binding
        self._newest = 0
        self._answers: dict[str, tuple[int, str]] = {}
        self._uses: dict[str, tuple[int, set[str]]] = {}

    def charge(self, credential_id: str, guess: bytes, step: int) -> None:
        """Count ``guess`` (a keyed digest) before it is checked; ``CredentialLocked`` at the limit.

        Sent again in the time step in which it was counted or in the next one, it is the same
        guess: its answer was lost. Later it is another one, for a code that was wrong may be right.
        """
        name, before = (f"{guess[:16].hex()}.{number}" for number in (step, step - 1))
        with self._current() as journal:
            seen = self._guesses.get(credential_id, set())
            if not seen & {name, before}:
                if len(seen) >= self._limit:
                    raise CredentialLocked("limit of the SAM's own journal")
                self._append(journal, f"G {credential_id} {name}")
            os.fdatasync(journal)

    def remaining(self, credential_id: str) -> int:
        """How many wrong guesses are left."""
        with self._current():
            return self._limit - len(self._guesses.get(credential_id, set()))

    def clear(self, credential_id: str) -> None:
        """Forget the guesses that are counted under ``credential_id``."""
        with self._current() as journal:
            if credential_id in self._guesses:
                self._append(journal, f"C {credential_id}")

    def forget(self, credential_id: str) -> None:
        """Forget the guesses of a credential that is destroyed, also those before unlockings."""
        with self._current() as journal:
            names = [name for name in self._guesses if name.split(".")[0] == credential_id]
            for name in names:
                self._append(journal, f"C {name}")

    def use_step(self, factor_id: str, step: int, binding: bytes) -> None:
        """Use a TOTP step up for the challenge ``binding``; ``EvidenceReplayed`` for another."""
        name = binding[:16].hex()
        with self._current() as journal:
            if step < self._newest - _STEPS_KEPT:
                raise EvidenceReplayed("TOTP step is older than what is remembered")
            known = self._steps.get(step, {}).get(factor_id)
            if known is None:
                self._append(journal, f"T {factor_id} {step} {name}")
            elif known != name:
                raise EvidenceReplayed("TOTP step was used")

    def answer(self, request: str) -> str | None:
        """What ``request`` was answered, if it was."""
        with self._current() as journal:
            if request not in self._answers:
                return None
            os.fdatasync(journal)
            return self._answers[request][1]

    def keep_answer(self, request: str, answer: str, expires_at_ms: int) -> str:
        """Keep ``answer`` (one word) until then. The answer that stands: another worker's first."""
        with self._current() as journal:
            if request not in self._answers:
                self._append(journal, f"A {request} {expires_at_ms} {answer}")
            os.fdatasync(journal)
            return self._answers[request][1]

    def unlock(self, credential_id: str, order: str, expires_at_ms: int) -> None:
        """Forget the guesses of ``credential_id``, once for one order."""
        with self._current() as journal:
            if order not in self._answers:
                lines = f"A {order} {expires_at_ms} unlocked\nC {credential_id}"
                self._append(journal, lines)
            os.fdatasync(journal)

    def use_sad(self, sad: str, hashes: AbstractSet[str], count: int, expires_at_ms: int) -> None:
        """Use a SAD for these hashes; ``TooManySignatures`` beyond ``count`` different ones."""
        with self._current() as journal:
            used = self._uses.get(sad, (0, set[str]()))[1]
            if len(used | hashes) > count:
                raise TooManySignatures(f"{len(used | hashes)} of {count}, over all calls")
            lines = [f"U {sad} {expires_at_ms} {value}" for value in sorted(hashes - used)]
            if lines:
                self._append(journal, "\n".join(lines))
            os.fdatasync(journal)

    @contextmanager
    def _current(self) -> Iterator[int]:
        """The journal, locked against the other workers and read up to its end."""
        with opened(self._lock_path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            journal = self._open_and_read()
            if self._position > self._compact_above:
                self._compact()
                journal = self._open_and_read()
                self._compact_above = max(self._compact_above, 2 * self._position)
            yield journal

    def _open_and_read(self) -> int:
        if self._file.is_replaced():
            if not os.fstat(self._file.hold()).st_size:
                fsync_folder(self._path.parent)  # perhaps it was made only now
            self._position = 0
            self._guesses.clear()
            self._steps.clear()
            self._newest = 0
            self._answers.clear()
            self._uses.clear()
        journal = self._file.descriptor
        size = os.fstat(journal).st_size
        if size > self._position:
            self._take_in(os.pread(journal, size - self._position, self._position))
            self._position = size
        return journal

    def _append(self, journal: int, lines: str) -> None:
        # The leading newline ends a line that a killed worker may have left half written.
        data = f"\n{lines}\n".encode("ascii")
        write_at(journal, data, self._position)
        self._take_in(data)
        self._position += len(data)

    def _take_in(self, data: bytes) -> None:
        for line in data.decode("ascii", "replace").split("\n"):
            match line.split(" "):
                case ["G", credential_id, guess]:
                    self._guesses.setdefault(credential_id, set()).add(guess)
                case ["C", credential_id]:
                    self._guesses.pop(credential_id, None)
                case ["T", factor_id, step, binding] if step.isdecimal():
                    self._remember_step(factor_id, int(step), binding)
                case ["A", request, expires, answer] if expires.isdecimal():
                    self._answers.setdefault(request, (int(expires), answer))
                case ["U", sad, expires, value] if expires.isdecimal():
                    self._uses.setdefault(sad, (int(expires), set()))[1].add(value)

    def _remember_step(self, factor_id: str, step: int, binding: str) -> None:
        if step > self._newest:
            self._newest = step
            for old in [known for known in self._steps if known < step - _STEPS_KEPT]:
                del self._steps[old]
        self._steps.setdefault(step, {})[factor_id] = binding

    def _compact(self) -> None:
        """Write what still counts into a new file. The other workers notice that it is another."""
        lines = [
            f"G {credential_id} {guess}"
            for credential_id, guesses in self._guesses.items()
            for guess in sorted(guesses)
        ]
        lines += [
            f"T {factor_id} {step} {binding}"
            for step, factors in self._steps.items()
            for factor_id, binding in factors.items()
        ]
        kept = (*self._answers.values(), *self._uses.values())
        latest = max((expires for expires, _ in kept), default=0)
        over = max(latest, self._newest * STEP_MS) - _LONGEST_MS
        lines += [
            f"A {request} {expires} {answer}"
            for request, (expires, answer) in self._answers.items()
            if expires >= over
        ]
        lines += [
            f"U {sad} {expires} {value}"
            for sad, (expires, values) in self._uses.items()
            if expires >= over
            for value in sorted(values)
        ]
        replace_file(self._path, "".join(f"{line}\n" for line in lines).encode("ascii"))
