"""The gateway as its callers see it. :mod:`sim_adapter.ota.gateway` is the one over SMPP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sim_adapter.ota.keysets import CardRecord
    from sim_adapter.ota.orders import (
        EnrolOrder,
        EnrolOutcome,
        ProfileOutcome,
        SignOrder,
        SignOutcome,
    )


class SimGateway(Protocol):
    """Orders for cards. One order is open for a card at a time; nothing here raises for a refusal.

    An awaited order ends when the card answers, the order's deadline passes (``EXPIRED``), the
    network fails, or ``cancel`` comes first. What arrives after that never becomes an outcome.
    """

    async def sign(self, card: CardRecord, order: SignOrder) -> SignOutcome:
        """Ask the person at ``card`` for a signature, and wait. ``TextUnfit`` for a bad text."""
        ...

    async def enrol(self, card: CardRecord, order: EnrolOrder) -> EnrolOutcome:
        """Make a key pair inside ``card``, with the person's PIN, and wait for the public key."""
        ...

    async def profile(self, card: CardRecord, patience: float = 30.0) -> ProfileOutcome:
        """Ask the card about itself; ``patience`` in seconds. The person sees nothing."""
        ...

    async def cancel(self, transaction_id: bytes) -> bool:
        """Withdraw an open order: its awaited outcome is ``CANCELLED``.

        False when no such order is open; then whatever it became stands.
        """
        ...

    async def notify(self, card: CardRecord, message: str) -> bool:
        """Send the person an ordinary text message, such as a receipt; whether it was taken.

        ``TextUnfit`` beyond one short message: 160 units of GSM-7 or 70 of UCS-2.
        """
        ...
