"""The values of the state machine of :mod:`remote_signing.rssp.activation`."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from remote_signing.rssp.attached import from_members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remote_signing.identifiers import StoredTicket, Ticket
    from remote_signing.rssp.attached import Attached, Named
    from remote_signing.rssp.request_details import RequestDetails
    from remote_signing.strict_json import JsonValue


class State(StrEnum):
    """Where a signature activation stands.

    PENDING → AUTHORIZED → (SIGNING ⇄ AUTHORIZED while hashes remain) → SIGNED, and
    PENDING → DENIED | EXPIRED | REVOKED, AUTHORIZED → EXPIRED | REVOKED, SIGNING → FAILED.
    """

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    SIGNING = "SIGNING"
    SIGNED = "SIGNED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    FAILED = "FAILED"


class Channel(StrEnum):
    """How the request came and how its outcome goes back.

    OAUTH: pushed authorization request; the outcome is an authorization code in a redirect.
    DECOUPLED: ``credentials/authorize`` answered 202; the portal asks with its handle.
    INLINE: ``credentials/authorize`` with the signer's code in ``authData`` (SCAL1 only).
    """

    OAUTH = "oauth"
    DECOUPLED = "decoupled"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class NewActivation:
    """What a client asks the signer of ``credential_id`` to consent to.

    ``hash_algorithm`` is a name of ``algorithms.DIGESTS``; ``hashes`` are raw digests, one for
    each signature, empty only at SCAL1; ``labels`` go with the hashes. ``code_challenge`` is S256.
    ``authorization_details`` is kept as received and given back with the token (RFC 9396 cl. 7).
    ``subscriber_id`` or ``agencies`` say whose credentials the caller may name at all
    (``agencies`` may hold ``"*"``); both None for a pushed request, where the signer decides.
    ``details``, of a decoupled request, tells the signer more and lets it wait longer.
    ``named`` are the documents that the client wants shown, and ``attached`` those that are
    bound to their hashes (:mod:`.attachments.asking`).
    """

    credential_id: str
    client_id: str
    channel: Channel
    hash_algorithm: str | None
    hashes: tuple[bytes, ...]
    num_signatures: int
    labels: tuple[str | None, ...] = ()
    description: str | None = None
    client_data: str | None = None
    lang: str | None = None
    redirect_uri: str | None = None
    oauth_state: str | None = None
    code_challenge: str | None = None
    dpop_jkt: str | None = None
    authorization_details: JsonValue = None
    subscriber_id: str | None = None
    agencies: tuple[str, ...] | None = None
    details: RequestDetails | None = None
    named: tuple[Named, ...] = ()
    attached: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class Requested:
    """``ticket`` is the secret of the request_uri (oauth) or of the handle (decoupled).

    ``expires_at_ms`` is the end of the request_uri or of the whole activation, likewise.
    """

    activation_id: str
    ticket: Ticket
    verification_code: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to be signed, as the signer sees it. ``digest`` is hexadecimal.

    ``attached`` is None where only the hash is known.
    """

    label: str | None
    digest: str
    attached: Attached | None = None


def documents_of(request: Mapping[str, Any]) -> tuple[Document, ...]:
    """The documents of a request as it is stored."""
    hashes = [base64.b64decode(value).hex() for value in request["hashes"]]
    labels = request["labels"] or [None] * len(hashes)
    attached = {each["position"]: from_members(each) for each in request.get("attached", ())}
    return tuple(
        Document(label, digest, attached.get(position))
        for position, (label, digest) in enumerate(zip(labels, hashes, strict=True))
    )


@dataclass(frozen=True, slots=True)
class ActivationSummary:
    """A line in the signer's list of waiting requests.

    ``verification_code`` is None while the signer has to pick it.
    """

    activation_id: str
    client_id: str
    client_name: str
    description: str | None
    num_signatures: int
    verification_code: str | None
    created_at_ms: int
    expires_at_ms: int
    details: RequestDetails | None = None
    client_logo: str | None = None


@dataclass(frozen=True, slots=True)
class ActivationDetails:
    """Everything the consent page shows.

    ``client_logo`` is a digest of :mod:`.logos`; ``certificate`` is DER; ``redirect_origin`` is
    where the browser goes next (for a CSP form-action), None when it stays; ``passkey_from_ms``
    when the first of the credential's passkeys counts, None without one. ``codes``: the three of
    which the signer has to pick one; then ``verification_code``, which is among them, is None.
    """

    activation_id: str
    state: State
    channel: Channel
    client_id: str
    client_name: str
    client_logo: str | None
    description: str | None
    documents: tuple[Document, ...]
    hash_algorithm: str | None
    num_signatures: int
    verification_code: str | None
    credential_id: str
    credential_description: str | None
    certificate: bytes
    signer_name: str
    lang: str | None
    created_at_ms: int
    expires_at_ms: int
    redirect_origin: str | None
    passkey_from_ms: int | None = None
    codes: tuple[str, ...] = ()
    details: RequestDetails | None = None
    denial: Denial | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """``redirect_to`` carries the code back to the client; None where no browser waits.

    ``sim_is_asked``: a SIM was asked too, and its phone goes on asking.
    """

    redirect_to: str | None
    state: State = State.AUTHORIZED
    sim_is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """``redirect_to`` carries ``access_denied`` back to the client; None as in ``Approved``."""

    redirect_to: str | None
    state: State = State.DENIED


REFUSED, RETURNED = "refused", "returned"
REASONS = (
    "not_requested",  # the signer did not expect it: somebody should look
    "not_competent",  # not his to sign
    "content",  # what the document says is to be changed
    "form",  # how it is laid out (Decree 30/2020/ND-CP) is
    "attachments",  # something is missing beside it
    "duplicate",
    "other",
)
"""Why a signer refuses, or returns the document to be changed and asked for again."""
CODE_MISMATCH = "code_mismatch"
"""The reason of a request that was refused because another code than the portal's was picked."""


@dataclass(frozen=True, slots=True)
class Denial:
    """How a signer says no. ``kind`` is ``refused`` or ``returned``; ``text`` is his own."""

    kind: str
    reason: str
    text: str | None = None

    def members(self) -> dict[str, str | None]:
        """As it is stored and as the client is told."""
        return {"kind": self.kind, "reason": self.reason, "text": self.text}


@dataclass(frozen=True, slots=True)
class CredentialToken:
    """An access token of scope ``credential``. ``expires_in`` in seconds."""

    ticket: Ticket
    expires_in: int
    credential_id: str
    subscriber_id: str
    authorization_details: JsonValue = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The signer has not answered yet; ask again with the same handle."""

    verification_code: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class SadIssued:
    """Signature activation data in the hands of the portal. ``expires_in`` in seconds."""

    ticket: Ticket
    expires_in: int


@dataclass(frozen=True, slots=True)
class Use:
    """One ``signHash`` call.

    ``ticket`` is the credential token or the SAD. With ``service_token`` None it is itself the
    bearer of the request and must be a credential token; otherwise the service token is the
    bearer, and both must belong to the same client and signer. ``jkt`` and ``x5t`` are the
    thumbprints that the request proved (DPoP proof, client certificate). ``client_id`` narrows
    further where the caller is known. ``hashes`` are raw digests; ``sign_algo_params`` is DER.
    """

    ticket: Ticket | StoredTicket
    credential_id: str
    hashes: tuple[bytes, ...]
    sign_algo: str
    hash_algorithm_oid: str | None = None
    sign_algo_params: bytes | None = None
    service_token: Ticket | StoredTicket | None = None
    client_id: str | None = None
    jkt: str | None = None
    x5t: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a caller presents for an activation, without a use of it; members as in :class:`Use`."""

    ticket: Ticket | StoredTicket
    credential_id: str
    service_token: Ticket | StoredTicket | None = None
    client_id: str | None = None
    jkt: str | None = None
    x5t: str | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """``credentials/extendTransaction``: a further SAD of the same consent.

    ``hashes`` are raw digests under ``hash_algorithm``: at SCAL2 among those that the signer was
    shown and that are not signed yet; at SCAL1 without hashes they bind the new SAD. May be empty.
    """

    held: Held
    hashes: tuple[bytes, ...] = ()
    hash_algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class Prospect:
    """Whose a signature will be that may be made later."""

    client_id: str
    subscriber_id: str


@dataclass(frozen=True, slots=True)
class AuthData:
    """One member of CSC ``authData``: ``id`` is a factor's id from ``credentials/info``."""

    id: str
    value: str = field(repr=False)
