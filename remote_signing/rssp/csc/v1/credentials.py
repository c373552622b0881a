"""``credentials/*`` of CSC API v1 (cl. 11.4 to 11.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.errors import CredentialLocked, EvidenceInvalid
from remote_signing.rssp.csc.errors import CscError, unauthorized_client
from remote_signing.rssp.csc.v1.errors import factor_refused, invalid_otp, invalid_pin
from remote_signing.rssp.csc.v1.presentation import credential_info
from remote_signing.rssp.csc.v1.schemas import page_token
from remote_signing.rssp.csc.v2.credentials import (
    factor_of_kind,
    of_user,
    only_service,
    reachable,
    with_codes,
)
from remote_signing.rssp.csc.v2.presentation import takes_codes

if TYPE_CHECKING:
    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.v1.schemas import CodesRequest, ListRequest
    from remote_signing.rssp.csc.v2.credentials import Outcome
    from remote_signing.rssp.csc.v2.schemas import InfoRequest
    from remote_signing.rssp.deps import Services


def list_credentials(services: Services, caller: Caller, request: ListRequest) -> Outcome:
    """A page of the signer's credentials, oldest first. One statement."""
    found = [item.id for item in of_user(services, caller, request.user_id)]
    following = [name for name in found if name > request.after]
    page = following[: request.count]
    members: dict[str, object] = {"credentialIDs": page}
    if len(following) > len(page):
        members["nextPageToken"] = page_token(page[-1])
    return 200, members


def info(services: Services, caller: Caller, request: InfoRequest) -> Outcome:
    """One credential. One statement."""
    found = reachable(services, caller, request.credential_id)
    return 200, credential_info(services, found, request.shown)


def authorize(services: Services, caller: Caller, request: CodesRequest) -> Outcome:
    """A SAD for the signer's codes. Three statements.

    Only for credentials that take codes from an application (mode ``explicit``, SCAL1). v1 has no
    way to wait for a signer without holding the request open, so it cannot ask one on the phone:
    credentials of SCAL2 are ``oauth2code`` here, with which this method shall not be used.
    """
    only_service(caller)
    found = reachable(services, caller, request.asked.credential_id)
    if not takes_codes(found):
        raise unauthorized_client()
    has_pin, has_otp = _check_presence(found, request)
    try:
        return with_codes(services, caller, found, request.asked)
    except (CredentialLocked, EvidenceInvalid) as error:
        raise factor_refused(error, pin=has_pin, otp=has_otp) from error


def _check_presence(found: CredentialView, request: CodesRequest) -> tuple[bool, bool]:
    """Each factor that the credential has, and no other. Whether it has a PIN, and a code."""
    has_pin = factor_of_kind(found, "pin") is not None
    has_otp = factor_of_kind(found, "totp") is not None
    if bool(request.pin) != has_pin:
        raise invalid_pin()
    if bool(request.otp) != has_otp:
        raise invalid_otp()
    return has_pin, has_otp


def send_otp(services: Services, caller: Caller, credential_id: str) -> Outcome:
    """No code is ever sent: refused, so that nobody waits for one. One statement.

    Every one-time code here comes from the signer's own authenticator (``OTP.type`` "offline",
    which this method is not for). 204 would say that a message is on its way.
    """
    only_service(caller)
    found = reachable(services, caller, credential_id)
    if found.locked:
        raise CscError("OTP locked")
    raise CscError("The OTP of this credential is made by the signer's own device, none is sent")
