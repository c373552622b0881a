"""Unit tests reach no network and no token: whatever tries, fails."""

from __future__ import annotations

import socket
import sys

import pytest


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def connect_on_this_machine(self: socket.socket, address: object) -> None:
        assert self.family is socket.AF_UNIX, f"a unit test connects to {address}"
        connect(self, address)  # type: ignore[arg-type]  # typeshed's name for it is private

    def no_token(*_: object) -> None:
        raise AssertionError("a unit test opens a PKCS#11 module")

    monkeypatch.setattr(socket.socket, "connect", connect_on_this_machine)
    if "pkcs11" in sys.modules:
        monkeypatch.setattr("pkcs11.lib", no_token)
