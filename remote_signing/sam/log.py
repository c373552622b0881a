"""Log lines of the SAM: one JSON object each, on standard error. Values are ids and names only.

Redaction is the second line of defence: no code here logs a secret. A member with a secret's name
loses its value; in text, so does whatever stands behind such a name, and an ``otpauth`` URI.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}
_HIDDEN = "[redacted]"
_NAMES = r"pin|otp|totp|value|secrets?|password|evidence|sad|sealed|challenge|share"
_SECRET_NAME = re.compile(rf"(?:\w+[_-])?(?:{_NAMES})(?:s|_token)?", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    rf"""(?P<name>\b(?:\w+[_-])?(?:{_NAMES})["']?\s*[=:]\s*)(?P<value>"[^"]*"|'[^']*'|[^\s,;&)}}\]]+)""",
    re.IGNORECASE,
)
_TOTP_URI = re.compile(r"otpauth://\S+")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what was given as ``extra`` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _redacted(record.getMessage()),
        }
        extra = {name: each for name, each in vars(record).items() if name not in _STANDARD}
        line |= _members(extra)
        if record.exc_info:
            line["exception"] = _redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def _members(extra: dict[str, object]) -> dict[str, object]:
    return {
        name: _HIDDEN if _SECRET_NAME.fullmatch(name) else _member(value)
        for name, value in extra.items()
    }


def _member(value: object) -> object:
    match value:
        case dict():
            return _members(value)
        case list() | tuple():
            return [_member(each) for each in value]
        case bool() | int() | float() | None:
            return value
    return _redacted(str(value))


def _redacted(text: str) -> str:
    text = _TOTP_URI.sub(_HIDDEN, text)
    return _SECRET_TEXT.sub(lambda found: found["name"] + _HIDDEN, text)


def configure_logging() -> None:
    """Send everything from INFO up to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
