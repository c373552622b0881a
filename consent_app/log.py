"""Log lines: one JSON object each, on standard error. Never what somebody typed, never a cookie."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from consent_app import request_id

# The second line: nothing logs a session. Its shape, and that of the secrets made under it.
_SECRET = re.compile(r"[0-9a-z]{26}\.[A-Za-z0-9_-]{43}|(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "color_message"}

_written = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what was given as ``extra`` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline."""
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.current.get(),
            "message": record.getMessage(),
            **extra,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _SECRET.sub("[redacted]", _written(line))


def configure_logging() -> None:
    """Send everything from INFO up to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # httpx tells every address that it asks, with ids in it, which the rssp logs already.
    logging.getLogger("httpx").setLevel(logging.WARNING)
