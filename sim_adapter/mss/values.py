"""The simple types: moments, NCNames, numbers, base64."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from sim_adapter.errors import InvalidInput

_NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,127}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_SPACE = re.compile(r"[ \t\r\n]+")


def needed(value: str | None, name: str) -> str:
    """``value``; ``InvalidInput`` where it is absent or empty."""
    if not value:
        raise InvalidInput(f"{name} is missing")
    return value


def ncname(value: str | None, name: str) -> str:
    """``value`` as xs:NCName, in ASCII and at most 128 characters."""
    if value is None or _NCNAME.fullmatch(value) is None:
        raise InvalidInput(f"{name} is no NCName")
    return value


def integer(value: str | None, name: str) -> int:
    """``value`` as xs:integer of at most nine digits."""
    if value is None or _INTEGER.fullmatch(value) is None:
        raise InvalidInput(f"{name} is no integer")
    return int(value)


def read_moment(value: str, name: str) -> datetime:
    """``value`` as xs:dateTime. Without a zone it is taken as UTC."""
    found = _MOMENT.fullmatch(value)
    if found is None:
        raise InvalidInput(f"{name} is no dateTime")
    digits = (found[2] or "")[:6].ljust(6, "0")
    zone = "+00:00" if found[3] in {None, "Z"} else found[3]
    try:
        return datetime.fromisoformat(f"{found[1]}.{digits}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{name}: {error}") from None


def write_moment(moment: datetime) -> str:
    """``moment`` as xs:dateTime in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03d}Z"
    )


def read_base64(value: str, name: str) -> bytes:
    """The bytes that ``value`` spells; white space may be in it, nothing else."""
    try:
        return base64.b64decode(_SPACE.sub("", value), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{name} is no base64") from None


def write_base64(value: bytes) -> str:
    """``value`` in base64, in one line."""
    return base64.b64encode(value).decode("ascii")
