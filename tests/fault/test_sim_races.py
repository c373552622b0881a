"""Cancel and approve at the same moment, from several threads, on both databases."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from sim_adapter import migrations, transactions
from sim_adapter.causes import Ending
from sim_adapter.db import Database
from sim_adapter.errors import SimBusy, TransactionOver
from sim_adapter.models import callback, sim_transaction
from sim_adapter.mss.model import Signature
from tests.support.sim_orders import NOW, order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases

ROUNDS = int(os.environ.get("SIM_RACES", "25"))
RACERS = 6
SIGNED = Ending.of_code(500)


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    url = databases.fresh(migrations.upgrade)
    opened = Database(url)
    yield opened
    opened.close()
    databases.drop(url)


def sent(database: Database, number: int) -> str:
    row, _ = transactions.create(database, order(number), NOW)
    assert transactions.begin_sending(database, row, NOW, NOW + 1000)
    assert transactions.accepted(database, row, f"M{number}", NOW + 1000)
    return str(row.id)


def test_cancel_and_approve_race_and_one_wins(database: Database) -> None:
    """Afterwards the row says who won, one message tells of it, and the loser was told."""
    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            identifier = sent(database, number)
            start = threading.Barrier(RACERS)

            def race(
                at: int, identifier: str = identifier, start: threading.Barrier = start
            ) -> str:
                start.wait(30)
                if at % 2:
                    signature = Signature(b"signature")
                    is_first = transactions.settle(database, identifier, SIGNED, signature, NOW + 1)
                    return "signed" if is_first else "late"
                try:
                    return str(transactions.cancel(database, identifier, NOW + 1).state).lower()
                except TransactionOver:
                    return "over"

            told = Counter(pool.map(race, range(RACERS)))
            row = transactions.get(database, identifier, NOW + 2)
            outcomes[row.state] += 1
            if row.state == "SIGNED":
                assert told == {"signed": 1, "late": RACERS // 2 - 1, "over": RACERS // 2}
                assert row.late_signature is None
            else:
                assert row.state == "CANCELLED"
                assert told == {"cancelled": RACERS // 2, "late": RACERS // 2}
                assert row.signature is None
                assert row.late_signature == b"signature"
            assert row.version == 3
    messages = database.one(select(func.count()).select_from(callback))
    assert messages is not None
    assert messages[0] == ROUNDS
    assert sum(outcomes.values()) == ROUNDS
    print(f"{ROUNDS} races on {database.dialect}: {dict(outcomes)}, two outcomes 0")


def test_of_many_requests_for_one_sim_one_is_open(database: Database) -> None:
    rounds = max(3, ROUNDS // 10)
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(rounds):
            start = threading.Barrier(RACERS)

            def race(at: int, number: int = number, start: threading.Barrier = start) -> bool:
                start.wait(30)
                try:
                    transactions.create(database, order(number * RACERS + at), NOW)
                except SimBusy:
                    return False
                return True

            assert sum(pool.map(race, range(RACERS))) == 1
            opened = database.one(
                select(sim_transaction.c.id).where(sim_transaction.c.open_msisdn.is_not(None))
            )
            assert opened is not None
            transactions.cancel(database, opened.id, NOW + 1)


def test_of_many_who_send_one_does(database: Database) -> None:
    row, _ = transactions.create(database, order(1), NOW)
    with ThreadPoolExecutor(RACERS) as pool:
        tries = list(
            pool.map(
                lambda at: transactions.begin_sending(database, row, NOW + at, NOW + 1000),
                range(RACERS),
            )
        )
    assert sum(tries) == 1
