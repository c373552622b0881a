"""Passwords: from a file or a prompt. There is no option that takes one."""

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
