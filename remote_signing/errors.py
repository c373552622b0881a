"""The facts that can go wrong, one class each.

``RemoteSigningError`` is the root. A class name is the fact; it is also the name of the error on
the SAP wire (:mod:`remote_signing.sap`). What a client is told is decided by one table per wire
(CSC, OAuth, problem details), never here: the text given to an exception is the private cause and
goes to the log only. ``public`` holds the few values a wire may need (a parameter name, a number).

    RemoteSigningError
    ├── InvalidInput              a parameter is missing, of the wrong type or of a bad value
    │   ├── DigestLengthInvalid, PolicyUnaccepted, DocumentUnusable, AttachmentMismatched
    │   ├── AlgorithmUnsupported
    │   └── AlgorithmParametersInvalid
    ├── Refusal                   the input is well-formed and the answer is no
    │   ├── CredentialUnknown, CredentialDisabled, CredentialLocked, CertificateExpired
    │   ├── EvidenceInvalid, EvidenceReplayed, EvidenceInsufficient, FactorRevoked
    │   │   └── PasskeyCopied, PasskeyTooNew
    │   ├── ChallengeInvalid, ChallengeExpired
    │   ├── SadInvalid, SadExpired, HashNotAuthorised, TooManySignatures
    │   ├── OrderInvalid, OrderExpired, SealBroken, RecordRevoked, RevocationListInvalid
    │   ├── StatusContradicted
    │   ├── ActivationUnknown, ActivationExpired, ActivationDenied, ActivationConflict
    │   ├── CodeUnmatched, CodeMismatched
    │   ├── ReplayDetected, SignInRefused, SessionInvalid, AccessRefused
    │   ├── PasskeyUnknown, PasskeyRefused, AttachmentUnknown, LogoUnknown
    │   └── SimUnknown, SimSuspended, SimBusy, SimAskedOften, SimRequestRefused
    └── Unavailable               what was authorised stays so; trying again may work
        ├── SamUnavailable            the SAM may have done its work: the answer is missing
        │   └── SamUnreachable        the SAM was not asked
        ├── HsmUnavailable, SigningInProgress, SimAdapterAway
        ├── ServicesUncertified, ClockSuspicious, TimestampUnavailable
        └── HsmFault              inside the SAM only: ends the worker
            └── SignatureFault
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

type_registry: dict[str, type[RemoteSigningError]] = {}

PublicValue = str | int | bool | None


class RemoteSigningError(Exception):
    """Root of the tree. ``cause`` is private; ``public`` may cross a wire."""

    category: ClassVar[str] = "error"

    def __init__(self, cause: str = "", **public: PublicValue) -> None:
        super().__init__(cause or type(self).__name__)
        self.cause = cause
        self.public: dict[str, PublicValue] = public

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        type_registry[cls.__name__] = cls


def from_wire(name: str, public: Mapping[str, PublicValue]) -> RemoteSigningError:
    """The error called ``name`` by a peer; a name from a newer peer becomes ``SamUnavailable``."""
    kind = type_registry.get(name)
    if kind is None:
        return SamUnavailable(f"unknown error name on the SAP wire: {name!r}")
    return kind("reported by the SAM", **public)


class InvalidInput(RemoteSigningError):
    """A parameter is missing, of the wrong type or has a bad value."""

    category = "input"


class DigestLengthInvalid(InvalidInput):
    """A digest does not have the length of its algorithm."""


class AlgorithmUnsupported(InvalidInput):
    """A signature or digest algorithm is unknown, too weak, or not of this key."""


class AlgorithmParametersInvalid(InvalidInput):
    """``signAlgoParams`` is missing, malformed or contradicts the request."""


class PolicyUnaccepted(InvalidInput):
    """A time stamp is asked for under a policy that is not ours (RFC 3161 cl. 2.4.2)."""


class DocumentUnusable(InvalidInput):
    """A document cannot be signed as asked. Public ``reason`` says why, in a few words."""


class AttachmentMismatched(InvalidInput):
    """A hash to be signed does not follow from the document attached to it (public ``reason``)."""


class Refusal(RemoteSigningError):
    """The request is well-formed and the answer is no."""

    category = "refusal"


class CredentialUnknown(Refusal):
    """No such credential, or none that this caller may see."""


class CredentialDisabled(Refusal):
    """The credential exists and may not be used now."""


class CredentialLocked(Refusal):
    """Too many failed attempts; only the registration authority unlocks."""


class CertificateExpired(Refusal):
    """The signing certificate is outside its validity."""


class EvidenceInvalid(Refusal):
    """A factor did not match. Which one is deliberately not told."""


class EvidenceReplayed(EvidenceInvalid):
    """A one-time code was used before."""


class EvidenceInsufficient(EvidenceInvalid):
    """Fewer factors, or factors of fewer kinds, than the credential demands."""


class FactorRevoked(EvidenceInvalid):
    """The factor was removed; an older record cannot bring it back."""


class PasskeyCopied(EvidenceInvalid):
    """A passkey's counter did not rise: somebody may hold a copy of it."""


class PasskeyTooNew(EvidenceInvalid):
    """A passkey is in its cool-off: it counts for nothing yet."""


class ChallengeInvalid(Refusal):
    """The challenge was not made by this SAM for this credential."""


class ChallengeExpired(Refusal):
    """The challenge is older than its activation."""


class SadInvalid(Refusal):
    """The SAD was not made by this SAM, or for other data, another credential or client."""


class SadExpired(Refusal):
    """The SAD's time is over."""


class HashNotAuthorised(Refusal):
    """A hash is not among those the signer consented to, or was used already."""


class TooManySignatures(Refusal):
    """More signatures than authorised, or than the credential's multisign allows."""


class OrderInvalid(Refusal):
    """A registration-authority order has no valid signature of a pinned key, or does not fit."""


class OrderExpired(Refusal):
    """A registration-authority order is outside its time."""


class SealBroken(Refusal):
    """A sealed record was altered, swapped or made by another cluster."""


class RecordRevoked(Refusal):
    """The credential was destroyed, or its rule of consent replaced: an older record is over."""


class RevocationListInvalid(Refusal):
    """A revocation list has no valid signature or an older number than one seen."""


class StatusContradicted(Refusal):
    """A status is claimed that is not so as far as the SAM knows: a revoked certificate is good."""


class ActivationUnknown(Refusal):
    """No such signature activation, or none that this caller may see."""


class ActivationExpired(Refusal):
    """The signature activation's time is over."""


class ActivationDenied(Refusal):
    """The signer refused. Public ``kind``, ``reason`` and ``text`` say how, where he said it."""


class ActivationConflict(Refusal):
    """The activation is in another state than this step needs: somebody else was first."""


class CodeUnmatched(Refusal):
    """The signer has not picked the code that the portal shows."""


class CodeMismatched(Refusal):
    """The signer picked another code than the portal's: the request is refused."""


class ReplayDetected(Refusal):
    """A one-time value (assertion, proof, code) was seen before."""


class SignInRefused(Refusal):
    """User name or password is wrong, or sign-in is locked for a while."""


class OpenidMisbehaved(SignInRefused):
    """The identity provider, or somebody in its place, answers what it must not."""


class OpenidNotOffered(Refusal):
    """Nobody comes in by an identity provider here."""


class SessionInvalid(Refusal):
    """The session is unknown or over."""


class AccessRefused(Refusal):
    """The caller may not do this."""


class PasskeyUnknown(Refusal):
    """The credential has no such passkey, or the service takes none."""


class PasskeyRefused(Refusal):
    """A new passkey is not one that the SAM takes: how it was made, or of what kind it is."""


class PinRefused(Refusal):
    """A signing PIN that nobody may have: its shape, or too many would guess it."""


class PinNotOffered(Refusal):
    """The credential has no PIN to be chosen with a code, or not with this one any more."""


class AttachmentUnknown(Refusal):
    """There is no such attachment of this client, or no such document of this waiting request."""


class LogoUnknown(Refusal):
    """No client has a logo of that digest."""


class SimUnknown(Refusal):
    """The credential has no such SIM, or the service takes none."""


class SimSuspended(Refusal):
    """The SIM must be enrolled anew before it is asked again."""


class SimBusy(Refusal):
    """The SIM or the request has an open question already."""


class SimAskedOften(Refusal):
    """A phone has rung often enough for this request; it may be answered in another way."""


class SimRequestRefused(Refusal):
    """The SIM adapter does not take a request as it is; the cause is its problem code."""


class Unavailable(RemoteSigningError):
    """Nothing that a person gave was used up; the same request may succeed later."""

    category = "unavailable"


class SamUnavailable(Unavailable):
    """No usable answer from the SAM in time. It may have done what it was asked."""


class SamUnreachable(SamUnavailable):
    """The SAM cannot be reached: it was not asked at all."""


class HsmUnavailable(Unavailable):
    """No HSM node could do the operation in time."""


class SigningInProgress(Unavailable):
    """Another request is using this activation at this moment."""


class OpenidAway(Unavailable):
    """The identity provider gives no answer, or is out of order. Other ways in still work."""


class SimAdapterAway(Unavailable):
    """The SIM adapter gives no answer that can be used."""


class ServicesUncertified(Unavailable):
    """This SAM host has no keys for OCSP and time stamps yet, or their certificates have ended."""


class ClockSuspicious(Unavailable):
    """The SAM host's clock went back or jumped: no time is certified until an operator looked."""


class TimestampUnavailable(Unavailable):
    """No time-stamping authority, own or outside, gave a valid time stamp."""


class HsmFault(Unavailable):
    """A PKCS#11 result outside the allow-list. Ends the worker process; never crosses the SAP."""


class SignatureFault(HsmFault):
    """A token made a signature that does not verify. The node is taken out."""
