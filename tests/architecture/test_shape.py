"""Sizes and names that keep the code readable, and the bootstrap standing on nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.repository import PRODUCT, ROOT, name, python_files

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the end."""
    has_text = ast.get_docstring(function, clean=False) is not None
    statements = function.body[1:] if has_text else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def _long_functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"{name(path)}:{function.lineno} {function.name}: {_body_lines(function)} lines"
        for function in functions
        if _body_lines(function) > LONGEST_FUNCTION
    ]


def test_no_product_file_is_long() -> None:
    lengths = {
        name(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*PRODUCT)
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    # A migration's step is a list of columns, and stays as it was when it ran.
    paths = [path for path in python_files(*PRODUCT) if path.parent.name != "versions"]
    assert [hit for path in paths for hit in _long_functions(path)] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part: name(path) for path in python_files() for part in path.with_suffix("").parts}
    assert {part: path for part, path in parts.items() if part in SAYS_NOTHING} == {}


def test_the_reader_of_strict_json_is_one_text_on_both_sides_of_the_wall() -> None:
    """The programs share no code, so a copy it is: what is mended in one is mended in the other."""
    ours, theirs = (
        (ROOT / package / "strict_json.py").read_text(encoding="utf-8").replace(package, "PACKAGE")
        for package in ("remote_signing", "sim_adapter")
    )
    assert ours == theirs


def _without_own_names(package: str, prefix: str, file: str) -> str:
    """The code of ``file`` without its package's name, its figures' prefix and its lines' breaks.

    A log line of the consent page names its fact ``fault``, the others' ``error``.
    """
    text = (ROOT / package / file).read_text(encoding="utf-8").replace(package, "PACKAGE")
    text = text.replace(f'"{prefix}_', '"PACKAGE_').replace("fault", "error")
    return ast.unparse(ast.parse(text))


@pytest.mark.parametrize("file", ["figures.py", "management.py"])
def test_consent_page_and_sim_adapter_are_watched_by_one_text(file: str) -> None:
    """As above: they share no code, so a copy it is."""
    pages = _without_own_names("consent_app", "consent", file)
    assert pages == _without_own_names("sim_adapter", "sim_adapter", file)


def test_the_management_address_answers_by_one_text_in_all_programs() -> None:
    """How the rssp's processes are added up is its own; who asks is answered as by the others."""
    answering = {"Management", "_Handler"}
    found = [
        [
            ast.unparse(node)
            for node in ast.parse((ROOT / package / "management.py").read_text("utf-8")).body
            if isinstance(node, ast.ClassDef) and node.name in answering
        ]
        for package in ("remote_signing/rssp", "consent_app", "sim_adapter")
    ]
    assert [len(classes) for classes in found] == [2, 2, 2]
    assert found[0] == found[1] == found[2]


def test_the_package_imports_nothing() -> None:
    assert (ROOT / "remote_signing" / "__init__.py").read_bytes() == b""


@pytest.mark.parametrize("module", ["remote_signing.bootstrap", "remote_signing.sam.softhsm"])
def test_runs_on_the_standard_library_alone(module: str) -> None:
    """``-S`` hides everything that is installed."""
    script = (
        f"import sys, {module}\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(tops - sys.stdlib_module_names - {'__main__', 'remote_signing'}))"
    )
    command = [sys.executable, "-S", "-c", script]
    loaded = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""
