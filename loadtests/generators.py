"""The load generators of a run: started with a plan each, asked for what they saw in the end."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from loadtests import hosts
from loadtests.environment import ROOT
from loadtests.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadtests.options import Options
    from loadtests.people import Official
    from loadtests.site import Site

READY = b"ready\n"
_SECONDS_TO_BEGIN = 0.2
_PATIENCE = 30.0  # seconds for what was due and has not ended
_SECONDS_AFTER = 30.0  # more, for writing it down


class GeneratorFailed(Exception):
    """A load generator ended without a result."""


@dataclass(frozen=True, slots=True)
class Times:
    """Epoch seconds: when the generators begin, what is measured, when nothing is waited for."""

    begin: float
    start: float
    end: float
    give_up: float


def plans(site: Site, options: Options, officials: Sequence[Official]) -> list[dict[str, Any]]:
    """What each generator is told: its share of the officials, of the users and of the rate."""
    secrets, share = site.folder / "secrets", options.generators
    return [
        {
            "scenario": options.scenario,
            "engine": options.engine,
            "users": max(1, options.users // share),
            "rate": None if options.rate is None else options.rate / share,
            "seed": number,
            "issuer": site.issuer,
            "consent": site.consent,
            "behind": hosts.behind(site.hosts),
            "identity": str(secrets / "portal.pem"),
            "binding": str(secrets / "proof.pem") if options.dpop else "",
            "algorithm": options.algorithm,
            "consent_page": options.consent_page,
            "hashes": options.hashes,
            "officials": [official.members() for official in officials[number::share]],
        }
        for number in range(share)
    ]


class Generators:
    """Processes with ``interpreter``, which has what their engine needs."""

    def __init__(self, folder: Path, interpreter: str, orders: Sequence[dict[str, Any]]) -> None:
        self._log = folder / "log" / "generator.log"
        self._times = Times(0, 0, 0, 0)
        self._running = [
            self._start(folder, interpreter, number, plan) for number, plan in enumerate(orders)
        ]

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process, _ in self._running]

    def begin(self, options: Options) -> Times:
        """Let them begin together, once all have loaded what they need. ``GeneratorFailed``."""
        for process, _ in self._running:
            if process.stdout is None or process.stdout.readline() != READY:
                raise GeneratorFailed(self._told())
        begin = time.time() + _SECONDS_TO_BEGIN
        start = begin + options.warm_up
        end = start + options.seconds
        self._times = Times(begin, start, end, end + _PATIENCE)
        for process, _ in self._running:
            if process.stdin is not None:
                process.stdin.write(json.dumps(asdict(self._times)).encode() + b"\n")
                process.stdin.close()
        return self._times

    def gather(self) -> Recorder:
        """What all of them saw, once they have ended. Errors: ``GeneratorFailed``."""
        recorder = Recorder(self._times.start, self._times.end)
        for process, file in self._running:
            try:
                left = self._times.give_up - time.time()
                status = process.wait(max(left, 0.0) + _SECONDS_AFTER)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if status:
                raise GeneratorFailed(self._told())
            recorder.merge(json.loads(file.read_text(encoding="utf-8")))
        return recorder

    def kill(self) -> None:
        """End those that still run."""
        for process, _ in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _told(self) -> str:
        return self._log.read_text(encoding="utf-8")[-2000:]

    def _start(
        self, folder: Path, interpreter: str, number: int, plan: dict[str, Any]
    ) -> tuple[subprocess.Popen[bytes], Path]:
        order = folder / "secrets" / f"plan-{number}.json"
        result = folder / f"result-{number}.json"
        descriptor = os.open(order, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(plan, file)
        result.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [interpreter, "-m", "loadtests.generator", str(order), str(result)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )
        return process, result
