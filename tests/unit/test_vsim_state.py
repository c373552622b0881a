"""A card's memory on disk, the person at a terminal, and the command line around them."""

from __future__ import annotations

import asyncio
import os
import termios
from pathlib import Path

import pytest

from sim_adapter.ota.errors import SecretInvalid
from sim_adapter.vsim.__main__ import parser, stores
from sim_adapter.vsim.numbers import BEHAVIOURS, behaviour_of
from sim_adapter.vsim.persons import Press
from sim_adapter.vsim.state import CardState, MemoryStore, SealedFile
from sim_adapter.vsim.terminal import TerminalKeyboard, TerminalPerson

ICCID = "8984849000000000000"
DOCS = Path(__file__).parents[2] / "docs/virtual-sim.md"


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    for store in (MemoryStore(), SealedFile(tmp_path, ICCID, bytes(32))):
        assert store.load() is None
        state = CardState(ICCID, puk="12345678", pin="777888", command_counter=9, seen=["aa"])
        store.save(state)
        assert store.load() == state
        state.pin_tries = 1
        assert store.load() != state
        store.save(state)
        assert store.load() == state


def test_a_state_file_is_its_owners_and_tells_nothing(tmp_path: Path) -> None:
    SealedFile(tmp_path, ICCID, bytes(32)).save(CardState(ICCID, puk="12345678", pin="777888"))
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    octets = path.read_bytes()
    assert all(secret not in octets for secret in (b"12345678", b"777888", b"pin"))


def test_a_state_file_of_another_instance_or_card_does_not_open(tmp_path: Path) -> None:
    SealedFile(tmp_path, ICCID, bytes(32)).save(CardState(ICCID, puk="12345678"))
    with pytest.raises(SecretInvalid):
        SealedFile(tmp_path, ICCID, b"x" * 32).load()
    other = ICCID[:-1] + "1"
    (tmp_path / f"{ICCID}.sim").rename(tmp_path / f"{other}.sim")
    with pytest.raises(SecretInvalid):
        SealedFile(tmp_path, other, bytes(32)).load()


@pytest.mark.parametrize("size", [0, 5, 12, 40])
def test_a_torn_state_file_does_not_open(tmp_path: Path, size: int) -> None:
    store = SealedFile(tmp_path, ICCID, bytes(32))
    store.save(CardState(ICCID, puk="12345678"))
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SecretInvalid):
        store.load()


def test_a_card_remembers_its_latest_transactions() -> None:
    state = CardState(ICCID, puk="12345678")
    for number in range(100):
        state.remember(number.to_bytes(16, "big"))
    assert len(state.seen) == 64
    assert state.seen[-1] == (99).to_bytes(16, "big").hex()


def test_the_state_does_not_show_its_secrets() -> None:
    shown = repr(CardState(ICCID, puk="12345678", pin="777888", private_key="abcdef"))
    assert not any(secret in shown for secret in ("12345678", "777888", "abcdef"))


def test_a_folder_of_cards_has_one_secret_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    stores(folder)(ICCID).save(CardState(ICCID, puk="12345678"))
    assert stores(folder)(ICCID).load() == CardState(ICCID, puk="12345678")
    assert (folder / "instance.secret").stat().st_mode & 0o777 == 0o600
    (folder / "instance.secret").chmod(0o644)
    with pytest.raises(SecretInvalid):
        stores(folder)
    assert stores(None)(ICCID).load() is None


def test_secrets_are_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([])
    assert "--password-file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser().parse_args(["--password", "x"])


class Typed:
    """A keyboard on which these lines are typed; without one, nothing happens."""

    def __init__(self, *lines: str | None) -> None:
        self._lines = list(lines)
        self.hidden: list[bool] = []

    async def line(self, *, is_hidden: bool) -> str | None:
        self.hidden.append(is_hidden)
        if not self._lines:
            await asyncio.sleep(60)
        return self._lines.pop(0)


def played(person: TerminalPerson, page: str) -> Press:
    return asyncio.run(person.read(page))


@pytest.mark.parametrize(
    ("key", "press"), [("", Press.OK), ("h", Press.CANCEL), ("C", Press.CANCEL), ("x", Press.OK)]
)
def test_a_person_at_a_terminal_reads_and_presses(key: str, press: Press) -> None:
    shown: list[str] = []
    person = TerminalPerson(shown.append, Typed(key))
    assert played(person, "Sở Nội vụ\nMã xác nhận: 4711") is press
    assert [line.strip("│ ") for line in shown[1:-2]] == ["Sở Nội vụ", "Mã xác nhận: 4711"]


def test_long_pages_are_wrapped_and_whole() -> None:
    shown: list[str] = []
    page = "Ký Quyết định số 12/QĐ-UBND về việc bổ nhiệm " + "x" * 90
    played(TerminalPerson(shown.append, Typed("")), page)
    assert len({len(line) for line in shown[:-1]}) == 1
    read = "".join(line.strip("│ ") for line in shown[1:-2])
    assert read.replace(" ", "") == page.replace(" ", "")


@pytest.mark.parametrize(("line", "typed"), [("135790", "135790"), ("", Press.CANCEL)])
def test_a_pin_is_typed_or_not(line: str, typed: str | Press) -> None:
    keyboard = Typed(line)
    person = TerminalPerson(lambda _line: None, keyboard)
    assert asyncio.run(person.type_in("PIN", is_hidden=True)) == typed
    assert keyboard.hidden == [True]


def test_a_handset_gives_up_and_a_closed_terminal_is_no_answer() -> None:
    for keyboard in (Typed(), Typed(None, None)):
        person = TerminalPerson(lambda _line: None, keyboard, patience=0.01)
        assert played(person, "x") is Press.NOTHING
        assert asyncio.run(person.type_in("x", is_hidden=True)) is Press.NOTHING


def test_a_terminal_does_not_echo_a_pin() -> None:
    person_side, program_side = os.openpty()

    async def typed(*, is_hidden: bool) -> bool:
        """Type a line; whether the terminal would have shown it."""
        keyboard = TerminalKeyboard(program_side)
        reading = asyncio.ensure_future(keyboard.line(is_hidden=is_hidden))
        await asyncio.sleep(0.01)
        echoes = bool(termios.tcgetattr(program_side)[3] & termios.ECHO)
        os.write(person_side, b"135790\n")
        assert await reading == "135790"
        return echoes

    try:
        assert not asyncio.run(typed(is_hidden=True))
        assert asyncio.run(typed(is_hidden=False))
    finally:
        os.close(person_side)
        os.close(program_side)


def test_lines_come_one_by_one_and_then_none() -> None:
    reader, writer = os.pipe()
    os.write(writer, "một\nhai\nba".encode())
    os.close(writer)

    async def lines() -> list[str | None]:
        keyboard = TerminalKeyboard(reader)
        return [await keyboard.line(is_hidden=True) for _ in range(3)]

    assert asyncio.run(lines()) == ["một", "hai", None]
    os.close(reader)


def test_the_table_of_numbers_is_the_documented_one() -> None:
    rows = [line.split("|") for line in DOCS.read_text(encoding="utf-8").splitlines()]
    documented = {
        row[1].strip().strip("`"): row[2].strip()
        for row in rows
        if len(row) > 3 and row[1].strip().strip("`").isdecimal()
    }
    assert documented == {number: behaviour.says for number, behaviour in BEHAVIOURS.items()}
    assert behaviour_of("84900040100") is BEHAVIOURS["401"]
    assert behaviour_of("84900077700") is BEHAVIOURS["000"]
