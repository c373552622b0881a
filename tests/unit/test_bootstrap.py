"""The bootstrap on made-up machines: fake programs on the PATH note how they are called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from remote_signing import bootstrap
from remote_signing.bootstrap import CannotContinue, StepFailed
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Fake = Callable[[str, str], None]

ROOT_USER, OTHER_USER = 0, 1000


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without programs, with an empty project; calls are noted in ``calls``."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").touch()
    for lock in ("bootstrap", "run", "test"):
        (tmp_path / "requirements" / f"{lock}.lock").write_text(lock, encoding="ascii")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("PKCS11_MODULE", raising=False)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    return tmp_path


@pytest.fixture
def fake(machine: Path) -> Fake:
    """``fake("uv", "exit 1")``: a program of that name, which notes its arguments first."""

    def make(name: str, body: str = "") -> None:
        path = machine / "bin" / name if "/" not in name else machine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "$CALLS"\n{body}\n', encoding="ascii")
        path.chmod(0o755)

    return make


def calls(machine: Path) -> list[str]:
    """What was called, in order, without the machine's own folder."""
    noted = machine / "calls"
    text = noted.read_text(encoding="utf-8") if noted.exists() else ""
    return text.replace(f"{machine}/", "").splitlines()


def pretend_user(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: number)


def fake_env(fake: Fake) -> None:
    """``env`` itself is a program of the PATH that the fake machine has emptied."""
    fake("env", 'while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"')


# ---------------------------------------------------------------------------------- the machine


def test_old_python_is_refused_with_what_to_type() -> None:
    with pytest.raises(CannotContinue, match=r"3\.9\.2\. Type: python3\.11 -m remote_signing"):
        bootstrap.check_python((3, 9, 2))


def test_this_python_is_new_enough() -> None:
    bootstrap.check_python()


def test_bare_machine_lacks_everything(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("remote_signing.sam.softhsm.find_module", lambda: None)
    assert bootstrap.missing_packages("demo") == ["python3-venv", "softhsm2", "openssl"]
    further = ["git", "curl", "default-jdk-headless", "build-essential", "chromium"]
    assert bootstrap.missing_packages("test")[3:] == further


def test_uv_makes_ensurepip_unnecessary(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not bootstrap.has_pip_or_uv()
    fake("uv", "")
    assert bootstrap.has_pip_or_uv()


def test_uv_that_does_not_run_is_no_uv(fake: Fake) -> None:
    fake("uv", "exit 127")
    assert bootstrap.find_uv() is None


def test_module_variable_that_names_nothing_is_refused(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKCS11_MODULE", str(machine / "none.so"))
    with pytest.raises(CannotContinue, match=r"none\.so, which does not exist"):
        bootstrap.has_token_module()


def test_module_variable_that_names_a_file_is_taken(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKCS11_MODULE", str(machine / "pyproject.toml"))
    assert bootstrap.has_token_module()


def test_chromium_variable_wins_over_the_path(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap.find_chromium() is None
    fake("chromium", "")
    assert str(bootstrap.find_chromium()).endswith("/bin/chromium")
    monkeypatch.setenv("CHROMIUM", "/browser")
    assert bootstrap.find_chromium() == "/browser"


# -------------------------------------------------------------------------------- system packages


def test_root_installs_without_asking_for_lists_first(
    machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_user(monkeypatch, ROOT_USER)
    fake_env(fake)
    fake("apt-get", "")
    bootstrap.install_packages(["softhsm2"])
    apt = [call for call in calls(machine) if call.startswith("apt-get")]
    assert len(apt) == 1
    assert apt[0].endswith("install -y --no-install-recommends softhsm2")


def test_old_package_lists_are_renewed_once(
    machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_user(monkeypatch, ROOT_USER)
    fake_env(fake)
    updated = 'case "$*" in *update) : > "$CALLS.new";; *) test -e "$CALLS.new";; esac'
    fake("apt-get", updated)
    bootstrap.install_packages(["softhsm2"])
    verbs = [call.split()[3] for call in calls(machine) if call.startswith("apt-get")]
    assert verbs == ["install", "update", "install"]


def test_package_that_cannot_be_had_ends_with_what_to_type(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_user(monkeypatch, ROOT_USER)
    fake_env(fake)
    fake("apt-get", "echo no such package; exit 100")
    with pytest.raises(CannotContinue, match=r"(?s)no such package.*Type: sudo apt-get install"):
        bootstrap.install_packages(["softhsm2"])


def test_user_with_sudo_installs_through_it(
    machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_user(monkeypatch, OTHER_USER)
    fake_env(fake)
    fake("true", "")
    fake("sudo", 'shift; exec "$@"')
    fake("apt-get", "")
    bootstrap.install_packages(["softhsm2"])
    assert calls(machine)[0] == "sudo -n true"
    assert calls(machine)[-1].endswith("softhsm2")


def test_user_without_sudo_is_told_one_line(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_user(monkeypatch, OTHER_USER)
    fake("apt-get", "")
    with pytest.raises(CannotContinue) as refusal:
        bootstrap.install_packages(["softhsm2", "openssl"])
    assert str(refusal.value) == "Type: sudo apt-get install -y softhsm2 openssl"


def test_machine_without_apt_is_told_the_names(machine: Path) -> None:
    assert machine.exists()
    with pytest.raises(CannotContinue, match="package manager: softhsm2"):
        bootstrap.install_packages(["softhsm2"])


def test_missing_chromium_is_left_to_playwright(
    machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_user(monkeypatch, ROOT_USER)
    fake_env(fake)
    fake("apt-get", "exit 100")
    monkeypatch.setattr(bootstrap, "missing_packages", lambda _: ["chromium"])
    bootstrap.supply_system("test")
    fake(".venv/bin/python", "")
    bootstrap.supply_browser()
    assert calls(machine)[-1].endswith("-m playwright install --with-deps chromium")


def test_no_browser_at_all_ends_with_what_to_type(fake: Fake) -> None:
    fake(".venv/bin/python", "exit 1")
    with pytest.raises(CannotContinue, match="Type: sudo apt-get install -y chromium"):
        bootstrap.supply_browser()


# -------------------------------------------------------------------------- the Python environment


def test_environment_is_made_once_and_replaced_when_broken(machine: Path) -> None:
    bootstrap.make_environment()
    marker = machine / ".venv" / "marker"
    marker.touch()
    bootstrap.make_environment()
    assert marker.exists()
    python = machine / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(machine / "gone")
    bootstrap.make_environment()
    assert not marker.exists()
    assert bootstrap.works(python, "--version")


@pytest.mark.parametrize(
    ("made_from", "purpose", "is_ready"),
    [
        ("run", "demo", True),
        ("test", "demo", True),
        ("test", "test", True),
        ("run", "test", False),
    ],
)
@pytest.mark.usefixtures("machine")
def test_environment_serves_what_its_lock_holds(
    fake: Fake, made_from: str, purpose: str, *, is_ready: bool
) -> None:
    fake(".venv/bin/python", "")
    bootstrap.stamp_file().write_text(bootstrap.stamp_of(made_from), encoding="ascii")
    assert bootstrap.is_environment_ready(purpose) == is_ready


def test_changed_lock_makes_the_environment_old(machine: Path, fake: Fake) -> None:
    fake(".venv/bin/python", "")
    bootstrap.stamp_file().write_text(bootstrap.stamp_of("test"), encoding="ascii")
    (machine / "requirements" / "test.lock").write_text("other", encoding="ascii")
    assert not bootstrap.is_environment_ready("test")


def test_set_up_marks_the_environment_last_and_then_does_nothing(
    machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "missing_packages", lambda _: [])
    monkeypatch.setattr(bootstrap, "make_environment", lambda: None)
    fake(".venv/bin/python", "")
    fake("uv", 'case "$*" in *sync*) exit 0;; *--editable*) test ! -e "$CALLS.fail";; esac')
    (machine / "calls.fail").touch()
    with pytest.raises(StepFailed):
        bootstrap.set_up("demo")
    assert not bootstrap.stamp_file().exists()
    (machine / "calls.fail").unlink()
    bootstrap.set_up("demo")
    (machine / "calls").unlink()
    bootstrap.set_up("demo")
    assert calls(machine) == [".venv/bin/python --version"]


def test_machine_without_uv_gets_it_by_hash(machine: Path, fake: Fake) -> None:
    install = f'printf "#!/bin/sh" > {machine}/.venv/bin/uv; /bin/chmod +x {machine}/.venv/bin/uv'
    fake(".venv/bin/python", f'case "$*" in *bootstrap.lock) {install};; esac')
    assert bootstrap.ensure_uv().endswith(".venv/bin/uv")
    assert calls(machine)[-1].endswith("--require-hashes -r requirements/bootstrap.lock")


def test_missing_pip_is_put_in(machine: Path, fake: Fake) -> None:
    fake(".venv/bin/python", 'test "$3" != --version')
    bootstrap.ensure_pip()
    assert calls(machine)[-1] == ".venv/bin/python -m ensurepip"


def test_pip_steps_in_where_uv_finds_no_packages(machine: Path, fake: Fake) -> None:
    fake("uv", 'case "$*" in *sync*) echo nothing here; exit 1;; esac')
    fake(".venv/bin/python", "")
    bootstrap.install_locked("run")
    assert ".venv/bin/python -m pip install --require-hashes -r requirements/run.lock" in calls(
        machine
    )
    assert "--editable" in calls(machine)[-1]


# -------------------------------------------------------------------------------- the two commands


def test_full_test_runs_all_checks() -> None:
    assert list(bootstrap.checks([])) == ["format", "lint", "types", "layers", "tests"]


def test_coverage_is_told_when_it_was_asked_for() -> None:
    commands = bootstrap.checks(["--cov"])
    assert list(commands)[-1] == "coverage"
    assert commands["tests"][-2:] == ["--cov", "--cov-report="]


def test_chosen_tests_run_on_the_workers_asked_for() -> None:
    commands = bootstrap.checks(["-n", "0", "tests/unit"])
    assert commands["tests"][1:] == ["-n", "0", "tests/unit"]


def test_every_check_runs_even_when_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {"first": "raise SystemExit('broken')", "second": "print('== 5 passed ==')"}
    commands = {name: [sys.executable, "-c", line] for name, line in lines.items()}
    monkeypatch.setattr(bootstrap, "checks", lambda _: commands)
    assert not bootstrap.test([])
    table = capsys.readouterr().out.splitlines()[-2:]
    assert [table[0].split()[::4], table[1].split()[0]] == [["FAILED", "broken"], "passed"]
    assert table[1].endswith("5 passed")


def test_types_are_checked_while_the_others_run_and_told_after_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Each waits until the other has begun: one after the other, neither would end.
    meet = (
        "import pathlib, sys, time; here = pathlib.Path(sys.argv[1])\n"
        "(here / sys.argv[2]).touch()\n"
        "while not (here / sys.argv[3]).exists(): time.sleep(0.01)\n"
        "print('seen by', sys.argv[2])"
    )
    command = [sys.executable, "-c", meet, str(tmp_path)]
    commands = {"types": [*command, "types", "tests"], "tests": [*command, "tests", "types"]}
    monkeypatch.setattr(bootstrap, "checks", lambda _: commands)
    assert bootstrap.test([])
    said = capsys.readouterr().out
    assert said.index("\nseen by tests") < said.index("── types") < said.index("\nseen by types")
    assert [line.split()[1] for line in said.splitlines()[-2:]] == ["types", "tests"]


@pytest.mark.parametrize(("status", "verdict"), [(0, "demo passed"), (1, "demo FAILED")])
@pytest.mark.usefixtures("machine")
def test_demo_ends_with_verdict_and_times(
    status: int,
    verdict: str,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bootstrap, "set_up", lambda _: 1.25)
    fake(".venv/bin/python", f"exit {status}")
    assert bootstrap.main(["demo", "--keep"]) == status
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{verdict} · set-up 1.2 s · total ")


@pytest.mark.parametrize(
    ("fault", "status"), [(CannotContinue("Type: x"), 2), (StepFailed("uv broke"), 1)]
)
def test_set_up_that_fails_is_told_in_words(
    fault: Exception,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: str) -> float:
        raise fault

    monkeypatch.setattr(bootstrap, "set_up", fail)
    assert bootstrap.main(["test"]) == status
    assert capsys.readouterr().err.strip() == str(fault)


def test_progress_tells_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StepFailed, match="exit status 3"), bootstrap.step("packages"):
        bootstrap.run([sys.executable, "-c", "raise SystemExit(3)"])
    assert capsys.readouterr().out == "· packages … failed\n"


def test_sigterm_reaches_the_demo() -> None:
    script = (
        "import sys; from remote_signing.bootstrap import run_in_foreground as run\n"
        "code = 'import time; print(1, flush=True); time.sleep(60)'\n"
        "sys.exit(-run([sys.executable, '-c', code]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = time.monotonic()
        process.terminate()
        assert process.wait(30) == signal.SIGTERM
    assert time.monotonic() - start < 30
