"""How the consent API spells passkeys: what is of another shape is bad input."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from remote_signing.errors import InvalidInput
from remote_signing.rssp import passkey_wire

ANSWER: dict[str, Any] = {
    "credential_id": "AAE",
    "authenticator_data": "AA",
    "client_data": "e30",
    "signature": "-_8",
    "user_handle": None,
}
NEW: dict[str, Any] = {
    "token": "AA",
    "client_data": "e30",
    "attestation_object": "oA",
    "transports": ["usb", 7],
}


def test_answer_and_new_passkey_are_read_as_they_are() -> None:
    answer = passkey_wire.read_answer(ANSWER | {"user_handle": "dQ"})
    assert (answer.credential_id, answer.signature) == (b"\0\1", b"\xfb\xff")
    assert answer.evidence("f")["passkey"]["user_handle"] == "dQ=="
    assert passkey_wire.read_answer(ANSWER).evidence("f")["passkey"]["user_handle"] is None
    assert passkey_wire.read_new(NEW) == {
        "token": "AA==",
        "client_data": "e30=",
        "attestation_object": "oA==",
        "transports": ["usb"],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "AA=="},
        {"signature": "A"},
        {"signature": "+/+/"},
        {"signature": " AA"},
        {"signature": 7},
        {"signature": "A" * 24_577},
        {"user_handle": 7},
        {"more": ""},
    ],
    ids=itertools.count(),
)
def test_answer_of_another_shape_is_bad_input(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        passkey_wire.read_answer(ANSWER | changes)


@pytest.mark.parametrize("given", [None, [], {}, NEW | {"transports": "usb"}, NEW | {"x": 1}])
def test_new_passkey_of_another_shape_is_bad_input(given: Any) -> None:
    with pytest.raises(InvalidInput):
        passkey_wire.read_new(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        {"pin": "", "otp": "123456"},
        {"pin": "123456"},
        {"pin": "1" * 65, "otp": "123456"},
        {"pin": 7, "otp": "123456"},
        {"passkey": {}},
        {"passkey": ANSWER, "pin": "123456"},
    ],
)
def test_proof_of_another_shape_is_bad_input(given: Any) -> None:
    with pytest.raises(InvalidInput):
        passkey_wire.read_proof(given)


def test_a_proof_never_shows_what_was_typed() -> None:
    assert "90817263" not in repr(passkey_wire.read_proof({"pin": "90817263", "otp": "246802"}))
