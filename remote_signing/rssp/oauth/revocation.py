"""Token revocation (RFC 7009) as the CSC API profiles it (v2 cl. 8.4.5): 204, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from authlib.oauth2.rfc6749 import Endpoint

from remote_signing.rssp import service_tokens
from remote_signing.rssp.oauth import client_auth
from remote_signing.rssp.oauth.errors import OAuthRefused, invalid, missing

if TYPE_CHECKING:
    from authlib.oauth2 import OAuth2Request

    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.rssp.oauth.server import Answer, Server

_HINTS = {None, "access_token", "refresh_token"}


class Revocation(Endpoint):
    """POST /oauth2/revoke. The token shows its kind, so the hint only has to be a known one."""

    ENDPOINT_NAME = "revoke"

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        """End a token of the client that asks; an unknown one is an error, unlike in RFC 7009."""
        services = cast("Server", self.server).services
        asked = cast("HttpRequest", request)
        client = client_auth.authenticate(services, asked)
        token = asked.get("token")
        if token is None:
            raise missing("token")
        if asked.get("token_type_hint") not in _HINTS:
            raise invalid("token_type_hint")
        if not service_tokens.revoke(services, token, client.client_id):
            raise OAuthRefused("invalid_request", "Invalid string parameter token")
        return 204, "", []
