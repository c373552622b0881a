"""The token endpoint (RFC 6749 cl. 3.2) and its three grants.

Whatever is used up is used up by the statement that checks it: ``activation.redeem_code``,
``service_authorization.redeem``, ``service_tokens.rotate``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from remote_signing.identifiers import Ticket
from remote_signing.rssp import activation, service_authorization, service_tokens
from remote_signing.rssp.oauth import authorization_details, client_auth, proof
from remote_signing.rssp.oauth.errors import (
    CODE,
    INVALID_SCOPE,
    REFRESH,
    UNAUTHORIZED_CLIENT,
    OAuthRefused,
    invalid,
    invalid_details,
    malformed,
    missing,
    told_by,
)
from remote_signing.rssp.service_authorization import Redemption
from remote_signing.rssp.service_tokens import SERVICE, Holder, ServiceToken

if TYPE_CHECKING:
    from remote_signing.rssp.activation_model import CredentialToken
    from remote_signing.rssp.clients import Client
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.rssp.oauth.server import Answer, Server

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Grant(BaseGrant, TokenEndpointMixin):
    """What all grants share: an authenticated client and the keys it proves to hold."""

    grant_type: str
    holder: Holder
    registered: Client

    @property
    def services(self) -> Services:
        """Of the application."""
        return cast("Server", self.server).services

    @property
    def http(self) -> HttpRequest:
        """The token request."""
        return cast("HttpRequest", self.request)

    def validate_token_request(self) -> None:
        """Authenticate the client, and check its DPoP proof when there is or must be one."""
        client = client_auth.authenticate(self.services, self.http)
        if self.GRANT_TYPE not in client.grant_types:
            raise OAuthRefused("unauthorized_client", UNAUTHORIZED_CLIENT)
        certificate = self.http.certificate
        bound = client.auth_method == "tls_client_auth" and certificate is not None
        self.registered = client
        self.holder = Holder(
            client.client_id,
            jkt=proof.key(self.services, self.http, required=client.dpop_required),
            x5t=certificate.thumbprint if bound and certificate else None,
        )

    def only_service(self) -> None:
        """Refuse a request that names another scope than ``service``."""
        if self.http.get("scope") not in {None, SERVICE} or SERVICE not in self.registered.scopes:
            raise OAuthRefused("invalid_scope", INVALID_SCOPE)

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.http.get(name)
        if value is None:
            raise missing(name)
        return value

    def answer(self, token: str, expires_in: int, scope: str) -> dict[str, object]:
        """RFC 6749 cl. 5.1; the type tells whether the token is bound (RFC 9449 cl. 5).

        In v1 of the CSC API (cl. 8.3.3) a token of scope ``credential`` is of the type ``SAD``.
        """
        unbound = "SAD" if self.http.is_v1 and scope == "credential" else "Bearer"
        return {
            "access_token": token,
            "token_type": "DPoP" if self.holder.jkt else unbound,
            "expires_in": expires_in,
            "scope": scope,
        }

    def service_answer(self, token: ServiceToken) -> Answer:
        """The answer with a token of scope ``service``."""
        body = self.answer(token.access, token.expires_in, token.scope)
        if token.refresh is not None:
            body["refresh_token"] = token.refresh
        return 200, body, []


class AuthorizationCode(Grant):
    """``authorization_code`` with PKCE S256, for both scopes."""

    GRANT_TYPE = "authorization_code"

    def create_token_response(self) -> Answer:
        """Redeem the code. The code's own statement checks everything that must fit it."""
        code = self.required("code")
        verifier = self.required("code_verifier")
        if _VERIFIER.fullmatch(verifier) is None:
            raise invalid("code_verifier", "invalid_grant")
        is_service = code.startswith(service_authorization.PREFIX)
        ticket = Ticket.parse(code.removeprefix(service_authorization.PREFIX))
        if ticket is None:
            raise invalid("code", "invalid_grant")
        with told_by(CODE):
            if is_service:
                return self._service(ticket, verifier)
            self.http.activation_id = ticket.row_id
            token = activation.redeem_code(
                self.services,
                ticket,
                client_id=self.holder.client_id,
                redirect_uri=self._redirect_uri(),
                code_verifier=verifier,
                jkt=self.holder.jkt,
                x5t=self.holder.x5t,
            )
        return self._credential(token)

    def _service(self, ticket: Ticket, verifier: str) -> Answer:
        redemption = Redemption(
            code=ticket,
            redirect_uri=self._redirect_uri(),
            code_verifier=verifier,
            holder=self.holder,
            wants_refresh="refresh_token" in self.registered.grant_types,
        )
        return self.service_answer(service_authorization.redeem(self.services, redemption))

    def _credential(self, token: CredentialToken) -> Answer:
        asked = self.http.get("authorization_details")
        if asked and not self._narrows(asked, token):
            activation.revoke(self.services, token.ticket, self.holder.client_id)
            raise invalid_details("authorization_details")
        body = self.answer(str(token.ticket), token.expires_in, "credential")
        body["credentialID"] = token.credential_id
        if token.authorization_details is not None:
            body["authorization_details"] = authorization_details.filled_in(
                token.authorization_details, token.credential_id
            )
        return 200, body, []

    @staticmethod
    def _narrows(asked: str, token: CredentialToken) -> bool:
        """Whether the token request asks for what the signer consented to (RFC 9396 cl. 6)."""
        try:
            return authorization_details.narrows(asked, token.authorization_details)
        except OAuthRefused:
            return False

    def _redirect_uri(self) -> str:
        """As sent, else the only registered one; the code's statement compares it."""
        sent = self.http.get("redirect_uri")
        only = self.registered.redirect_uris[0] if len(self.registered.redirect_uris) == 1 else ""
        return only if sent is None else sent


class ClientCredentials(Grant):
    """``client_credentials``, for scope ``service`` only: a client can never sign by itself."""

    GRANT_TYPE = "client_credentials"

    def create_token_response(self) -> Answer:
        """A token without a signer; the client's agencies say for whom it may act."""
        self.only_service()
        return self.service_answer(service_tokens.issue_to_client(self.services, self.holder))


class RefreshToken(Grant):
    """``refresh_token`` with rotation (RFC 9700 cl. 4.14)."""

    GRANT_TYPE = "refresh_token"

    def create_token_response(self) -> Answer:
        """Use the token up; a used one that comes again ends its whole family."""
        # CSC's sample writes refreshToken, its table refresh_token.
        strict = self.services.config.csc.strict
        known = ("refresh_token",) if strict else ("refresh_token", "refreshToken")
        names = [name for name in known if self.http.get(name)]
        if len(names) > 1:
            raise malformed()
        if not names:
            raise missing("refresh_token")
        self.only_service()
        with told_by(REFRESH):
            token = service_tokens.rotate(self.services, self.required(names[0]), self.holder)
        return self.service_answer(token)
