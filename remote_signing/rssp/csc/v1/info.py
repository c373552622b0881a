"""``info`` of CSC API v1 (cl. 11.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remote_signing.rssp.csc.v2.info import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.rssp.config import RsspConfig

SPECS: Final = "1.0.4.0"
OAUTH_BASE: Final = "/csc/v1/"
"""v1's own addresses of the authorization server: so a request shows which version it means."""


def info(config: RsspConfig, methods: Sequence[str]) -> dict[str, object]:
    """The members of v1, no others."""
    return {"specs": SPECS, **about(config, methods, OAUTH_BASE)}
