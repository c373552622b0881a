"""Sixteen requests at the same moment, from four processes with four threads each.

``python -m tests.support.oauth_racer`` reads one line of JSON for each race from standard input: a
database, the time, and this process's share of the sixteen requests. It answers with one line: the
statuses of the answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import IO, TYPE_CHECKING, Any, Self, cast

from tests.support.asgi import call
from tests.support.oauth import application
from tests.support.world import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from fastapi import FastAPI

    from tests.support.world import World

PROCESSES = 4
THREADS = 4
RACERS = PROCESSES * THREADS


@dataclass(frozen=True)
class Asked:
    """One request: method, path, form (of a POST), headers."""

    method: str
    path: str
    form: dict[str, Any]
    headers: dict[str, str]


class Racers:
    """The processes; they live as long as the ``with`` block."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", __name__]
        self._processes = [
            subprocess.Popen(
                command,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            assert _pipe(process.stdout).readline() == "ready\n"
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _: object, _trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            _pipe(process.stdin).close()
            process.wait()
            _pipe(process.stdout).close()

    def race(self, url: str, now_ms: int, requests: Sequence[Asked]) -> list[int]:
        """The status of each answer, all given at ``now_ms`` from the database ``url``."""
        assert len(requests) == RACERS
        for number, process in enumerate(self._processes):
            share = [asked.__dict__ for asked in requests[number::PROCESSES]]
            _pipe(process.stdin).write(json.dumps([url, now_ms, share]) + "\n")
        for process in self._processes:
            _pipe(process.stdin).flush()
        answers = [json.loads(_pipe(process.stdout).readline()) for process in self._processes]
        return [status for statuses in answers for status in statuses]


def _pipe(pipe: IO[str] | None) -> IO[str]:
    return cast("IO[str]", pipe)


def _serve() -> None:
    worlds: dict[str, World] = {}
    barrier = Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            url, now_ms, share = json.loads(line)
            world = worlds.get(url) or worlds.setdefault(url, connect(url))
            app = application(world.services)
            world.clock.advance((now_ms - world.clock.now_ms()) / 1000)
            requests = [Asked(**members) for members in share]
            statuses = pool.map(partial(_send, app, barrier), requests)
            print(json.dumps(list(statuses)), flush=True)
    for world in worlds.values():
        world.services.close()


def _send(app: FastAPI, barrier: Barrier, asked: Asked) -> int:
    barrier.wait()
    options: dict[str, Any] = {"headers": asked.headers}
    if asked.form:
        options["data"] = asked.form
    return call(app, asked.method, asked.path, **options).status_code


if __name__ == "__main__":
    _serve()
