"""What the README tells people to type is typed by the tests, or by CI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.repository import ROOT, shell_blocks, shell_commands, the_tour

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = shell_blocks(ROOT / "README.md")
# Each block of one command, and the file that runs it.
RUN_BY = {
    "python3 -m remote_signing.bootstrap demo": "tests/e2e/test_demo.py",
    "python3 -m remote_signing.bootstrap test": ".ci/run",
}


def test_each_command_of_the_readme_is_run_by_somebody() -> None:
    single = {block.strip() for block in BLOCKS if len(shell_commands(block)) == 1}
    assert single == set(RUN_BY)
    for command, runner in RUN_BY.items():
        assert command in (ROOT / runner).read_text(encoding="utf-8")


def test_what_has_several_commands_is_the_tour_which_a_test_takes() -> None:
    longer = [block for block in BLOCKS if len(shell_commands(block)) > 1]
    assert longer == [the_tour()]
    assert "the_tour()" in (ROOT / "tests/e2e/test_tour.py").read_text(encoding="utf-8")


def test_the_readme_names_no_command_that_nobody_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in BLOCKS:
        text = text.replace(block, "")
    named = set(re.findall(r"`((?:python3?|remote-signing|pytest|bash|sh) [^`]+)`", text))
    assert named <= {*RUN_BY, "python3 -m remote_signing.bootstrap demo --keep", "python -m …"}


def test_commands_are_read_from_shell_blocks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\n# why\na \\\n  b\n\nc\n```\n```json\nno\n```\n", encoding="utf-8")
    (block,) = shell_blocks(page)
    assert shell_commands(block) == ["a b", "c"]
