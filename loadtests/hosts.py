"""Several hosts beside one database: each an rssp, a consent page and a SAM with nodes of its own.

What stands before them in service, a load balancer, is the load generator itself here: it sends
each request to the next host (:class:`Balancer`), so that a ceremony visits all of them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Host:
    """The ``number``-th, from 1, and its ports on loopback."""

    number: int
    rssp: int
    consent: int

    def named(self, name: str) -> str:
        """``name`` for the first host's, ``name@2`` for the second's."""
        return name if self.number == 1 else f"{name}@{self.number}"

    @property
    def addresses(self) -> tuple[str, str]:
        """Of rssp and consent page. The page's by name: at an address there are no passkeys."""
        return f"http://127.0.0.1:{self.rssp}", f"http://localhost:{self.consent}"


class Balancer:
    """Sends requests for a public address to the addresses behind it, one after the other."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._turns = {public: itertools.cycle(behind) for public, behind in addresses.items()}

    def address(self, url: str) -> str:
        """``url`` at the host whose turn it is; as it is where nothing stands behind it."""
        parts = urlsplit(url)
        public = f"{parts.scheme}://{parts.netloc}"
        turns = self._turns.get(public)
        return url if turns is None else next(turns) + url.removeprefix(public)


def behind(hosts: Sequence[Host]) -> dict[str, list[str]]:
    """Public address (the first host's) → the addresses behind it; of one host nothing."""
    if len(hosts) == 1:
        return {}
    return {
        public: [host.addresses[at] for host in hosts]
        for at, public in enumerate(hosts[0].addresses)
    }
