"""Errors outside the CSC API and OAuth: problem details (RFC 9457), one table for all of them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from remote_signing import errors
from remote_signing.rssp.edge import request_id
from remote_signing.rssp.edge.body import BodyTooLarge, FormExpected, MediaTypeUnsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from remote_signing.errors import PublicValue, RemoteSigningError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "1"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told: ``code`` is for programs, ``title`` for people who read logs.

    ``tell`` names the public values of the error that go along.
    """

    status: int
    code: str
    title: str
    tell: tuple[str, ...] = ()


_INVALID = Problem(400, "invalid_request", "The request is malformed.", ("parameter",))
_UNAVAILABLE = Problem(503, "temporarily_unavailable", "Try again in a moment.")
_CONFLICT = Problem(409, "conflict", "Somebody else was first, or it is already over.")
_EVIDENCE = Problem(403, "evidence_invalid", "The PIN or the code is wrong.", ("attempts_left",))
_REFUSED = Problem(403, "access_denied", "This is not allowed.")

# The most exact class on an error's way up the tree counts; every class has one, see tests/unit.
TABLE: Mapping[type[RemoteSigningError], Problem] = {
    errors.InvalidInput: _INVALID,
    BodyTooLarge: Problem(413, "content_too_large", "The body is too large."),
    MediaTypeUnsupported: Problem(415, "unsupported_media_type", "The body must be JSON in UTF-8."),
    FormExpected: Problem(415, "unsupported_media_type", "The body must be a form with files."),
    errors.DocumentUnusable: Problem(
        422, "document_unusable", "There can be no report about this document.", ("reason",)
    ),
    errors.Refusal: _REFUSED,
    errors.CredentialUnknown: Problem(404, "credential_unknown", "There is no such credential."),
    errors.CredentialDisabled: Problem(403, "credential_disabled", "The credential is disabled."),
    errors.CredentialLocked: Problem(403, "credential_locked", "The credential is locked."),
    errors.CertificateExpired: Problem(403, "certificate_expired", "The certificate has expired."),
    errors.EvidenceInvalid: _EVIDENCE,
    errors.PasskeyTooNew: Problem(403, "passkey_too_new", "The passkey does not count yet."),
    errors.PasskeyCopied: Problem(403, "passkey_copied", "There may be a copy of the passkey."),
    errors.PasskeyUnknown: Problem(404, "passkey_unknown", "There is no such passkey."),
    errors.PasskeyRefused: Problem(
        403, "passkey_refused", "This passkey is not taken.", ("reason",)
    ),
    errors.PinRefused: Problem(403, "pin_refused", "This PIN is not taken.", ("reason",)),
    errors.PinNotOffered: Problem(404, "pin_not_offered", "There is no PIN to choose by code."),
    errors.TooManySignatures: Problem(403, "too_many_signatures", "More than is allowed."),
    errors.ActivationUnknown: Problem(404, "request_unknown", "There is no such request."),
    errors.ActivationExpired: Problem(410, "request_expired", "The time for this is over."),
    errors.ActivationDenied: Problem(409, "request_denied", "The signer has refused this."),
    errors.ActivationConflict: _CONFLICT,
    errors.CodeUnmatched: Problem(409, "code_unmatched", "Pick the portal's code first."),
    errors.CodeMismatched: Problem(
        403, "code_mismatched", "Not the portal's code: refused.", ("mismatches",)
    ),
    errors.ReplayDetected: _CONFLICT,
    errors.SignInRefused: Problem(401, "sign_in_refused", "User name or password is wrong."),
    errors.OpenidNotOffered: Problem(404, "openid_not_offered", "There is no such provider."),
    errors.OpenidAway: Problem(503, "openid_away", "The provider is away. Try another way in."),
    errors.SessionInvalid: Problem(401, "session_invalid", "Sign in again."),
    errors.AttachmentUnknown: Problem(404, "document_unknown", "There is no such document."),
    errors.LogoUnknown: Problem(404, "logo_unknown", "There is no such logo."),
    errors.SimUnknown: Problem(404, "sim_unknown", "There is no such SIM."),
    errors.SimSuspended: Problem(403, "sim_suspended", "The SIM must be enrolled anew."),
    errors.SimAskedOften: Problem(409, "sim_asked_often", "The SIM was asked often enough."),
    errors.SimBusy: Problem(409, "sim_busy", "The SIM has another question to answer."),
    errors.Unavailable: _UNAVAILABLE,
    errors.SamUnavailable: Problem(503, "outcome_unknown", "It may be done. See how it stands."),
    errors.SamUnreachable: _UNAVAILABLE,
}
_FAULT = Problem(500, "server_error", "Something went wrong here.")


def problem_for(error: RemoteSigningError) -> Problem:
    """The row of the table for ``error``."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return _FAULT


def problem_response(error: RemoteSigningError) -> Response:
    """The answer that tells of ``error``; its private cause goes to the log only."""
    problem = problem_for(error)
    log = _log.error if problem is _FAULT else _log.info
    log("refused", extra={"error": type(error).__name__, "cause": error.cause})
    told = {name: error.public[name] for name in problem.tell if name in error.public}
    headers = RETRY_AFTER if problem.status == _UNAVAILABLE.status else {}
    return write(problem, told, headers)


def write(
    problem: Problem,
    told: Mapping[str, PublicValue] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """``problem`` on the wire, with the request id."""
    text = members(problem, request_id.current.get()) | dict(told or {})
    return Response(
        json.dumps(text, separators=(",", ":")),
        problem.status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def members(problem: Problem, request: str) -> dict[str, PublicValue]:
    """What every answer with ``problem`` has (RFC 9457 cl. 3); ``request`` is the request's id."""
    return {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "request_id": request,
    }


async def on_domain_error(_request: Request, error: Exception) -> Response:
    """Exception handler for :class:`RemoteSigningError` of a route without a table of its own."""
    return problem_response(cast("errors.RemoteSigningError", error))


HTTP = {
    404: Problem(404, "not_found", "There is nothing at this address."),
    405: Problem(405, "method_not_allowed", "This address has another HTTP method."),
}


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Exception handler for what the router itself refuses: no such address, other method."""
    refused = cast("HTTPException", error)
    known = HTTP.get(refused.status_code)
    problem = known or Problem(refused.status_code, "invalid_request", "The request is malformed.")
    return write(problem, headers=refused.headers)


async def on_bad_parameter(_request: Request, _error: Exception) -> Response:
    """Exception handler for parameters that the framework reads and finds wrong."""
    return write(_INVALID)
