"""The one thing a ceremony can say besides a fault of a node."""

from __future__ import annotations

from remote_signing.errors import Refusal


class CeremonyRefused(Refusal):
    """The ceremony cannot begin or go on as asked; ``cause`` tells the operator why."""
