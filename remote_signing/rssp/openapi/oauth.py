"""The authorization server described (RFC 6749, 7009, 8414, 9126, 9396, 9449; CSC API cl. 8.4)."""

from __future__ import annotations

from remote_signing.rssp.clients import AUTH_METHODS, GRANT_TYPES, SCOPES
from remote_signing.rssp.oauth.client_auth import ASSERTION_TYPE
from remote_signing.rssp.openapi.operation import (
    FORM,
    JSON,
    Answer,
    Asked,
    Operation,
    in_header,
    in_path,
    in_query,
)
from remote_signing.rssp.openapi.schema import (
    Schema,
    choice,
    flag,
    identifier,
    listing,
    members,
    named,
    text,
    whole,
    whole_object,
)

_TAG = "OAuth 2.0"
_CODES = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"),
    *("unsupported_response_type", "invalid_scope", "access_denied", "server_error"),
    *("temporarily_unavailable", "invalid_request_uri", "request_not_supported"),
    *("invalid_authorization_details", "invalid_dpop_proof"),
)
_PROOF = in_header("DPoP", "A proof (RFC 9449): the token is bound to its key.", text())
_AUTHENTICATION: dict[str, Schema] = {
    "client_id": text("Left out with HTTP Basic."),
    "client_secret": text("For `client_secret_post`."),
    "client_assertion": text("For `private_key_jwt`: a JWT."),
    "client_assertion_type": text(const=ASSERTION_TYPE),
}
_REQUEST: dict[str, Schema] = {
    "response_type": choice(("code",)),
    "redirect_uri": text("A registered one; may be left out where there is only one."),
    "scope": choice(SCOPES, "service: see the credentials. credential: sign with one."),
    "state": text("Comes back as it is.", maxLength=255),
    "response_mode": choice(("query",)),
    "code_challenge": text("PKCE (RFC 7636).", pattern="^[A-Za-z0-9_-]{43}$"),
    "code_challenge_method": choice(("S256",)),
    "dpop_jkt": text("The thumbprint that the code is bound to.", pattern="^[A-Za-z0-9_-]{43}$"),
    "lang": text("Of the consent page."),
    "description": text("What is signed; the signer reads it.", maxLength=500),
    "clientData": text("Whatever the client wants to have on record.", maxLength=2000),
    "account_token": text("A JWT that names the signer (CSC API cl. 8.2.2)."),
    "authorization_details": text(
        "JSON (RFC 9396): one object that names a credential and the digests to be signed, and"
        " beside them, as our own members, `attachmentID` and `signedAttributes`."
    ),
    "credentialID": identifier("Without authorization_details, for scope credential."),
    "signatureQualifier": text("Instead of the id, with an account_token."),
    "numSignatures": text(pattern="^[1-9][0-9]{0,5}$"),
    "hashes": text("Base64url, separated by commas."),
    "hashAlgorithmOID": text("Of `hashes`."),
    "hash": text("As `hashes`, of SHA-2 by their length: v1's name."),
    "request": text("Signed request objects are refused."),
}

_TEXTS = listing(text())
_METADATA: dict[str, Schema] = {
    "issuer": text(format="uri"),
    "authorization_endpoint": text(format="uri"),
    "pushed_authorization_request_endpoint": text(format="uri"),
    "token_endpoint": text(format="uri"),
    "revocation_endpoint": text(format="uri"),
    "response_types_supported": _TEXTS,
    "response_modes_supported": _TEXTS,
    "grant_types_supported": listing(choice(GRANT_TYPES)),
    "scopes_supported": listing(choice(SCOPES)),
    "authorization_details_types_supported": _TEXTS,
    "code_challenge_methods_supported": _TEXTS,
    "token_endpoint_auth_methods_supported": listing(choice(AUTH_METHODS)),
    "token_endpoint_auth_signing_alg_values_supported": _TEXTS,
    "revocation_endpoint_auth_methods_supported": listing(choice(AUTH_METHODS)),
    "revocation_endpoint_auth_signing_alg_values_supported": _TEXTS,
    "dpop_signing_alg_values_supported": _TEXTS,
    "authorization_response_iss_parameter_supported": flag(),
    "tls_client_certificate_bound_access_tokens": flag(),
    "require_pushed_authorization_requests": flag(),
    "request_parameter_supported": flag(),
    "request_uri_parameter_supported": flag(),
    "ui_locales_supported": _TEXTS,
}

SCHEMAS: dict[str, Schema] = {
    "OAuthError": members(
        {
            "error": choice(_CODES),
            "error_description": text(),
            "request_id": text("With a fault of ours: the name under which it is in the log."),
        },
        *("error", "error_description"),
    ),
    "Token": members(
        {
            "access_token": text(),
            "token_type": choice(
                ("Bearer", "DPoP", "SAD"), "SAD: scope credential at v1's addresses."
            ),
            "expires_in": whole("Seconds.", minimum=0),
            "scope": choice(SCOPES),
            "refresh_token": text("Good once."),
            "credentialID": identifier("With scope credential."),
            "authorization_details": listing({"type": "object"}, "As asked for."),
        },
        *("access_token", "token_type", "expires_in", "scope"),
    ),
}


def operations() -> list[Operation]:
    """The addresses of both versions, and those that known clients look for."""
    return [
        *_authorize(),
        _pushed(),
        *_token(),
        *_revoke(),
        *_metadata(),
    ]


def _told(more: dict[int, Answer]) -> dict[int, Answer]:
    refused = named("OAuthError")
    return {
        400: Answer("Refused.", refused),
        401: Answer("The client has not authenticated.", refused, JSON, ("WWW-Authenticate",)),
        **more,
    }


_SHARED = {500: "OAuthFault", 503: "OAuthUnavailable"}


def _authorize() -> list[Operation]:
    given: dict[str, Schema] = {"client_id": text(), "request_uri": text("From PAR.")} | _REQUEST
    location = ("Location",)
    return [
        Operation(
            "GET",
            f"{base}/oauth2/authorize",
            _TAG,
            "Chuyển người ký đến trang xác nhận",
            "Send the signer to the consent page",
            {
                303: Answer.empty("To the consent page, or back to the client.", *location),
                400: Answer(
                    "The browser can be sent nowhere. A page for browsers.", named("OAuthError")
                ),
            },
            about="For browsers. With `request_uri` from PAR, which scope credential needs unless"
            " the client is registered as unable; PKCE with S256 always.",
            parameters=tuple(in_query(name, "", schema) for name, schema in given.items()),
            shared=_SHARED,
        )
        for base in ("", "/csc/v1")
    ]


def _pushed() -> Operation:
    told: dict[str, Schema] = {
        "request_uri": text(),
        "expires_in": whole("Seconds.", minimum=1),
        "verificationCode": text("Show it: the signer sees the same.", pattern="^[0-9]{4}$"),
    }
    pushed = members(told, "request_uri", "expires_in")
    return Operation(
        "POST",
        "/oauth2/pushed_authorize",
        _TAG,
        "Gửi trước yêu cầu uỷ quyền",
        "Push an authorization request (PAR)",
        _told({201: Answer("Name it in the browser, once.", pushed)}),
        asked=Asked(members(_AUTHENTICATION | _REQUEST), FORM),
        parameters=(_PROOF,),
        shared=_SHARED,
        security=("client", "none"),
    )


def _token() -> list[Operation]:
    given: dict[str, Schema] = {
        "grant_type": choice(GRANT_TYPES),
        "code": text("Of the authorization."),
        "code_verifier": text("PKCE.", pattern="^[A-Za-z0-9._~-]{43,128}$"),
        "redirect_uri": text("As in the authorization."),
        "refresh_token": text(),
        "scope": choice(("service",), "Of client_credentials and refresh_token."),
        "authorization_details": text("What was granted, nothing else."),
    }
    return [
        Operation(
            "POST",
            f"{base}/oauth2/token",
            _TAG,
            "Lấy mã truy cập",
            "Get a token",
            _told({200: Answer("A token.", named("Token"))}),
            asked=Asked(members(_AUTHENTICATION | given, "grant_type"), FORM),
            parameters=(_PROOF,),
            shared=_SHARED,
            security=("client", "none"),
        )
        for base in ("", "/csc/v1")
    ]


def _revoke() -> list[Operation]:
    given: dict[str, Schema] = {
        "token": text(),
        "token_type_hint": choice(("access_token", "refresh_token")),
    }
    return [
        Operation(
            "POST",
            path,
            _TAG,
            "Thu hồi mã truy cập",
            "Revoke a token",
            _told({204: Answer.empty("It is over.")}),
            asked=Asked(members(_AUTHENTICATION | given, "token"), FORM),
            shared=_SHARED,
            security=("client", "none"),
            deprecated=path == "/revoke",
        )
        for path in ("/oauth2/revoke", "/csc/v1/oauth2/revoke", "/revoke")
    ]


def _metadata() -> list[Operation]:
    issuer = in_path("path", "The path of the issuer, where it has one.", text(minLength=1))
    return [
        Operation(
            "GET",
            f"/.well-known/{name}{more}",
            _TAG,
            "Siêu dữ liệu máy chủ uỷ quyền",
            "Metadata of the authorization server",
            {200: Answer("The metadata.", whole_object(_METADATA))}
            | ({404: Answer("Of no issuer here.", *_PROBLEM)} if more else {}),
            parameters=(issuer,) if more else (),
        )
        for name in ("oauth-authorization-server", "openid-configuration")
        for more in ("", "/{path}")
    ]


_PROBLEM = (named("Problem"), "application/problem+json")
