"""Several hosts beside one database: each an rssp, a consent page and a SAM with nodes of its own.

What stands before them in service, a load balancer, is the load generator itself here: it sends
each request to the host that is least busy (:class:`Balancer`), so a ceremony visits all of them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


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
    """Sends requests for a public address to that one behind it which has the fewest under way.

    Of several, to the one that was given a request longest ago: as HAProxy's ``leastconn``.
    """

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._under_way = {public: dict.fromkeys(each, 0) for public, each in addresses.items()}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, url: str) -> Iterator[str]:
        """``url`` at the host that takes it, for as long as the request is under way.

        As it is where nothing stands behind it.
        """
        parts = urlsplit(url)
        public = f"{parts.scheme}://{parts.netloc}"
        hosts = self._under_way.get(public)
        if hosts is None:
            yield url
            return
        with self._lock:
            chosen = min(hosts, key=hosts.__getitem__)  # the first of those that are equal
            hosts[chosen] = hosts.pop(chosen) + 1  # the last one now
        try:
            yield chosen + url.removeprefix(public)
        finally:
            with self._lock:
                hosts[chosen] -= 1


def behind(hosts: Sequence[Host]) -> dict[str, list[str]]:
    """Public address (the first host's) → the addresses behind it; of one host nothing."""
    if len(hosts) == 1:
        return {}
    return {
        public: [host.addresses[at] for host in hosts]
        for at, public in enumerate(hosts[0].addresses)
    }
