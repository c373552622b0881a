"""Orders below the HTTP API."""

from __future__ import annotations

from sim_adapter import transactions

NOW = 1_800_000_000_000


def order(number: int, msisdn: str = "84900000001") -> transactions.Order:
    """The ``number``-th transaction, a minute from its deadline at ``NOW``."""
    return transactions.Order(
        id=f"transaction-{number}",
        digest="0" * 64,
        operator="canned",
        msisdn=msisdn,
        mode="digest",
        display_text="Ký",
        verification_code="4821",
        consent=b"consent",
        language="vi",
        callback=True,
        deadline=NOW + 60_000,
    )
