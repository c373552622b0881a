"""The adapter's nouns: numbers, texts, logs, secrets, operators, bells, formats, times."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from remote_signing import strict_json as other_json
from remote_signing.errors import InvalidInput as OtherInvalidInput
from sim_adapter import display_text, request_id, signature_format, strict_json
from sim_adapter.ap.operators import Operators
from sim_adapter.bells import Bells
from sim_adapter.clock import SystemClock, as_datetime
from sim_adapter.config import OperatorConfig
from sim_adapter.display_text import TextLimits
from sim_adapter.errors import InvalidInput, OperatorUnknown, TextRefused
from sim_adapter.identifiers import new_message_id, new_trans_id
from sim_adapter.log import JsonLines, configure_logging
from sim_adapter.msisdn import mask, mask_in, normalise
from sim_adapter.mss.model import Signature
from sim_adapter.mss.values import (
    integer,
    ncname,
    needed,
    read_base64,
    read_moment,
    write_moment,
)
from tests.support.sim_card import DER, Issuer, p256

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("text", ["+84900000001", "84900000001"])
def test_a_number_loses_its_plus(text: str) -> None:
    assert normalise(text) == "84900000001"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "0900000001",
        "84 900 000 001",
        "8490000000a",
        "1" * 16,
        "1234567",
        "\u0668\u0664\u0669" + "0" * 8,
    ],
)
def test_what_is_no_number_of_e164_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        normalise(text)


def test_a_log_shows_three_digits_of_a_number() -> None:
    assert mask("84900000001") == "********001"
    assert mask_in("for +84900000001, and 84911112222.") == "for *********001, and ********222."
    assert (
        mask_in("A84900000001 01mcc5rm00mratbh8wk05wn2gg")
        == "A84900000001 01mcc5rm00mratbh8wk05wn2gg"
    )


def _line(message: str, *arguments: object, **extra: object) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"name": "sim", "levelno": 20, "levelname": "INFO", "msg": message, "args": arguments}
    )
    vars(record).update(extra)
    members: dict[str, Any] = json.loads(JsonLines().format(record))
    return members


def test_a_log_line_is_json_without_numbers_and_secrets() -> None:
    line = _line("asked %s", "84900000001", number="+84900000002", milliseconds=12, cause=None)
    assert line["message"] == "asked ********001"
    assert (line["number"], line["milliseconds"]) == ("*********002", 12)
    assert "abc" not in json.dumps(_line("Bearer abcdefgh and whsec_abcdefgh=="))


def test_an_exception_in_the_log_is_masked_too() -> None:
    try:
        int("x84900000001 is 84900000001")
    except ValueError:
        line = _line("broken", exc_info=sys.exc_info())
    assert "********001" in line["exception"]
    assert " 84900000001" not in line["exception"]


def test_logging_goes_to_standard_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging()
    try:
        logging.getLogger("sim_adapter.test").info("hello")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert json.loads(capsys.readouterr().err)["message"] == "hello"


@pytest.mark.parametrize("text", ["ữ" * 119, "a" * 239, "[" * 119, "Ký 12/QĐ-BNV"])
def test_what_fits_is_shown_as_it_is(text: str) -> None:
    display_text.check(text, TextLimits())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ữ" * 120, "text_too_long"),
        ("a" * 240, "text_too_long"),
        ("[" * 120, "text_too_long"),
        ("a" * 200 + "ữ", "text_too_long"),
        ("", "text_character"),
        ("a\nb", "text_character"),
        ("a\u200db", "text_character"),
        ("a\u2066b", "text_character"),
        ("a\u0301", "text_character"),
        ("😀", "text_character"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(TextRefused) as caught:
        display_text.check(text, TextLimits())
    assert caught.value.reason == reason


def test_an_operator_may_have_less_room_and_want_a_prefix() -> None:
    limits = TextLimits(gsm7=20, ucs2=10, prefix="BNV: ")
    display_text.check("BNV: ky 12", limits)
    for text, reason in (
        ("ky 12", "text_prefix_missing"),
        ("BNV: " + "a" * 16, "text_too_long"),
        ("BNV: ký 12345", "text_too_long"),
    ):
        with pytest.raises(TextRefused) as caught:
            display_text.check(text, limits)
        assert caught.value.reason == reason


def _operators() -> Operators:
    return Operators(
        OperatorConfig(name=name, url="https://mssp.example", ap_id="urn:ap", prefixes=prefixes)
        for name, prefixes in (("wide", ("849",)), ("narrow", ("8490", "8486")), ("none", ()))
    )


def test_the_longest_prefix_wins_and_a_name_wins_over_it() -> None:
    operators = _operators()
    assert operators.of("84900000001", None).name == "narrow"
    assert operators.of("84910000001", None).name == "wide"
    assert operators.of("84900000001", "none").name == "none"


@pytest.mark.parametrize(("number", "name"), [("84200000001", None), ("84900000001", "nobody")])
def test_there_is_no_second_choice(number: str, name: str | None) -> None:
    with pytest.raises(OperatorUnknown):
        _operators().of(number, name)


HOSTILE = (
    *(b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b"[" * 99 + b"]" * 99),
    *(b'"\\ud800"', b'"\\u0000"', b'{"\\u0000":1}', b"\xff", b"{", b"", b"99999999999999999999"),
    *(
        b'{"a":' + b"9" * 40 + b"}",
        b"1.5",
        b"[1,2,{}]",
        b'{"a":{"b":[null,true,"x"]}}',
        b"\xef\xbb\xbf{}",
    ),
)


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_json_is_read_as_strictly_as_in_the_rest_of_the_project(body: bytes) -> None:
    def outcome(loads: Callable[[bytes], object], refusal: type[Exception]) -> object:
        try:
            return loads(body)
        except refusal:
            return "refused"

    assert outcome(strict_json.loads, InvalidInput) == outcome(other_json.loads, OtherInvalidInput)


def test_an_object_is_wanted_and_canonical_is_one_spelling() -> None:
    with pytest.raises(InvalidInput):
        strict_json.loads_object(b"[]")
    assert strict_json.canonical({"b": 1, "a": "ữ"}) == '{"a":"ữ","b":1}'.encode()


def test_ids_are_ncnames_of_at_most_32_characters_and_differ() -> None:
    made = {new_trans_id() for _ in range(100)}
    assert len(made) == 100
    assert all(ncname(one, "id") and len(one) <= 32 for one in made)
    assert new_message_id() != new_message_id()


def test_a_request_id_is_taken_when_it_is_harmless() -> None:
    assert request_id.accept(b"abc-12345") == "abc-12345"
    assert request_id.accept(b'"}') != '"}'
    assert len(request_id.accept(None)) == 16


MOMENTS = {
    "2026-11-25T10:04:05.678+07:00": datetime(2026, 11, 25, 3, 4, 5, 678000, UTC),
    "2026-11-25T03:04:05Z": datetime(2026, 11, 25, 3, 4, 5, tzinfo=UTC),
    "2026-11-25T03:04:05.123456789Z": datetime(2026, 11, 25, 3, 4, 5, 123456, UTC),
    "2026-11-25T03:04:05": datetime(2026, 11, 25, 3, 4, 5, tzinfo=UTC),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_moments_are_read_in_their_zone(text: str) -> None:
    assert read_moment(text, "Instant") == MOMENTS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-25",
        "2026-11-31T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-25T03:04:05+99:00",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(text, "Instant")


def test_a_moment_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=7))
    assert (
        write_moment(datetime(2026, 11, 25, 10, 4, 5, 678000, there)) == "2026-11-25T03:04:05.678Z"
    )


def test_simple_values_of_another_kind_are_refused() -> None:
    refusals: list[Callable[[], object]] = [
        lambda: needed("", "x"),
        lambda: ncname("1a", "x"),
        lambda: ncname("a:b", "x"),
        lambda: integer("1.5", "x"),
        lambda: integer("1" * 10, "x"),
        lambda: read_base64("a", "x"),
        lambda: read_base64("AA==AA==", "x"),
    ]
    for refusal in refusals:
        with pytest.raises(InvalidInput):
            refusal()


def test_the_clock_is_the_machines() -> None:
    now = as_datetime(SystemClock().now_ms())
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def _certificate(key: Any) -> bytes:
    return Issuer().issue(key).public_bytes(DER)


FORMATS: dict[str, tuple[Any, bytes, str]] = {
    "RSA": (rsa.generate_private_key(65537, 2048), b"x" * 256, "pkcs1"),
    "r and s": (p256(), b"x" * 64, "ecdsa_raw"),
    "a DER sequence": (p256(), b"\x30\x06\x02\x01\x01\x02\x01\x01", "ecdsa_der"),
    "P-521": (ec.generate_private_key(ec.SECP521R1()), b"x" * 132, "ecdsa_raw"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_certificate_tells_what_a_bare_signature_is(name: str) -> None:
    key, value, expected = FORMATS[name]
    assert signature_format.format_of(value, _certificate(key)) == expected
    signature_format.check(Signature(value, _certificate(key)))


@pytest.mark.parametrize("key", [p256(), ed25519.Ed25519PrivateKey.generate()], ids=["ec", "ed"])
def test_a_value_that_fits_no_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidInput):
        signature_format.format_of(b"x" * 63, _certificate(key))


# The curve's identifier is of no curve, and the certificate of a version that there is none of.
UNREADABLE = {
    "another curve": (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x63"),
    "another version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_certificate_that_the_library_cannot_read_is_refused_like_any_other(name: str) -> None:
    certificate = _certificate(p256())
    assert UNREADABLE[name][0] in certificate
    with pytest.raises(InvalidInput):
        signature_format.check(Signature(b"x" * 64, certificate.replace(*UNREADABLE[name], 1)))


def test_a_bell_wakes_those_who_wait_for_it() -> None:
    async def scene() -> None:
        bells, seen = Bells(), 0

        async def is_new() -> bool:
            nonlocal seen
            seen += 1
            return seen > 1

        waiting = asyncio.create_task(bells.until("a", is_new, 30))
        await asyncio.sleep(0)
        bells.ring("b")
        await asyncio.sleep(0.01)
        assert not waiting.done()
        bells.ring("a")
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scene())


def test_a_change_that_nobody_rang_for_is_seen_a_little_later() -> None:
    async def scene() -> None:
        bells, looks = Bells(), iter([False, True])

        async def is_new() -> bool:
            return next(looks)

        await asyncio.wait_for(bells.until("a", is_new, 30), 5)

    asyncio.run(scene())


def test_no_signature_is_no_format() -> None:
    for signature in (None, Signature(b""), Signature(b"x", b"no certificate")):
        with pytest.raises(InvalidInput):
            signature_format.check(signature)
    assert signature_format.format_of(b"anything", None) == "cms"
