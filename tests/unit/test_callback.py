from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from remote_signing.errors import InvalidInput
from remote_signing.rssp import callback
from remote_signing.rssp.config import AsynchronousConfig

PUBLIC = AsynchronousConfig()


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads to these addresses."""

    def getaddrinfo(_host: str, port: int, *_: object, **__: object) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", f"{0}.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::7f00:1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
        *("64:ff9b:1::a00:1", "fec0::1", "::10.0.0.1", "::ffff:0:10.0.0.1", "5f00::1"),
    ],
)
def test_address_that_is_not_on_the_public_internet_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, "93.184.216.34", address)
    with pytest.raises(InvalidInput):
        callback.check(PUBLIC, "https://portal.example/done")
    assert not callback.notify(PUBLIC, "https://portal.example/done", {})


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_address_is_allowed_by_https_only(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    callback.check(PUBLIC, "https://portal.example:8443/done?x=1")
    with pytest.raises(InvalidInput):
        callback.check(PUBLIC, "http://portal.example/done")


def test_name_servers_that_are_slow_hold_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> None:
        over.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(callback, "_SECONDS", 0.05)
    for _ in range(6):  # more than are looked up at a time
        with pytest.raises(InvalidInput, match="in time"):
            callback.check(PUBLIC, "https://slow.example/")
    over.set()


def test_name_that_does_not_resolve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(InvalidInput):
        callback.check(PUBLIC, "https://nobody.example/")


@pytest.mark.parametrize(
    "uri",
    [
        *("", "portal.example", "//portal.example/x", "ftp://portal.example/", "file:///etc"),
        *("https://", "https:///x", "https://user@portal.example/", "https://portal.example/#x"),
        *("https://portal.example:0/", "https://portal.example:65536/", "https://[::1"),
        *("https://portal.example/ x", "https://portal.example/\n", "https://portal.example\\@x/"),
        *("https://é.example/", "https://portal.example/" + "x" * 2000),
    ],
)
def test_odd_address_is_refused_by_its_form(uri: str) -> None:
    assert not callback.is_uri(uri)
    with pytest.raises(InvalidInput):
        callback.check(PUBLIC, uri)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]"])
def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises(InvalidInput):
        callback.check(PUBLIC, f"https://{host}/")
