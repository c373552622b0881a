"""How the SAP travels: frames of one line, base64, and the two kinds of address.

See :mod:`remote_signing.sap` for what is said.
"""

from __future__ import annotations

import binascii
import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_LINE = 4 * 1024 * 1024


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def unb64(value: object, name: str) -> bytes:
    """The bytes of a base64 string of the wire; ``InvalidInput`` for anything else."""
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is not a string", parameter=name)
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise InvalidInput(f"{name} is not base64", parameter=name) from None


def encode_line(message: Mapping[str, object]) -> bytes:
    """One frame."""
    return _encode(message).encode("ascii") + b"\n"


_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A SAM on this host."""

    path: Path

    def connect(self, timeout: float) -> socket.socket:
        """An open connection; ``OSError`` when there is none to be had."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """A SAM on another host: TLS 1.3, its certificate from ``ca``, ours in ``certificate``."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    context: ssl.SSLContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self.ca)
        context.load_cert_chain(self.certificate, self.key)
        object.__setattr__(self, "context", context)

    def connect(self, timeout: float) -> socket.socket:
        """An open connection; ``OSError`` when there is none to be had."""
        raw = socket.create_connection((self.host, self.port), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self.context.wrap_socket(raw, server_hostname=self.host)
        except OSError:
            raw.close()
            raise


class Connection:
    """One socket and the bytes read from it that are not yet a line."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._buffer = bytearray()
        self.used = False

    def exchange(self, line: bytes, deadline: float) -> bytes:
        """Send ``line``, await one; ``OSError`` when that fails by ``deadline`` (monotonic)."""
        self._link.settimeout(max(deadline - time.monotonic(), 0.001))
        self._link.sendall(line)
        while (end := self._buffer.find(b"\n")) < 0:
            self._link.settimeout(max(deadline - time.monotonic(), 0.001))
            chunk = self._link.recv(262_144)
            if not chunk:
                raise ConnectionResetError("the SAM closed the connection")
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE:
                raise ConnectionAbortedError("the SAM's answer is too long")
        answer = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self.used = True
        return answer

    def close(self) -> None:
        """Close the socket."""
        self._link.close()
