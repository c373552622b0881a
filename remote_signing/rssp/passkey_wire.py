"""How the consent API spells passkeys: JSON as browsers have it, bytes as base64url (RFC 4648).

Read strictly here, judged in the SAM. What a browser brings of a new passkey is handed on as it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, TypeAlias

from remote_signing.errors import InvalidInput
from remote_signing.rssp.activation_passkey import PasskeyAnswer
from remote_signing.rssp.passkey_enrolment import NamedPasskey, Proof
from remote_signing.sap import b64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.sap_messages import (
        NewPasskey,
        PasskeyBeginning,
        PasskeyName,
        PasskeyQuestion,
    )
    from remote_signing.strict_json import JsonValue

    Members: TypeAlias = "dict[str, object]"

LONGEST_BODY = 32 * 1024
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{0,24576}")  # the SAM has narrower bounds for each
_LONGEST_TYPED = 64
_ANSWER = {"credential_id", "authenticator_data", "client_data", "signature", "user_handle"}
_NEW = {"token", "client_data", "attestation_object", "transports"}


def read_answer(given: JsonValue) -> PasskeyAnswer:
    """The answer of a passkey; ``InvalidInput`` when it is not of that shape."""
    members = _object(given, _ANSWER)
    handle = members["user_handle"]
    return PasskeyAnswer(
        credential_id=_octets(members, "credential_id"),
        authenticator_data=_octets(members, "authenticator_data"),
        client_data=_octets(members, "client_data"),
        signature=_octets(members, "signature"),
        user_handle=None if handle is None else _octets(members, "user_handle"),
    )


def read_new(given: JsonValue) -> NewPasskey:
    """What a browser made; ``InvalidInput`` when it is not of that shape."""
    members = _object(given, _NEW)
    transports = members["transports"]
    if not isinstance(transports, list):
        raise InvalidInput("transports is not a list", parameter="passkey")
    return {
        "token": b64(_octets(members, "token")),
        "client_data": b64(_octets(members, "client_data")),
        "attestation_object": b64(_octets(members, "attestation_object")),
        "transports": [each for each in transports if isinstance(each, str)],
    }


def read_named(given: Mapping[str, JsonValue]) -> NamedPasskey:
    """A new passkey and its name."""
    return NamedPasskey(read_new(given["passkey"]), text(given, "name"))


def read_proof(given: JsonValue) -> Proof:
    """PIN and code, or the answer of a passkey."""
    if isinstance(given, dict) and given.keys() == {"passkey"}:
        return Proof(passkey=read_answer(given["passkey"]))
    members = _object(given, {"pin", "otp"})
    return Proof(text(members, "pin"), text(members, "otp"))


def read_token(given: Mapping[str, JsonValue]) -> bytes:
    """The token of a change."""
    return _octets(given, "token")


def text(given: Mapping[str, JsonValue], name: str) -> str:
    """A short text that is not empty."""
    value = given[name]
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TYPED:
        raise InvalidInput(f"{name} is not a short text", parameter=name)
    return value


def question(asked: PasskeyQuestion) -> Members:
    """What a browser asks."""
    return {
        "challenge": b64url(asked.challenge),
        "rp_id": asked.rp_id,
        "passkeys": [_name(each) for each in asked.passkeys],
    }


def beginning(begun: PasskeyBeginning) -> Members:
    """What a browser needs for a change."""
    return {
        "token": b64url(begun.token),
        "challenge": b64url(begun.challenge),
        "rp_id": begun.rp_id,
        "user_handle": b64url(begun.user_handle),
        "algorithms": list(begun.algorithms),
        "passkeys": [_name(each) for each in begun.known],
    }


def _name(passkey: PasskeyName) -> Members:
    raw = base64.b64decode(passkey["id"])
    return {"id": b64url(raw), "transports": passkey["transports"]}


def _object(given: JsonValue, names: set[str]) -> dict[str, JsonValue]:
    if not isinstance(given, dict) or given.keys() != names:
        raise InvalidInput(f"members are not {sorted(names)}")
    return given


def _octets(members: Mapping[str, JsonValue], name: str) -> bytes:
    value = members[name]
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise InvalidInput(f"{name} is not base64url", parameter=name)
    try:
        padded = value + "=" * (-len(value) % 4)
        return base64.urlsafe_b64decode(padded)
    except binascii.Error:
        raise InvalidInput(f"{name} is not base64url", parameter=name) from None


def b64url(data: bytes) -> str:
    """Bytes as browsers have them in JSON."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
