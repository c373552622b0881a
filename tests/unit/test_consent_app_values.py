"""The consent page's leaves: languages, wording, forms, cookies, configuration, log lines."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consent_app import config, cookies, forms, language, log, wording
from consent_app.answers import Outcome
from consent_app.cookies import Notice
from consent_app.faults import RequestMalformed, RsspRefused
from consent_app.repeats import Repeats
from consent_app.visit import content_policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOMENT = datetime(2026, 11, 24, 18, 5, 9, tzinfo=UTC)
CONFIG: dict[str, dict[str, Any]] = {
    "public": {"url": "https://ky.example.gov.vn"},
    "rssp": {"url": "http://127.0.0.1:8400"},
    "brand": {"name": "a", "name_en": "b", "operator": "c", "operator_en": "d"},
}


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        (None, None, "vi"),
        (None, "", "vi"),
        (None, "en", "en"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr, en;q=0.5, vi;q=0.7", "vi"),
        (None, "vi;q=0, en;q=0.1", "en"),
        (None, "fr", "vi"),
        (None, "*", "vi"),
        (None, "en;q=x, vi;q=nan", "vi"),
        (None, "en;v=1", "vi"),
        (None, "en;q=1.0000000", "vi"),
        ("vi", "en", "vi"),
        ("en", "vi", "en"),
        ("xx", "en", "en"),
    ],
)
def test_language_is_the_visitors_choice_then_the_browsers_then_vietnamese(
    cookie: str | None, accepted: str | None, chosen: str
) -> None:
    assert language.choose(cookie, accepted) == chosen


def test_dates_are_written_the_vietnamese_way_in_vietnamese_time() -> None:
    assert wording.date_time(MOMENT) == "25/11/2026 01:05"
    assert wording.day(MOMENT) == "25/11/2026"
    assert wording.clock_time(MOMENT) == "01:05:09"
    assert wording.machine_time(MOMENT) == "2026-11-24T18:05:09Z"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(272.9, (4, 32)), (60, (1, 0)), (0.4, (0, 0)), (-5, (0, 0))]
)
def test_time_left_is_whole_and_never_negative(seconds: float, shown: tuple[int, int]) -> None:
    assert wording.minutes_and_seconds(timedelta(seconds=seconds)) == shown


def test_digests_and_serials_are_shortened_to_both_ends() -> None:
    digest = "9f86d081" + "0" * 48 + "15b0f00a"
    assert wording.short_digest(digest) == "9f86 d081 … 15b0 f00a"
    assert wording.short_serial("5f3a9c1e") == "5F3A 9C1E"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sha256", "SHA-256"),
        ("sha512", "SHA-512"),
        ("sha512-256", "SHA-512/256"),
        ("sha3-384", "SHA3-384"),
        ("new", "NEW"),
        (None, ""),
    ],
)
def test_algorithms_are_written_as_in_their_standard(name: str | None, shown: str) -> None:
    assert wording.algorithm_name(name) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Quyết định", "Quyết định"),
        ("Quye\u0302\u0301t", "Quyết"),
        ("hợp đồng \u202efdp.exe", "hợp đồng \N{REPLACEMENT CHARACTER}fdp.exe"),
        ("a\u200bb\u0007c", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        ("một\r\n\r\n \n\n\nhai\tba", "một\nhai\tba"),
        ("x" + "\u0316" * 40, "x" + "\u0316" * 3),
        ("<b>", "<b>"),
        (None, ""),
    ],
)
def test_foreign_text_cannot_disguise_itself(text: str | None, shown: str) -> None:
    assert wording.plain(text) == shown


def test_codes_are_spoken_digit_by_digit() -> None:
    assert wording.spoken("0097") == "0 0 9 7"


@pytest.mark.parametrize(
    "encoded",
    [
        b"a=1&a=2",
        b"a=1&a=1",
        b"a",
        b"a=%ff",
        b"a=%00",
        b"\xff=1",
        b"&".join(b"a%d=1" % number for number in range(9)),
    ],
)
def test_a_malformed_form_is_refused(encoded: bytes) -> None:
    with pytest.raises(RequestMalformed):
        forms.fields(encoded)


def test_a_form_is_read_as_utf8() -> None:
    assert forms.fields(b"") == {}
    assert forms.fields(b"ten=Nguy%E1%BB%85n+An&rong=") == {"ten": "Nguyễn An", "rong": ""}


def test_a_missing_or_long_field_is_refused() -> None:
    for found in ({}, {"pin": "1" * 9}):
        with pytest.raises(RequestMalformed):
            forms.one(found, "pin", 8)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Ky.Example.vn", "https://ky.example.vn"),
        ("https://ky.example.vn:443", "https://ky.example.vn"),
        ("https://ky.example.vn:8443", "https://ky.example.vn:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8401", "http://[::1]:8401"),
    ],
)
def test_our_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert forms.origin_of(url) == origin


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, ""),
        ("https://portal.example", " https://portal.example"),
        ("http://127.0.0.1:9000", " http://127.0.0.1:9000"),
        ("vn.gov.example.app://", " vn.gov.example.app:"),
        ("https://portal.example; script-src *", ""),
        ("https://a b", ""),
        ("javascript://x", ""),
        ("data:", ""),
        ("https:", ""),
    ],
)
def test_forms_may_lead_to_the_portal_alone(origin: str | None, source: str) -> None:
    policy = content_policy(origin)
    assert f"form-action 'self'{source}; " in policy
    assert "unsafe" not in policy
    assert "script" not in policy


def test_a_form_token_is_of_one_visitor_and_one_form() -> None:
    token = cookies.form_token("secret", "/sign-in")
    assert cookies.is_form_token("secret", "/sign-in", token)
    assert not cookies.is_form_token("secret", "/sign-out", token)
    assert not cookies.is_form_token("other", "/sign-in", token)
    assert not cookies.is_form_token("secret", "/sign-in", "")
    assert not cookies.is_form_token("secret", "/sign-in", "ế")


@pytest.mark.parametrize(
    "notice", [Notice("wrong", "01mcc5rm00mratbh8wk05wn2gg", 4), Notice("signed_out")]
)
def test_a_notice_opens_for_its_visitor_only(notice: Notice) -> None:
    sealed = cookies.seal_notice("secret", notice)
    assert cookies.open_notice("secret", sealed) == notice
    assert cookies.open_notice("other", sealed) is None
    assert cookies.open_notice("secret", sealed.replace(notice.kind, "locked")) is None
    assert cookies.open_notice("secret", "x") is None


def changed(**changes: Any) -> dict[str, dict[str, Any]]:
    members = {name: dict(table) for name, table in CONFIG.items()}
    for name, value in changes.items():
        table, _, key = name.partition("__")
        members.setdefault(table, {})[key] = value
    return members


def test_a_small_configuration_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(
        '[public]\nurl = "http://127.0.0.1:8401"\n[rssp]\nurl = "https://rssp.example"\n'
        'ca = "ca.pem"\ntimeout = 30\n'
        '[brand]\nname = "a"\nname_en = "b"\noperator = "c"\noperator_en = "d"\n',
        "utf-8",
    )
    loaded = config.load(path)
    assert loaded.rssp.ca == tmp_path / "ca.pem"
    assert loaded.rssp.timeout == 30.0
    assert not loaded.public.is_secure
    assert loaded.listen.port == 8401


@pytest.mark.parametrize(
    "members",
    [
        {},
        changed(public__url="http://ky.example.gov.vn"),
        changed(public__url="https://ky.example.gov.vn/"),
        changed(public__url="https://ky.example.gov.vn/consent"),
        changed(public__url="https://u@ky.example.gov.vn"),
        changed(public__url=1),
        changed(rssp__url="ftp://x"),
        changed(rssp__ca=1),
        changed(rssp__timeout="1"),
        changed(listen__port="8401"),
        changed(listen__port=True),
        changed(brand__colour="red"),
        changed(other__key=1),
        CONFIG | {"brand": {"name": "a"}},
        CONFIG | {"brand": "a"},
    ],
)
def test_a_wrong_configuration_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(config.ConfigInvalid):
        config.read(members, Path())


@pytest.mark.parametrize("content", [b"[", b"\xff"])
def test_an_unreadable_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "consent.toml"
    path.write_bytes(content)
    for wrong in (path, tmp_path / "none.toml"):
        with pytest.raises(config.ConfigInvalid):
            config.load(wrong)


def test_a_log_line_is_json_without_secrets() -> None:
    session = "01mcc5rm00mratbh8wk05wn2gk." + "s" * 43
    record = logging.makeLogRecord({"msg": f"saw {session}", "levelname": "INFO", "path": "/"})
    line = log.JsonLines().format(record)
    assert json.loads(line)["path"] == "/"
    assert session not in line


def repeat(times: int, ask: Callable[[], Awaitable[Outcome]], *parts: str) -> list[object]:
    async def run() -> list[object]:
        repeats = Repeats()
        asks = (repeats.once(parts, ask) for _ in range(times))
        return list(await asyncio.gather(*asks, return_exceptions=True))

    return asyncio.run(run())


def test_a_double_tap_asks_once() -> None:
    asked: list[int] = []

    async def ask() -> Outcome:
        asked.append(1)
        await asyncio.sleep(0.01)
        return Outcome(redirect_to="https://portal.example/")

    assert (
        repeat(3, ask, "approve", "session", "name")
        == [Outcome(redirect_to="https://portal.example/")] * 3
    )
    assert len(asked) == 1


def test_a_double_tap_is_refused_once() -> None:
    asked: list[int] = []

    async def ask() -> Outcome:
        asked.append(1)
        raise RsspRefused(403, "evidence_invalid", 4)

    answers = repeat(2, ask, "approve")
    assert len(asked) == 1
    assert all(isinstance(answer, RsspRefused) for answer in answers)
