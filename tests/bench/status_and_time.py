"""How many OCSP answers, time stamps and CRLs a SAM signs in a second, on SoftHSM.

    .venv/bin/python -m tests.bench.status_and_time [--seconds 5] [--callers 4] [--workers 2]

Makes a token, a cluster and a SAM of its own in a temporary folder and removes them. Figures are
those of callers on the same machine; a real HSM's are its own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from remote_signing.clock import SystemClock
from remote_signing.sam.softhsm import make_token
from remote_signing.sap import RevokedCertificate, StatusClaim, TimestampRequest
from tests.support.certificates import certified
from tests.support.registration import TestAuthority
from tests.support.sam import RunningSam, found_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.sap import SapClient

_LISTED = 10_000
_DIGEST = b"1" * 32
_SHA256 = "2.16.840.1.101.3.4.2.1"


def rate(
    sam: RunningSam, work: Callable[[SapClient], object], seconds: float, callers: int
) -> float:
    """Calls in a second, by ``callers`` at once."""
    counts = [0] * callers
    end = time.monotonic() + seconds

    def call(number: int) -> None:
        client = sam.client()
        while time.monotonic() < end:
            work(client)
            counts[number] += 1
        client.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token = make_token(folder / "node-1", "node-1")
        cluster_file = found_cluster([token], folder / "cluster")
        authority = TestAuthority()
        sam = RunningSam(
            folder / "host", [token], cluster_file, authority.pinned, {}, asked.workers
        ).start()
        try:
            measure(sam, authority, asked.seconds, asked.callers)
        finally:
            sam.stop()


def measure(sam: RunningSam, authority: TestAuthority, seconds: float, callers: int) -> None:
    client = sam.client()
    signer = certified(client, authority)
    claim = StatusClaim("good", signer.certificate)
    stamp = TimestampRequest(_SHA256, _DIGEST)
    now_ms = SystemClock().now_ms()
    entries = [RevokedCertificate(1000 + n, now_ms, "superseded") for n in range(_LISTED)]
    for what, work in (
        ("OCSP answers", lambda one: one.sign_ocsp(claim)),
        ("time stamps", lambda one: one.timestamp(stamp)),
        (f"CRLs of {_LISTED} entries", lambda one: one.sign_crl(entries)),
    ):
        print(f"{what:<24} {rate(sam, work, seconds, callers):>8.1f}/s, {callers} callers")
    client.close()


if __name__ == "__main__":
    main()
