"""The record of a ceremony: who was there, what was done when on which node, what came of it.

It is signed by ``rs-attest`` at the end, so a changed one is noticed; times are the clock's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.clock import as_datetime
from remote_signing.sam.cluster import attested_document, open_attested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remote_signing.clock import Clock
    from remote_signing.sam.cluster import Members

    Progress = Callable[[str], None]

DOMAIN = b"ceremony-transcript"


class Transcript:
    """Collects the steps; each is also told to ``progress`` as one line."""

    def __init__(
        self,
        kind: str,
        people: Mapping[str, Sequence[str]],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._kind = kind
        self._people = people
        self._clock = clock
        self._progress = progress
        self._started_at_ms = clock.now_ms()
        self._steps: list[Members] = []

    def step(self, action: str, node: str | None = None, **detail: object) -> None:
        """Note that ``action`` has been done."""
        now_ms = self._clock.now_ms()
        step = {
            "number": len(self._steps) + 1,
            "at": as_datetime(now_ms).isoformat(timespec="milliseconds"),
            "at_ms": now_ms,
            "node": node,
            "action": action,
            "detail": detail,
        }
        self._steps.append(step)  # type: ignore[arg-type]  # the values are JSON, the writer says
        self._progress(f"{len(self._steps):2}. {action}" + (f" [{node}]" if node else ""))

    def lines(self) -> tuple[str, ...]:
        """The actions so far."""
        return tuple(str(step["action"]) for step in self._steps)

    def signed(self, cluster_id: str, attest: Callable[[bytes, bytes], bytes]) -> bytes:
        """The attested document."""
        content: Members = {
            "v": 1,
            "ceremony": self._kind,
            "cluster_id": cluster_id,
            "started_at_ms": self._started_at_ms,
            "ended_at_ms": self._clock.now_ms(),
            "people": {role: list(names) for role, names in self._people.items()},
            "steps": list(self._steps),
        }
        return attested_document(DOMAIN, content, attest)


def verify_transcript(document: bytes, attest_public_key: bytes) -> Members:
    """The content of a transcript; ``SealBroken`` unless that key (SPKI DER) signed it."""
    return open_attested(DOMAIN, document, attest_public_key)
