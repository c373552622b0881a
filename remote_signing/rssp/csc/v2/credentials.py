"""``credentials/*`` of CSC API v2: list, info, authorize, authorizeCheck, getChallenge.

CSC API v2.2 cl. 11.6 to 11.10. What v1 has of them is the same, behind another wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import CredentialUnknown
from remote_signing.identifiers import is_id
from remote_signing.rssp import activation, credentials
from remote_signing.rssp.activation import AuthData, Channel, NewActivation, Pending
from remote_signing.rssp.attachments import asking
from remote_signing.rssp.csc.errors import (
    CscError,
    invalid,
    invalid_authentication_data,
    missing,
    unauthorized_client,
)
from remote_signing.rssp.csc.v2.presentation import credential_info, is_usable, takes_codes

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.activation import Requested, SadIssued
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.v2.schemas import (
        AuthorizeRequest,
        ChallengeWanted,
        InfoRequest,
        ListRequest,
    )
    from remote_signing.rssp.deps import Services

_UNBOUND_DIGEST = "sha256"  # the challenge names one even where no hash is bound; nothing uses it

Outcome = tuple[int, dict[str, object]]
"""Status and members of an answer."""


def list_credentials(services: Services, caller: Caller, request: ListRequest) -> Outcome:
    """The signer's credentials: ids, and more when asked. One statement.

    A user that the caller may not see has none, like a user that does not exist.
    """
    found = of_user(services, caller, request.user_id, only_valid=request.only_valid)
    members: dict[str, object] = {"credentialIDs": [item.id for item in found]}
    if request.shown is not None:
        members["credentialInfos"] = [
            {"credentialID": item.id, **credential_info(services, item, request.shown)}
            for item in found
        ]
    if request.only_valid:
        members["onlyValid"] = True
    return 200, members


def of_user(
    services: Services, caller: Caller, user_id: str | None, *, only_valid: bool = False
) -> list[CredentialView]:
    """The credentials that ``credentials/list`` is about. One statement."""
    subscriber_id = _whose(caller, user_id)
    return [
        item
        for item in credentials.of_subscriber(
            services.database, subscriber_id, agencies=_agencies(caller)
        )
        if item.certificate is not None  # else it is not finished yet
        and (not only_valid or is_usable(item, services.now_ms()))
    ]


def info(services: Services, caller: Caller, request: InfoRequest) -> Outcome:
    """One credential. One statement."""
    found = reachable(services, caller, request.credential_id)
    return 200, credential_info(services, found, request.shown)


def authorize(services: Services, caller: Caller, request: AuthorizeRequest) -> Outcome:
    """Ask the signer (202 and a handle), or take his codes where SCAL1 allows that (200, SAD).

    Two statements to ask, three with codes; with documents see :mod:`.attachments.asking`.
    """
    only_service(caller)
    found = reachable(services, caller, request.credential_id)
    if found.scal == "2" and not request.hashes:
        raise missing("array", "hashes")
    if takes_codes(found):
        return with_codes(services, caller, found, request)
    if any(item.value is not None for item in request.auth_data):
        raise invalid_authentication_data()
    asked = asking.request(services, _new(caller, request, Channel.DECOUPLED))
    return 202, _waiting(asked.ticket, asked)


def authorize_check(services: Services, caller: Caller, handle: Ticket) -> Outcome:
    """How the question stands: 202, or the SAD, once. One or two statements."""
    only_service(caller)
    found = activation.check_handle(
        services, handle, caller.client_id, subscriber_id=caller.subscriber_id
    )
    if isinstance(found, Pending):
        return 202, _waiting(handle, found)
    return 200, _sad(found)


def _whose(caller: Caller, user_id: str | None) -> str:
    """Whose credentials are listed: by the kind of the token, not by what the client asks."""
    only_service(caller)
    if caller.subscriber_id is not None:
        if user_id is not None:
            raise CscError("userID parameter MUST be null")
        return caller.subscriber_id
    if user_id is None:
        raise missing("string", "userID")
    if not is_id(user_id):
        raise invalid("userID")
    return user_id


def reachable(services: Services, caller: Caller, credential_id: str) -> CredentialView:
    """The credential, when the caller's token reaches it; nothing tells whether it exists else.

    One statement. ``CredentialUnknown``.
    """
    found = None
    if caller.credential_id in {None, credential_id}:
        found = credentials.visible(
            services.database,
            credential_id,
            subscriber_id=caller.subscriber_id,
            agencies=_agencies(caller),
        )
    if found is None or found.certificate is None:
        raise CredentialUnknown("no such credential for this caller, or not finished yet")
    return found


def _agencies(caller: Caller) -> tuple[str, ...] | None:
    """The limit of a token that is no signer's."""
    return caller.agencies if caller.subscriber_id is None else None


def only_service(caller: Caller) -> None:
    """Refuse a token of scope ``credential``."""
    if caller.scope != "service":
        raise unauthorized_client()


def get_challenge(services: Services, caller: Caller, request: ChallengeWanted) -> Outcome:
    """No factor here answers a challenge that a portal could show: every object is refused.

    A one-time code comes from the signer's own authenticator, and consent from our own page, with
    the challenge that the SAM makes of the exact hashes. One statement.
    """
    only_service(caller)
    reachable(services, caller, request.credential_id)
    raise invalid("authObjectID")


def with_codes(
    services: Services, caller: Caller, found: CredentialView, request: AuthorizeRequest
) -> Outcome:
    """``credentials/authorize`` with the signer's codes, of a credential that takes them."""
    return 200, _sad(_authorize_inline(services, caller, found, request))


def factor_of_kind(found: CredentialView, kind: str) -> str | None:
    """The id of the credential's first factor of that kind."""
    return next((factor_id for factor_id, its_kind in found.factors if its_kind == kind), None)


def _authorize_inline(
    services: Services, caller: Caller, found: CredentialView, request: AuthorizeRequest
) -> SadIssued:
    """The signer's codes, one for each factor; the expression is the AND of all objects.

    ``PIN`` and ``OTP`` stand for the factor of that kind, as v1 names them.
    """
    named = {"PIN": factor_of_kind(found, "pin"), "OTP": factor_of_kind(found, "totp")}
    data = {named.get(item.id) or item.id: item.value for item in request.auth_data}
    complete = data.keys() == {factor_id for factor_id, _ in found.typed_factors}
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
        agencies=_agencies(caller),
        # With the signer's codes in hand nobody is shown anything.
        details=request.details if channel is Channel.DECOUPLED else None,
        named=request.named if channel is Channel.DECOUPLED else (),
    )


def _waiting(handle: Ticket, asked: Requested | Pending) -> dict[str, object]:
    # The code is not the standard's: the portal shows it, so that the signer can see that the
    # question on the phone is the one that was asked here; the id, which is the handle's open half,
    # is what a webhook names (docs/csc-divergences.md).
    return {
        "handle": str(handle),
        "verificationCode": asked.verification_code,
        "activationID": handle.row_id,
    }


def _sad(issued: SadIssued) -> dict[str, object]:
    return {"SAD": str(issued.ticket), "expiresIn": issued.expires_in}
