"""What is imported is declared, what is declared is locked, and a lock says what, never where."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.repository import PRODUCT, ROOT, name, python_files, settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROJECT = settings()["project"]
GROUPS = settings()["dependency-groups"]
CLIENT = tomllib.loads((ROOT / "remote_signing/client/pyproject.toml").read_text("utf-8"))[
    "project"
]

LOCKED = {
    "bootstrap": GROUPS["bootstrap"],
    "run": [*PROJECT["dependencies"], *GROUPS["build"]],
    "test": [*PROJECT["dependencies"], *GROUPS["build"], *GROUPS["test"]],
    "load": [*PROJECT["dependencies"], *GROUPS["load"]],
}
PIN = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[\w.+!]+)(?: ; [\w\s'.<>=!()]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

# Who may import what: folder, and the declarations that count there. The first that fits.
DECLARED = (
    ("loadtests", [*PROJECT["dependencies"], *GROUPS["load"]]),
    ("tests", LOCKED["test"]),
    ("docs/demo-document", GROUPS["document"]),
    *(
        (f"remote_signing/client/{module}", lines)
        for module, lines in (
            ("keys.py", CLIENT["optional-dependencies"]["keys"]),
            ("pdf.py", CLIENT["optional-dependencies"]["pdf"]),
            ("", CLIENT["dependencies"]),
        )
    ),
    ("", PROJECT["dependencies"]),
)
# Packages that a declared one brings and whose names are its interface.
PART_OF = {
    "anyio": "fastapi",
    "starlette": "fastapi",
    "packaging": "pytest",
    "click": "typer",
    "fpdf": "fpdf2",  # not installed for tests, so its name must be told
    "pyhanko-certvalidator": "pyhanko",
}
# Packages that are never imported here, but chosen by their name: by a URL, for uvicorn.
NAMED_ONLY = ("psycopg", "httptools", "uvloop")
# Packages that another one looks for, and is slow without.
LOOKED_FOR = {"sniffio"}


class Pinned(NamedTuple):
    """One line of a lock."""

    name: str
    version: str


@cache
def _lock(lock: str) -> frozenset[Pinned]:
    lines = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="ascii").splitlines()
    strange = [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)]
    assert strange == []
    return frozenset(Pinned(pin["name"], pin["version"]) for pin in map(PIN.match, lines) if pin)


@pytest.mark.parametrize("lock", LOCKED)
def test_lock_holds_names_versions_and_hashes_only(lock: str) -> None:
    assert _lock(lock)


@pytest.mark.parametrize("lock", LOCKED)
def test_lock_satisfies_each_declared_dependency(lock: str) -> None:
    versions = dict(_lock(lock))
    wanted = [Requirement(line) for line in LOCKED[lock]]
    unmet = [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(
            versions.get(canonicalize_name(requirement.name), "0")
        )
    ]
    assert unmet == []


def test_what_is_tested_is_what_serves() -> None:
    assert _lock("run") <= _lock("test")


def test_each_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    lines = [*LOCKED["test"], *LOCKED["load"], *LOCKED["bootstrap"]]
    assert [line for line in lines if not re.fullmatch(r"[\w.\[\]-]+>=[\d.]+", line)] == []


def test_the_client_asks_for_no_more_than_the_service() -> None:
    extras = [line for lines in CLIENT["optional-dependencies"].values() for line in lines]
    assert set(CLIENT["dependencies"] + extras) <= set(PROJECT["dependencies"])
    assert CLIENT["version"] == PROJECT["version"]


def test_pyhanko_is_never_asked_for_its_pkcs11_extra() -> None:
    """Its pin of python-pkcs11 would make the resolver choose pyhanko 0.8.0."""
    extras = [Requirement(line).extras for line in LOCKED["test"] if line.startswith("pyhanko")]
    assert extras == [set()]


@cache
def _owners(top: str) -> frozenset[str]:
    """The packages that bring the top-level name ``top``."""
    owners = _distributions().get(top, [top])
    return frozenset(PART_OF.get(owner, owner) for owner in map(canonicalize_name, owners))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _imported(path: Path) -> set[str]:
    """Top-level names of what ``path`` imports from elsewhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    tops = {dotted.partition(".")[0] for dotted in names}
    return tops - sys.stdlib_module_names - {*PRODUCT, "tests"}


def test_each_run_time_dependency_is_used() -> None:
    sources = [path for path in python_files() if name(path).startswith(PRODUCT)]
    owners = {owner for path in sources for top in _imported(path) for owner in _owners(top)}
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    named = {driver for driver in NAMED_ONLY if driver in text}
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert declared - owners - named - LOOKED_FOR == set()


@pytest.mark.parametrize("path", python_files(), ids=name)
def test_each_import_is_declared(path: Path) -> None:
    lines = next(lines for folder, lines in DECLARED if name(path).startswith(folder))
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    assert [top for top in _imported(path) if not declared & _owners(top)] == []
