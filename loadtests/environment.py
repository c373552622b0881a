"""The load generator's own Python environment: locust brings gevent, which patches what it meets.

Made on demand beside the project's, from ``requirements/load.lock`` with its hashes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.options import Engine

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-load"
_LOCK = ROOT / "requirements" / "load.lock"


COMPARED = ROOT / ".venv-compared"
COMPARED_WITH = "certomancer-csc-dummy==0.4.2"


def python_of_compared(say: Callable[[str], None]) -> str:
    """The interpreter with the server that ours is compared with: its pins are its own."""
    python = COMPARED / "bin" / "python"
    if not python.exists():
        say(f"making {COMPARED.name} for {COMPARED_WITH}, once")
        _uv("venv", "--clear", "--python", sys.executable, str(COMPARED))
        _uv("pip", "install", "--python", str(python), COMPARED_WITH)
    return str(python)


def python_of(engine: Engine, say: Callable[[str], None]) -> str:
    """The interpreter that runs the load generator with ``engine``."""
    if engine == "plain":
        return sys.executable
    python, stamp = FOLDER / "bin" / "python", FOLDER / "lock.sha256"
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text("ascii") != wanted:
        say(f"making {FOLDER.name} for locust, once")
        _uv("venv", "--clear", "--python", sys.executable, str(FOLDER))
        _uv("pip", "sync", "--require-hashes", "--python", str(python), str(_LOCK))
        stamp.write_text(wanted, "ascii")
    return str(python)


def _uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True)  # noqa: S603 - the project's own uv
