"""The client as a distribution of its own: built, installed into an empty environment, used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import distribution, requires
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from remote_signing.bootstrap import find_uv
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = ROOT / "remote_signing" / "client"
USE = """
import json, sys
from remote_signing.client import AsyncSigningClient, NotReached, Retry, Service, SigningClient
try:
    with SigningClient(Service("http://127.0.0.1:1"), retry=Retry(tries=1)) as client:
        client.info()
except NotReached:
    pass
try:
    import remote_signing.rssp
except ModuleNotFoundError:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
PARTS = {"httpx", "httpcore", "h11", "anyio", "sniffio", "idna", "certifi", "typing_extensions"}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def closure(name: str) -> set[str]:
    """``name`` and all that it needs here, without extras."""
    found = {name}
    for line in requires(name) or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            found |= closure(wanted.name)
    return found


def copy(name: str, site: Path) -> None:
    """The distribution's files, from this environment: no network is needed."""
    installed = distribution(name)
    for file in installed.files or ():
        source, target = installed.locate_file(file), site / file
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(source), target)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the built wheel, httpx and what httpx needs; its interpreter."""
    folder = tmp_path_factory.mktemp("alone")
    source = folder / "source"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    for name in closure("httpx"):
        copy(name, site)
    uv = find_uv()
    assert uv is not None
    run(uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    run(uv, "pip", "check", "--python", python)  # everything that the wheel declares is there
    return python


def test_it_stands_alone_with_httpx(alone: Path, tmp_path: Path) -> None:
    loaded = set(json.loads(run(alone, "-I", "-W", "error", "-c", USE, cwd=tmp_path)))
    assert loaded - sys.stdlib_module_names - {"__main__", "remote_signing"} <= PARTS


@pytest.mark.parametrize("module", ["keys", "pdf"])
def test_what_needs_more_says_what(alone: Path, tmp_path: Path, module: str) -> None:
    code = f"import remote_signing.client.{module}"
    done = subprocess.run(
        [alone, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "No module named" in done.stderr
    assert done.returncode == 1


def test_its_types_are_told(alone: Path) -> None:
    (package,) = alone.parents[1].glob("lib/python*/site-packages/remote_signing")
    assert (package / "client" / "py.typed").exists()
    assert not (package / "__init__.py").exists()  # beside the service's own it is one package
