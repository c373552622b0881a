"""What a signed document costs, for each format and level, without the signer's consent.

    .venv/bin/python -m tests.bench.sign_doc [--rounds 40] [--callers 4] [--workers 2]
    .venv/bin/python -m tests.bench.sign_doc --megabytes 100

The demo's one-page document, for XAdES an XML document as long, P-256; key in software, time stamps
and status from a SAM of its own on SoftHSM. Processor time is that of the stages in worker
processes. With ``--megabytes`` one document of that size at B-LTA in each envelope, and the most
memory that anything needed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.certificate_status import Status
from remote_signing.rssp.config import DocumentsConfig
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS, Recipe
from remote_signing.rssp.documents.signing import Desk, Item
from remote_signing.sam.softhsm import make_token
from tests.support.documents import DECISION, Softly, pdf
from tests.support.registration import TestAuthority
from tests.support.sam import RunningSam, found_cluster
from tests.support.sqlite import SqliteFolder
from tests.support.world import new_world

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.model import Format, Level
    from tests.conftest import Databases


def content(kind: str, megabytes: int | None) -> bytes:
    """A document that the format takes: the demo's, or one of that size."""
    if kind == "X":
        line = "<Dong so='1'>Căn cứ Nghị định số 30/2020/NĐ-CP</Dong>\n".encode()
        wanted = DECISION.stat().st_size if megabytes is None else megabytes << 20
        return b"<VanBan>%s</VanBan>" % (line * (wanted // len(line)))
    if megabytes is None:
        return DECISION.read_bytes()
    filler = b"x" * (megabytes << 20)
    if kind != "P":
        return filler
    stream = b"<</Length %d>>\nstream\n%s\nendstream" % (len(filler), filler)
    pages = b"<</Type/Pages/MediaBox[0 0 595 842]/Count 1/Kids[3 0 R]>>"
    catalogue = b"<</Type/Catalog/Pages 2 0 R>>"
    return pdf([catalogue, pages, b"<</Type/Page/Parent 2 0 R>>", stream])


def recipe(softly: Softly, kind: Format, level: Level, envelope: str) -> Recipe:
    """An order for one document."""
    return Recipe(
        format=kind,
        level=level,
        envelope=envelope,
        scheme=SignatureScheme("ecdsa", DIGESTS["sha256"]),
        certificate=softly.certificate,
        chain=(softly.certificate,),
        claimed_ms=int(time.time()) * 1000,
    )


def sign(
    desk: Desk, softly: Softly, wanted: Recipe, path: Path, megabytes: int | None = None
) -> None:
    """One document from start to end."""
    path.write_bytes(content(wanted.format, megabytes))
    waiting = desk.prepare([Item(wanted, path)])
    desk.finish(waiting, [softly.signature(each.prepared.dtbs_r) for each in waiting])


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--megabytes", type=int)
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
                for kind, envelopes in ENVELOPES.items():
                    if options.megabytes is not None:
                        tell_memory(world.services, kind, folder, options.megabytes)
                        continue
                    for level in LEVELS:
                        tell(world.services, (kind, level, envelopes[0]), folder, options)
            finally:
                sam.stop()


def spent() -> float:
    """Seconds of processor time that the worker processes have used."""
    found = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        found += sum(map(int, fields.split()[11:13]))
    return found / os.sysconf("SC_CLK_TCK")


def peak(process: int | None) -> int:
    """Megabytes that a process has had resident at most."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


def tell_memory(services: Services, kind: Format, folder: Path, megabytes: int) -> None:
    """One line for each envelope. A Parallel one has nothing large to be beside."""
    for envelope in ENVELOPES[kind]:
        if envelope == "Parallel":
            continue
        desk, softly = Desk(services, Status(services)), Softly()
        wanted = recipe(softly, kind, "B-LTA", envelope)
        started = time.monotonic()
        try:
            sign(desk, softly, wanted, folder / f"large-{kind}-{envelope}", megabytes)
            told = ""
        except DocumentUnusable as error:
            told = f"  refused: {error.public.get('reason')}"
        seconds = time.monotonic() - started
        workers = max(peak(each.pid) for each in multiprocessing.active_children())
        desk.close()
        print(f"{kind} {envelope:13} {seconds:6.1f} s  worker's peak {workers:5} MB{told}")


def tell(
    services: Services,
    asked: tuple[Format, Level, str],
    folder: Path,
    options: argparse.Namespace,
) -> None:
    """One line of figures."""
    kind, level, _ = asked
    desk, softly = Desk(services, Status(services)), Softly()
    wanted = recipe(softly, *asked)
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
