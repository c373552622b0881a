"""Bytes that almost are messages: read, or refused by name, and nothing else ever happens."""

from __future__ import annotations

import os
import random
import re
import time
from typing import Any

import pytest

from sim_adapter.errors import InvalidInput
from sim_adapter.mss import rest, soap
from sim_adapter.mss.model import Fault
from tests.support.mss_messages import ANSWERS, REQUESTS, SAMPLES

TRIES = int(os.environ.get("SIM_FUZZ", "2000"))
SPLICES = (
    *(
        b"<",
        b">",
        b"</",
        b"/>",
        b"&",
        b"&amp;",
        b"&#0;",
        b"&#x10FFFF;",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
    ),
    *(b"<?x?>", b"<!DOCTYPE x>", b"<!ENTITY a 'b'>", b"xmlns=''", b"xmlns:mss='urn:x'", b" a='b'"),
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\u0000", b"\\ud800", b"null", b"true", b"1e999"),
    *(b"-1", b"99999999999999999999", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xe1\xbb", b" " * 100),
    *(b"MSS_", b"_401", b"mss:", b"Value", b"Status", b"<x>" * 50, b"{" * 50),
)


def _answer(codec: Any, operation: str) -> Any:
    return lambda body: codec.read_answer(body, operation)


def _sample_operation(name: str) -> str:
    if "profile" in name:
        return "MSS_ProfileQuery"
    return "MSS_StatusQuery" if "status" in name else "MSS_Signature"


def _samples(codec: Any, pattern: str) -> list[tuple[bytes, Any]]:
    paths = sorted(SAMPLES.glob(pattern))
    return [(path.read_bytes(), _answer(codec, _sample_operation(path.name))) for path in paths]


# Every seed with the reader that takes it.
SEEDS: dict[str, list[tuple[bytes, Any]]] = {
    "soap": [
        *((soap.write_request(message), soap.read_request) for message in REQUESTS.values()),
        *(
            (soap.write_answer(name, message), _answer(soap, name))
            for name, message in ANSWERS.items()
        ),
        (soap.write_fault(Fault(401, "USER_CANCEL", "detail", 4011)), _answer(soap, "MSS_Receipt")),
        *_samples(soap, "soap/*.xml"),
    ],
    "json": [
        *((rest.write_message(message), rest.read_request) for message in REQUESTS.values()),
        *((rest.write_message(message), _answer(rest, name)) for name, message in ANSWERS.items()),
        (rest.write_fault(Fault(401, "USER_CANCEL", "detail", 4011)), _answer(rest, "MSS_Receipt")),
        *_samples(rest, "json/rest-*.json"),
    ],
}
_VALUES = re.compile(rb'"[^"]*"|(?<=>)[^<]+(?=<)')
_TAGS = re.compile(rb'<[^<>]*>|"[^"]*"\s*:')


def mutated(seed: bytes, other: bytes, chance: random.Random) -> bytes:
    """``seed`` with one to three changes: values and elements exchanged, bytes cut or spliced."""
    body = seed
    for _ in range(chance.randint(1, 3)):
        kind = chance.random()
        if kind < 0.8:
            pattern = _VALUES if kind < 0.6 else _TAGS
            body = _with_another_value(body, other, pattern, chance)
        else:
            body = _with_other_bytes(body, other, chance)
    return body


def _with_another_value(
    body: bytes, other: bytes, pattern: re.Pattern[bytes], chance: random.Random
) -> bytes:
    """Another value or tag in the place of one: often still well-formed."""
    here, there = list(pattern.finditer(body)), list(pattern.finditer(other))
    if not here or not there:
        return body
    spot = chance.choice(here)
    same = [one for one in there if one[0][:1] == spot[0][:1]] or there
    by = chance.choice(same)[0] if chance.random() < 0.7 else chance.choice(SPLICES)
    if chance.random() < 0.3:
        by = spot[0] + by  # beside it: twice, or one too many
    return body[: spot.start()] + by + body[spot.end() :]


def _with_other_bytes(body: bytes, other: bytes, chance: random.Random) -> bytes:
    at, until = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    until = min(until, at + 300)
    match chance.randrange(4):
        case 0:
            return body[:at] + body[until:]
        case 1:
            return body[:at] + body[at:until] + body[at:]
        case 2:
            return body[:at] + chance.choice(SPLICES) + body[at:]
        case _:
            start = chance.randrange(len(other))
            return body[:at] + other[start : start + 300] + body[until:]


@pytest.mark.parametrize("wire", SEEDS)
def test_whatever_comes_is_read_or_refused(wire: str) -> None:
    seeds = SEEDS[wire]
    chance = random.Random(20_261_125)  # noqa: S311 - inputs that can be repeated
    read, slowest = 0, 0.0
    for _ in range(TRIES):
        (seed, reader), (other, _) = chance.choice(seeds), chance.choice(seeds)
        body = mutated(seed, other, chance)
        began = time.process_time()
        try:
            reader(body)
            read += 1
        except InvalidInput:
            pass
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 1
    assert read > TRIES // 50, "the changes should often leave a message"
    print(
        f"{wire}: {TRIES} inputs, {read} read, {TRIES - read} refused, uncaught errors 0,"
        f" slowest {slowest * 1000:.1f} ms"
    )
