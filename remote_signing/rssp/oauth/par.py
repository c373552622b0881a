"""Pushed Authorization Requests (RFC 9126): the back end asks, the browser names what it asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from authlib.oauth2.rfc6749 import Endpoint

from remote_signing.rssp.oauth import authorization_request, client_auth, proof
from remote_signing.rssp.oauth.errors import REQUEST, invalid, told_by

if TYPE_CHECKING:
    from authlib.oauth2 import OAuth2Request

    from remote_signing.rssp.oauth.request import HttpRequest
    from remote_signing.rssp.oauth.server import Answer, Server


class PushedAuthorization(Endpoint):
    """POST /oauth2/pushed_authorize. Answers 201 with ``request_uri`` and ``expires_in``.

    Beside these ``verificationCode``, as ``credentials/authorize`` has it, where something is to
    be signed.
    """

    ENDPOINT_NAME = "pushed_authorize"

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        """Authenticate the client as at the token endpoint and write its request down."""
        services = cast("Server", self.server).services
        pushed = cast("HttpRequest", request)
        # Step 1a: who asks is proved before anything is written down.
        client = client_auth.authenticate(services, pushed)
        if pushed.get("request_uri") is not None:
            raise invalid("request_uri")
        to = authorization_request.redirect_uri(client, pushed.parameters)
        parameters = dict(pushed.parameters)
        # RFC 9449 cl. 10.1: a proof here binds the code, as dpop_jkt does; both must agree.
        required = client.dpop_required and "dpop_jkt" not in parameters
        jkt = proof.key(services, pushed, required=required)
        if jkt is not None and parameters.setdefault("dpop_jkt", jkt) != jkt:
            raise invalid("dpop_jkt")
        with told_by(REQUEST):
            asked = authorization_request.read(services, client, parameters, to)
            submitted = authorization_request.submit(services, asked)
        body = {"request_uri": submitted.request_uri, "expires_in": submitted.expires_in}
        if submitted.verification_code is not None:
            body["verificationCode"] = submitted.verification_code
        return 201, body, []
