"""Errors of the CSC API: one table from the facts of :mod:`remote_signing.errors` to the wire.

Status, code and text are those of the standard's table for each method (CSC API v2 cl. 11); where
it has no row for a fact, the text follows its pattern. The private cause goes to the log only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from remote_signing import errors
from remote_signing.rssp.bearer import BearerRefused
from remote_signing.rssp.csc.wire import answer
from remote_signing.rssp.edge import request_id
from remote_signing.rssp.edge.body import MAX_BODY, BodyTooLarge, MediaTypeUnsupported

if TYPE_CHECKING:
    from starlette.responses import Response

    from remote_signing.errors import RemoteSigningError

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["string", "integer", "array", "boolean", "object"]


class CscError(Exception):
    """An error as the wire has it. ``description`` is public."""

    def __init__(
        self,
        description: str,
        *,
        error: str = "invalid_request",
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.error = error
        self.status = status
        self.headers = headers or {}
        self.members = members or {}  # of our own, beside the standard's

    def response(self) -> Response:
        """The answer; a fault of ours carries the request id, so that it can be reported."""
        members: dict[str, object] = {"error": self.error, "error_description": self.description}
        if self.status == INTERNAL:
            members["request_id"] = request_id.current.get()
        members.update(self.members)
        return answer(members, self.status, self.headers)


INTERNAL = 500
MALFORMED_BODY = (
    "The request body is not a JSON object in UTF-8, names a member twice, is nested too deeply,"
    " or holds NaN, NUL, half a surrogate pair or a number out of range"
)
MALFORMED_HEADER = "Malformed authorization header"
AUTHENTICATION = "An error occurred during authentication process"
ACCESS_DENIED = "The user, authorization server or remote service denied the request."
TEMPORARILY_UNAVAILABLE = (
    "The authorization server is currently unable to handle the request due to a temporary"
    " overloading or maintenance of the server."
)
SERVER_ERROR = (
    "The authorization server encountered an unexpected condition that prevented it from"
    " fulfilling the request."
)
UNAUTHORIZED_CLIENT = "The client is not authorized to use this method."
INVALID_TOKEN = "The token provided is not a valid OAuth access or refresh token."  # noqa: S105 - the standard's text for a bad token
EXPIRED_TOKEN = "The access or refresh token is expired or has been revoked."  # noqa: S105 - as above
INVALID_DPOP_PROOF = "The DPoP proof is missing or does not prove this request."


def missing(kind: Kind, name: str) -> CscError:
    """A parameter is absent or not of its JSON type."""
    return CscError(f"Missing (or invalid type) {kind} parameter {name}")


def invalid(name: str) -> CscError:
    """A parameter has its type and a bad value."""
    return CscError(f"Invalid parameter {name}")


def invalid_authentication_data() -> CscError:
    """A factor is wrong, missing or one too many. Which one is not told."""
    return CscError("The authentication data is invalid", error="invalid_authentication_data")


def unauthorized_client() -> CscError:
    """The token is good, but not for this method."""
    return CscError(UNAUTHORIZED_CLIENT, error="unauthorized_client")


def not_implemented() -> CscError:
    """The method is not served; ``info`` doesn't name it either."""
    return CscError("The method is not implemented", error="not_implemented", status=501)


def method_not_allowed() -> CscError:
    """Every method of CSC is a POST."""
    return CscError("The HTTP method must be POST", status=405, headers={"Allow": "POST"})


def access_denied() -> CscError:
    """The answer is no, and the standard has no text of its own for why."""
    return CscError(ACCESS_DENIED, error="access_denied")


def unavailable() -> CscError:
    """What the signer authorised stays so; the same request may work in a moment."""
    return CscError(
        TEMPORARILY_UNAVAILABLE,
        error="temporarily_unavailable",
        status=503,
        headers={"Retry-After": "1"},
    )


def _server_error() -> CscError:
    return CscError(SERVER_ERROR, error="server_error", status=INTERNAL)


def _text(description: str) -> Callable[[], CscError]:
    return lambda: CscError(description)


_CREDENTIAL_ID = _text("Invalid parameter credentialID")
_SAD = _text("Invalid parameter SAD")
_SAD_EXPIRED = _text("SAD expired")
_HANDLE = _text("Invalid parameter handle")
_NOT_AUTHORISED = _text("Hash is not authorized by the SAD")
_REFRESH_TOKEN = _text("Invalid refresh_token")

Rows: TypeAlias = Mapping[type[errors.RemoteSigningError], Callable[[], CscError]]

# The most exact class on the way up the tree counts, and for one class the method's own row.
COMMON: Rows = {
    BodyTooLarge: _text(f"The request body is longer than {MAX_BODY} bytes"),
    MediaTypeUnsupported: _text("The request body is not declared as application/json in UTF-8"),
    errors.InvalidInput: _text(MALFORMED_BODY),
    errors.DigestLengthInvalid: _text("Invalid digest value length"),
    errors.Refusal: access_denied,
    errors.AccessRefused: access_denied,
    errors.CredentialUnknown: _CREDENTIAL_ID,
    errors.RecordRevoked: _CREDENTIAL_ID,
    errors.CredentialDisabled: _text("The credential identified by credentialID is disabled"),
    errors.CredentialLocked: _text("Credential locked"),
    errors.CertificateExpired: _text("Signing certificate is expired"),
    errors.EvidenceInvalid: invalid_authentication_data,
    errors.TooManySignatures: _text("Numbers of signatures is too high"),
    errors.Unavailable: unavailable,
    errors.RemoteSigningError: _server_error,
}
_SIGN_HASH: Rows = {
    errors.SadInvalid: _SAD,
    errors.SadExpired: _SAD_EXPIRED,
    errors.ActivationUnknown: _SAD,
    errors.ActivationConflict: _SAD,
    errors.ActivationExpired: _SAD_EXPIRED,
    errors.TooManySignatures: _SAD,  # used up
    errors.HashNotAuthorised: _NOT_AUTHORISED,
    errors.EvidenceInvalid: lambda: CscError("The OTP is invalid", error="invalid_otp"),
}
METHODS: Mapping[str, Rows] = {
    "credentials/authorizeCheck": {
        errors.ActivationUnknown: _HANDLE,
        errors.ActivationConflict: _HANDLE,
        errors.ActivationDenied: invalid_authentication_data,
        errors.ActivationExpired: invalid_authentication_data,
    },
    "auth/login": {
        errors.SignInRefused: lambda: CscError(AUTHENTICATION, error="authentication_error"),
        errors.AccessRefused: _REFRESH_TOKEN,
        errors.ReplayDetected: _REFRESH_TOKEN,
    },
    "credentials/extendTransaction": {
        errors.SadInvalid: _SAD,
        errors.SadExpired: _SAD_EXPIRED,
        errors.HashNotAuthorised: _NOT_AUTHORISED,
    },
    "signatures/signPolling": {errors.ActivationUnknown: _text("Invalid parameter requestID")},
    "signatures/signHash": _SIGN_HASH,
    "signatures/signDoc": {
        **_SIGN_HASH,
        errors.TooManySignatures: _text(
            "documentDigests or documents are not authorized by the SAD"
        ),
        errors.HashNotAuthorised: lambda: CscError(
            "Document or documentDigest does not match authorized hash",
            error="invalid_hash",
            status=403,
        ),
    },
}


def translate(method: str, error: RemoteSigningError) -> CscError:
    """What ``method`` answers to ``error``."""
    if isinstance(error, BearerRefused):
        return _bearer_refused(error)
    named = _named_parameter(error)
    if named is not None:
        return named
    own = METHODS.get(method, {})
    rows = (own.get(kind) or COMMON.get(kind) for kind in type(error).__mro__)
    told = next(row for row in rows if row is not None)()  # the root of the tree has one
    if isinstance(error, errors.ActivationDenied) and error.public:
        told.members = {"denial": error.public}
    return told


def refuse(method: str, error: RemoteSigningError) -> CscError:
    """:func:`translate`, and the cause into the log."""
    told = translate(method, error)
    log = _log.error if told.status == INTERNAL else _log.info
    log(
        "refused",
        extra={"method": method, "error": type(error).__name__, "cause": error.cause},
        exc_info=error if told.status == INTERNAL else None,
    )
    return told


_TOKEN_TEXTS = {
    "invalid_token": INVALID_TOKEN,
    "expired_token": EXPIRED_TOKEN,
    "invalid_dpop_proof": INVALID_DPOP_PROOF,
}


def _bearer_refused(error: BearerRefused) -> CscError:
    """The header is not ``Bearer [token]`` (400), or the token is not good (401, RFC 6750)."""
    if error.challenge is None:
        return CscError(MALFORMED_HEADER)
    return CscError(
        _TOKEN_TEXTS[error.reason],
        error=error.reason,
        status=401,
        headers={"WWW-Authenticate": error.challenge},
    )


def _named_parameter(error: RemoteSigningError) -> CscError | None:
    """The text for an input error that names its parameter, or is of a kind that has one."""
    if isinstance(error, _OF_DOCUMENTS):
        return CscError(_told(error))
    name = error.public.get("parameter")
    if isinstance(error, errors.AlgorithmParametersInvalid):
        name = "signAlgoParams"
    if not isinstance(error, errors.InvalidInput) or not isinstance(name, str):
        return None
    if error.public.get("missing"):
        return missing("string", name)
    if name == "numSignatures":
        return CscError("Invalid value for parameter numSignatures")
    if error.public.get("bounds"):
        return CscError(f"Out of bounds parameter {name}")
    return invalid(name)


_OF_DOCUMENTS = (errors.DocumentUnusable, errors.AttachmentMismatched, errors.AttachmentUnknown)


def _told(error: RemoteSigningError) -> str:
    """What is wrong with a document, and of an attachment beside which hash."""
    if isinstance(error, errors.DocumentUnusable):
        return f"Invalid array parameter documents ({error.public.get('reason')})"
    reason = error.public.get("reason") or "there is no such attachment"
    position = error.public.get("position")
    told = reason if position is None else f"hash {position}: {reason}"
    return f"Invalid array parameter requestDetails.attachments ({told})"
