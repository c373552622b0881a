"""Outside authorities on loopback: what is believed, what is not, and who is asked next."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from remote_signing.algorithms import DIGESTS
from remote_signing.clock import FixedClock
from remote_signing.errors import DigestLengthInvalid, SamUnavailable, TimestampUnavailable
from remote_signing.rssp import timestamp_query
from remote_signing.rssp.clients import ClientDirectory
from remote_signing.rssp.config_tables import ConfigInvalid
from remote_signing.rssp.db import Database
from remote_signing.rssp.deps import Services
from remote_signing.rssp.outside_timestamps import MAX_ANSWER, OutsideAuthority
from remote_signing.rssp.timestamps import Timestamper
from tests.support.certificates import self_signed
from tests.support.foreign_timestamps import Foreign
from tests.support.world import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.sap import SapClient, TimestampRequest

SHA256 = DIGESTS["sha256"]
DIGEST = hashlib.sha256(b"van ban").digest()
REPLY = "application/timestamp-reply"


@contextmanager
def served(reply: Callable[[TimestampRequest], tuple[int, str, bytes]]) -> Iterator[str]:
    """The URL of an authority that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, kind, content = reply(timestamp_query.read(body))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            try:
                self.wfile.write(content)
            except ConnectionError:
                return

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def foreign() -> Foreign:
    return Foreign()


def granting(foreign: Foreign, **changes: Any) -> Callable[[TimestampRequest], Any]:
    """Gives tokens for what was asked, but for ``changes``."""
    return lambda asked: (
        200,
        REPLY,
        timestamp_query.granted(foreign.stamp(replace(asked, **changes))),
    )


def stamped(url: str, foreign: Foreign, timeout: float = 5.0) -> bytes:
    return OutsideAuthority(url, timeout, [foreign.anchor]).stamp(DIGEST, SHA256)


def test_a_good_token_is_given_on(foreign: Foreign) -> None:
    with served(granting(foreign)) as url:
        token = stamped(url, foreign)
    info = tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    assert info["message_imprint"]["hashed_message"].native == DIGEST


@pytest.mark.parametrize(
    "changes",
    [{"digest": b"1" * 32}, {"nonce": 1}, {"nonce": None}, {"certificates": False}],
    ids=["digest", "nonce", "no-nonce", "no-certificates"],
)
def test_a_token_for_something_else_is_refused(foreign: Foreign, changes: Any) -> None:
    with served(granting(foreign, **changes)) as url, pytest.raises(TimestampUnavailable):
        stamped(url, foreign)


def broken(token: bytes) -> bytes:
    """The same with one bit of its signature turned."""
    return token[:-1] + bytes([token[-1] ^ 1])


@pytest.mark.parametrize(
    "reply",
    [
        lambda _token: (500, REPLY, b""),
        lambda token: (302, REPLY, token),
        lambda token: (200, "text/html", token),
        lambda _token: (200, REPLY, b"no DER"),
        lambda _token: (200, REPLY, b""),
        lambda _token: (200, REPLY, timestamp_query.rejection("bad_alg")),
        lambda token: (200, REPLY, token + b"\0"),
        lambda token: (200, REPLY, broken(token)),
        lambda _token: (200, REPLY, b"0" * (MAX_ANSWER + 1)),
    ],
    ids=["500", "302", "type", "text", "empty", "rejection", "tail", "signature", "long"],
)
def test_a_bad_answer_is_refused(foreign: Foreign, reply: Callable[[bytes], Any]) -> None:
    def answer(asked: TimestampRequest) -> Any:
        return reply(timestamp_query.granted(foreign.stamp(asked)))

    with served(answer) as url, pytest.raises(TimestampUnavailable):
        stamped(url, foreign)


@pytest.mark.parametrize("usage", ["two", "not-critical", "none", "other"])
def test_a_certificate_for_something_else_is_refused(usage: str) -> None:
    other = Foreign(usage)
    with served(granting(other)) as url, pytest.raises(TimestampUnavailable):
        stamped(url, other)


def test_an_authority_with_no_anchor_is_refused(foreign: Foreign) -> None:
    with served(granting(foreign)) as url, pytest.raises(TimestampUnavailable):
        OutsideAuthority(url, 5.0, [self_signed()]).stamp(DIGEST, SHA256)


def test_a_time_far_from_ours_is_refused() -> None:
    late = Foreign(ahead_ms=-3_600_000)
    with served(granting(late)) as url, pytest.raises(TimestampUnavailable, match="the time"):
        stamped(url, late)


def test_who_answers_too_late_or_not_at_all_is_left(foreign: Foreign) -> None:
    def slow(asked: TimestampRequest) -> Any:
        time.sleep(0.5)
        return granting(foreign)(asked)

    with served(slow) as url, pytest.raises(TimestampUnavailable):
        stamped(url, foreign, timeout=0.1)
    with pytest.raises(TimestampUnavailable):
        stamped("http://127.0.0.1:9/", foreign)


# -------------------------------------------------------------------------- fail-over


class _NoSam:
    """A SAM that gives no time stamps."""

    def timestamp(self, _request: TimestampRequest) -> bytes:
        raise SamUnavailable("gone")


def services(foreign: Foreign, folder: Path, *urls: str) -> Services:
    """Without a database: a time stamp asks none."""
    trust = folder / "anchors.pem"
    anchor = x509.load_der_x509_certificate(foreign.anchor)
    trust.write_bytes(anchor.public_bytes(Encoding.PEM))
    table = {"authorities": list(urls), "trust": str(trust), "timeout": 2.0}
    config = configuration("sqlite://", timestamps=table)
    clock = FixedClock()
    database = Database(f"sqlite:///{folder}/none")
    directory = ClientDirectory(database, clock)
    return Services(config, database, cast("SapClient", _NoSam()), clock, directory)


def test_the_next_authority_is_asked_and_who_failed_rests(foreign: Foreign, tmp_path: Path) -> None:
    asked: list[str] = []

    def failing(_request: TimestampRequest) -> Any:
        asked.append("failing")
        return 500, REPLY, b""

    def good(request: TimestampRequest) -> Any:
        asked.append("good")
        return granting(foreign)(request)

    with served(failing) as first, served(good) as second:
        timestamper = Timestamper(services(foreign, tmp_path, first, second))
        for _ in range(3):
            assert timestamper.stamp(DIGEST, "sha256")
    assert asked == ["failing", "good", "good", "good"]


def test_when_nobody_stamps_it_is_an_error(foreign: Foreign, tmp_path: Path) -> None:
    for urls in ((), ("http://127.0.0.1:9/",)):
        timestamper = Timestamper(services(foreign, tmp_path, *urls))
        with pytest.raises(TimestampUnavailable):
            timestamper.stamp(DIGEST, "sha256")


def test_a_digest_of_another_length_is_not_sent_anywhere(foreign: Foreign, tmp_path: Path) -> None:
    with pytest.raises(DigestLengthInvalid):
        Timestamper(services(foreign, tmp_path)).stamp(b"short", "sha256")


def test_outside_authorities_without_anchors_are_no_configuration() -> None:
    with pytest.raises(ConfigInvalid, match=r"timestamps\.trust"):
        configuration("sqlite://", timestamps={"authorities": ["http://tsa.example/"]})
