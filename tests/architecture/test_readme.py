"""What the README tells people to type is typed by the tests, or by CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.repository import ROOT, shell_commands

if TYPE_CHECKING:
    from pathlib import Path

# Each command and the file that runs it. The file must hold the command, or take the commands
# from the README through `shell_commands`.
RUN_BY = {
    "python3 -m remote_signing.bootstrap demo": "tests/e2e/test_demo.py",
    "python3 -m remote_signing.bootstrap test": ".ci/run",
}


@pytest.mark.parametrize("command", shell_commands(ROOT / "README.md"))
def test_readme_command_is_run(command: str) -> None:
    assert command in RUN_BY, "who runs this command?"
    runner = (ROOT / RUN_BY[command]).read_text(encoding="utf-8")
    assert command in runner or "shell_commands(" in runner


def test_no_runner_is_named_for_a_command_that_has_gone() -> None:
    assert set(RUN_BY) == set(shell_commands(ROOT / "README.md"))


def test_commands_are_read_from_shell_blocks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\n# why\na \\\n  b\n\nc\n```\n```json\nno\n```\n", encoding="utf-8")
    assert shell_commands(page) == ["a b", "c"]
