"""From a fresh clone to a running demo or a full test, with nothing but Python 3.11 and git.

    python3 -m remote_signing.bootstrap demo [arguments of the demo]
    python3 -m remote_signing.bootstrap test [arguments of pytest]

Standard library only: this runs before anything is installed. What the system lacks comes from its
package manager when root or sudo is at hand, else one line says what to type (exit status 2).
Packages come from the lock files by hash; the machine's own settings decide from where. Repeating
is cheap: a step whose result stands is not done again.

Exit status: 0 passed, 1 failed, 2 the machine lacks something that a person must install.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Command = Sequence["str | Path"]

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
OLDEST_PYTHON = (3, 11)
# The locks agree with each other, and test.lock holds all of run.lock.
LOCKS = {"demo": ("run", "test"), "test": ("test",)}
# What decides about keys: the SAM, the protocol to it, the state machine of a signature.
COVERED = (
    *("remote_signing/sam/*", "remote_signing/sap*.py", "remote_signing/cbor.py"),
    *("remote_signing/webauthn.py", "remote_signing/rssp/activation*.py"),
)
# Checks that run while the others do; what they say is told after it.
BESIDE = ("types",)


class CannotContinue(Exception):
    """The machine lacks something; the text says what to type."""


class StepFailed(Exception):
    """A command of the set-up failed; the text is its output."""


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"· {title} … ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - start:.1f} s", flush=True)


def run(command: Command) -> None:
    """Run silently; ``StepFailed`` with the output when it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
            text=True,
            check=False,
        )
    except OSError as fault:
        raise StepFailed(f"{command[0]}: {fault}") from fault
    if done.returncode != 0:
        line = " ".join(map(str, command))
        raise StepFailed(f"{line}\n{done.stdout}exit status {done.returncode}")


def works(*command: str | Path) -> bool:
    """Whether ``command`` can be run and answers 0."""
    try:
        run(command)
    except StepFailed:
        return False
    return True


# ----------------------------------------------------------------------- what the system must give


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> None:
    """Refuse an old Python in words, not with a traceback."""
    if version < OLDEST_PYTHON:
        needed, have = ".".join(map(str, OLDEST_PYTHON)), ".".join(map(str, version))
        raise CannotContinue(
            f"Python {needed} or later is needed and {sys.executable} is {have}. "
            f"Type: python{needed} -m remote_signing.bootstrap …"
        )


def find_chromium(environ: Mapping[str, str] = os.environ) -> str | None:
    """``$CHROMIUM`` or the system's browser for the tests of the pages; None when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name, path=environ.get("PATH")) for name in names)
    return environ.get("CHROMIUM") or next(filter(None, found), None)


def find_uv() -> str | None:
    """A working uv: the one on the PATH, else the one in the environment."""
    candidates = (shutil.which("uv"), str(ENVIRONMENT / "bin" / "uv"))
    return next((uv for uv in candidates if uv and works(uv, "--version")), None)


def has_token_module() -> bool:
    """Whether a PKCS#11 module is there; refuses a ``$PKCS11_MODULE`` that names nothing."""
    from remote_signing.sam.softhsm import find_module  # noqa: PLC0415 - after the Python check

    module = find_module()
    if module is not None and not module.exists():
        raise CannotContinue(f"PKCS11_MODULE names {module}, which does not exist.")
    return module is not None


def has_pip_or_uv() -> bool:
    """Debian splits ensurepip from Python; a working uv makes it unnecessary."""
    return importlib.util.find_spec("ensurepip") is not None or find_uv() is not None


def missing_packages(purpose: str) -> list[str]:
    """Debian's names of what this machine lacks for ``purpose``."""
    present: dict[str, Callable[[], bool]] = {
        "python3-venv": has_pip_or_uv,
        "softhsm2": has_token_module,
        "openssl": lambda: shutil.which("openssl") is not None,
    }
    if purpose == "test":
        present["git"] = lambda: shutil.which("git") is not None
        present["curl"] = lambda: shutil.which("curl") is not None
        # The signing program in Java of docs/integrate is run by a test.
        present["default-jdk-headless"] = lambda: shutil.which("javac") is not None
        # A test compiles the load tests' token that answers late.
        present["build-essential"] = lambda: shutil.which("cc") is not None
        present["chromium"] = lambda: find_chromium() is not None
    return [package for package, is_present in present.items() if not is_present()]


def install_packages(packages: list[str]) -> None:
    """Through apt, as root or with a sudo that asks nothing; else ``CannotContinue``."""
    by_hand = f"Type: sudo apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise CannotContinue(f"Install with the system's package manager: {', '.join(packages)}")
    if os.geteuid() != 0 and not works("sudo", "-n", "true"):
        raise CannotContinue(by_hand)
    prefix = ["env"] if os.geteuid() == 0 else ["sudo", "-n", "env"]
    apt = [*prefix, "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    with step(f"system packages: {', '.join(packages)}"):
        if works(*install):
            return
        try:  # the package lists may be missing or old
            run([*apt, "update"])
            run(install)
        except StepFailed as fault:
            raise CannotContinue(f"{fault}\n{by_hand}") from fault


def supply_system(purpose: str) -> None:
    """Install what is missing. Chromium can still come from Playwright, so it may stay missing."""
    missing = missing_packages(purpose)
    without_browser = [package for package in missing if package != "chromium"]
    if without_browser:
        install_packages(without_browser)
    if "chromium" in missing:
        with contextlib.suppress(CannotContinue):  # Ubuntu has no such package
            install_packages(["chromium", "fonts-liberation"])
    importlib.invalidate_caches()


# ------------------------------------------------------------------------- the Python environment


def lock_file(name: str) -> Path:
    """The lock ``name``: package names, versions and hashes, no address."""
    return ROOT / "requirements" / f"{name}.lock"


def stamp_of(lock: str) -> str:
    """What an environment made from ``lock`` is marked with."""
    content = lock_file(lock).read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return f"{lock} {hashlib.sha256(content).hexdigest()}"


def stamp_file() -> Path:
    """Where the mark is kept; it is there only when the environment is complete."""
    return ENVIRONMENT / "made-from"


def is_environment_ready(purpose: str) -> bool:
    """Whether the environment was completed from a lock that serves ``purpose``."""
    if not stamp_file().exists() or not works(PYTHON, "--version"):
        return False
    return stamp_file().read_text(encoding="ascii") in map(stamp_of, LOCKS[purpose])


def make_environment() -> None:
    """An empty virtual environment; one that runs is kept."""
    is_usable = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    if works(PYTHON, "-c", is_usable):
        return
    with step(f"virtual environment .venv (Python {sys.version.split()[0]})"):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT])


def ensure_pip() -> None:
    """Put pip into the environment."""
    if not works(PYTHON, "-m", "pip", "--version"):
        run([PYTHON, "-m", "ensurepip"])


def ensure_uv() -> str:
    """The uv to install with."""
    uv = find_uv()
    if uv:
        return uv
    with step("uv"):
        ensure_pip()
        run([PYTHON, "-m", "pip", "install", "--require-hashes", "-r", lock_file("bootstrap")])
    return str(ENVIRONMENT / "bin" / "uv")


def install_locked(lock: str) -> None:
    """Bring the environment to exactly what ``lock`` names, and the project itself into it."""
    uv, path = ensure_uv(), lock_file(lock)
    with step(f"packages of requirements/{lock}.lock"):
        try:
            run([uv, "pip", "sync", "--python", PYTHON, "--require-hashes", path])
        except StepFailed as fault:
            # uv reads other settings than pip; where only pip's lead to packages, take pip.
            print(f"(uv: {str(fault).splitlines()[-2]}; trying pip) ", end="", flush=True)
            ensure_pip()
            run([PYTHON, "-m", "pip", "install", "--require-hashes", "-r", path])
    with step("the project itself"):
        options = ("--no-deps", "--no-build-isolation", "--editable")
        run([uv, "pip", "install", "--python", PYTHON, *options, ROOT])


def supply_browser() -> None:
    """Playwright's own Chromium, where the system has none."""
    if find_chromium() is None:
        with step("Chromium through Playwright"):
            try:
                run([PYTHON, "-m", "playwright", "install", "--with-deps", "chromium"])
            except StepFailed as fault:
                raise CannotContinue(f"{fault}\nType: sudo apt-get install -y chromium") from fault


def set_up(purpose: str) -> float:
    """Everything that ``purpose`` needs; gives the seconds it took."""
    start = time.monotonic()
    check_python()
    supply_system(purpose)
    if is_environment_ready(purpose):
        print("· environment is ready", flush=True)
    else:
        make_environment()
        stamp_file().unlink(missing_ok=True)
        lock = LOCKS[purpose][0]
        install_locked(lock)
        stamp_file().write_text(stamp_of(lock), encoding="ascii")
    if purpose == "test":
        supply_browser()
    return time.monotonic() - start


# -------------------------------------------------------------------------------- the two commands


def run_in_foreground(command: Command) -> int:
    """Run to the end with the terminal; Ctrl-C and SIGTERM are the child's to answer."""
    process = subprocess.Popen(command)
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminate = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)


def demo(arguments: list[str]) -> bool:
    """One signature from request to verified PDF."""
    return run_in_foreground([PYTHON, "-m", "remote_signing.demo", *arguments]) == 0


def checks(pytest_arguments: list[str]) -> dict[str, list[str]]:
    """What ``test`` runs, by name, in this order; with ``--cov`` coverage too, which costs time."""
    bin_folder = ENVIRONMENT / "bin"
    # Two for each processor: the longest tests wait for processes, for disks and for deadlines.
    # A file stays in one, so that what its tests share is set up once; slow files begin first.
    spread = ["-n", str(2 * (os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder"]
    workers = [] if "-n" in pytest_arguments else spread
    tests = [str(bin_folder / "pytest"), *workers, *pytest_arguments]
    commands = {
        "format": [str(bin_folder / "ruff"), "format", "--check", "."],
        "lint": [str(bin_folder / "ruff"), "check", "."],
        "types": [str(bin_folder / "mypy")],
        "layers": [str(bin_folder / "lint-imports")],
        "tests": tests,
    }
    if "--cov" in pytest_arguments:
        tests += ["--cov-report="]
        include = f"--include={','.join(COVERED)}"
        commands["coverage"] = [str(bin_folder / "coverage"), "report", include]
    return commands


def show(text: str) -> None:
    """Print without a further line end."""
    print(text, end="", flush=True)


def run_check(
    name: str, command: list[str], tell: Callable[[str], object] = show
) -> tuple[bool, float, str]:
    """Run one check and ``tell`` what it says: passed, seconds, its last line."""
    tell(f"\n── {name}: {Path(command[0]).name} {' '.join(command[1:])}\n")
    start, last = time.monotonic(), ""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            tell(line)
            last = line.strip(" =\n") or last
    return process.returncode == 0, time.monotonic() - start, last


def test(pytest_arguments: list[str]) -> bool:
    """Run every check, also after one failed, and tell all results in a table."""
    commands = checks(pytest_arguments)
    told: list[str] = []
    # One processor has half a minute's work with the types, and the tests wait for much: together.
    with ThreadPoolExecutor(1) as beside:
        begun = {
            name: beside.submit(run_check, name, line, told.append)
            for name, line in commands.items()
            if name in BESIDE
        }
        results = {
            name: run_check(name, line) for name, line in commands.items() if name not in begun
        }
        results |= {name: check.result() for name, check in begun.items()}
    show("".join(told))
    print()
    for name in commands:
        passed, seconds, last = results[name]
        print(f"{'passed' if passed else 'FAILED'}  {name:<9}{seconds:7.1f} s  {last}")
    return all(passed for passed, _, _ in results.values())


def main(argv: list[str] | None = None) -> int:
    """Entry point; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m remote_signing.bootstrap")
    parser.add_argument("command", choices=("demo", "test"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the demo, or for pytest")
    options = parser.parse_args(argv)
    start = time.monotonic()
    # Many processes will be started: let the first keep what it compiled for the others.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        set_up_seconds = set_up(options.command)
    except CannotContinue as missing:
        print(missing, file=sys.stderr)
        return 2
    except StepFailed as fault:
        print(fault, file=sys.stderr)
        return 1
    print(f"· set-up took {set_up_seconds:.1f} s", flush=True)
    command = demo if options.command == "demo" else test
    passed = command(options.arguments)
    verdict = "passed" if passed else "FAILED"
    total = time.monotonic() - start
    print(f"{options.command} {verdict} · set-up {set_up_seconds:.1f} s · total {total:.1f} s")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
