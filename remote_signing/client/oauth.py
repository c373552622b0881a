"""Tokens: what the signer is asked, and what his consent becomes.

Pushed requests (RFC 9126) with PKCE (RFC 7636) and authorization_details (RFC 9396), as CSC API
v2.2 cl. 8.2 has them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from remote_signing.client.caller import Token
from remote_signing.client.errors import AnswerUnusable, Denied, Reason, Refused
from remote_signing.client.identity import b64url
from remote_signing.client.oids import SHA256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.client.answers import Members
    from remote_signing.client.caller import Caller
    from remote_signing.client.exchange import Flow


@dataclass(frozen=True, slots=True)
class ToSign:
    """A digest (DTBS/R) and the name under which the signer is shown it."""

    digest: bytes
    label: str


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What the signer shall consent to. ``hash_algorithm`` is the OID of all digests."""

    credential_id: str
    documents: tuple[ToSign, ...]
    redirect_uri: str
    description: str | None = None
    hash_algorithm: str = SHA256
    lang: str = "vi"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A request that waits for the signer's browser at ``browser_url``.

    The portal shows ``verification_code`` (empty where nothing is signed) beside its link, so that
    the signer can see that the question on the phone is this one. Keep the rest in the session
    until the browser comes back.
    """

    browser_url: str
    verification_code: str
    expires_in: int
    redirect_uri: str
    state: str
    code_verifier: str = field(repr=False)


def ask_consent(caller: Caller, request: ConsentRequest) -> Flow[Pushed]:
    """Ask for the signer's consent to exactly these digests.

    Sent again when no answer comes: a request whose address nobody was told ends by itself.
    """
    digests = [
        {"hash": base64.b64encode(each.digest).decode("ascii"), "label": each.label}
        for each in request.documents
    ]
    details = {
        "type": "credential",
        "credentialID": request.credential_id,
        "hashAlgorithmOID": request.hash_algorithm,
        "documentDigests": digests,
    }
    parameters = {"authorization_details": json.dumps([details], ensure_ascii=False)}
    if request.description is not None:
        parameters["description"] = request.description
    return (yield from _push(caller, request.redirect_uri, request.lang, parameters))


def ask_access(caller: Caller, redirect_uri: str, lang: str = "vi") -> Flow[Pushed]:
    """Ask the signer to let this client see his credentials (scope ``service``)."""
    return (yield from _push(caller, redirect_uri, lang, {"scope": "service"}))


def redeem(caller: Caller, pushed: Pushed, came_back: str | Mapping[str, str]) -> Flow[Token]:
    """The token for what the browser brought to ``redirect_uri``: its address, or the parameters.

    Not sent again when no answer comes (RFC 6749 cl. 4.1.2: a code is good once, and a second use
    ends what the first gave). Errors: ``Denied`` when the signer said no, ``AnswerUnusable`` when
    this is an answer to another question or of another server.
    """
    answer = _parameters(came_back) if isinstance(came_back, str) else came_back
    # RFC 6749 cl. 10.12, RFC 9207: to this question, from this server.
    if not hmac.compare_digest(answer.get("state", "").encode(), pushed.state.encode()):
        raise AnswerUnusable("redirect: state is of another request")
    if answer.get("iss", caller.service.issuer) != caller.service.issuer:
        raise AnswerUnusable("redirect: iss is another server")
    if "code" not in answer:
        told = Reason("redirect", 0, answer.get("error", ""), answer.get("error_description", ""))
        raise (Denied if told.error == "access_denied" else Refused)(told)
    parameters = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": pushed.redirect_uri,
        "code_verifier": pushed.code_verifier,
    }
    return _token((yield from caller.form("token", parameters, repeatable=False)))


def service_token(caller: Caller) -> Flow[Token]:
    """A token for the client itself (``client_credentials``)."""
    parameters = {"grant_type": "client_credentials", "scope": "service"}
    return _token((yield from caller.form("token", parameters, repeatable=True)))


def refresh(caller: Caller, token: Token) -> Flow[Token]:
    """The next token and refresh token. The former is used up, so no second try without an answer.

    A used refresh token that comes again ends all that grew from its consent (RFC 9700 cl.
    4.14.2): after ``OutcomeUnknown`` ask for access anew when the access token is over.
    """
    if token.refresh is None:
        raise ValueError("a token without a refresh token")
    parameters = {"grant_type": "refresh_token", "refresh_token": token.refresh}
    return _token((yield from caller.form("token", parameters, repeatable=False)))


def revoke(caller: Caller, token: str) -> Flow[None]:
    """End a token, refresh token, SAD, code or handle (RFC 7009)."""
    try:
        yield from caller.form("revoke", {"token": token}, repeatable=True)
    except Refused as error:
        # Of a try whose answer was lost: what has ended cannot be ended again.
        if not error.reason.after_unknown:
            raise


def _push(
    caller: Caller, redirect_uri: str, lang: str, parameters: Mapping[str, str]
) -> Flow[Pushed]:
    state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    asked = {
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": b64url(hashlib.sha256(verifier.encode("ascii")).digest()),
        "code_challenge_method": "S256",
        "lang": lang,
        **parameters,
    }
    answer = yield from caller.form("pushed_authorize", asked, repeatable=True)
    query = {
        "client_id": caller.identified.client_id,
        "request_uri": answer.text("request_uri"),
    }
    return Pushed(
        browser_url=f"{caller.service.endpoint('authorize')}?{urlencode(query)}",
        verification_code=answer.optional_text("verificationCode") or "",
        expires_in=answer.number("expires_in"),
        redirect_uri=redirect_uri,
        state=state,
        code_verifier=verifier,
    )


def _parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def _token(answer: Members) -> Token:
    return Token(
        value=answer.text("access_token"),
        kind=answer.text("token_type"),
        scope=answer.optional_text("scope") or "service",
        expires_in=answer.optional_number("expires_in") or 0,
        refresh=answer.optional_text("refresh_token"),
        credential_id=answer.optional_text("credentialID"),
    )
