"""What can go wrong for who calls the service, one class each.

ClientError
├── NotReached          no try arrived: nothing has happened
├── OutcomeUnknown      a try may have arrived, and its answer is missing
├── AnswerUnusable      an answer that the standard does not know
└── Refused             the service said no: status, error, description, request id
    ├── Unavailable         not now (429, 503): nothing was used up
    ├── ServerFault         an accident of the service (500): tell its operator the request id
    ├── MethodMissing       the service does not offer the method (501)
    ├── TokenRefused        the access token is over, revoked or not proved (401)
    ├── ClientRefused       who asks is not who is registered, or may not ask this
    ├── GrantRefused        code or refresh token is over, used or somebody else's
    ├── Denied              the signer said no, gave no answer in time, or a wrong code
    └── HashNotAuthorised   the signer did not consent to this hash, or it is signed already
"""

from __future__ import annotations

from dataclasses import dataclass


class ClientError(Exception):
    """Root of the tree."""


class NotReached(ClientError):
    """Every try failed before it was sent: nothing has happened, and nothing was used up."""


class OutcomeUnknown(ClientError):
    """A request was sent and no answer came.

    After ``signHash``, and ``signDoc`` with a claimed time, the same call gives the signatures,
    without a second use of the key, for as long as the authorisation lives. After other calls look
    before you ask again: docs/integrate.md says for each what its loss means.
    """


class AnswerUnusable(ClientError):
    """The answer is not what the CSC API or OAuth says it must be."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An error as the wire has it.

    ``after_unknown``: an earlier try of the same call may have been done. ``retry_after`` is in
    seconds, when the service named a time.
    """

    method: str
    status: int
    error: str
    description: str
    request_id: str | None = None
    after_unknown: bool = False
    retry_after: float | None = None


class Refused(ClientError):
    """The service answered no."""

    def __init__(self, reason: Reason) -> None:
        told = f"{reason.method}: {reason.error} ({reason.status}): {reason.description}"
        super().__init__(told)
        self.reason = reason


class Unavailable(Refused):
    """Not now: nothing was used up, and the same call may succeed later."""


class ServerFault(Refused):
    """An accident of the service; ``reason.request_id`` finds it in the service's log."""


class MethodMissing(Refused):
    """The service does not offer this method; ``info`` names those it does."""


class TokenRefused(Refused):
    """The access token is over, revoked, unknown, or not proved to be ours."""


class ClientRefused(Refused):
    """The client did not authenticate as it is registered, or may not use the method."""


class GrantRefused(Refused):
    """The authorization code or refresh token is over, used, or not ours."""


class Denied(Refused):
    """The signer refused, did not answer in time, or gave a wrong code."""


class HashNotAuthorised(Refused):
    """The signer did not consent to the hash, or it has been signed."""


_BY_ERROR: dict[str, type[Refused]] = {
    "invalid_token": TokenRefused,
    "expired_token": TokenRefused,
    "invalid_dpop_proof": TokenRefused,
    "invalid_client": ClientRefused,
    "unauthorized_client": ClientRefused,
    "invalid_grant": GrantRefused,
    "access_denied": Denied,
    "authentication_error": Denied,
    "invalid_authentication_data": Denied,
    "invalid_otp": Denied,
    "invalid_pin": Denied,
    "invalid_hash": HashNotAuthorised,
    "temporarily_unavailable": Unavailable,
}
_BY_STATUS: dict[int, type[Refused]] = {
    401: ClientRefused,
    429: Unavailable,
    500: ServerFault,
    501: MethodMissing,
    503: Unavailable,
}
# CSC API v2.2 cl. 11.13 has no error code of its own for it, only this text.
_NOT_AUTHORISED = "Hash is not authorized by the SAD"


def refusal(reason: Reason) -> Refused:
    """The error of the right class: by its code, else by its status."""
    if reason.description.startswith(_NOT_AUTHORISED):
        return HashNotAuthorised(reason)
    kind = _BY_ERROR.get(reason.error) or _BY_STATUS.get(reason.status, Refused)
    return kind(reason)
