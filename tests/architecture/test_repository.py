"""The repository speaks of the project alone: not of a machine, not of where packages come from."""

from __future__ import annotations

import re

import pytest

from tests.support.repository import ROOT, files, name, text

FOREIGN = {
    "a machine's own path": r"/(?:home|root|Users|work)/\w|/tmp/[a-z]+/",
    "a package index or mirror": (
        r"(?:py(?:pi)|np(?:mjs)|crates)\.(?:org|io|com)|python(?:hosted)|deb\.(?:debian|ubuntu)"
        r"|(?<!emit-)(?:extra-)?index-(?:url)|(?<!emit-)find-(?:links)"
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_file_names(kind: str) -> None:
    pattern = re.compile(FOREIGN[kind])
    found = [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate((text(path) or "").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "see /ho" + "me/alice/x",
        "--index" + "-url x",
        "https://pypi" + ".org/simple",
        "/tm" + "p/build/out",
    ],
)
def test_the_patterns_find_what_they_are_for(line: str) -> None:
    assert any(re.search(pattern, line) for pattern in FOREIGN.values())


def test_the_licence_is_apache_2() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
