"""What the rssp answers, as the pages use it: checked when it comes, never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

State = Literal[
    "PENDING", "AUTHORIZED", "SIGNING", "SIGNED", "DENIED", "EXPIRED", "REVOKED", "FAILED"
]
Logo = Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")]
ServiceState = Literal["PENDING", "GRANTED", "REDEEMED", "DENIED", "EXPIRED"]


class Answer(BaseModel):
    """What the rssp says."""

    # A newer rssp may say more. Input stays out of error texts: it may hold a session.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Signer(Answer):
    """Who is signed in. ``full_name`` is family name first; ``person`` tells officials apart."""

    person: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,22}$")
    full_name: str
    position: str | None = None
    agency: str | None = None


class SignedIn(Answer):
    """A new session: a secret for the cookie."""

    session: str = Field(repr=False, pattern=r"^[0-9a-z]{26}\.[A-Za-z0-9_-]{43}$")
    expires_at: AwareDatetime
    subscriber: Signer


class Details(Answer):
    """What a portal says beside the hashes. ``reference`` is number and symbol together."""

    urgency: Literal["normal", "urgent", "veryUrgent", "express"]
    deadline: AwareDatetime | None
    label: str | None
    reference: str | None
    document_name: str | None
    agency_names: list[str]


class Denial(Answer):
    """How the signer said no; ``text`` is his own."""

    kind: Literal["refused", "returned"]
    reason: str
    text: str | None


class WaitingRequest(Answer):
    """A line of the list of waiting requests. No code: it is still to be picked."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    client_name: str
    client_logo: Logo = None
    description: str | None
    details: Details | None = None
    num_signatures: int
    verification_code: str | None
    expires_at: AwareDatetime


class Happening(Answer):
    """What the signer must hear of: a passkey came, went, or seems to have been copied."""

    id: str = Field(pattern=r"^[0-9a-z]{26}$")
    kind: str
    name: str | None
    created_at: AwareDatetime
    usable_from: AwareDatetime | None


class Portal(Answer):
    """A portal with something in the list."""

    id: str
    name: str


class Waiting(Answer):
    """The list, and the rssp's time when it was made."""

    now: AwareDatetime
    subscriber: Signer
    requests: list[WaitingRequest]
    notices: list[Happening] = []
    total: int = Field(ge=0)
    waiting: int = Field(ge=0)
    mark: str = Field(default="", pattern=r"^[0-9a-z.]{0,31}$")
    after: str | None = None
    portals: list[Portal] = []


class Attached(Answer):
    """The bytes that the signer can see. ``pages`` of a PDF; ``basis`` leads to the hash."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    media_type: Literal["application/pdf", "image/png", "image/jpeg", "text/plain"]
    basis: str
    pages: int | None = None
    remarks: list[str] = []


class Document(Answer):
    """One thing to sign. ``digest`` is hexadecimal; ``attached`` None: only the hash is known."""

    label: str | None
    digest: str
    attached: Attached | None = None


class Certificate(Answer):
    """The signer's certificate. ``serial`` is hexadecimal."""

    holder: str
    organisation: str | None
    issuer: str | None
    serial: str
    not_before: AwareDatetime
    not_after: AwareDatetime


class SimOffer(Answer):
    """A SIM that may be asked; ``cause`` says in words why it is not at present."""

    factor_id: str = Field(pattern=r"^[0-9a-z]{26}$")
    number: str
    is_active: bool
    cause: str | None


class SimQuestion(Answer):
    """What a SIM was asked last. ``cause`` says in words how it ended without consent."""

    state: Literal["WAITING", "APPROVED", "REFUSED", "EXPIRED", "CANCELLED", "FAILED"]
    version: int = Field(ge=0)
    number: str
    display_text: str
    verification_code: str
    expires_at: AwareDatetime
    is_delivered: bool
    cause: str | None


class _Question(Answer):
    now: AwareDatetime
    expires_at: AwareDatetime
    subscriber: Signer
    client_name: str
    client_logo: Logo = None
    redirect_origin: str | None

    @property
    def time_left(self) -> timedelta:
        """From now to the deadline, on the rssp's clock; negative when it is over."""
        return self.expires_at - self.now


class Readable(Answer):
    """Something with documents."""

    documents: list[Document]

    @property
    def attached(self) -> list[tuple[int, Document]]:
        """The documents that can be read here, with their positions."""
        return [(place, item) for place, item in enumerate(self.documents) if item.attached]

    @property
    def hash_only(self) -> int:
        """Of how many documents only the hash is known."""
        return len(self.documents) - len(self.attached)


class SignatureRequest(_Question, Readable):
    """What the signer is asked to sign, with what, for whom, until when."""

    id: str
    state: State
    description: str | None
    hash_algorithm: str | None
    num_signatures: int
    verification_code: str | None
    codes: list[str] = []
    details: Details | None = None
    denial: Denial | None = None
    certificate: Certificate
    sims: list[SimOffer] = []
    sim: SimQuestion | None = None
    passkey_from: AwareDatetime | None = None

    @property
    def has_passkey(self) -> bool:
        """Whether a passkey counts now."""
        return self.passkey_from is not None and self.passkey_from <= self.now

    @property
    def shown_state(self) -> State:
        """``state``; a request whose time is over is expired before anybody has written it down."""
        return (
            "EXPIRED" if self.state == "PENDING" and self.time_left <= timedelta() else self.state
        )


class ServiceRequest(_Question):
    """A portal's wish to see the signer's list of certificates (scope ``service``)."""

    id: str
    state: ServiceState

    @property
    def shown_state(self) -> ServiceState:
        """As for :class:`SignatureRequest`."""
        return (
            "EXPIRED" if self.state == "PENDING" and self.time_left <= timedelta() else self.state
        )


class Outcome(Answer):
    """Where the browser goes next; None where no portal waits for this browser."""

    redirect_to: str | None = Field(repr=False, pattern=r"^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$")
