"""``credentials/create`` and ``credentials/delete`` (CSC API v2.2 cl. 11.4, 11.5).

Both are requests to the registration authority (:mod:`remote_signing.rssp.credential_requests`).
The right to make them is the client's: it is registered with the scope ``credential-creation`` or
``credential-deletion``, and its token reaches the signer as in ``credentials/list``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remote_signing.errors import CredentialDisabled
from remote_signing.rssp import credential_requests, subscribers
from remote_signing.rssp.credential_requests import NewRequest
from remote_signing.rssp.csc.errors import CscError, invalid, unauthorized_client
from remote_signing.rssp.csc.v2.credentials import only_service, reachable
from remote_signing.rssp.csc.v2.schemas import read_credential_id
from remote_signing.rssp.csc.wire import NO_CONTENT
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.deps import Services
    from remote_signing.strict_json import JsonValue

CREATION: Final = "credential-creation"
DELETION: Final = "credential-deletion"

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,15})){1,20}")
_LONGEST_NAME = 64
_LONGEST_CLAIM = 255
_MOST_CLAIMS = 30
_REASONS = frozenset(range(11)) - {7}  # CRLReason of RFC 5280 cl. 5.3.1; 7 is not used


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """``credentials/create``. ``subject`` are claims for the authority to compare with its own."""

    policy: str
    subject: dict[str, JsonValue] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """``credentials/delete``. ``reason`` is a CRLReason; None without revocation."""

    credential_id: str
    reason: int | None


def read_create(parameters: Parameters) -> CreateRequest:
    """CSC API v2.2 cl. 11.4."""
    request = parameters.object("credentialCreationRequest")
    policy = request.text("certificatePolicy")
    if _OID.fullmatch(policy) is None:
        raise invalid("certificatePolicy")
    subject = request.value("subjectData")
    if subject is not None and not isinstance(subject, dict):
        raise invalid("subjectData")
    claims = subject or {}
    if len(claims) > _MOST_CLAIMS or not all(map(_is_claim, claims, claims.values())):
        raise invalid("subjectData")
    parameters.client_data()
    # Of what the authority knows better, only the texts are passed on.
    return CreateRequest(policy, {n: v for n, v in claims.items() if isinstance(v, str)})


def _is_claim(name: str, value: JsonValue) -> bool:
    """Whether it is short, and seen as it is by the authority's staff."""
    text = value if isinstance(value, str) else ""
    is_short = len(name) <= _LONGEST_NAME and len(text) <= _LONGEST_CLAIM
    return is_short and is_showable(name + text)


def read_delete(parameters: Parameters) -> DeleteRequest:
    """CSC API v2.2 cl. 11.5."""
    request = parameters.object("credentialDeletionRequest")
    credential_id = read_credential_id(request)
    reason = request.value("revocationReason") if request.flag("revoke") else None
    if request.flag("revoke") and (type(reason) is not int or reason not in _REASONS):
        raise invalid("revocationReason")
    parameters.client_data()
    return DeleteRequest(credential_id, reason if type(reason) is int else None)


def create(services: Services, caller: Caller, request: CreateRequest) -> Outcome:
    """File the request: 202, for what only the registration authority can do. Three statements."""
    _check_right(services, caller, CREATION)
    if request.policy not in services.config.policy.certificate_policies:
        raise invalid("certificatePolicy")
    detail: dict[str, JsonValue] = {"policy": request.policy, "subject": request.subject}
    subscriber_id = _subject_of(services, caller, request)
    new = NewRequest(caller.client_id, subscriber_id, detail)
    credential_requests.ask_for_credential(services, new)
    raise CscError(
        "The request is filed with the registration authority; credentials/list will name the"
        " credential when it is issued",
        error="accepted_request",
        status=202,
    )


def delete(services: Services, caller: Caller, request: DeleteRequest) -> Outcome:
    """Out of use at once, and filed for its end: 204. Five statements."""
    _check_right(services, caller, DELETION)
    found = reachable(services, caller, request.credential_id)
    detail: dict[str, JsonValue] = {"revocation_reason": request.reason}
    new = NewRequest(caller.client_id, found.subscriber_id, detail)
    if not credential_requests.ask_for_deletion(services, new, found.id):
        raise CredentialDisabled("not in use")
    return NO_CONTENT, {}


def _check_right(services: Services, caller: Caller, scope: str) -> None:
    only_service(caller)
    client = services.clients.get(caller.client_id)
    if client is None or scope not in client.scopes:
        raise unauthorized_client()


def _subject_of(services: Services, caller: Caller, request: CreateRequest) -> str:
    """Whose the credential shall be: the token's signer, or, without one, the claim ``sub``."""
    if caller.subscriber_id is not None:
        return caller.subscriber_id
    claimed = request.subject.get("sub")
    found = subscribers.get(services.database, claimed) if isinstance(claimed, str) else None
    if found is None or not {"*", found.agency_id} & set(caller.agencies):
        raise invalid("subjectData")
    return found.id
