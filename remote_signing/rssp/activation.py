"""The state machine of a signature activation: the only writer of ``signature_activation``.

Every function is synchronous and says how many statements it runs when all goes well. A step is
one guarded UPDATE in autocommit, so of many racers exactly one wins; the loser gets a domain error.
No transaction is open while the SAM works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.activation_model import (
    ActivationDetails,
    ActivationSummary,
    Approved,
    AuthData,
    Channel,
    CredentialToken,
    Denied,
    Document,
    NewActivation,
    Pending,
    Requested,
    SadIssued,
    State,
    Use,
)

if TYPE_CHECKING:
    from remote_signing.identifiers import Ticket
    from remote_signing.rssp.deps import Services

__all__ = [
    "ActivationDetails",
    "ActivationSummary",
    "Approved",
    "AuthData",
    "Channel",
    "CredentialToken",
    "Denied",
    "Document",
    "NewActivation",
    "Pending",
    "Requested",
    "SadIssued",
    "State",
    "Use",
]


def request_activation(services: Services, new: NewActivation) -> Requested:
    """Ask the signer (channel oauth or decoupled). One statement.

    Errors: ``CredentialUnknown``, ``CredentialDisabled``, ``CredentialLocked``,
    ``CertificateExpired``, ``TooManySignatures``, ``DigestLengthInvalid``, ``InvalidInput``
    (parameter ``hashes``, ``numSignatures``), ``SamUnavailable``, ``HsmUnavailable``.
    """
    raise NotImplementedError


def open_request(services: Services, client_id: str, ticket: Ticket) -> str:
    """Use a request_uri up (GET oauth2/authorize); the activation's id. One statement.

    Errors: ``ActivationUnknown``, ``ActivationExpired``, ``ReplayDetected``.
    """
    raise NotImplementedError


def details(services: Services, activation_id: str, subscriber_id: str) -> ActivationDetails:
    """What the consent page shows to the credential's owner. One statement.

    Errors: ``ActivationUnknown`` (also for somebody else's).
    """
    raise NotImplementedError


def pending_for(services: Services, subscriber_id: str) -> list[ActivationSummary]:
    """The requests that wait for this signer, oldest first. One statement.

    A pushed authorization request counts only after a browser has opened it.
    """
    raise NotImplementedError


def approve(
    services: Services, session: Ticket, activation_id: str, pin: str, otp: str
) -> Approved:
    """The signer consents with PIN and one-time code. Two statements.

    Errors: ``SessionInvalid``, ``ActivationUnknown``, ``ActivationExpired``, ``ActivationDenied``,
    ``ActivationConflict``, ``EvidenceInvalid`` (public ``attempts_left``; ``EvidenceReplayed``
    when the code was used before), ``CredentialLocked``, ``CredentialDisabled``,
    ``CertificateExpired``, ``Unavailable``.
    """
    raise NotImplementedError


def authorize_inline(
    services: Services, new: NewActivation, auth_data: tuple[AuthData, ...]
) -> SadIssued:
    """SCAL1 ``credentials/authorize`` with codes in ``authData``. Two statements.

    Errors: as :func:`request_activation` and :func:`approve`; ``AccessRefused`` at SCAL2.
    """
    raise NotImplementedError


def deny(services: Services, session: Ticket, activation_id: str) -> Denied:
    """The signer refuses. One statement. Errors: as :func:`approve`, without the evidence."""
    raise NotImplementedError


def redeem_code(  # noqa: PLR0913 - each is a parameter of the token request
    services: Services,
    ticket: Ticket,
    *,
    client_id: str,
    redirect_uri: str,
    code_verifier: str,
    jkt: str | None = None,
    x5t: str | None = None,
) -> CredentialToken:
    """Turn an authorization code into a credential token. One statement.

    Errors: ``ActivationUnknown`` (no such code), ``ActivationExpired``, ``AccessRefused`` (public
    ``reason``: ``client``, ``redirect_uri``, ``code_verifier`` or ``dpop``), ``ReplayDetected``:
    a second use, which also revokes what the first use gave.
    """
    raise NotImplementedError


def check_handle(
    services: Services,
    handle: Ticket,
    client_id: str,
    *,
    subscriber_id: str | None = None,
) -> Pending | SadIssued:
    """How a decoupled request stands; gives the SAD once, then the handle is spent.

    One statement while pending, two when the SAD is given. ``subscriber_id`` limits to that
    signer. Errors: ``ActivationUnknown`` (also a spent handle), ``ActivationDenied``,
    ``ActivationExpired``.
    """
    raise NotImplementedError


def revoke(services: Services, ticket: Ticket, client_id: str) -> bool:
    """End the activation whose token, SAD, code or handle this is (RFC 7009). One statement.

    False when it is not one of this client's. Idempotent.
    """
    raise NotImplementedError


def sign_hash(services: Services, use: Use) -> tuple[bytes, ...]:
    """Sign authorised hashes (CSC API v2 cl. 11.10), in the order asked. Two statements.

    That is for all hashes of the activation in one call; a part of them costs one more. An
    identical repeat gets the same signatures again without a use of the key.

    Errors: ``AccessRefused`` (public ``reason="invalid_token"``: the bearer token), ``SadInvalid``,
    ``SadExpired``, ``HashNotAuthorised``, ``TooManySignatures``, ``SigningInProgress``,
    ``CredentialDisabled``, ``CertificateExpired``, ``AlgorithmUnsupported``,
    ``AlgorithmParametersInvalid``, ``DigestLengthInvalid``, ``Unavailable``.
    """
    raise NotImplementedError


def recover(services: Services) -> int:
    """Fail the activations whose signature's outcome is unknown; how many. One statement."""
    raise NotImplementedError


def expire(services: Services) -> int:
    """Expire what is over; how many. One statement per 500."""
    raise NotImplementedError
