"""What one call of an authorisation for many costs the rssp's core and PostgreSQL.

    python -m tests.bench.many_calls [--calls 100]

One organisation's SCAL1 authorisation, as many calls as it is for, each with one hash and the row
of its DPoP proof, on a PostgreSQL that syncs. The signatures are 256 random octets: no token makes
them, and nothing of HTTP is in the figures. Counts can be compared between machines, times can't.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.postgres import PostgresServer
from remote_signing.rssp import migrations, replay
from remote_signing.rssp.replay import Bound, Mark
from remote_signing.sap import Signed
from tests.support.world import World, connect, furnish

if TYPE_CHECKING:
    import psycopg

    from remote_signing.identifiers import Ticket
    from remote_signing.sap import SignRequest

_KEY = "key"
_COUNTED = (
    "SELECT pg_stat_reset_shared('wal')",
    "SELECT pg_stat_reset_shared('io')",
    "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
    "SELECT pg_stat_statements_reset()",
)
_COUNTS = {
    "syncs": "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
    " AND backend_type = 'client backend'",
    "log_bytes": "SELECT wal_bytes FROM pg_stat_wal",
    "statements": "SELECT sum(calls) FROM pg_stat_statements WHERE query !~ 'pg_stat'",
    "within_statements_ms": "SELECT sum(total_exec_time) FROM pg_stat_statements"
    " WHERE query !~ 'pg_stat'",
}


@dataclass(frozen=True)
class Seal:
    """A SAD for ``calls`` signatures, and the service token beside it."""

    sad: Ticket
    bearer: Ticket

    @classmethod
    def authorised(cls, world: World, calls: int) -> Seal:
        world.new_credential(scal="1", multisign=calls)
        return cls(world.number(calls), world.service_token(jkt=_KEY))


def sign(_request: SignRequest) -> Signed:
    """In the SAM's place."""
    return Signed((os.urandom(256),), "nobody")


def measure(world: World, watch: psycopg.Connection[tuple[object, ...]], calls: int) -> str:
    """The figures of a call, in one line."""
    seal = Seal.authorised(world, calls)
    world.sam.sign = sign  # type: ignore[assignment,method-assign]  # no token is measured
    token = Bound("service", seal.bearer.row_id, seal.bearer.secret_hash, _KEY)
    for statement in _COUNTED:
        watch.execute(statement)
    proofs, signatures, started = [], [], time.process_time()
    for number in range(calls):
        mark = Mark(os.urandom(32), world.clock.now_ms() + 60_000)
        begun = time.perf_counter()
        replay.once_for_token(world.database, token, mark)
        proved = time.perf_counter()
        world.sign(seal.sad, f"document {number}", service_token=seal.bearer, jkt=_KEY)
        proofs.append(proved - begun)
        signatures.append(time.perf_counter() - proved)
    processor = time.process_time() - started
    world.services.close()  # PostgreSQL's processes tell their counts at their end
    time.sleep(0.5)
    counts = {name: watch.execute(query).fetchone() for name, query in _COUNTS.items()}
    told = [f"{name} {float(str(row[0])) / calls:.2f}" for name, row in counts.items() if row]
    times = {"proof_ms": proofs, "sign_hash_ms": signatures}
    told += [f"{name} {statistics.mean(each) * 1000:.2f}" for name, each in times.items()]
    return ", ".join([*told, f"processor_ms {processor / calls * 1000:.2f}"])


def main() -> None:
    """Print the figures of one call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    calls = parser.parse_args().calls
    server = PostgresServer(durable=True)
    server.start()
    try:
        migrations.upgrade(server.url)
        world = furnish(connect(server.url))
        world.clock.advance(60)
        with server.connect() as watch:
            print(f"a call of {calls}: {measure(world, watch, calls)}")
    finally:
        server.remove()


if __name__ == "__main__":
    main()
