"""Logs: one JSON object a line, with the request's id, and no secret whichever way it gets in."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.identifiers import Ticket
from remote_signing.rssp import logs
from remote_signing.rssp.edge import request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t-9f2c"
NAMES = [
    *("pin", "otp", "password", "secret", "token", "code", "sad", "Authorization", "DPoP"),
    *("client_assertion", "client_secret", "access_token", "refresh_token", "code_verifier"),
    *("request_uri", "SAD", "authData", "new_pin", "signing-pin", "pin_value", "handle", "cookie"),
    *("Set-Cookie", "session", "sealed", "totp", "db_password", "otp_code", "x-session-token"),
]
# In free text their values are known by a shape of their own.
SHAPED = {"DPoP", "cookie", "Set-Cookie", "authData", "Authorization", "sealed"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    kept = io.StringIO()
    logs.configure("DEBUG", kept)
    yield kept
    root.handlers[:], root.level = before


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_and_request_id(stream: io.StringIO) -> None:
    token = request_id.current.set("request-1234")
    logging.getLogger("x").info("chào %s", "bạn", extra={"status": 200})
    request_id.current.reset(token)
    (line,) = lines(stream)
    assert line["message"] == "chào bạn"
    assert line["request_id"] == "request-1234"
    assert (line["level"], line["logger"], line["status"]) == ("INFO", "x", 200)
    assert line["at"].endswith("+00:00")


@pytest.mark.parametrize("name", NAMES)
def test_a_member_with_a_secrets_name_is_hidden_at_any_depth(
    stream: io.StringIO, name: str
) -> None:
    extra = {"body": {"list": [{name: SECRET}], "ok": 1}}
    logging.getLogger("x").warning("told", extra=extra)
    assert SECRET not in stream.getvalue()
    assert lines(stream)[0]["body"] == {"list": [{name: logs.HIDDEN}], "ok": 1}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SHAPED])
@pytest.mark.parametrize("spelling", ["{0}={1}", '"{0}": "{1}"', "{0}: {1}", "&{0}={1}&x=2"])
def test_a_secret_in_free_text_is_hidden(name: str, spelling: str) -> None:
    assert SECRET not in logs.redact_text("asked " + spelling.format(name, SECRET))


@pytest.mark.parametrize(
    "text",
    [
        str(Ticket("0" * 26, "k" * 43)),
        f"Authorization: Bearer {SECRET}",
        f"authorization: DPoP {SECRET}-and-more",
        f"Authorization: Basic {SECRET}=",
        f"eyJhbGciOiJFUzI1NiJ9.{SECRET}.{SECRET}",
        f"postgresql://rssp:{SECRET}@db/rssp",
        f"otpauth://totp/x?secret={SECRET}",
        f"{{'pin': '{SECRET}', 'otp': '{SECRET}'}}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_anywhere(stream: io.StringIO, text: str) -> None:
    logging.getLogger("x").error("met %s", text, extra={"cause": text, "all": [text, (text,)]})
    assert SECRET not in stream.getvalue()
    assert text not in stream.getvalue()


def test_an_exception_is_told_without_its_secrets(stream: io.StringIO) -> None:
    try:
        int(f"password={SECRET}")
    except ValueError:
        logging.getLogger("x").exception("unforeseen")
    (line,) = lines(stream)
    assert "ValueError" in line["exception"]
    assert SECRET not in line["exception"]


def test_ordinary_values_stay_readable() -> None:
    members = {"status": 400, "ms": 1.5, "none": None, "path": "/csc/v2/info", "pin": None}
    assert logs.redact(members) == members


def test_bytes_are_told_by_their_length_and_objects_by_their_spelling() -> None:
    assert logs.redact({"body": b"1234", "error": ValueError("x")}) == {
        "body": "[4 bytes]",
        "error": "ValueError('x')",
    }


def test_a_long_text_is_cut() -> None:
    assert len(logs.redact_text("x" * 10_000)) == 4001


def test_uvicorn_has_nobody_to_tell_each_request_to(stream: io.StringIO) -> None:
    """It looks whether there is anybody, and else makes no line of its own."""
    logs.configure("DEBUG", stream)  # again: pytest listens to loggers that stand apart
    assert not logging.getLogger("uvicorn.access").hasHandlers()
    assert logging.getLogger("uvicorn.error").hasHandlers()
