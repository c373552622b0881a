"""The authorization endpoint (RFC 6749 cl. 3.1): where a browser is sent on to the consent page.

An error is told by redirect only when client and redirect_uri are known to belong together;
otherwise the browser stays here, or we would send it wherever a stranger likes. Every redirect to a
client carries ``iss`` (RFC 9207).
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import Endpoint

from remote_signing.errors import RemoteSigningError, ReplayDetected
from remote_signing.identifiers import Ticket
from remote_signing.rssp.activation_model import NewActivation
from remote_signing.rssp.oauth import authorization_request
from remote_signing.rssp.oauth.authorization_request import URN
from remote_signing.rssp.oauth.errors import (
    REQUEST,
    REQUEST_URI,
    OAuthRefused,
    invalid,
    log,
    missing,
    told_by,
    translate,
)

if TYPE_CHECKING:
    from authlib.oauth2 import OAuth2Request

    from remote_signing.rssp.clients import Client
    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.rssp.oauth.server import Answer, Server


class Authorization(Endpoint):
    """GET /oauth2/authorize. 303 to the consent page, or back to the client with an error."""

    ENDPOINT_NAME = "authorize"

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        """By a pushed request when there is one, else by the parameters in the address."""
        visit = cast("HttpRequest", request)
        client = self._client(visit)
        pushed = visit.get("request_uri")
        if pushed is not None:
            # RFC 9126 cl. 4: what else the address says does not count.
            with told_by(REQUEST_URI):
                return self._open_once(visit, client, pushed)
        to = authorization_request.redirect_uri(client, visit.parameters)
        try:
            with told_by(REQUEST):
                return self._ask(client, visit, to)
        except OAuth2Error as error:
            return self._tell_client(error, to, visit.get("state"))

    @property
    def _server(self) -> Server:
        return cast("Server", self.server)

    def _client(self, visit: HttpRequest) -> Client:
        name = visit.get("client_id")
        if name is None:
            raise missing("client_id")
        client = self._server.services.clients.get(name)
        if client is None:
            raise invalid("client_id")
        return client

    def _ask(self, client: Client, visit: HttpRequest, to: str) -> Answer:
        """A request that was not pushed: allowed for scope ``service``, and for old clients."""
        services = self._server.services
        asked = authorization_request.read(services, client, visit.parameters, to)
        if isinstance(asked, NewActivation) and client.par_required:
            raise OAuthRefused("invalid_request", "Pushed authorization request required")
        submitted = authorization_request.submit(services, asked)
        return self._open(client, submitted.request_uri)

    def _open_once(self, visit: HttpRequest, client: Client, request_uri: str) -> Answer:
        try:
            return self._open(client, request_uri)
        except ReplayDetected:
            # Who has its secret is no stranger, and this goes on record.
            ticket = Ticket.parse(request_uri.removeprefix(URN))
            visit.authenticated = client.client_id
            visit.activation_id = None if ticket is None else ticket.row_id
            raise

    def _open(self, client: Client, request_uri: str) -> Answer:
        services = self._server.services
        if not request_uri.startswith(URN):
            raise invalid("request_uri", "invalid_request_uri")
        text = request_uri.removeprefix(URN)
        path = authorization_request.open_in_browser(services, client.client_id, text)
        return 303, "", [("Location", f"{services.config.urls.consent}/{path}")]

    def _tell_client(self, error: OAuth2Error, to: str, state: str | None) -> Answer:
        log(error)
        answer = {"error": str(error.error), "error_description": str(error.description)}
        if state is not None:
            answer["state"] = state
        answer["iss"] = self._server.services.config.urls.issuer
        separator = "&" if urlsplit(to).query else "?"
        return 303, "", [("Location", f"{to}{separator}{urlencode(answer)}")]


def page(error: OAuth2Error) -> str:
    """What a person sees whose browser can be sent nowhere. Nothing in it is the request's."""
    reason = html.escape(f"{error.error}: {error.description}")
    return (
        '<!doctype html><html lang="vi"><meta charset="utf-8"><title>Yêu cầu không hợp lệ</title>'
        "<h1>Yêu cầu không hợp lệ</h1><p>Hãy quay lại ứng dụng và thử lại.</p>"
        '<h2 lang="en">The request is not valid</h2>'
        '<p lang="en">Go back to the application and try again.</p>'
        f'<p lang="en"><code>{reason}</code></p></html>'
    )


def as_oauth_error(error: OAuth2Error | RemoteSigningError) -> OAuth2Error:
    """The wire's error of any error that is foreseen."""
    return translate(error) if isinstance(error, RemoteSigningError) else error
