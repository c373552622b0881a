"""The repository as data: its files, its settings, the commands its README tells people to type."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("remote_signing", "sim_adapter", "consent_app", "loadtests")

_SHELL_BLOCK = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@cache
def files() -> tuple[Path, ...]:
    """Every file that is in the repository or would be added to it."""
    listed = subprocess.run(
        # Whoever owns the folder (a container's root, say): these are our own files.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],  # noqa: S607 - git of the PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(*folders: str) -> list[Path]:
    """The Python files below ``folders`` (default: all)."""
    places = [ROOT / folder for folder in folders] or [ROOT]
    return [
        path
        for path in files()
        if path.suffix == ".py" and any(path.is_relative_to(place) for place in places)
    ]


def text(path: Path) -> str | None:
    """The file's text; None when it is binary."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def name(path: Path) -> str:
    """The path inside the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def settings() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def shell_blocks(markdown: Path) -> list[str]:
    """The shell blocks of a page, as they stand there."""
    return _SHELL_BLOCK.findall(markdown.read_text(encoding="utf-8"))


def shell_commands(block: str) -> list[str]:
    """The commands in a shell block; a line ending in a backslash goes on."""
    lines = block.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


def the_tour() -> str:
    """The README's tour by hand: the block that begins with the demo's variables."""
    return next(block for block in shell_blocks(ROOT / "README.md") if "tour.env" in block)
