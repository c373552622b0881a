"""docs/sign-hash.md walks through the code: its numbers and files are the code's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WALK = (ROOT / "docs" / "sign-hash.md").read_text("utf-8")
STEPS = re.findall(r"^\*\*([0-9][a-z](?:, [0-9][a-z])*)\*\* (.+?) —", WALK, re.MULTILINE)


def place(name: str) -> Path:
    inside = ROOT / "remote_signing" / name
    return inside if inside.exists() else ROOT / name


def test_every_step_of_the_walk_is_a_comment_in_a_file_it_names() -> None:
    assert len(STEPS) >= 10
    for numbers, named in STEPS:
        files = [place(name) for name in re.findall(r"`([^`]+\.py)`", named)]
        text = "".join(path.read_text("utf-8") for path in files)
        for number in numbers.split(", "):
            assert re.search(rf"# Steps? [^:]*\b{number}\b", text), (number, files)


def test_every_step_in_the_code_is_in_the_walk() -> None:
    known = {number for numbers, _ in STEPS for number in numbers.split(", ")} | {"3"}
    for folder in ("remote_signing", "consent_app"):
        for path in (ROOT / folder).rglob("*.py"):
            for comment in re.findall(r"# (Steps? [^:]*):", path.read_text("utf-8")):
                assert set(re.findall(r"[0-9][a-z]?", comment)) <= known, path


def test_every_file_that_the_documentation_names_exists() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(
            r"`([a-z_/0-9]+/[a-z_/0-9]+\.(?:py|md|html))`", page.read_text("utf-8")
        ):
            assert place(name).exists(), (page.name, name)


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(
        r"`(test_[a-z0-9_]+)`", (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    )
    assert len(named) > 30
    written = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in written] == []
