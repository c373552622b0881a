"""What a client may ask for, pushed or in the browser's address (CSC API v2 cl. 8.4.2, 8.4.3).

PKCE (RFC 7636) with S256 for every client: ``plain`` and a missing method, which means plain, are
refused. Without scope and details a request is for scope ``service``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from remote_signing import algorithms
from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, credentials, dpop, service_authorization
from remote_signing.rssp.activation_model import Channel, NewActivation
from remote_signing.rssp.attachments import asking
from remote_signing.rssp.clients import SCOPES
from remote_signing.rssp.oauth import account_token, authorization_details, base64_text
from remote_signing.rssp.oauth.authorization_details import CredentialRequest
from remote_signing.rssp.oauth.errors import (
    INVALID_SCOPE,
    RESPONSE_TYPE,
    UNAUTHORIZED_CLIENT,
    OAuthRefused,
    invalid,
    missing,
)
from remote_signing.rssp.service_authorization import NewServiceRequest
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.rssp.clients import Client
    from remote_signing.rssp.deps import Services

Parameters: TypeAlias = "Mapping[str, str]"
Asked: TypeAlias = NewActivation | NewServiceRequest

URN: Final = "urn:ietf:params:oauth:request_uri:"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5}")
_COUNT = re.compile(r"[1-9][0-9]{0,5}")
_SHA2 = {32: "sha256", 48: "sha384", 64: "sha512"}  # bytes of a digest
_LONGEST = {"state": 255, "description": 500, "clientData": 2000}


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request that is written down. ``expires_in`` in seconds.

    ``verification_code`` is for the portal to show beside its documents: the signer compares it
    with the one on the consent page. None where there is nothing to sign.
    """

    ticket: Ticket
    is_service: bool
    expires_in: int
    verification_code: str | None = None

    @property
    def request_uri(self) -> str:
        """Its name in the browser (RFC 9126 cl. 2.2)."""
        prefix = service_authorization.PREFIX if self.is_service else ""
        return f"{URN}{prefix}{self.ticket}"


def redirect_uri(client: Client, parameters: Parameters) -> str:
    """The address the answer goes to: one that is registered, compared character by character.

    It may be left out when only one is registered (CSC API v2 cl. 8.4.2).
    """
    asked = parameters.get("redirect_uri")
    if asked is None and len(client.redirect_uris) == 1:
        return client.redirect_uris[0]
    if asked is None:
        raise missing("redirect_uri")
    if asked not in client.redirect_uris:
        raise invalid("redirect_uri")
    return asked


def read(services: Services, client: Client, parameters: Parameters, to: str) -> Asked:
    """What ``client`` asks, with the answer going ``to`` that address.

    No statement, but two for an ``account_token`` and one for a ``signatureQualifier``.
    Errors: :class:`OAuthRefused`.
    """
    _check_client(client, parameters)
    for name, longest in _LONGEST.items():
        value = parameters.get(name, "")
        if len(value.encode("utf-8") if name == "state" else value) > longest:
            raise invalid(name)
    if not is_showable(parameters.get("description", "")):
        raise invalid("description")
    challenge, jkt = _challenge(parameters), parameters.get("dpop_jkt")
    if jkt is None and client.dpop_required:
        raise missing("dpop_jkt")
    if jkt is not None and not dpop.is_thumbprint(jkt):
        raise invalid("dpop_jkt")
    scope = _scope(client, parameters)
    account = account_token.subject(services, client, parameters.get("account_token"))
    if scope == "service":
        return NewServiceRequest(
            client_id=client.client_id,
            redirect_uri=to,
            code_challenge=challenge,
            oauth_state=parameters.get("state"),
            dpop_jkt=jkt,
            lang=_language(parameters),
            description=parameters.get("description"),
            subscriber_id=account,
        )
    new = _activation(services, parameters, account)
    return replace(
        new,
        client_id=client.client_id,
        redirect_uri=to,
        code_challenge=challenge,
        dpop_jkt=jkt,
    )


def submit(services: Services, asked: Asked) -> Submitted:
    """Write ``asked`` down. One statement.

    Errors: those of ``attachments.asking.request``.
    """
    lifetime = services.config.lifetimes.request_uri
    if isinstance(asked, NewServiceRequest):
        ticket = service_authorization.request(services, asked)
        return Submitted(ticket, is_service=True, expires_in=lifetime)
    requested = asking.request(services, asked)
    left = (requested.expires_at_ms - services.now_ms()) // 1000
    code = requested.verification_code
    return Submitted(
        requested.ticket, is_service=False, expires_in=max(1, left), verification_code=code
    )


def open_in_browser(services: Services, client_id: str, text: str) -> str:
    """Use a request_uri (without its URN) up; where on the consent page it goes on. One statement.

    Errors: ``ActivationUnknown``, ``ActivationExpired``, ``ReplayDetected``; :class:`OAuthRefused`.
    """
    is_service = text.startswith(service_authorization.PREFIX)
    ticket = Ticket.parse(text.removeprefix(service_authorization.PREFIX))
    if ticket is None:
        raise invalid("request_uri", "invalid_request_uri")
    if is_service:
        return f"services/{service_authorization.open_request(services, client_id, ticket)}"
    # Step 1d: the browser shows what was pushed; the request_uri is used up.
    return f"requests/{activation.open_request(services, client_id, ticket)}"


def _check_client(client: Client, parameters: Parameters) -> None:
    if parameters.get("request") is not None:
        raise OAuthRefused("request_not_supported", "Signed request objects are not supported")
    if "authorization_code" not in client.grant_types:
        raise OAuthRefused("unauthorized_client", UNAUTHORIZED_CLIENT)
    kind = parameters.get("response_type")
    if kind is None:
        raise missing("response_type")
    if kind != "code":
        raise OAuthRefused("unsupported_response_type", RESPONSE_TYPE)
    if parameters.get("response_mode", "query") != "query":
        raise invalid("response_mode")


def _challenge(parameters: Parameters) -> str:
    challenge = parameters.get("code_challenge")
    if challenge is None:
        raise missing("code_challenge")
    if parameters.get("code_challenge_method") != "S256":
        raise invalid("code_challenge_method")
    if _CHALLENGE.fullmatch(challenge) is None:
        raise invalid("code_challenge")
    return challenge


def _scope(client: Client, parameters: Parameters) -> str:
    """One scope: ``service`` and ``credential`` are different questions to the signer.

    What a client is registered with may also be rights, which no signer is asked for.
    """
    has_details = "authorization_details" in parameters
    default = "credential" if has_details else "service"
    scope = parameters.get("scope", default)
    known = scope in SCOPES and scope in client.scopes
    if not known or (has_details and scope != "credential"):
        raise OAuthRefused("invalid_scope", INVALID_SCOPE)
    return scope


def _language(parameters: Parameters) -> str | None:
    """``lang``; one that cannot be a language tag is passed over (CSC API v2 cl. 10.3)."""
    tag = parameters.get("lang", "")
    return tag if _LANGUAGE.fullmatch(tag) else None


def _activation(services: Services, parameters: Parameters, account: str | None) -> NewActivation:
    details = parameters.get("authorization_details")
    asked = authorization_details.read(details) if details else _by_parameters(parameters)
    return NewActivation(
        credential_id=_chosen(services, asked, account),
        client_id="",
        channel=Channel.OAUTH,
        hash_algorithm=asked.hash_algorithm,
        hashes=asked.hashes,
        num_signatures=asked.num_signatures,
        labels=asked.labels,
        description=parameters.get("description"),
        client_data=parameters.get("clientData"),
        lang=_language(parameters),
        oauth_state=parameters.get("state"),
        authorization_details=asked.details,
        subscriber_id=account,
        named=asked.named,
    )


def _chosen(services: Services, asked: CredentialRequest, account: str | None) -> str:
    """The credential, named or, for a signer who is known, found by what its signatures are.

    Without an ``account_token`` nobody knows yet who will sign in, and the challenge that the
    signer is shown binds one credential.
    """
    if asked.credential_id is not None:
        return asked.credential_id
    if account is None:
        raise missing("credentialID")
    found = None
    if asked.qualifier == services.config.csc.signature_qualifier:
        found = credentials.newest_usable(services.database, account, services.now_ms())
    if found is None:
        raise invalid("signatureQualifier")
    return found.id


def _by_parameters(parameters: Parameters) -> CredentialRequest:
    """The request in CSC's own parameters of scope ``credential``."""
    credential_id = parameters.get("credentialID")
    qualifier = parameters.get("signatureQualifier")
    if credential_id is None and qualifier is None:
        raise missing("credentialID")
    count = parameters.get("numSignatures")
    if count is None:
        raise missing("numSignatures")
    if _COUNT.fullmatch(count) is None:
        raise invalid("numSignatures")
    hashes, algorithm = _hashes(parameters)
    return CredentialRequest(credential_id, algorithm, hashes, int(count), qualifier=qualifier)


def _hashes(parameters: Parameters) -> tuple[tuple[bytes, ...], str | None]:
    """``hashes`` with their algorithm, or v1's ``hash``, whose length tells the algorithm."""
    name = "hashes" if "hashes" in parameters else "hash"
    text = parameters.get(name)
    if text is None:
        return (), None
    decoded = [base64_text.decode(part) for part in text.split(",")]
    hashes = tuple(value for value in decoded if value)
    if len(hashes) != len(decoded):
        raise invalid(name)
    oid = parameters.get("hashAlgorithmOID")
    if oid is not None:
        return hashes, algorithms.digest_by_oid(oid).name
    if name == "hashes":
        raise missing("hashAlgorithmOID")
    algorithm = _SHA2.get(len(hashes[0]))
    if algorithm is None:
        raise invalid("hash")
    return hashes, algorithm
