"""``signatures/signPolling`` (CSC API v2.2 cl. 11.15), and what the workers make of a job."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.errors import RemoteSigningError, Unavailable
from remote_signing.identifiers import is_id
from remote_signing.rssp import signing_jobs
from remote_signing.rssp.csc.errors import CscError, invalid, refuse
from remote_signing.rssp.csc.v2 import later_documents, later_jobs
from remote_signing.rssp.csc.wire import answer
from remote_signing.rssp.signing_jobs import Outcome as JobOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response

    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.documents.signing import Desk
    from remote_signing.rssp.signing_jobs import Claimed, Members

    Maker = Callable[[Services, Members], Members]

_log = logging.getLogger(__name__)
_NOT_YET = CscError(
    "The previous async request has been accepted but not yet completed",
    error="accepted_request",
    status=202,
)

MAKERS: Mapping[str, Maker] = {later_jobs.SIGN_HASH: later_jobs.sign_hash}
"""Method → what answers a job of it: its members, or a domain error or ``CscError``.

``signDoc`` needs the process's desk beside that, and is not in here.
"""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """``signPolling``."""

    request_id: str
    user_id: str | None


def is_offered(config: RsspConfig) -> bool:
    """Whether there is an asynchronous mode to poll for."""
    return config.asynchronous.threads > 0


def read(parameters: Parameters) -> PollRequest:
    """The members in the order of the error table."""
    request_id = parameters.text("requestID")
    if not is_id(request_id):
        raise invalid("requestID")
    user_id = parameters.value("userID")
    if user_id is not None and not (isinstance(user_id, str) and is_id(user_id)):
        raise invalid("userID")
    parameters.client_data()
    return PollRequest(request_id, user_id)


def poll(services: Services, caller: Caller, request: PollRequest) -> Outcome:
    """The outcome of the caller's own job, or 202. Two statements.

    A job belongs to the client that asked for it and the signer whose key it uses; nothing tells
    a stranger whether it exists. Two more where documents are handed out: they end soon after.
    """
    if caller.subscriber_id is not None and request.user_id is not None:
        raise CscError("userID parameter SHALL be null")
    signer = caller.subscriber_id or request.user_id
    outcome = signing_jobs.find(services, request.request_id, caller.client_id, signer)
    if outcome is None:
        raise _NOT_YET
    if outcome.parts:
        signing_jobs.fetched(services, request.request_id)
    return outcome.status, outcome.members


def give(services: Services, outcome: Outcome) -> Response:
    """The answer of :func:`poll`; documents are sent as they are read."""
    status, members = outcome
    if "kept" in members:
        return later_documents.hand_out(services, dict(members))
    return answer(members, status)


def make(services: Services, job: Claimed, desk: Desk | None = None) -> JobOutcome:
    """What the same request would have been answered without asynchronous mode.

    ``Unavailable`` is raised: the job is tried again.
    """
    method = job.method
    try:
        return JobOutcome(200, _made(services, job, desk))
    except Unavailable:
        raise
    except CscError as error:
        told = error
    except RemoteSigningError as error:
        told = refuse(method, error)
    except Exception:  # noqa: BLE001 - whatever it was, the client must hear of it
        _log.exception("unforeseen", extra={"method": method})
        told = refuse(method, RemoteSigningError("unforeseen, see above"))
    return JobOutcome(told.status, {"error": told.error, "error_description": told.description})


def _made(services: Services, job: Claimed, desk: Desk | None) -> Members:
    if job.method != later_jobs.SIGN_DOC:
        return MAKERS[job.method](services, job.request)
    if desk is None:
        raise Unavailable("no desk for documents in this process")
    return later_documents.make(services, desk, job)
