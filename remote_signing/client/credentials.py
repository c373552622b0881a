"""Credentials and, without a browser, the consent to use one (CSC API v2.2 cl. 11.1, 11.4 - 11.11).

``authorize`` asks the signer on his own device and answers with a handle; ``authorize_check`` tells
how the question stands; ``await_sad`` does so until it is answered.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remote_signing.client.errors import Denied, Reason
from remote_signing.client.exchange import Pause
from remote_signing.client.oids import SHA256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.client.answers import Members
    from remote_signing.client.caller import Caller, Token
    from remote_signing.client.exchange import Flow

_PENDING = 202


@dataclass(frozen=True, slots=True)
class Credential:
    """What ``credentials/info`` tells; ``certificates`` are DER, the signer's first.

    ``algorithms`` and ``curve`` are OIDs, ``key_length`` is in bits; ``members`` is the whole
    answer, for what has no field here.
    """

    id: str
    certificates: tuple[bytes, ...]
    algorithms: tuple[str, ...]
    key_length: int
    curve: str | None
    is_enabled: bool
    scal: str
    multisign: int
    members: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorization:
    """``credentials/authorize``: digests (DTBS/R) of ``hash_algorithm``, or a number at SCAL1.

    ``codes`` maps ids of factors to what the signer typed: for SCAL1 only, a credential of SCAL2
    refuses them. ``num_signatures`` None means one for each digest.
    """

    credential_id: str
    digests: tuple[bytes, ...] = ()
    description: str | None = None
    hash_algorithm: str = SHA256
    num_signatures: int | None = None
    codes: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The signer has been asked. Show ``verification_code`` where the signature was wanted."""

    handle: str = field(repr=False)
    verification_code: str


@dataclass(frozen=True, slots=True)
class Sad:
    """Signature activation data: the consent. ``expires_in`` is in seconds."""

    value: str = field(repr=False)
    expires_in: int


def info(caller: Caller) -> Flow[Mapping[str, object]]:
    """What the service is and can do; the answer as it is. Needs no token."""
    return (yield from caller.csc("info", {}, repeatable=True)).values


def list_credentials(
    caller: Caller, token: Token, user_id: str | None = None, *, only_valid: bool = True
) -> Flow[tuple[str, ...]]:
    """Ids of a signer's credentials; ``user_id`` with a token that is the client's own."""
    members: dict[str, object] = {"onlyValid": only_valid}
    if user_id is not None:
        members["userID"] = user_id
    answer = yield from caller.csc("credentials/list", members, token, repeatable=True)
    return answer.texts("credentialIDs")


def credential_info(caller: Caller, token: Token, credential_id: str) -> Flow[Credential]:
    """One credential with its certificate chain."""
    members = {
        "credentialID": credential_id,
        "certificates": "chain",
        "certInfo": True,
        "authInfo": True,
    }
    answer = yield from caller.csc("credentials/info", members, token, repeatable=True)
    key = answer.within("key")
    return Credential(
        id=credential_id,
        certificates=answer.within("cert").octets("certificates"),
        algorithms=key.texts("algo"),
        key_length=key.number("len"),
        curve=key.optional_text("curve"),
        is_enabled=key.text("status") == "enabled",
        scal=answer.optional_text("SCAL") or "1",
        multisign=answer.number("multisign"),
        members=answer.values,
    )


def authorize(caller: Caller, token: Token, wanted: Authorization) -> Flow[Asked | Sad]:
    """Ask the signer; or, at SCAL1, hand over the codes and get the SAD.

    Not sent again when no answer comes: the signer would be asked twice, or his code refused as
    used. After ``OutcomeUnknown`` nothing is signed; asking anew is the program's decision.
    """
    count = wanted.num_signatures or len(wanted.digests)
    members: dict[str, object] = {
        "credentialID": wanted.credential_id,
        "numSignatures": count,
    }
    if wanted.digests:
        members["hashes"] = _texts(wanted.digests)
        members["hashAlgorithmOID"] = wanted.hash_algorithm
    if wanted.description is not None:
        members["description"] = wanted.description
    if wanted.codes:
        members["authData"] = [{"id": name, "value": code} for name, code in wanted.codes.items()]
    answer = yield from caller.csc("credentials/authorize", members, token, repeatable=False)
    return _standing(answer)


def authorize_check(caller: Caller, token: Token, asked: Asked) -> Flow[Asked | Sad]:
    """How the question stands; ``Denied`` when the answer is no, or came too late."""
    members = {"handle": asked.handle}
    # Until its first use the handle gives another SAD, so an answer may get lost.
    answer = yield from caller.csc("credentials/authorizeCheck", members, token, repeatable=True)
    return _standing(answer)


def await_sad(
    caller: Caller, token: Token, asked: Asked, *, every: float = 2.0, longest: float = 300.0
) -> Flow[Sad]:
    """The SAD, looked for ``every`` so many seconds; ``Denied``, also after ``longest``."""
    waited = 0.0
    standing: Asked | Sad = asked
    while True:
        standing = yield from authorize_check(caller, token, asked)
        if isinstance(standing, Sad):
            return standing
        if waited >= longest:
            method = "credentials/authorizeCheck"
            raise Denied(Reason(method, _PENDING, "", f"no answer within {longest:.0f} s"))
        yield Pause(every)
        waited += every


def extend_transaction(caller: Caller, token: Token, wanted: Authorization, sad: Sad) -> Flow[Sad]:
    """Another SAD for what is left; the former is void, so no second try without an answer."""
    members: dict[str, object] = {"credentialID": wanted.credential_id, "SAD": sad.value}
    if wanted.digests:
        members["hashes"] = _texts(wanted.digests)
        members["hashAlgorithmOID"] = wanted.hash_algorithm
    name = "credentials/extendTransaction"
    answer = yield from caller.csc(name, members, token, repeatable=False)
    return _sad(answer)


def call(
    caller: Caller, token: Token | None, method: str, members: Mapping[str, object]
) -> Flow[Mapping[str, object]]:
    """Any other method of CSC API v2, the answer as it is. No second try without an answer."""
    return (yield from caller.csc(method, members, token, repeatable=False)).values


def _standing(answer: Members) -> Asked | Sad:
    if answer.status == _PENDING:
        return Asked(answer.text("handle"), answer.optional_text("verificationCode") or "")
    return _sad(answer)


def _sad(answer: Members) -> Sad:
    # CSC API v2.2 cl. 11.8: an hour unless told.
    return Sad(answer.text("SAD"), answer.optional_number("expiresIn") or 3600)


def _texts(digests: tuple[bytes, ...]) -> list[str]:
    return [base64.b64encode(each).decode("ascii") for each in digests]
