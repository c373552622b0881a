"""schemathesis: whatever the description lets a client write, and what it does not.

Each operation gets inputs that fit its description and inputs that break it in one place, with
tokens, ids and codes put in that are good at the moment. Every answer must be as described and no
5xx. Making an input costs ten times what answering it does, so each is sent in ``VARIANTS`` forms:
other callers, other values that are good, a member left out, emptied or of another kind.

``OPENAPI_INPUTS`` is how many in all (few by default), ``OPENAPI_SEED`` where they begin::

    export OPENAPI_INPUTS=100000
    pytest -n 0 -rP -o faulthandler_timeout=0 tests/conformance/test_described_inputs.py
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from remote_signing.clock import FixedClock
from remote_signing.rssp import migrations
from remote_signing.rssp.app import create_app
from remote_signing.rssp.openapi.document import document, is_served, operations
from tests.support.csc import LOGIN, CscPortal
from tests.support.described import Judged
from tests.support.live import Live
from tests.support.world import configuration, connect, furnish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemathesis import Case

    from remote_signing.rssp.openapi.operation import Operation
    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

SMALL = 344
INPUTS = int(os.environ.get("OPENAPI_INPUTS", SMALL))
SEED = int(os.environ.get("OPENAPI_SEED", "0"))
VARIANTS = 2 if INPUTS == SMALL else 20
RENEWED_AFTER = 250  # inputs
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CONFIG = configuration("sqlite:///nowhere", csc={"login_client": LOGIN})
OPERATIONS = {each.id: each for each in operations() if is_served(CONFIG, each)}
EACH = max(1, INPUTS // len(OPERATIONS) // VARIANTS)
ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        2**53,
        10**400,
        "",
        " ",
        "\x00",
        "x" * 3000,
        "Đ\u0323\U0001f600",
        "../x",
    ),
    *([], [[]], [None], ["x"] * 200, {}, {"": None}, {"id": 1}, "0" * 26, f"{'0' * 26}.{'x' * 43}"),
]
SCHEMA = schemathesis.openapi.from_dict(document(CONFIG))
BYTES = ("application/ocsp-request", "application/timestamp-query")


@schemathesis.serializer(*BYTES)
def _as_it_is(_context: Any, value: Any) -> bytes:
    return bytes(value)


QUERY = (
    bytes.fromhex("303902010130313 00d060960864801650304020105000420".replace(" ", ""))
    + bytes(32)
    + bytes.fromhex("0101ff")
)
"""A TimeStampReq over a SHA-256 digest of zeros."""


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """Nearly a TimeStampReq, or any bytes."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    place = draw(st.integers(0, len(QUERY)))
    return QUERY[:place] + draw(st.binary(max_size=8)) + QUERY[place + draw(st.integers(0, 8)) :]


@dataclass
class Target:
    """The service on SQLite with a real SAM behind, asked without a socket."""

    live: Live
    runner: asyncio.Runner
    client: httpx.AsyncClient
    tried: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def send(self, request: requests.PreparedRequest) -> httpx.Response:
        if sum(self.tried.values()) % RENEWED_AFTER == 0:
            self.live.renew()
        work = self.client.request(
            str(request.method),
            str(request.url),
            content=cast("bytes", request.body),
            headers=cast("dict[str, str]", dict(request.headers)),
        )
        return self.runner.run(work)


@pytest.fixture(scope="module")
def target(sqlite_folder: SqliteFolder, sam_factory: Callable[..., RunningSam]) -> Iterator[Target]:
    world = connect(sqlite_folder.fresh(migrations.upgrade), FixedClock(time.time_ns() // 10**6))
    authority = world.authority
    sam = sam_factory(pinned={authority.key_id: authority.public_key}).client()
    world.services = replace(world.services, sam=sam)
    portal = CscPortal.at(furnish(world))
    config = replace(world.services.config, csc=CONFIG.csc)
    world.services = replace(world.services, config=config)
    portal.app = create_app(config, world.services)
    transport = httpx.ASGITransport(Judged(portal.app))
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=transport, base_url="https://rssp.test")
        made = Target(Live.at(portal, portal.app), runner, client)
        made.live.renew()
        yield made
        runner.run(client.aclose())
    print(f"inputs tried: {made.tried.total()}, answers: {dict(sorted(made.statuses.items()))}")
    portal.app.state.desk.close()
    portal.app.state.validation.close()
    world.services.close()


def cases(name: str) -> st.SearchStrategy[Case[Any]]:
    """Inputs that fit the description, and inputs that do not where anything can be wrong."""
    described = SCHEMA.find_operation_by_id(name)
    known = described.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (described.body or described.path_parameters or described.query):
        return known
    return known | described.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_as_described(target: Target, name: str) -> None:
    @seed(SEED)
    @settings(
        max_examples=EACH, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases(name), number=st.integers(0, 2**32), query=queries())
    def attempt(case: Case[Any], number: int, query: bytes) -> None:
        random = Random(number)  # noqa: S311 - chooses among test inputs
        if case.media_type in BYTES:
            case.body = query
        for variant in variants(target.live, OPERATIONS[name], case, random):
            answer = target.send(prepared(variant))
            target.tried[name] += 1
            target.statuses[answer.status_code] += 1
            variant.validate_response(answer, checks=CHECKS)

    attempt()


def variants(
    live: Live, operation: Operation, case: Case[Any], random: Random
) -> Iterator[Case[Any]]:
    """The input with good values put in, and forms of it."""

    def choose(value: Any, good: list[Any]) -> Any:
        return random.choice([*good, *good, value])

    known = [value for way in operation.security for value in live.authorizations.get(way, ())]
    parts = ("body", "path_parameters", "query")
    given_ = {part: getattr(case, part) for part in parts}
    for number in range(VARIANTS):
        for part in parts:
            value = live.filled(given_[part], choose)
            setattr(case, part, odd(value, random) if number and part == "body" else value)
        if known and random.random() < 0.9:
            case.headers["Authorization"] = random.choice(known)
        yield case


def odd(value: Any, random: Random) -> Any:
    """``value`` with one member, wherever it is, left out or of another kind; or as it is."""
    if isinstance(value, dict) and value:
        name = random.choice(sorted(value))
        if random.random() < 0.2:
            return {each: inner for each, inner in value.items() if each != name}
        return value | {name: odd(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        place = random.randrange(len(value))
        return [*value[:place], odd(value[place], random), *value[place + 1 :]]
    return value if isinstance(value, bytes) or random.random() < 0.3 else random.choice(ODD)


def prepared(case: Case[Any]) -> requests.PreparedRequest:
    given_ = case.as_transport_kwargs(base_url="https://rssp.test")
    return requests.Request(**{n: v for n, v in given_.items() if n != "timeout"}).prepare()
