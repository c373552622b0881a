"""Authorization server metadata (RFC 8414), also for RFC 9126, 9207, 9396, 9449 and 8705."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp import jose
from remote_signing.rssp.clients import AUTH_METHODS, GRANT_TYPES, SCOPES
from remote_signing.rssp.oauth.authorization_details import TYPES

if TYPE_CHECKING:
    from remote_signing.rssp.config import RsspConfig


def describe(config: RsspConfig) -> dict[str, object]:
    """What a client has to know, all of it true by construction or by a test."""
    issuer = config.urls.issuer
    algorithms = list(jose.ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth2/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth2/pushed_authorize",
        "token_endpoint": f"{issuer}/oauth2/token",
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": list(SCOPES),
        "authorization_details_types_supported": list(TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": True,
        "tls_client_certificate_bound_access_tokens": True,
        # Per client: scope credential needs it unless the client is registered as unable.
        "require_pushed_authorization_requests": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "ui_locales_supported": ["vi", "en"],
    }
