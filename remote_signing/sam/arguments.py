"""Reading a verb's arguments: nothing that came over the SAP has a type until it is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remote_signing.errors import InvalidInput
from remote_signing.sap import unb64

if TYPE_CHECKING:
    from remote_signing.strict_json import JsonValue

Arguments = dict[str, "JsonValue"]
Answer = dict[str, object]

MOST_HASHES = 1000
_SERIAL = re.compile(r"[1-9a-f][0-9a-f]{0,39}")


def text(arguments: Arguments, name: str, longest: int = 200) -> str:
    """A string argument of at most ``longest`` characters; ``InvalidInput`` otherwise."""
    value = arguments.get(name)
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidInput(f"{name} is not a string of bounded length", parameter=name)
    return value


def optional_text(arguments: Arguments, name: str) -> str | None:
    """Like :func:`text`; None when the argument is absent or null."""
    return None if arguments.get(name) is None else text(arguments, name)


def binary(arguments: Arguments, name: str) -> bytes:
    """A base64 argument; ``InvalidInput`` otherwise."""
    return unb64(arguments.get(name), name)


def raw_digests(arguments: Arguments) -> tuple[bytes, ...]:
    """The argument ``hashes``: at most :data:`MOST_HASHES` base64 strings."""
    values = arguments.get("hashes")
    if not isinstance(values, list) or len(values) > MOST_HASHES:
        raise InvalidInput("hashes is not a list of bounded length", parameter="hashes")
    return tuple(unb64(value, "hashes") for value in values)


def texts(arguments: Arguments, name: str, longest: int = 200) -> tuple[str, ...]:
    """A list of strings, each bounded as :func:`text` bounds them; ``InvalidInput`` otherwise."""
    values = arguments.get(name)
    if not isinstance(values, list) or len(values) > MOST_HASHES:
        raise InvalidInput(f"{name} is not a list of bounded length", parameter=name)
    return tuple(text({name: value}, name, longest) for value in values)


def serial_number(value: JsonValue) -> int:
    """A certificate's serial number in hexadecimal: positive, 20 octets (RFC 5280 cl. 4.1.2.2)."""
    if not isinstance(value, str) or _SERIAL.fullmatch(value) is None:
        raise InvalidInput("not the serial number of a certificate", parameter="serial")
    number = int(value, 16)
    if number >> 159:
        raise InvalidInput("a serial number of more than 20 octets", parameter="serial")
    return number


def number(arguments: Arguments, name: str) -> int:
    """An integer argument, not negative; ``InvalidInput`` otherwise."""
    value = arguments.get(name)
    if type(value) is not int or value < 0:
        raise InvalidInput(f"{name} is not a number", parameter=name)
    return value
