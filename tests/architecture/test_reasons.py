"""Whoever silences a tool says why, beside it."""

from __future__ import annotations

import re

import pytest

from tests.support.repository import ROOT, name, python_files

# A code, a dash (or, after a type's code, a second comment) and a reason.
WITH_REASON = re.compile(
    r"# noqa: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)* - \w.{6,}"
    r"|# type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\] {1,2}# \w.{6,}"
    r"|# pragma: no (?:cover|branch) - \w.{6,}"
)
SILENCER = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:|ruff:|mypy:|fmt:|isort:|nosec)")
SKIP = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b(?!.*reason=)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + r"Error")

# Sections of pyproject.toml in which every entry switches some check off.
SILENCING_SECTIONS = {
    "[tool.ruff.lint]": "ignore",
    "[tool.ruff.lint.per-file-ignores]": "",
    "[[tool.mypy.overrides]]": "module",
    "[tool.coverage.report]": "exclude_also",
}


def _lines(pattern: re.Pattern[str]) -> list[str]:
    this = "tests/architecture/test_reasons.py"
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in python_files()
        if name(path) != this
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def _refuse(hits: list[str]) -> None:
    assert not hits, "\n".join(["", *hits])


def test_every_silenced_check_has_a_code_and_a_reason() -> None:
    _refuse([hit for hit in _lines(SILENCER) if not WITH_REASON.search(hit)])


def test_every_skipped_test_has_a_reason() -> None:
    _refuse(_lines(SKIP))


def test_nothing_is_left_unfinished() -> None:
    _refuse(_lines(UNFINISHED))


@pytest.mark.parametrize("section", SILENCING_SECTIONS)
def test_every_entry_of_a_silencing_section_has_a_reason(section: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    bodies = [part.split("\n[", 1)[0] for part in text.split(f"\n{section}\n")[1:]]
    assert bodies
    entries = [line for body in bodies for line in body.splitlines() if re.match(r'\s+"', line)]
    assert entries
    assert [line for line in entries if not re.search(r"# (?:as \w+$|\w.{9,})", line)] == []


@pytest.mark.parametrize(
    ("line", "is_good"),
    [
        ("x = 1  # " + "noqa: S603 - our own interpreter", True),
        ("x = 1  # " + "noqa: S603, S607 - our own interpreter", True),
        ("x = 1  # " + "noqa", False),
        ("x = 1  # " + "noqa: S603", False),
        ("x = 1  # " + "type: ignore[arg-type]  # typeshed says otherwise", True),
        ("x = 1  # " + "type: ignore[arg-type]", False),
        ("x = 1  # " + "type: ignore", False),
    ],
)
def test_reasons_are_recognised(line: str, is_good: bool) -> None:  # noqa: FBT001 - a table of cases
    assert SILENCER.search(line)
    assert bool(WITH_REASON.search(line)) == is_good
