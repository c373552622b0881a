"""Development tokens: whole or not there, and their PINs in files of their owner only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remote_signing.sam import softhsm
from remote_signing.sam.softhsm import TokenNotMade, find_module, make_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.sam.softhsm import DevelopmentToken

LOG_IN = """
import sys, pkcs11
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
with token.open(user_pin=sys.stdin.read().strip(), rw=True):
    print("logged in")
"""


def _log_in(token: DevelopmentToken) -> str:
    return subprocess.run(
        [sys.executable, "-c", LOG_IN, str(token.module), token.label],
        input=token.pin_file.read_text(encoding="ascii"),
        env={**os.environ, **token.environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_each_node_logs_in_with_its_own_pin(
    make_tokens: Callable[[int], list[DevelopmentToken]],
) -> None:
    tokens = make_tokens(2)
    assert [token.label for token in tokens] == ["node-1", "node-2"]
    assert [_log_in(token) for token in tokens] == ["logged in", "logged in"]
    first, second = (token.pin_file.read_text(encoding="ascii") for token in tokens)
    assert first != second


def test_nobody_else_can_read_pins_or_keys(tmp_path: Path) -> None:
    token = make_token(tmp_path / "node", "node")
    folder = tmp_path / "node"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (token.pin_file, token.so_pin_file)]
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_pins_are_neither_arguments_nor_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    run = subprocess.run

    def watched(command: list[str], **options: object) -> object:
        shown.extend([*command, str(options["env"])])
        return run(command, **options)  # type: ignore[call-overload]  # passes on what it was given

    monkeypatch.setattr(subprocess, "run", watched)
    token = make_token(tmp_path / "node", "node")
    pins = [
        path.read_text(encoding="ascii").strip() for path in (token.pin_file, token.so_pin_file)
    ]
    assert len(shown) > 1
    assert [pin for pin in pins for text in shown if pin in text] == []


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    first = make_token(tmp_path / "node", "node")
    pin = first.pin_file.read_bytes()
    assert make_token(tmp_path / "node", "node") == first
    assert first.pin_file.read_bytes() == pin


def test_token_left_half_made_is_made_anew(tmp_path: Path) -> None:
    token = make_token(tmp_path / "node", "node")
    token.pin_file.unlink()
    assert _log_in(make_token(tmp_path / "node", "node")) == "logged in"
    assert len(list((tmp_path / "node" / "tokens").iterdir())) == 1


@pytest.mark.parametrize(
    ("label", "module", "reason"),
    [
        ("x" * 33, None, "longer than 32 bytes"),
        ("node", Path("/none.so"), r"none\.so"),
        ("node", Path(sys.executable), "node"),
    ],
)
def test_what_cannot_be_made_says_why(
    tmp_path: Path, label: str, module: Path | None, reason: str
) -> None:
    with pytest.raises(TokenNotMade, match=reason):
        make_token(tmp_path / "node", label, module)
    assert not (tmp_path / "node" / "pin").exists()


def test_machine_without_module_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softhsm, "find_module", lambda: None)
    with pytest.raises(TokenNotMade, match="PKCS11_MODULE is not set"):
        make_token(tmp_path / "node", "node")


def test_module_is_the_one_named_else_the_systems(tmp_path: Path) -> None:
    assert find_module({}, tmp_path) is None
    library = tmp_path / "usr" / "lib" / "some-arch" / "softhsm" / "libsofthsm2.so"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find_module({}, tmp_path) == library
    assert find_module({"PKCS11_MODULE": "/own.so"}, tmp_path) == Path("/own.so")
