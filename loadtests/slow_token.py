"""A token that answers late, as one in the network does: ``slow_token.c`` before the true module.

With it the limit is the HSM and not the processor, so that a small machine shows whether more
workers do more. The service is told nothing but another module in ``sam.toml``.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.programs import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).with_suffix(".c")
_FLAGS = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror")


def build(folder: Path) -> Path:
    """The module, compiled into ``folder``. Errors: ``ProgramFailed``."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ProgramFailed("no C compiler for the slow token: Debian's package build-essential")
    module = folder / "slow_token.so"
    done = subprocess.run(  # noqa: S603 - the system's compiler on our own source
        [compiler, *_FLAGS, "-o", str(module), str(SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ProgramFailed(f"{compiler}: {done.stderr[-2000:]}")
    return module


def before(node: Mapping[str, object], module: Path, milliseconds: float) -> dict[str, object]:
    """The table of ``node`` in ``sam.toml``, with ``module`` before its own."""
    environment = dict(node["environment"])  # type: ignore[call-overload]  # a table of the same file
    environment |= {"SLOW_TOKEN_MODULE": str(node["module"]), "SLOW_TOKEN_MS": f"{milliseconds:g}"}
    return {**node, "module": str(module), "environment": environment}
