"""Secured packets in short messages: one, or up to eight that are put together again.

User data header elements (3GPP TS 23.040 cl. 9.2.3.24): 00 and 08 concatenation with an 8- or
16-bit reference, 70 a command packet, 71 a response packet (3GPP TS 31.115 cl. 4). Only the first
segment names the packet.

What comes in is bounded: eight segments of one packet, four unfinished packets of one sender, a
number of them over all senders, and a time. Copies must be identical. Segments that contradict each
other (another total, other content) end the packet they belong to: nobody can tell which is true.
A copy that comes after its packet was completed is dropped, as long as the time lasts.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sim_adapter.ota.errors import Malformed, SegmentRefused
from sim_adapter.ota.octets import Octets
from sim_adapter.ota.tpdu import USER_DATA_OCTETS

MOST_SEGMENTS = 8
_IEI_SHORT_REFERENCE = 0x00
_IEI_LONG_REFERENCE = 0x08
_REFERENCE_OCTETS = {_IEI_SHORT_REFERENCE: 1, _IEI_LONG_REFERENCE: 2}


class PacketKind(enum.IntEnum):
    """Which header element announces the packet."""

    COMMAND = 0x70
    RESPONSE = 0x71


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole packet as it came."""

    kind: PacketKind
    octets: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One short message's share of a packet."""

    reference: int | None  # None: the packet is not divided
    total: int
    number: int  # from 1
    kind: PacketKind | None  # in the first one only
    body: bytes


def split(kind: PacketKind, packet: bytes, reference: int) -> list[bytes]:
    """User data (header and body, 140 octets at most each); ``SegmentRefused`` beyond eight."""
    alone = bytes([2, kind, 0]) + packet
    if len(alone) <= USER_DATA_OCTETS:
        return [alone]
    first = USER_DATA_OCTETS - 8
    other = USER_DATA_OCTETS - 6
    bodies = [packet[:first]]
    bodies += [packet[at : at + other] for at in range(first, len(packet), other)]
    if len(bodies) > MOST_SEGMENTS:
        raise SegmentRefused(f"{len(packet)} octets need {len(bodies)} short messages")
    chain = bytes([_IEI_SHORT_REFERENCE, 3, reference & 0xFF, len(bodies)])
    heads = [bytes([7]) + chain + bytes([1, kind, 0])]
    heads += [bytes([5]) + chain + bytes([number]) for number in range(2, len(bodies) + 1)]
    return [head + body for head, body in zip(heads, bodies, strict=True)]


def parse(user_data: bytes) -> Segment:
    """Read user data with its header; ``Malformed`` unless it is a share of a secured packet."""
    cursor = Octets(user_data)
    elements = _elements(cursor.take(cursor.number()))
    body = cursor.rest()
    kinds = {kind for kind in PacketKind if kind in elements}
    if len(kinds) > 1 or any(elements[kind] for kind in kinds):
        raise Malformed("not one kind of packet")
    kind = kinds.pop() if kinds else None
    chains = [iei for iei in _REFERENCE_OCTETS if iei in elements]
    if len(chains) > 1:
        raise Malformed("two references")
    if not chains:
        if kind is None:
            raise Malformed("no packet is announced")
        return Segment(None, 1, 1, kind, body)
    return _chained(chains[0], elements[chains[0]], kind, body)


def _elements(header: bytes) -> dict[int, bytes]:
    cursor = Octets(header)
    found: dict[int, bytes] = {}
    while cursor.left:
        iei = cursor.number()
        if iei in found:
            raise Malformed("a header element comes twice")
        found[iei] = cursor.take(cursor.number())
    return found


def _chained(iei: int, value: bytes, kind: PacketKind | None, body: bytes) -> Segment:
    cursor = Octets(value)
    reference = cursor.number(_REFERENCE_OCTETS[iei])
    total, number = cursor.number(), cursor.number()
    cursor.done()
    if not 1 <= number <= total <= MOST_SEGMENTS:
        raise Malformed("a segment that cannot be")
    if (number == 1) != (kind is not None):
        raise Malformed("the first segment, and only that, announces the packet")
    return Segment(reference, total, number, kind, body)


@dataclass(slots=True)
class _Unfinished:
    since: float
    total: int
    parts: dict[int, Segment] = field(default_factory=dict)
    is_finished: bool = False


class Reassembler:
    """Puts segments together. ``timeout`` in seconds, on the clock that ``add`` is told."""

    def __init__(
        self, *, timeout: float = 120.0, most_of_a_sender: int = 4, most: int = 10_000
    ) -> None:
        self._timeout = timeout
        self._most_of_a_sender = most_of_a_sender
        self._most = most
        self._sets: dict[tuple[str, int], _Unfinished] = {}  # oldest first

    def add(self, sender: str, user_data: bytes, now: float) -> Packet | None:
        """The packet that these user data complete, or None.

        ``Malformed`` or ``SegmentRefused``, with the segment dropped, and in case of a
        contradiction everything that was collected for the same packet.
        """
        segment = parse(user_data)
        if segment.reference is None:
            return _packet([segment])
        self._forget_before(now - self._timeout)
        key = (sender, segment.reference)
        entry = self._sets.get(key) or self._start(key, segment, now)
        known = entry.parts.get(segment.number, segment)
        if entry.total != segment.total or known != segment:
            del self._sets[key]
            if not entry.is_finished:
                raise SegmentRefused("segments contradict each other")
            entry = self._start(key, segment, now)  # the reference is used again
        entry.parts[segment.number] = segment
        if entry.is_finished or len(entry.parts) < entry.total:
            return None
        entry.is_finished = True
        return _packet([entry.parts[number] for number in range(1, entry.total + 1)])

    @property
    def waiting(self) -> int:
        """How many packets are held, unfinished or finished of late."""
        return len(self._sets)

    def _start(self, key: tuple[str, int], segment: Segment, now: float) -> _Unfinished:
        unfinished = [
            other
            for other, entry in self._sets.items()
            if other[0] == key[0] and not entry.is_finished
        ]
        if len(unfinished) >= self._most_of_a_sender:
            raise SegmentRefused("too many unfinished packets of one sender")
        if len(self._sets) >= self._most:
            self._forget_a_finished()
        return self._sets.setdefault(key, _Unfinished(now, segment.total))

    def _forget_a_finished(self) -> None:
        for key, entry in self._sets.items():
            if entry.is_finished:
                del self._sets[key]
                return
        raise SegmentRefused("too many unfinished packets")

    def _forget_before(self, then: float) -> None:
        old = []
        for key, entry in self._sets.items():
            if entry.since > then:
                break
            old.append(key)
        for key in old:
            del self._sets[key]


def _packet(parts: list[Segment]) -> Packet:
    kind = parts[0].kind
    if kind is None:
        raise Malformed("no packet is announced")
    return Packet(kind, b"".join(part.body for part in parts))
