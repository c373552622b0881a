"""Tests that pages and tables name by file and function exist."""

from __future__ import annotations

import re

from tests.support.flows import FLOWS
from tests.support.repository import ROOT

TESTS = ROOT / "tests"


def missing(named: list[tuple[str, str]]) -> list[str]:
    """Of (file below ``tests``, function) those that are not there."""
    gone = []
    for file, function in named:
        path = TESTS / file
        written = path.read_text("utf-8") if path.is_file() else ""
        if f"\ndef {function}(" not in written:
            gone.append(f"{file}::{function}")
    return gone


def test_every_test_that_the_page_about_attacks_names_exists() -> None:
    page = (ROOT / "docs" / "attacks-on-consent.md").read_text("utf-8")
    named = re.findall(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", page)
    assert len(named) > 40
    assert missing(named) == []
    in_a_browser = re.findall(r"`(e2e/)?[a-z0-9_/]+\.py::test_[a-z0-9_]+`( \(browser\))?", page)
    assert {bool(folder) == bool(marked) for folder, marked in in_a_browser} == {True}


def test_every_flow_is_gone_through_in_a_browser() -> None:
    named = [run.split("::") for runs in FLOWS.values() for run in runs]
    assert missing([(f"e2e/{file}", function) for file, function in named]) == []


def test_a_name_that_is_wrong_is_found() -> None:
    assert missing([("e2e/test_tour.py", "test_nothing"), ("e2e/x.py", "test_x")]) == [
        "e2e/test_tour.py::test_nothing",
        "e2e/x.py::test_x",
    ]
