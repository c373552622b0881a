from __future__ import annotations

import json
from typing import Any

import pytest

from remote_signing.client import errors
from remote_signing.client.answers import read
from remote_signing.client.exchange import Incoming

METHOD = "signatures/signHash"


def answer(members: object, status: int = 200, **headers: str) -> Incoming:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Incoming(status, names, json.dumps(members).encode())


@pytest.mark.parametrize(
    ("status", "error", "text", "kind"),
    [
        (400, "invalid_request", "Missing (or invalid type) string parameter SAD", "Refused"),
        (400, "invalid_request", "Hash is not authorized by the SAD", "HashNotAuthorised"),
        (403, "invalid_hash", "", "HashNotAuthorised"),
        (401, "invalid_token", "", "TokenRefused"),
        (401, "expired_token", "", "TokenRefused"),
        (401, "invalid_dpop_proof", "", "TokenRefused"),
        (401, "invalid_request", "", "ClientRefused"),
        (400, "invalid_client", "", "ClientRefused"),
        (400, "unauthorized_client", "", "ClientRefused"),
        (400, "invalid_grant", "", "GrantRefused"),
        (400, "access_denied", "", "Denied"),
        (400, "invalid_authentication_data", "", "Denied"),
        (400, "invalid_otp", "", "Denied"),
        (500, "server_error", "", "ServerFault"),
        (501, "not_implemented", "", "MethodMissing"),
        (503, "temporarily_unavailable", "", "Unavailable"),
        (429, "slow_down", "", "Unavailable"),
        (405, "invalid_request", "", "Refused"),
    ],
)
def test_each_refusal_has_its_class(status: int, error: str, text: str, kind: str) -> None:
    told = answer({"error": error, "error_description": text}, status, x_request_id="01abc")
    with pytest.raises(errors.Refused) as refused:
        read(METHOD, told)
    assert type(refused.value).__name__ == kind
    reason = refused.value.reason
    assert (reason.method, reason.status, reason.error) == (METHOD, status, error)
    assert (reason.description, reason.request_id) == (text, "01abc")


def test_a_refusal_in_other_words_is_told_in_them() -> None:
    told = Incoming(404, {"retry-after": "7"}, b"<h1>nginx</h1>", after_unknown=True)
    with pytest.raises(errors.Refused, match="nginx") as refused:
        read(METHOD, told)
    assert (refused.value.reason.after_unknown, refused.value.reason.retry_after) == (True, 7.0)


@pytest.mark.parametrize("body", [b"[]", b"no", b"\xff", b'"x"', b"null", b"{"])
def test_a_success_without_an_object_is_unusable(body: bytes) -> None:
    with pytest.raises(errors.AnswerUnusable):
        read(METHOD, Incoming(200, {}, body))


def test_members_come_in_their_type() -> None:
    members = read(
        METHOD,
        answer(
            {"s": "x", "n": 3, "a": ["AQI=", "/w=="], "b": "AQI=", "o": {"s": "y"}, "null": None}
        ),
    )
    assert (members.text("s"), members.number("n")) == ("x", 3)
    assert members.octets("a") == (b"\x01\x02", b"\xff")
    assert (members.binary("b"), members.within("o").text("s")) == (b"\x01\x02", "y")
    assert (members.optional_text("null"), members.optional_number("no")) == (None, None)
    assert (members.texts("no"), read(METHOD, Incoming(204, {}, b"")).values) == ((), {})


WRONG: dict[str, tuple[Any, ...]] = {
    "text": (None, 1, [], {}),
    "number": (None, "1", 1.5, True),
    "texts": ("x", [1], {}),
    "octets": (["?"], ["AQ"]),
    "binary": (1, "é"),
    "within": (None, []),
    "optional_text": (1,),
    "optional_number": ("1",),
}


@pytest.mark.parametrize(
    ("reader", "value"),
    [(reader, value) for reader, values in WRONG.items() for value in values],
)
def test_a_member_of_another_type_is_unusable(reader: str, value: Any) -> None:
    members = read(METHOD, answer({"x": value}))
    with pytest.raises(errors.AnswerUnusable, match=f"{METHOD}: member x"):
        getattr(members, reader)("x")
