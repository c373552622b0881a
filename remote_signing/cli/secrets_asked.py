"""Passwords, and what else is nobody's business: from a file or a prompt, never an option."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from remote_signing.cli.output import fail, say

if TYPE_CHECKING:
    from pathlib import Path


def new_password(file: Path | None, whose: str) -> str:
    """The first line of ``file`` (``-``: of stdin), else what is typed twice at the prompt."""
    if file is not None:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
        return text.split("\n", 1)[0]
    if not sys.stdin.isatty():
        raise fail("no terminal to ask at: name a --password-file", 2)
    for _ in range(3):
        password = getpass.getpass(f"New password of {whose}: ")
        if password == getpass.getpass("Again: "):
            return password
        say("These differ.")
    raise fail("no password was set")


def secret_line(file: Path | None, what: str) -> str:
    """The first line of ``file`` (``-``: of stdin), else what is typed at the prompt ``what``."""
    if file is not None:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
        return text.split("\n", 1)[0]
    if not sys.stdin.isatty():
        raise fail("no terminal to ask at: name a file", 2)
    return getpass.getpass(f"{what}: ")
