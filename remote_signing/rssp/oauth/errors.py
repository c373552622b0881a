"""Errors on the wire of the authorization server: one table per place where they happen.

Codes are those of RFC 6749 and its companions; where the CSC API (v2 cl. 8.4.4, 8.4.5) has a code
and a text of its own for the case, that one is used, also where RFC 6749 would say otherwise
(``invalid_request`` for a wrong client secret). The private cause goes to the log only.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from authlib.oauth2 import OAuth2Error

from remote_signing import errors
from remote_signing.rssp.dpop import DpopProofInvalid
from remote_signing.rssp.edge.body import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_log = logging.getLogger(__name__)

MALFORMED: Final = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed."
)
ACCESS_DENIED: Final = "The user, authorization server or remote service denied the request."
UNAVAILABLE: Final = (
    "The authorization server is currently unable to handle the request due to a temporary"
    " overloading or maintenance of the server."
)
SERVER_ERROR: Final = (
    "The authorization server encountered an unexpected condition that prevented it from"
    " fulfilling the request."
)
UNAUTHORIZED_CLIENT: Final = "The client is not authorized to use this method."
INVALID_SCOPE: Final = "The requested scope is invalid, unknown, or malformed."
RESPONSE_TYPE: Final = (
    "The authorization server does not support obtaining an authorization code using this method."
)
INTERNAL: Final = 500
_CODE_OVER = "Authorization code is invalid or expired"
_OTHER_REDIRECT = (
    "redirect_uri parameter does not match redirect_uri parameter of authorization request"
)


class OAuthRefused(OAuth2Error):
    """An error as the wire has it. ``description`` is public."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(description, status_code=status, error=error)
        self.headers = headers

    def get_headers(self) -> list[tuple[str, str]]:
        """The headers of the answer."""
        return [*super().get_headers(), *self.headers]


def malformed() -> OAuthRefused:
    """The request cannot be read at all."""
    return OAuthRefused("invalid_request", MALFORMED)


def missing(name: str) -> OAuthRefused:
    """A parameter is absent."""
    return OAuthRefused("invalid_request", f"Missing parameter {name}")


def invalid(name: str, error: str = "invalid_request") -> OAuthRefused:
    """A parameter has a bad value."""
    return OAuthRefused(error, f"Invalid parameter {name}")


def invalid_details(what: str) -> OAuthRefused:
    """The authorization_details do not fit their type (RFC 9396 cl. 5)."""
    return OAuthRefused("invalid_authorization_details", f"Invalid parameter {what}")


Row: TypeAlias = tuple[str, str] | tuple[str, str, int]
Rows: TypeAlias = "Mapping[type[errors.RemoteSigningError], Row]"

# The most exact class on the way up the tree counts, and for one class the place's own row.
COMMON: Rows = {
    BodyTooLarge: ("invalid_request", "The request body is too large"),
    errors.InvalidInput: ("invalid_request", MALFORMED),
    DpopProofInvalid: ("invalid_dpop_proof", "The DPoP proof is missing or invalid"),
    errors.Refusal: ("access_denied", ACCESS_DENIED),
    errors.Unavailable: ("temporarily_unavailable", UNAVAILABLE, 503),
    errors.RemoteSigningError: ("server_error", SERVER_ERROR, 500),
}
# pushed_authorize and authorize, when what is asked for cannot be.
REQUEST: Rows = {
    errors.CredentialUnknown: ("invalid_request", "Invalid parameter credentialID"),
    errors.CredentialDisabled: (
        "invalid_request",
        "The credential identified by credentialID is disabled",
    ),
    errors.CredentialLocked: ("invalid_request", "Credential locked"),
    errors.CertificateExpired: ("invalid_request", "Signing certificate is expired"),
    errors.TooManySignatures: ("invalid_request", "Numbers of signatures is too high"),
    errors.DigestLengthInvalid: ("invalid_request", "Invalid digest value length"),
    errors.AttachmentMismatched: ("invalid_request", "A hash does not follow from its attachment"),
    errors.AttachmentUnknown: ("invalid_request", "Invalid parameter attachmentID"),
}
# authorize, for a request_uri.
REQUEST_URI: Rows = dict.fromkeys(
    (errors.ActivationUnknown, errors.ActivationExpired, errors.ReplayDetected),
    ("invalid_request_uri", "Invalid parameter request_uri"),
)
# token, for an authorization code.
CODE: Rows = {
    errors.ActivationUnknown: ("invalid_grant", "Invalid parameter code"),
    errors.ActivationExpired: ("invalid_grant", _CODE_OVER),
    errors.ActivationDenied: ("invalid_grant", _CODE_OVER),
    errors.ActivationConflict: ("invalid_grant", _CODE_OVER),
    errors.ReplayDetected: ("invalid_grant", _CODE_OVER),
    errors.AccessRefused: ("invalid_grant", "Invalid parameter code"),
}
# token, for a refresh token.
REFRESH: Rows = {
    errors.AccessRefused: ("invalid_grant", "Invalid parameter refresh_token"),
    errors.ReplayDetected: ("invalid_grant", "Invalid parameter refresh_token"),
}
_BY_REASON: Mapping[str, Row] = {
    "redirect_uri": ("invalid_grant", _OTHER_REDIRECT),
    "code_verifier": ("invalid_grant", "Invalid parameter code_verifier"),
    "dpop": ("invalid_grant", "The DPoP key is not the one of the authorization request"),
    "revoked": ("invalid_grant", _CODE_OVER),
    "expired": ("invalid_grant", "Refresh token expired"),
}


def translate(error: errors.RemoteSigningError, own: Rows | None = None) -> OAuthRefused:
    """What the client is told of ``error``, which stays its cause for the log."""
    code, text, *status = _row(error, own or {})
    headers = (("Retry-After", "1"),) if isinstance(error, errors.Unavailable) else ()
    told = OAuthRefused(str(code), str(text), int(status[0]) if status else 400, headers)
    told.__cause__ = error
    return told


def log(told: OAuth2Error) -> None:
    """Note a refusal with its private cause."""
    cause = told.__cause__
    text = cause.cause if isinstance(cause, errors.RemoteSigningError) else told.description
    extra = {"error": type(cause or told).__name__, "oauth_error": told.error, "cause": text}
    (_log.error if told.status_code == INTERNAL else _log.info)("refused", extra=extra)


@contextmanager
def told_by(own: Rows) -> Iterator[None]:
    """Turn domain errors of the body into the wire's by the place's own table."""
    try:
        yield
    except errors.RemoteSigningError as error:
        raise translate(error, own) from error


def _row(error: errors.RemoteSigningError, own: Rows) -> Row:
    parameter = error.public.get("parameter")
    if isinstance(error, errors.InvalidInput) and isinstance(parameter, str):
        verb = "Missing" if error.public.get("missing") else "Invalid"
        return ("invalid_request", f"{verb} parameter {parameter}")
    reason = error.public.get("reason")
    if isinstance(error, errors.AccessRefused) and reason in _BY_REASON:
        return _BY_REASON[str(reason)]
    for kind in type(error).__mro__:
        if kind in own:
            return own[kind]
        if kind in COMMON:
            return COMMON[kind]
    return COMMON[errors.RemoteSigningError]
