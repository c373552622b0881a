"""authlib's authorization server with Starlette around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer
from starlette.responses import Response

from remote_signing.errors import AccessRefused, ActivationUnknown, RemoteSigningError
from remote_signing.rssp import audit
from remote_signing.rssp.clients import GRANT_TYPES, SCOPES
from remote_signing.rssp.oauth.authorize import Authorization, as_oauth_error, page
from remote_signing.rssp.oauth.errors import INTERNAL, invalid, log, missing
from remote_signing.rssp.oauth.grants import AuthorizationCode, ClientCredentials, RefreshToken
from remote_signing.rssp.oauth.par import PushedAuthorization
from remote_signing.rssp.oauth.revocation import Revocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from authlib.oauth2.rfc6749.requests import OAuth2Request

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.oauth.request import HttpRequest

Answer: TypeAlias = tuple[int, Any, list[Any]]
"""Status, JSON members or text, further headers."""

_NEVER_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Server(AuthorizationServer):
    """Grants and endpoints of one application. Cheap to make; holds no state of its own."""

    def __init__(self, services: Services) -> None:
        super().__init__(scopes_supported=SCOPES)
        self.services = services
        for grant in (AuthorizationCode, ClientCredentials, RefreshToken):
            self.register_grant(grant)
        for endpoint in (Authorization, PushedAuthorization, Revocation):
            self.register_endpoint(endpoint)

    def create_oauth2_request(self, request: HttpRequest) -> OAuth2Request:
        """Requests are read before they get here, see :mod:`.request`."""
        return request

    def handle_response(self, status: int, body: object, headers: Any) -> Response:  # noqa: ANN401 - pairs, where the stub says a mapping
        """Starlette's response of authlib's triple."""
        is_text = isinstance(body, str)
        media_type = "text/html" if is_text and body else None if is_text else "application/json"
        text = body if is_text else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        response = Response(text, status, media_type=media_type, headers=_NEVER_KEPT)
        for name, value in headers:
            if name.lower() not in {"content-type", "cache-control", "pragma"}:
                response.headers[name] = value
        return response

    def token(self, request: HttpRequest) -> Response:
        """POST /oauth2/token."""
        return self._answer(request, lambda: self._grant(request))

    def endpoint(self, name: str, request: HttpRequest) -> Response:
        """Any other endpoint, by its name."""
        return self._answer(request, lambda: self._endpoint(name, request))

    def refuse(self, error: OAuth2Error | RemoteSigningError, *, on_page: bool = False) -> Response:
        """The answer that tells of ``error``: JSON for programs, a page for people."""
        told = as_oauth_error(error)
        log(told)
        status, body, headers = told()
        return self.handle_response(status, page(told) if on_page else body, headers)

    def handle_error_response(self, request: OAuth2Request, error: OAuth2Error) -> Response:
        """As :meth:`refuse`; a browser at the authorization endpoint gets a page."""
        http: HttpRequest = request  # type: ignore[assignment]  # the only kind that gets here
        self._record(http, error)
        return self.refuse(error, on_page=http.method == "GET" and http.seen.accepts_page)

    def _record(self, http: HttpRequest, told: OAuth2Error) -> None:
        """Put on record what a known client is refused. At most one statement."""
        if http.authenticated is None or told.status_code >= INTERNAL:
            return
        cause = told.__cause__
        known = isinstance(cause, RemoteSigningError)
        detail = {
            "endpoint": urlsplit(http.uri).path.rpartition("/")[2],
            "error": str(told.error),
            "reason": type(cause).__name__ if known else str(told.description),
        }
        if isinstance(cause, AccessRefused):
            detail["what"] = str(cause.public.get("reason"))
        unknown = isinstance(cause, ActivationUnknown)
        event = audit.Event(
            "request.refused",
            "client",
            client_id=http.authenticated,
            activation_id=None if unknown else http.activation_id,
            detail=detail,
        )
        self.services.refusals.record(event)

    def _endpoint(self, name: str, request: HttpRequest) -> Response:
        response: Response = self.create_endpoint_response(name, request)  # type: ignore[no-untyped-call]  # the stub leaves it out
        return response

    def _grant(self, request: HttpRequest) -> Response:
        kind = request.get("grant_type")
        if kind is None:
            raise missing("grant_type")
        if kind not in GRANT_TYPES:
            raise invalid("grant_type")
        response: Any = self.create_token_response(request)
        return cast("Response", response)

    def _answer(self, request: HttpRequest, work: Callable[[], Any]) -> Response:
        try:
            response: Response = work()
        except (OAuth2Error, RemoteSigningError) as error:
            return self.handle_error_response(request, as_oauth_error(error))
        return response
