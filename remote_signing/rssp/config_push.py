"""The table ``[push]``: telling browsers that something waits (docs/phone.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the table is read by what the hints name
from urllib.parse import urlsplit

from remote_signing.rssp.config_tables import ConfigInvalid

_HOST = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::[0-9]{1,5})?")
_CONTACT = re.compile(r"(?:mailto:[^@\s]+@[^@\s]+|https://[\x21-\x7e]+)")
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Web Push. Without this table no browser is told; an open page finds out by itself.

    ``hosts`` are names of push services, with a port where it is not 443; a name below one of them
    counts too.
    """

    key_file: Path  # private key of VAPID (RFC 8292), P-256, PEM, mode 0600
    contact: str  # mailto: or https:, whom a push service asks when something is wrong
    hosts: tuple[str, ...]
    threads: int = 1  # of each process
    lifetime: int = 30 * _DAY  # seconds without an open page after which a browser is forgotten
    # Seconds that a push service may wait for a phone; what comes later finds the list by itself.
    patience: int = 4 * 3600
    ca: Path | None = None  # PEM; None: the system's certificate authorities

    def allows(self, endpoint: str) -> bool:
        """Whether ``endpoint`` is an https address of one of the named push services."""
        parts = urlsplit(endpoint)
        place = parts.netloc.removesuffix(":443")
        known = any(place == name or place.endswith(f".{name}") for name in self.hosts)
        return parts.scheme == "https" and known

    def __post_init__(self) -> None:
        if not self.hosts or not all(map(_HOST.fullmatch, self.hosts)):
            raise ConfigInvalid("push.hosts: not names of hosts in small letters")
        if _CONTACT.fullmatch(self.contact) is None:
            raise ConfigInvalid("push.contact: not a mailto: or https: address")
        if self.threads < 1 or self.lifetime < _DAY or self.patience < 0:
            raise ConfigInvalid("push: threads, lifetime or patience is too small")
