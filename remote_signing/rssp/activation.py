"""The state machine of a signature activation: the only writer of ``signature_activation``.

Every function is synchronous and says how many statements it runs when all goes well. A step is
one guarded UPDATE in autocommit, so of many racers exactly one wins; the loser gets a domain error.
No transaction is open while the SAM works. This module is the whole interface; the steps are in
the files beside it, in the order in which a signature goes through them:

``activation_request`` → ``activation_list``, ``activation_view``, ``activation_refuse``,
``activation_consent`` → ``activation_token`` →
``activation_sign``, ``activation_extend`` between two signatures, and ``activation_recovery`` for
what was left behind.
"""

from __future__ import annotations

from remote_signing.rssp.activation_batch import Answered, approve_all
from remote_signing.rssp.activation_consent import approve, authorize_inline, resume
from remote_signing.rssp.activation_extend import extend
from remote_signing.rssp.activation_history import PastRequest, Receipt, history, receipt
from remote_signing.rssp.activation_list import PendingPage, Wanted, pending
from remote_signing.rssp.activation_model import (
    ActivationDetails,
    ActivationSummary,
    Approved,
    AuthData,
    Channel,
    CredentialToken,
    Denial,
    Denied,
    Document,
    Extension,
    Held,
    NewActivation,
    Pending,
    Prospect,
    Requested,
    SadIssued,
    State,
    Use,
)
from remote_signing.rssp.activation_recovery import expire, prune, recover
from remote_signing.rssp.activation_refuse import deny, pick_code, withdraw_all
from remote_signing.rssp.activation_request import open_request, request_activation
from remote_signing.rssp.activation_sign import foresee, sign_hash
from remote_signing.rssp.activation_token import check_handle, redeem_code, revoke, s256
from remote_signing.rssp.activation_view import details, reviewed

__all__ = [
    "ActivationDetails",
    "ActivationSummary",
    "Answered",
    "Approved",
    "AuthData",
    "Channel",
    "CredentialToken",
    "Denial",
    "Denied",
    "Document",
    "Extension",
    "Held",
    "NewActivation",
    "PastRequest",
    "Pending",
    "PendingPage",
    "Prospect",
    "Receipt",
    "Requested",
    "SadIssued",
    "State",
    "Use",
    "Wanted",
    "approve",
    "approve_all",
    "authorize_inline",
    "check_handle",
    "deny",
    "details",
    "expire",
    "extend",
    "foresee",
    "history",
    "open_request",
    "pending",
    "pick_code",
    "prune",
    "receipt",
    "recover",
    "redeem_code",
    "request_activation",
    "resume",
    "reviewed",
    "revoke",
    "s256",
    "sign_hash",
    "withdraw_all",
]
