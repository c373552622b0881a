"""Logs: one JSON object a line, with the request's id, and without secrets.

Redaction is by name and by shape, and errs on the side of hiding: a member with a secret-sounding
name loses its value wherever it is nested, and in free text whatever looks like a token, a ticket,
a JWT or ``name=secret`` is replaced. It is the second line: code does not log secrets at all.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from remote_signing.rssp.edge import request_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

HIDDEN = "[redacted]"
# Names whose values are never logged. Compared without case, "_" and "-".
SECRET_NAMES = frozenset(
    {
        *("pin", "otp", "totp", "password", "passphrase", "secret", "clientsecret", "value"),
        *("token", "accesstoken", "refreshtoken", "idtoken", "accounttoken", "session", "cookie"),
        *("code", "codeverifier", "sad", "handle", "ticket", "authdata", "evidence", "newpin"),
        *("authorization", "proxyauthorization", "dpop", "setcookie", "clientassertion"),
        *(
            "assertion",
            "requesturi",
            "privatekey",
            "sealed",
            "challenge",
            "csrftoken",
            "credentials",
        ),
    }
)
# A word of a name that makes it secret, such as "signing-pin" or "db_password".
_SECRET_WORDS = frozenset(
    {"pin", "otp", "totp", "password", "secret", "token", "assertion", "sad", "dpop", "cookie"}
)
_PLAIN = re.compile(r"[^a-z0-9]+")
_PATTERNS = (
    re.compile(r"[0-9a-hjkmnp-tv-z]{26}\.[A-Za-z0-9_-]{43}"),  # Ticket: the row's id and secret
    re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*"),  # JWT
    re.compile(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/=-]+"),
    re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9._~+/=-]+"),
    re.compile(r"(?i)(?<=\bdpop )[A-Za-z0-9._~+/=-]{16,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # user:password@host
    re.compile(r"otpauth://\S+"),
)
# A name is looked at once, as a whole: the time that a text takes grows with its length alone.
_ASSIGNMENT = re.compile(
    r"""(?ix) (?<![a-z0-9_-]) (?P<name> (?= [a-z0-9_-]*? (?:pin|otp|password|secret|token|code|sad|
    assertion|verifier|handle|request_uri|session|dpop)) [a-z0-9_-]++)
    (?P<quote>["']?) (?P<sign>\s*[=:]\s*)
    (?P<value> "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | [^\s,;&)}\]]+ )""",
)
# Every pattern needs one of these: what has none, as most names and paths, is looked at once.
_MARKS = re.compile(r"[.=:\s]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_TEXT = 4000
# Made once: json.dumps makes an encoder for each call that asks for anything unusual.
_written = json.JSONEncoder(ensure_ascii=False, default=repr).encode


class JsonFormatter(logging.Formatter):
    """``{"at","level","logger","message","request_id",…}`` with the ``extra`` members beside."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        members: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact_text(record.getMessage()),
            "request_id": request_id.current.get(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        members |= redact(extra)
        if record.exc_info:
            members["exception"] = redact_text(self.formatException(record.exc_info))
        return _written(members)


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log of this process to ``stream`` (standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    # Paths of requests hold ids and, in a careless client's query, more: our own line is enough.
    # Where a line could get anywhere, uvicorn makes it for each request and only then asks.
    logging.getLogger("uvicorn.access").propagate = False
    # What no line of ours tells need not be found out for each: the caller's place in the code, its
    # thread, process and task (the switches of "Optimization" in Python's logging HOWTO).
    logging._srcfile = None  # noqa: SLF001 - named so in the HOWTO
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def redact(members: Mapping[str, object]) -> dict[str, object]:
    """``members`` with every secret hidden, however deep."""
    return {
        name: HIDDEN if is_secret(name) and value is not None else _redacted(value)
        for name, value in members.items()
    }


@functools.lru_cache(maxsize=1000)
def is_secret(name: str) -> bool:
    """Whether a member of this name is never logged."""
    words = _PLAIN.split(name.lower())
    return "".join(words) in SECRET_NAMES or not _SECRET_WORDS.isdisjoint(words)


def redact_text(text: str) -> str:
    """``text`` without what looks like a secret, cut after 4,000 characters."""
    if _MARKS.search(text) is None and len(text) <= _LONGEST_TEXT:
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    text = _ASSIGNMENT.sub(rf"\g<name>\g<quote>\g<sign>{HIDDEN}", text)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, dict):
        return redact({str(name): item for name, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    if value is None or isinstance(value, int | float):
        return value
    return redact_text(repr(value))
