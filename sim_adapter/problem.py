"""Errors on the HTTP API: problem details (RFC 9457), one table for all of them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from sim_adapter import errors, request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told: ``code`` is for programs, ``title`` for people who read logs."""

    status: int
    code: str
    title: str


_UNSUITABLE = "The phone cannot show this text as it is."
# The most exact class on an error's way up the tree counts.
TABLE: Mapping[type[errors.SimAdapterError], Problem] = {
    errors.SimAdapterError: Problem(500, "server_error", "Something went wrong here."),
    errors.InvalidInput: Problem(400, "invalid_request", "The request is malformed."),
    errors.BodyTooLarge: Problem(413, "content_too_large", "The body is too large."),
    errors.MediaTypeUnsupported: Problem(
        415, "unsupported_media_type", "The body is of another kind than this address takes."
    ),
    errors.OperatorUnknown: Problem(422, "operator_unknown", "No operator for this number."),
    errors.DeadlinePassed: Problem(422, "deadline_invalid", "The deadline is over or too far."),
    errors.Unauthorized: Problem(401, "unauthorized", "A bearer secret is needed."),
    errors.TransactionUnknown: Problem(404, "not_found", "There is nothing with this id."),
    errors.TransactionConflict: Problem(409, "conflict", "The id belongs to another body."),
    errors.TransactionOver: Problem(409, "over", "It has come to its end, or not to this one."),
    errors.SimBusy: Problem(409, "sim_busy", "The SIM has an open transaction."),
    errors.Unavailable: Problem(503, "temporarily_unavailable", "Try again in a moment."),
    errors.OperatorUnreachable: Problem(502, "operator_unreachable", "No connection."),
    errors.OperatorSlow: Problem(504, "operator_slow", "The operator did not answer in time."),
    errors.OperatorAnswerInvalid: Problem(
        502, "operator_answer_invalid", "The operator's answer is no message of TS 102 204."
    ),
    errors.OperatorAnswerMismatch: Problem(
        502, "operator_answer_mismatch", "The operator's answer belongs to another request."
    ),
}
_HTTP = {
    404: Problem(404, "not_found", "There is nothing at this address."),
    405: Problem(405, "method_not_allowed", "This address has another HTTP method."),
}
SERVER_ERROR = TABLE[errors.SimAdapterError]


def problem_for(error: errors.SimAdapterError) -> Problem:
    """The row of the table for ``error``; a refused text tells its reason as the code."""
    if isinstance(error, errors.TextRefused):
        return Problem(422, error.reason, _UNSUITABLE)
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def write(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """``problem`` on the wire, with the request id."""
    members = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "request_id": request_id.current.get(),
    }
    body = json.dumps(members, separators=(",", ":"))
    return Response(body, problem.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def on_domain_error(_request: Request, error: Exception) -> Response:
    """Exception handler for :class:`SimAdapterError`; the cause goes to the log only."""
    fact = cast("errors.SimAdapterError", error)
    found = problem_for(fact)
    log = _log.error if found is SERVER_ERROR else _log.info
    log("refused", extra={"error": type(fact).__name__, "cause": fact.cause})
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
    return write(found, headers.get(found.status))


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Exception handler for what the router itself refuses."""
    refused = cast("HTTPException", error)
    other = Problem(refused.status_code, "invalid_request", "The request is malformed.")
    return write(_HTTP.get(refused.status_code, other), refused.headers)
