"""``remote-signing serve``: every program of one machine, as child processes on loopback.

The programs' own listen addresses are in their configuration files. One that ends ends all: a
service that is half there is worse than one that its operator sees stopped. Nothing is restarted
here; that is the init system's work, which also counts and tells.
"""

# No `from __future__ import annotations`: typer reads annotations at run time.

import asyncio
import contextlib
import signal
import sys
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import typer

from remote_signing.cli.output import fail, say
from remote_signing.cli.settings import ConfigFolder, folder_of

SECONDS_TO_READY = 60.0
SECONDS_TO_DRAIN = 45.0  # above each program's own time to drain


@dataclass(frozen=True, slots=True)
class Program:
    """A program, its configuration, and where its ``/readyz`` answers (None: nowhere)."""

    name: str
    config: Path
    ready_url: str | None

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", self.name, "--config", str(self.config)]


def programs_of(folder: ConfigFolder) -> list[Program]:
    """In the order of starting; they are stopped in the other."""
    programs = [
        ("remote_signing.sam", folder.sam_file, None),
        ("remote_signing.rssp", folder.rssp_file, 8400),
        ("consent_app", folder.consent_file, 8401),
    ]
    if folder.sim_file.exists():
        programs.insert(1, ("sim_adapter", folder.sim_file, 8402))
    return [Program(name, config, _ready_url(config, port)) for name, config, port in programs]


def serve(context: typer.Context) -> None:
    """Start SAM, rssp, consent page and, with a sim.toml, the SIM adapter; SIGTERM stops them."""
    programs = programs_of(folder_of(context))
    for program in programs:
        if not program.config.exists():
            raise fail(f"no configuration at {program.config}: name its folder with --config", 2)
    status = asyncio.run(_run(programs))
    if status:
        raise typer.Exit(status)


async def _run(programs: list[Program]) -> int:
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    running: dict[str, asyncio.subprocess.Process] = {}
    try:
        for program in programs:
            # A session of their own: Ctrl-C reaches us alone, and we stop them in order.
            running[program.name] = await asyncio.create_subprocess_exec(
                *program.command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        ready = asyncio.create_task(_tell_when_ready(programs))
        failed = await _first_to_end(running, told_to_end)
        ready.cancel()
    finally:
        clean = await _stop(running)
    return 1 if failed or not clean else 0


async def _first_to_end(
    running: dict[str, asyncio.subprocess.Process], told_to_end: asyncio.Event
) -> bool:
    """Wait for a program to end or for the order to; whether it was a program."""
    told = asyncio.create_task(told_to_end.wait())
    ends = {asyncio.create_task(process.wait()): name for name, process in running.items()}
    done, waiting = await asyncio.wait([told, *ends], return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for task in done & ends.keys():
        say(f"remote-signing: {ends[task]} ended with status {task.result()}; stopping the others")
    return told not in done


async def _stop(running: dict[str, asyncio.subprocess.Process]) -> bool:
    """Last started, first stopped, so that each still has whom it relies on; whether all obeyed."""
    clean = True
    for name, process in reversed(running.items()):
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            status = await asyncio.wait_for(process.wait(), SECONDS_TO_DRAIN)
        except TimeoutError:
            say(f"remote-signing: {name} did not end in {SECONDS_TO_DRAIN:.0f} s; killed")
            process.kill()
            status = await process.wait()
        clean = clean and status == 0
    return clean


async def _tell_when_ready(programs: list[Program]) -> None:
    urls = [program.ready_url for program in programs if program.ready_url]
    deadline = time.monotonic() + SECONDS_TO_READY
    while not await asyncio.to_thread(lambda: all(map(is_ready, urls))):
        if time.monotonic() > deadline:
            say(f"remote-signing: not ready after {SECONDS_TO_READY:.0f} s; see {', '.join(urls)}")
            return
        await asyncio.sleep(0.1)
    say(f"remote-signing: ready ({', '.join(urls)})")


def is_ready(url: str) -> bool:
    """Whether ``/readyz`` at ``url`` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http, from our file
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _ready_url(config: Path, usual_port: int | None) -> str | None:
    """From the file's ``listen`` table; the program itself judges whether the file is right."""
    if usual_port is None:
        return None
    try:
        listen = tomllib.loads(config.read_text(encoding="utf-8")).get("listen", {})
    except (OSError, ValueError):
        return None
    return f"http://{listen.get('host', '127.0.0.1')}:{listen.get('port', usual_port)}/readyz"
