"""``credentials/*`` of CSC API v2: list, info, authorize, authorizeCheck (cl. 11.6 to 11.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp import activation
from remote_signing.rssp.activation import AuthData, Channel, NewActivation, Pending
from remote_signing.rssp.csc import visible
from remote_signing.rssp.csc.errors import (
    CscError,
    invalid,
    invalid_authentication_data,
    missing,
    unauthorized_client,
)
from remote_signing.rssp.csc.v2.presentation import credential_info

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation import Requested, SadIssued
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.csc.v2.schemas import AuthorizeRequest, InfoRequest, ListRequest
    from remote_signing.rssp.csc.visible import Credential
    from remote_signing.rssp.deps import Services

_UNBOUND_DIGEST = "sha256"  # the challenge names one even where no hash is bound; nothing uses it

Outcome = tuple[int, dict[str, object]]
"""Status and members of an answer."""


def list_credentials(services: Services, caller: Caller, request: ListRequest) -> Outcome:
    """The signer's credentials: ids, and more when asked. One statement."""
    subscriber_id = _whose(caller, request.user_id)
    members: dict[str, object] = {}
    if request.shown is None:
        ids = visible.ids_of(services, caller, subscriber_id, only_valid=request.only_valid)
    else:
        found = visible.all_of(services, caller, subscriber_id, only_valid=request.only_valid)
        shown, config = request.shown, services.config
        ids = None if found is None else [item.id for item in found]
        members["credentialInfos"] = [
            {"credentialID": item.id, **credential_info(item, shown, config.service.lang)}
            for item in found or ()
        ]
    if ids is None:
        raise invalid("userID")
    if request.only_valid:
        members["onlyValid"] = True
    return 200, {"credentialIDs": ids, **members}


def info(services: Services, caller: Caller, request: InfoRequest) -> Outcome:
    """One credential. One statement."""
    found = visible.one(services, caller, request.credential_id)
    return 200, credential_info(found, request.shown, services.config.service.lang)


def authorize(services: Services, caller: Caller, request: AuthorizeRequest) -> Outcome:
    """Ask the signer (202 and a handle), or take his codes where SCAL1 allows that (200, SAD).

    Two statements to ask, three with codes.
    """
    _only_service(caller)
    found = visible.one(services, caller, request.credential_id)
    if found.scal == "2" and not request.hashes:
        raise missing("array", "hashes")
    if found.takes_codes:
        return 200, _sad(_authorize_inline(services, caller, found, request))
    if any(item.value is not None for item in request.auth_data):
        raise invalid_authentication_data()
    asked = activation.request_activation(services, _new(caller, request, Channel.DECOUPLED))
    return 202, _waiting(asked.ticket, asked)


def authorize_check(services: Services, caller: Caller, handle: Ticket) -> Outcome:
    """How the question stands: 202, or the SAD, once. One or two statements."""
    _only_service(caller)
    found = activation.check_handle(
        services, handle, caller.client_id, subscriber_id=caller.subscriber_id
    )
    if isinstance(found, Pending):
        return 202, _waiting(handle, found)
    return 200, _sad(found)


def _whose(caller: Caller, user_id: str | None) -> str:
    """Whose credentials are listed: by the kind of the token, not by what the client asks."""
    _only_service(caller)
    if caller.subscriber_id is not None:
        if user_id is not None:
            raise CscError("userID parameter MUST be null")
        return caller.subscriber_id
    if user_id is None:
        raise missing("string", "userID")
    return user_id


def _only_service(caller: Caller) -> None:
    if caller.scope != "service":
        raise unauthorized_client()


def _authorize_inline(
    services: Services, caller: Caller, found: Credential, request: AuthorizeRequest
) -> SadIssued:
    """The signer's codes, one for each factor; the expression is the AND of all objects."""
    data = {item.id: item.value for item in request.auth_data}
    complete = data.keys() == {factor.id for factor in found.factors}
    values = [AuthData(name, value) for name, value in data.items() if value is not None]
    if not complete or len(values) != len(request.auth_data):
        raise invalid_authentication_data()
    new = _new(caller, request, Channel.INLINE)
    return activation.authorize_inline(services, new, tuple(values))


def _new(caller: Caller, request: AuthorizeRequest, channel: Channel) -> NewActivation:
    return NewActivation(
        credential_id=request.credential_id,
        client_id=caller.client_id,
        channel=channel,
        hash_algorithm=_UNBOUND_DIGEST if request.digest is None else request.digest.name,
        hashes=request.hashes,
        num_signatures=request.num_signatures,
        description=request.description,
        client_data=request.client_data,
        lang=request.lang,
        subscriber_id=caller.subscriber_id,
        agencies=caller.agencies if caller.subscriber_id is None else None,
    )


def _waiting(handle: Ticket, asked: Requested | Pending) -> dict[str, object]:
    # The code is not the standard's: the portal shows it, so that the signer can see that the
    # question on the phone is the one that was asked here (docs/csc-divergences.md).
    return {"handle": str(handle), "verificationCode": asked.verification_code}


def _sad(issued: SadIssued) -> dict[str, object]:
    return {"SAD": str(issued.ticket), "expiresIn": issued.expires_in}
