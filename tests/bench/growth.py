"""What a signature costs the database when the service has grown, beside what it cost at first.

    python -m tests.bench.growth [--credentials 900000] [--past 10000000] [--out FILE]

Two databases on one PostgreSQL: a small one (1,000 credentials, no past) and one with that many
credentials, sessions and past signatures with their audit rows, in weeks as they come. Whole
ceremonies are made in both by turns, so that what else the machine does meets both alike; the
figure is the processor time of the database's own process, from the operating system. The SAM is
a fake: it has nothing to do with the database. Exit status 1 when a step costs more than --limit.

With --out the figures, and what a signature leaves in the database, go to a JSON file that
`remote-signing capacity` reads.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
from sqlalchemy import text

from remote_signing.clock import FixedClock, SystemClock
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, activation_history, migrations
from tests.bench.growth_rows import Grown, grow, patient
from tests.support.postgres import PostgresServer
from tests.support.world import PORTAL, REDIRECT, VERIFIER, World, connect, furnish

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.rssp.db import Database

_SETTINGS = (
    *("fsync=off", "shared_buffers=2GB", "max_wal_size=16GB", "checkpoint_timeout=1h", "jit=off"),
    *("autovacuum=off", "maintenance_work_mem=512MB"),
)
_SMALL = 1000  # credentials
_WARM = 2  # rounds that are not counted: plans are made, pages are read
_KEPT_DAYS = {"signature_activation": 30, "audit_event": None}
_ITEM = 4  # bytes of the pointer to a row in its page
# Events of a signature that was made from beginning to end.
_EVENTS = "SELECT avg(event_seq) FROM signature_activation WHERE state = 'SIGNED'"
_INDEXES = """
SELECT coalesce(sum(pg_indexes_size(relid)), pg_indexes_size('<table>'::regclass))
FROM pg_partition_tree('<table>'::regclass) WHERE isleaf
""".replace(":", r"\:")
_STEPS = ("PAR", "authorize", "details", "approve", "token", "signHash", "pending", "history")


@dataclass(frozen=True)
class Signer:
    subscriber_id: str
    credential_id: str
    pin: str
    totp: pyotp.TOTP
    session: Ticket


class Side:
    """One database: its signers, and what its process has computed for each step."""

    def __init__(self, server: PostgresServer, rows: Grown, signers: int) -> None:
        url = server.fresh()
        migrations.upgrade(url)
        self.world = furnish(connect(url, FixedClock(SystemClock().now_ms())))
        self.signers = [self._signer(number) for number in range(signers)]
        self.cpu: dict[str, list[int]] = defaultdict(list)  # ns of each time
        self.ceremonies = 0
        self._go_on_with(self.signers[0])
        self.ceremony(self.signers[0], count=False)
        self.grown = grow(self.world.database, rows)
        pid = self.world.database.one(text("SELECT pg_backend_pid() AS pid"))
        assert pid is not None
        self._process = Path(f"/proc/{pid.pid}/schedstat")
        # Both on one processor, whatever else that one has to do.
        os.sched_setaffinity(pid.pid, {max(os.sched_getaffinity(0))})

    def _signer(self, number: int) -> Signer:
        subscriber_id = self.world.new_signer(f"signer.{number}")
        self.world.new_credential()
        totp = pyotp.TOTP(self.world.totp_secret)
        world = self.world
        return Signer(subscriber_id, world.credential_id, world.pin, totp, world.session)

    def _go_on_with(self, signer: Signer) -> None:
        world = self.world
        world.subscriber_id, world.credential_id = signer.subscriber_id, signer.credential_id
        world.pin, world.session = signer.pin, signer.session

    def round(self, *, count: bool) -> None:
        """A ceremony of each signer, with his device's next code."""
        self.world.next_step()
        for signer in self.signers:
            self._go_on_with(signer)
            self.ceremony(signer, count=count)
        self.ceremonies += len(self.signers) * count

    def ceremony(self, signer: Signer, *, count: bool = True) -> None:
        """From the request to the signature, and a look at both lists."""
        world, services = self.world, self.world.services
        step = self._counted if count else _uncounted
        asked = step("PAR", lambda: activation.request_activation(services, world.request()))
        step("authorize", lambda: activation.open_request(services, PORTAL, asked.ticket))
        name, owner = asked.activation_id, signer.subscriber_id
        step("details", lambda: activation.details(services, name, owner))
        step("pending", lambda: activation.pending(services, owner))
        code = signer.totp.at(world.clock.now_ms() // 1000)
        given = (services, signer.session, name, signer.pin, code)
        approved = step("approve", lambda: activation.approve(*given))
        ticket = Ticket.parse(approved.redirect_to.partition("code=")[2].partition("&")[0])
        assert ticket is not None
        terms = {"client_id": PORTAL, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        token = step("token", lambda: activation.redeem_code(services, ticket, **terms))
        step("signHash", lambda: world.sign(token.ticket))
        step("history", lambda: activation_history.history(services, owner, limit=20))

    def _counted(self, name: str, work: Callable[[], Any]) -> Any:
        begun = self._computed()
        result = work()
        self.cpu[name].append(self._computed() - begun)
        return result

    def cost(self, name: str) -> float:
        """Microseconds of a step: the median, which what else ran meanwhile moves least."""
        return statistics.median(self.cpu[name]) / 1000

    def _computed(self) -> int:
        """Nanoseconds that the backend has been on a processor (proc(5), schedstat)."""
        return int(self._process.read_text("ascii").split()[0])


def _uncounted(_name: str, work: Callable[[], Any]) -> Any:
    return work()


def left_behind(database: Database) -> dict[str, Any]:
    """Rows and bytes, indexes among them, that a signature leaves in each table that grows."""
    found: dict[str, Any] = {}
    with patient(database) as other:
        for table, days in _KEPT_DAYS.items():
            each = 1.0 if table == "signature_activation" else _one(other, _EVENTS)
            row = _one(other, f"SELECT avg(pg_column_size(t.*)) FROM {table} t")  # noqa: S608 - a constant
            many = _one(other, f"SELECT count(*) FROM {table}")  # noqa: S608 - a constant
            indexes = _one(other, _INDEXES.replace("<table>", table))
            size = each * (row + _ITEM + indexes / many)
            found[table] = {"rows": each, "bytes": round(size), "kept_days": days}
    return found


def _one(database: Database, query: str) -> float:
    row = database.one(text(query))
    assert row is not None
    return float(row[0])


def _log_position(world: World) -> int:
    row = world.database.one(text("SELECT pg_current_wal_insert_lsn() - '0/0' AS bytes"))
    assert row is not None
    return int(row.bytes)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures."""
    with ExitStack() as stack:
        server = PostgresServer(_SETTINGS)
        stack.callback(server.stop)
        begun = time.monotonic()
        few = Grown(_SMALL, 0, options.weeks)
        small = Side(server, few, options.signers)
        large = Side(
            server, Grown(options.credentials, options.past, options.weeks), options.signers
        )
        print(f"seeded in {time.monotonic() - begun:.0f} s: {large.grown}", flush=True)
        written = 0
        for number in range(options.rounds + _WARM):
            count = number >= _WARM
            if number % 2:  # neither is always the first
                small.round(count=count)
            before = _log_position(large.world)
            large.round(count=count)
            written += (_log_position(large.world) - before) * count
            if not number % 2:
                small.round(count=count)
        figures = {
            "version": 1,
            "kind": "growth",
            "started_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "credentials": [few.credentials, options.credentials],
            "past_signatures": [0, options.past],
            "ceremonies": large.ceremonies,
            "cpu_us": {name: [side.cost(name) for side in (small, large)] for name in _STEPS},
            "wal_bytes": round(written / large.ceremonies),
            "tables": left_behind(large.world.database),
        }
        for side in (small, large):
            side.world.services.close()
    return figures


def main() -> int:
    """Print the figures; 1 when growth costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--credentials", type=int, default=900_000)
    parser.add_argument("--past", type=int, default=10_000_000, help="signatures")
    parser.add_argument("--weeks", type=int, default=26, help="over which they were made")
    parser.add_argument("--signers", type=int, default=40, help="of the ceremonies measured")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--limit", type=float, default=0.10, help="of a whole ceremony's growth")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    figures = measure(options)
    totals = [sum(each[side] for each in figures["cpu_us"].values()) for side in (0, 1)]
    rows = {**figures["cpu_us"], "together": totals}
    print(f"{'database µs':12} {'small':>9} {'grown':>9} {'change':>8}")
    for name, (small, large) in rows.items():
        print(f"{name:12} {small:9.0f} {large:9.0f} {large / small - 1:8.1%}")
    print(f"write-ahead log {figures['wal_bytes']:,} B a signature; left: {figures['tables']}")
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(totals[1] > totals[0] * (1 + options.limit))


if __name__ == "__main__":
    sys.exit(main())
