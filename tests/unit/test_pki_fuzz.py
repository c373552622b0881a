"""Whatever arrives at ``/pki/ocsp`` and ``/tsa``, the answer is the protocol's and never a 5xx.

``REMOTE_SIGNING_FUZZ`` is the number of inputs for each; a few by default.
"""

from __future__ import annotations

import base64
import os
import random
from typing import TYPE_CHECKING, cast

import pytest
from asn1crypto import core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remote_signing.clock import FixedClock
from remote_signing.rssp import pki, timestamp_query
from remote_signing.rssp.certificate_status import Answer
from remote_signing.rssp.timestamp_query import QueryRefused
from remote_signing.sap import TimestampRequest
from tests.support.foreign_timestamps import Foreign

if TYPE_CHECKING:
    from remote_signing.rssp.certificate_status import Status
    from remote_signing.rssp.deps import Services

COUNT = int(os.environ.get("REMOTE_SIGNING_FUZZ", "300"))
DEADLINE_OFF = settings(
    max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def ocsp_request() -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        b"1" * 20,
        b"2" * 20,
        4711,
        hashes.SHA1(),  # noqa: S303 - as requests have it
    )
    nonce = x509.OCSPNonce(b"n" * 32)
    return builder.add_extension(nonce, critical=False).build().public_bytes(Encoding.DER)


def time_stamp_request() -> bytes:
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"1" * 32}
    members = {
        "version": 1,
        "message_imprint": imprint,
        "req_policy": "1.2.3.4",
        "nonce": 12345678901234567890,
        "cert_req": True,
    }
    encoded: bytes = tsp.TimeStampReq(members).dump()
    return encoded


class _Answers:
    """Stands for the status of certificates, the SAM and the services: always an answer."""

    def __init__(self) -> None:
        self.foreign = Foreign()
        self.sam = self

    def is_ours(self, *_arguments: object) -> bool:
        return True

    def about(self, serial: int, _digest: str, nonce: bytes | None) -> Answer:
        assert 0 < serial < 2**159
        assert nonce is None or 0 < len(nonce) <= 128
        return Answer(b"answer")

    def now_ms(self) -> int:
        return FixedClock().now_ms()

    def timestamp(self, request: TimestampRequest) -> bytes:
        return self.foreign.stamp(request)


ANSWERS = _Answers()


def mutated(base: bytes) -> st.SearchStrategy[bytes]:
    """Bits turned, bytes put in, taken out, repeated, of a good request; or anything."""

    def change(seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - tests, to be repeatable
        data = bytearray(base)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            kind = chance.randrange(4)
            if kind == 0:
                data[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                data[at] = chance.randrange(256)
            elif kind == 2:
                data[at:at] = chance.randbytes(chance.randint(1, 6))
            else:
                del data[at : at + chance.randint(1, 6)]
            if not data:
                return b""
        return bytes(data)

    return st.integers(0, 2**62).map(change) | st.binary(max_size=200)


@DEADLINE_OFF
@given(mutated(ocsp_request()))
def test_every_ocsp_request_has_an_answer(body: bytes) -> None:
    answer = pki._ocsp(cast("Services", ANSWERS), cast("Status", ANSWERS), body)  # noqa: SLF001 - the parser, without HTTP around it
    assert answer.status_code == 200
    if answer.body != b"answer":
        status = ocsp.load_der_ocsp_response(bytes(answer.body)).response_status
        assert status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@DEADLINE_OFF
@given(mutated(time_stamp_request()))
def test_every_request_for_a_time_stamp_has_an_answer(body: bytes) -> None:
    answer = pki._stamped(cast("Services", ANSWERS), body)  # noqa: SLF001 - as above
    content = core.load(answer)
    assert content.tag == core.Sequence.tag


@DEADLINE_OFF
@given(mutated(time_stamp_request()))
def test_a_request_is_read_whole_or_refused(body: bytes) -> None:
    try:
        request = timestamp_query.read(body)
    except QueryRefused:
        return
    assert isinstance(request, TimestampRequest)
    assert request.nonce is None or 0 <= request.nonce < 2**256
    assert isinstance(request.digest, bytes)
    assert isinstance(request.certificates, bool)
    assert request.policy_oid is None or set(request.policy_oid) <= set("0123456789.")


def test_what_is_good_is_read() -> None:
    request = timestamp_query.read(time_stamp_request())
    assert request == TimestampRequest(
        "2.16.840.1.101.3.4.2.1", b"1" * 32, 12345678901234567890, "1.2.3.4", certificates=True
    )
    answer = pki._ocsp(cast("Services", ANSWERS), cast("Status", ANSWERS), ocsp_request())  # noqa: SLF001 - as above
    assert answer.body == b"answer"


@pytest.mark.parametrize("tag", range(1, 31))
def test_parameters_of_any_type_are_refused(tag: int) -> None:
    """asn1crypto stumbles over some types (ObjectDescriptor) instead of refusing them."""
    good = time_stamp_request()
    oid = core.ObjectIdentifier("2.16.840.1.101.3.4.2.1").dump()
    at = good.index(oid) + len(oid)
    null = core.Null().dump()
    assert good[at : at + 2] == null
    body = good[:at] + bytes([tag, 0]) + good[at + 2 :]
    if tag == null[0]:
        assert timestamp_query.read(body).digest == b"1" * 32
        return
    with pytest.raises(QueryRefused):
        timestamp_query.read(body)


@pytest.mark.parametrize(
    "body",
    [
        base64.b64decode("MIA="),
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x82\x10\x00" + b"\x30\x80" * 2046,
        b"\x30" * 4096,
    ],
    ids=["indefinite", "endless", "deep", "sequences"],
)
def test_structures_without_end_are_refused_quickly(body: bytes) -> None:
    with pytest.raises(QueryRefused):
        timestamp_query.read(body)
