import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_signing.errors import CredentialLocked, EvidenceReplayed
from remote_signing.sam.attempts import AttemptJournal
from tests.support.file_numbers import ReusedNumbers

CREDENTIAL = "01mcc5rm00mratbh8wk05wn2gg"
FACTOR = "01mcc5rm00mratbh8wk05wn2gh"
STEP = 60_000_000  # of 30 seconds: when guesses are made


def guesses(count: int, prefix: int = 0) -> Iterator[bytes]:
    return (bytes([prefix, number]) * 16 for number in range(count))


def test_guesses_up_to_the_limit_are_counted_and_the_next_is_refused(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=3)
    for guess in guesses(3):
        journal.charge(CREDENTIAL, guess, STEP)
    assert journal.remaining(CREDENTIAL) == 0
    with pytest.raises(CredentialLocked):
        journal.charge(CREDENTIAL, b"another" * 8, STEP)
    journal.charge(FACTOR, b"another" * 8, STEP)


def test_the_same_guess_sent_again_is_counted_once(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=1)
    for _ in range(5):
        journal.charge(CREDENTIAL, b"same" * 8, STEP)
    assert journal.remaining(CREDENTIAL) == 0


def test_a_guess_is_the_same_in_the_next_time_step_and_then_another_one(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=2)
    for step in (STEP, STEP + 1, STEP + 1):
        journal.charge(CREDENTIAL, b"same" * 8, step)
    assert journal.remaining(CREDENTIAL) == 1
    # However often it came meanwhile, the time is that of the first.
    journal.charge(CREDENTIAL, b"same" * 8, STEP + 2)
    assert journal.remaining(CREDENTIAL) == 0
    for other_time in (STEP - 1, STEP + 4):
        with pytest.raises(CredentialLocked):
            journal.charge(CREDENTIAL, b"same" * 8, other_time)


def test_guesses_of_the_release_before_count(tmp_path: Path) -> None:
    (tmp_path / "attempts").write_text(f"\nG {CREDENTIAL} {(b'same' * 4).hex()}\n")
    journal = AttemptJournal(tmp_path, limit=2)
    journal.charge(CREDENTIAL, b"same" * 8, STEP)
    assert journal.remaining(CREDENTIAL) == 0


def test_success_forgets_the_guesses(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=2)
    journal.charge(CREDENTIAL, b"one" * 8, STEP)
    journal.clear(CREDENTIAL)
    journal.clear(CREDENTIAL)
    assert journal.remaining(CREDENTIAL) == 2


def test_lock_survives_a_restart_and_is_seen_by_every_worker(tmp_path: Path) -> None:
    first, second = AttemptJournal(tmp_path, limit=2), AttemptJournal(tmp_path, limit=2)
    first.charge(CREDENTIAL, b"one" * 8, STEP)
    second.charge(CREDENTIAL, b"two" * 8, STEP)
    for journal in (first, second, AttemptJournal(tmp_path, limit=2)):
        with pytest.raises(CredentialLocked):
            journal.charge(CREDENTIAL, b"three" * 8, STEP)


def test_time_step_is_used_once_but_again_by_the_same_challenge(tmp_path: Path) -> None:
    first, second = AttemptJournal(tmp_path, limit=9), AttemptJournal(tmp_path, limit=9)
    first.use_step(FACTOR, 60_000_000, b"challenge" * 8)
    second.use_step(FACTOR, 60_000_000, b"challenge" * 8)
    for journal in (first, second):
        with pytest.raises(EvidenceReplayed):
            journal.use_step(FACTOR, 60_000_000, b"other one" * 8)
    first.use_step("somebody.else", 60_000_000, b"other one" * 8)
    first.use_step(FACTOR, 60_000_001, b"other one" * 8)


def test_compaction_keeps_locks_and_recent_steps_and_the_others_follow(tmp_path: Path) -> None:
    other = AttemptJournal(tmp_path, limit=3)
    other.charge(CREDENTIAL, b"one" * 8, STEP)
    journal = AttemptJournal(tmp_path, limit=3, compact_above=2_000)
    for step in range(100):
        journal.use_step(FACTOR, 60_000_000 + step, b"challenge" * 8)
        journal.charge(FACTOR, b"right" * 8, STEP)
        journal.clear(FACTOR)
    assert (tmp_path / "attempts").stat().st_size < 4_000
    assert (tmp_path / "attempts").stat().st_mode & 0o777 == 0o600
    assert other.remaining(CREDENTIAL) == 2
    with pytest.raises(EvidenceReplayed):
        other.use_step(FACTOR, 60_000_099, b"other one" * 8)


def test_compacted_journal_is_never_taken_for_the_one_before_whose_number_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReusedNumbers(tmp_path, monkeypatch)
    a, b, c, d = (AttemptJournal(tmp_path, 3, compact_above=40_000) for _ in range(4))
    # Each worker is over its limit when it has read 25 answers, and compacts in its turn.
    for number in range(25):
        for each in (a, b, c, d):
            assert each.answer(f"order{number - 1}") or not number
        d.keep_answer(f"order{number}", "A" * 1600, 1_000)
    a.charge(CREDENTIAL, b"one" * 8, STEP)
    a.use_step(FACTOR, 60_000_000, b"challenge" * 8)
    b.charge(CREDENTIAL, b"two" * 8, STEP)
    with pytest.raises(EvidenceReplayed):
        c.use_step(FACTOR, 60_000_000, b"other one" * 8)
    for reader in (a, b, c, d, AttemptJournal(tmp_path, limit=3)):
        assert reader.remaining(CREDENTIAL) == 1


def test_steps_are_remembered_for_three_minutes_and_older_ones_refused(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=3)
    for step in range(60_000_000, 60_000_007):
        journal.use_step(f"signer.{step}", step, b"challenge" * 8)
    for reader in (journal, AttemptJournal(tmp_path, limit=3)):
        with pytest.raises(EvidenceReplayed):
            reader.use_step("signer.60000000", 60_000_000, b"other one" * 8)
        reader.use_step("signer.60000006", 60_000_006, b"challenge" * 8)
    journal.use_step(FACTOR, 60_000_007, b"challenge" * 8)
    for reader in (journal, AttemptJournal(tmp_path, limit=3)):
        with pytest.raises(EvidenceReplayed, match="older"):
            reader.use_step("somebody.else", 60_000_000, b"challenge" * 8)


def test_memory_of_steps_does_not_grow_with_the_signers(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=3)
    for number in range(400):
        journal.use_step(f"signer{number}", 60_000_000 + number, b"challenge" * 8)
    other = AttemptJournal(tmp_path, limit=3)
    assert other.remaining(CREDENTIAL) == 3  # it has read the whole file
    assert all(len(pickle.dumps(vars(each))) < 2_000 for each in (journal, other))


def test_answers_go_when_the_time_of_their_orders_is_long_over(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=3, compact_above=1_000)
    over = 60_000_000 * 30_000
    journal.keep_answer("old", "certificate", over)
    journal.keep_answer("new", "certificate", over + 600_000)
    for step in range(60_000_010, 60_000_050):  # 5 to 25 minutes after the first one's end
        journal.use_step(FACTOR, step, b"challenge" * 8)
    other = AttemptJournal(tmp_path, limit=3)
    assert [other.answer(order) for order in ("old", "new")] == [None, "certificate"]


def test_line_torn_by_a_kill_does_not_swallow_the_next(tmp_path: Path) -> None:
    journal = AttemptJournal(tmp_path, limit=2)
    journal.charge(CREDENTIAL, b"one" * 8, STEP)
    with (tmp_path / "attempts").open("ab") as file:
        file.write(b"G 01mcc5rm00mr")
    journal.charge(CREDENTIAL, b"two" * 8, STEP)
    assert AttemptJournal(tmp_path, limit=2).remaining(CREDENTIAL) == 0


RACER = """
import sys
from pathlib import Path
from remote_signing.errors import CredentialLocked, EvidenceReplayed
from remote_signing.sam.attempts import AttemptJournal
from tests.support.file_numbers import ReusedNumbers
folder, mark = Path(sys.argv[1]), sys.argv[2]
journal = AttemptJournal(folder, limit=10)
won = 0
for step in range(200):
    try:
        journal.use_step("factor", 60_000_000 + step, (mark * 40).encode())
        won += 1
    except EvidenceReplayed:
        pass
charged = 0
for number in range(20):
    try:
        journal.charge("credential", f"{mark}{number:02d}".ljust(32).encode(), 60_000_000)
        charged += 1
    except CredentialLocked:
        pass
print(won, charged)
"""


def test_racing_processes_share_one_step_and_one_limit(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), mark], stdout=subprocess.PIPE, text=True
        )
        for mark in "abcd"
    ]
    results = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sum(int(won) for won, _ in results) == 200
    assert sum(int(charged) for _, charged in results) == 10


HOLDER = """
import sys, time
from pathlib import Path
from remote_signing.sam.attempts import AttemptJournal
from tests.support.file_numbers import ReusedNumbers
with AttemptJournal(Path(sys.argv[1]), 3)._current():
    print("held", flush=True)
    time.sleep(60)
"""


def test_worker_killed_while_it_holds_the_lock_blocks_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    AttemptJournal(tmp_path, 3).charge(CREDENTIAL, b"one" * 8, STEP)
