"""Log lines: one JSON object each, on standard error. A telephone number shows three digits."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from sim_adapter import request_id
from sim_adapter.msisdn import mask_in

_SECRET = re.compile(r"(?i)(?<=bearer )[^\s\"]+|whsec_[A-Za-z0-9+/=_-]+|AP_PWD=\S+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what was given as ``extra`` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline."""
        extra = {
            name: value if isinstance(value, int | float) else _safe(str(value))
            for name, value in vars(record).items()
            if name not in _STANDARD
        }
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.current.get(),
            "message": _safe(record.getMessage()),
            **extra,
        }
        if record.exc_info:
            line["exception"] = _safe(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def configure_logging() -> None:
    """Send everything from INFO up to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # httpx tells every address that it asks, and an operator's may hold a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _safe(text: str) -> str:
    return _SECRET.sub("[redacted]", mask_in(text))
