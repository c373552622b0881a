"""What a signed document costs, for each format and level, without the signer's consent.

    .venv/bin/python -m tests.bench.sign_doc [--rounds 40] [--callers 4] [--workers 2]

The demo's one-page document, for XAdES an XML document as long, P-256; key in software, time stamps
and status from a SAM of its own on SoftHSM. Processor time is that of the stages in worker
processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.rssp.certificate_status import Status
from remote_signing.rssp.config import DocumentsConfig
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS, Recipe
from remote_signing.rssp.documents.signing import Desk, Item
from remote_signing.sam.softhsm import make_token
from tests.support.documents import DECISION, Softly
from tests.support.registration import TestAuthority
from tests.support.sam import RunningSam, found_cluster
from tests.support.sqlite import SqliteFolder
from tests.support.world import new_world

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.model import Format, Level
    from tests.conftest import Databases


_LINE = "<Dong so='1'>Căn cứ Nghị định số 30/2020/NĐ-CP</Dong>\n".encode()
XML = b"<VanBan>" + _LINE * (DECISION.stat().st_size // len(_LINE)) + b"</VanBan>"


def recipe(softly: Softly, kind: Format, level: Level) -> Recipe:
    """An order for the demo's document."""
    return Recipe(
        format=kind,
        level=level,
        envelope=ENVELOPES[kind][0],
        scheme=SignatureScheme("ecdsa", DIGESTS["sha256"]),
        certificate=softly.certificate,
        chain=(softly.certificate,),
        claimed_ms=int(time.time()) * 1000,
    )


def sign(desk: Desk, softly: Softly, wanted: Recipe, path: Path) -> None:
    """One document from start to end."""
    if wanted.format == "X":
        path.write_bytes(XML)
    else:
        shutil.copy(DECISION, path)
    waiting = desk.prepare([Item(wanted, path)])
    desk.finish(waiting, [softly.signature(each.prepared.dtbs_r) for each in waiting])


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        token = make_token(folder / "node-1", "node-1")
        cluster = found_cluster([token], folder)
        databases = cast("Databases", SqliteFolder(folder))
        with new_world(databases) as world:
            keys = TestAuthority().pinned
            sam = RunningSam(folder / "host", [token], cluster, keys, {}, options.workers).start()
            world.join(sam.client())
            config = DocumentsConfig(workers=options.workers, waiting=options.callers)
            world.services = replace(
                world.services, config=replace(world.services.config, documents=config)
            )
            try:
                for kind in ENVELOPES:
                    for level in LEVELS:
                        tell(world.services, kind, level, folder, options)
            finally:
                sam.stop()


def spent() -> float:
    """Seconds of processor time that the worker processes have used."""
    found = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        found += sum(map(int, fields.split()[11:13]))
    return found / os.sysconf("SC_CLK_TCK")


def tell(
    services: Services, kind: Format, level: Level, folder: Path, options: argparse.Namespace
) -> None:
    """One line of figures."""
    desk, softly = Desk(services, Status(services)), Softly()
    wanted = recipe(softly, kind, level)
    for number in range(options.workers):
        sign(desk, softly, wanted, folder / f"warm-{number}.pdf")
    busy = spent()
    started, own = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(options.callers) as callers:
        jobs = [
            callers.submit(sign, desk, softly, wanted, folder / f"{number}.pdf")
            for number in range(options.rounds)
        ]
        for job in jobs:
            job.result()
    seconds, own = time.monotonic() - started, time.process_time() - own
    busy = spent() - busy
    desk.close()
    print(
        f"{kind} {level:6} {options.rounds / seconds:7.1f} documents/s"
        f"  {1000 * own / options.rounds:6.1f} ms of this process,"
        f" {1000 * busy / options.rounds:6.1f} ms of its workers"
    )


if __name__ == "__main__":
    main()
