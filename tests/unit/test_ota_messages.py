"""What gateway and applet say to each other, and the structures that a card signs."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from asn1crypto import core

from sim_adapter.ota.errors import Malformed, OtaError, TextUnfit
from sim_adapter.ota.fields import Tag
from sim_adapter.ota.messages import (
    Accepted,
    Answer,
    CancelRequest,
    EnrolRequest,
    Profiled,
    ProfileRequest,
    Request,
    SignatureMade,
    SignRequest,
    encode_answer,
    parse_answer,
    parse_request,
)
from sim_adapter.ota.octets import tlv, tlvs
from sim_adapter.ota.orders import (
    TS_102_204_CODES,
    Cause,
    Enrolled,
    EnrolOrder,
    KeyAlgorithm,
    Mode,
    NotDone,
    Profile,
    SignOrder,
)
from sim_adapter.ota.structure import parse_consent, possession
from tests.support.sim_messages import CODE, TEXT, TRANSACTION, Listed, consent, document

DIGEST = bytes(range(32))
REQUESTS: list[Request] = [
    SignRequest(TRANSACTION, Mode.DIGEST, 200, 100, TEXT, CODE, digest=DIGEST),
    SignRequest(TRANSACTION, Mode.TEXT, 200, 100, "plain {text}", CODE),
    SignRequest(TRANSACTION, Mode.STRUCTURE, 200, 100, structure=consent()),
    SignRequest(TRANSACTION, Mode.STRUCTURE, 200, 100, TEXT, CODE, structure=consent()),
    EnrolRequest(
        TRANSACTION,
        200,
        100,
        CODE,
        "Sở Nội vụ",
        "C" * 26,
        DIGEST,
        KeyAlgorithm.RSA2048,
        replace=True,
        modes=(Mode.STRUCTURE, Mode.TEXT),
    ),
    CancelRequest(TRANSACTION),
    ProfileRequest(TRANSACTION),
]
PROFILE = Profile("89848490000000000001", KeyAlgorithm.P256, DIGEST, 3, 10, pin_is_default=True)
ANSWERS: list[Answer] = [
    Accepted(TRANSACTION),
    SignatureMade(TRANSACTION, KeyAlgorithm.P256, bytes(64)),
    SignatureMade(TRANSACTION, KeyAlgorithm.RSA2048, bytes(256)),
    Enrolled(TRANSACTION, KeyAlgorithm.P256, "8984849000000000001", bytes(91), bytes(64)),
    Profiled(TRANSACTION, PROFILE),
    Profiled(TRANSACTION, dataclasses.replace(PROFILE, algorithm=None, key_sha256=b"")),
    *(NotDone(TRANSACTION, cause) for cause in Cause if cause < 0x40),
]


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_a_request_comes_back(number: int) -> None:
    octets = REQUESTS[number].encode()
    assert parse_request(octets) == REQUESTS[number]
    with pytest.raises(Malformed):
        parse_answer(octets)


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_an_answer_comes_back(number: int) -> None:
    octets = encode_answer(ANSWERS[number])
    assert parse_answer(octets) == ANSWERS[number]
    with pytest.raises(Malformed):
        parse_request(octets)


def test_an_elliptic_signature_fits_one_short_message() -> None:
    assert len(encode_answer(ANSWERS[1])) <= 98  # one SMS with AES, checksum and counter


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_a_request_without_one_of_its_octets_is_malformed(number: int) -> None:
    octets = REQUESTS[number].encode()
    for left_out in range(0, len(octets), 7):
        with pytest.raises(OtaError):
            parse_request(octets[:left_out] + octets[left_out + 1 :])


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x01",
        b"\x02\x04" + tlv(1, TRANSACTION),
        b"\x01\x7f" + tlv(1, TRANSACTION),
        b"\x01\x04" + tlv(1, TRANSACTION[:15]),
        b"\x01\x04" + 2 * tlv(1, TRANSACTION),
        b"\x01\x04" + tlv(1, TRANSACTION) + tlv(2, b"\x01"),
        b"\x01\x04\x01\x81\x10" + TRANSACTION,
        b"\x01\x04\x01\x83\x00\x00\x10" + TRANSACTION,
        b"\x01\x01" + tlv(1, TRANSACTION) + tlv(2, b"\x09"),
    ],
)
def test_octets_that_are_no_request_are_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        parse_request(octets)


def changed(octets: bytes, tag: int, value: bytes) -> bytes:
    """The message with another value in that field."""
    fields = [(found, value if found == tag else old) for found, old in tlvs(octets[2:])]
    return octets[:2] + b"".join(tlv(found, new) for found, new in fields)


@pytest.mark.parametrize(
    ("number", "tag", "value"),
    [
        (0, Tag.TEXT, b"\x07ab"),
        (0, Tag.CODE, b"12x4"),
        (0, Tag.MODE, b"\x04"),
        (4, Tag.ALGORITHM, b"\x03"),
        (4, Tag.MODE, b""),
        (4, Tag.MODE, b"\x02\x01"),
        (4, Tag.MODE, b"\x02\x02"),
        (4, Tag.MODE, b"\x02\x04"),
        (4, Tag.REPLACE, b"\x02"),
        (4, Tag.CREDENTIAL, b"\xc3\xa9"),
    ],
    ids=str,
)
def test_a_request_with_a_value_that_cannot_be_is_malformed(
    number: int, tag: Tag, value: bytes
) -> None:
    octets = REQUESTS[number].encode()
    with pytest.raises(Malformed):
        parse_request(changed(octets, tag, value))


@pytest.mark.parametrize(
    ("number", "tag", "value"),
    [
        (1, Tag.ALGORITHM, b"\x02"),
        (1, Tag.SIGNATURE, bytes(63)),
        (4, Tag.ALGORITHM, b"\x09"),
        (4, Tag.DIGEST, b""),
        (4, Tag.ICCID, b"\xaa" * 10),
    ],
    ids=str,
)
def test_an_answer_with_a_value_that_cannot_be_is_malformed(
    number: int, tag: Tag, value: bytes
) -> None:
    octets = encode_answer(ANSWERS[number])
    with pytest.raises(Malformed):
        parse_answer(changed(octets, tag, value))


@pytest.mark.parametrize("cause", [0x00, 0x3F, 0x40, 0xFF])
def test_a_card_cannot_claim_a_cause_that_it_cannot_know(cause: int) -> None:
    octets = b"\x01\x15" + tlv(1, TRANSACTION) + tlv(0x12, bytes([cause]))
    with pytest.raises(Malformed):
        parse_answer(octets)


def test_a_request_with_a_text_that_could_deceive_is_not_written() -> None:
    request = SignRequest(TRANSACTION, Mode.TEXT, 200, 100, "a\u202eb", CODE)
    with pytest.raises(TextUnfit):
        request.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"transaction_id": b"short"},
        {"code": "12a4"},
        {"code": "123"},
        {"digest": b""},
        {"structure": b"x"},
        {"mode": Mode.TEXT},
        {"mode": Mode.STRUCTURE},
    ],
    ids=str,
)
def test_an_order_that_contradicts_itself_is_not_made(change: dict[str, object]) -> None:
    order = SignOrder(TRANSACTION, Mode.DIGEST, TEXT, CODE, 200, digest=DIGEST)
    with pytest.raises(ValueError, match=r"not a|asks"):
        dataclasses.replace(order, **change)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("change", [{"challenge": b""}, {"credential_id": "ký"}], ids=str)
def test_an_enrolment_without_its_facts_is_not_made(change: dict[str, object]) -> None:
    order = EnrolOrder(TRANSACTION, "Sở Nội vụ", "C" * 26, DIGEST, CODE, 200)
    with pytest.raises(ValueError, match="challenge"):
        dataclasses.replace(order, **change)  # type: ignore[arg-type]  # wrong on purpose


def test_every_cause_has_a_code_of_the_standard() -> None:
    assert set(TS_102_204_CODES) == set(Cause)


def test_a_consent_structure_is_read() -> None:
    found = parse_consent(consent())
    assert (found.text, found.code, found.count) == (TEXT, CODE, 1)
    assert parse_consent(consent("Ky QD 12", coding=4)).text == "Ky QD 12"
    many = consent(documents=Listed({"digest": bytes(32)}), count=4)
    assert parse_consent(many).count == 4


BROKEN = {
    "another domain": consent(domain="remote-signing/sim-possession"),
    "another version": consent(version=2),
    "count": consent(count=2),
    "listed digest for few": consent(documents=Listed({"digest": bytes(32)}), count=3),
    "too many listed": consent(documents=Listed({"list": [document()] * 4}), count=4),
    "none listed": consent(documents=Listed({"list": []}), count=0),
    "short list digest": consent(documents=Listed({"digest": bytes(31)}), count=4),
    "short digest": consent(documents=Listed({"list": [document() | {"digest": b"x"}]})),
    "long label": consent(documents=Listed({"list": [document("a" * 41)]})),
    "bidi label": consent(documents=Listed({"list": [document("a\u202eb")]})),
    "bidi text": consent("a\u202eb"),
    "empty text": consent(""),
    "long text": consent("ế" * 120),
    "other coding": consent("abc", coding=9),
    "not in ASCII": consent(display={"coding": 4, "text": b"\x00"}),
    "no digits": consent(code="12 4"),
    "neither list nor digest": consent().replace(b"\x30", b"\x31", 3).replace(b"\x31", b"\x30", 1),
    "label of no characters": consent().replace("Quyết".encode(), b"Quy\xff\xffst"),
    "service of no characters": consent().replace("ký".encode(), b"k\xff\xff"),
    "id not in ASCII": consent().replace(b"A" * 26, b"A" * 25 + b"\xe9"),
    "no label is fine, a broken digest is not": consent(
        documents=Listed({"list": [document("") | {"digest": b"x"}]})
    ),
    "short nonce": consent(nonce=bytes(31)),
    "no certificate": consent(certificate=b""),
    "over before it begins": consent(not_before=5, expires=5),
    "negative": consent(not_before=-1),
    "a needless octet": consent(not_before=0x7F7F).replace(
        b"\x02\x02\x7f\x7f", b"\x02\x02\x00\x7f"
    ),
    "huge": consent(expires=2**64),
    "cut": consent()[:-1],
    "more": consent() + b"\0",
    "nothing": b"",
    "a set": b"\x31" + consent()[1:],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_consent_structure_is_read_strictly(kind: str) -> None:
    with pytest.raises((Malformed, TextUnfit)):
        parse_consent(BROKEN[kind])


def test_no_octet_can_be_put_into_a_consent_structure() -> None:
    whole = consent()
    for at in range(len(whole)):
        with pytest.raises((Malformed, TextUnfit)):
            parse_consent(whole[:at] + b"\0" + whole[at:])


def test_the_proof_of_possession_is_der_with_a_domain_of_its_own() -> None:
    public_key = b"a public key"
    fields = core.SequenceOf(spec=core.Any).load(possession("C" * 26, DIGEST, public_key))
    found = [field.native for field in fields]
    assert found == [
        "remote-signing/sim-possession",
        1,
        "C" * 26,
        DIGEST,
        hashlib.sha256(public_key).digest(),
    ]
