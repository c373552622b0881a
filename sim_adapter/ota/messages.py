"""What the gateway and the applet say to each other inside a secured packet.

    message = version (01) ‖ kind ‖ fields        field = tag ‖ BER length ‖ value, each tag once

    kind          from     fields
    01 sign       gateway  transaction, mode, not after, sent, and: digest | structure |
                           (text and its coding, code); text and code may stand beside a structure
    02 enrol      gateway  transaction, not after, sent, code, relying party, credential, nonce,
                           algorithm, replace, modes (an octet for each that the key may sign in)
    03 cancel     gateway  transaction
    04 profile    gateway  transaction
    11 accepted   card     transaction: the dialogue has begun (inside the proof of receipt)
    12 signed     card     transaction, algorithm, signature (89 octets with P-256: one message)
    13 enrolled   card     transaction, algorithm, ICCID, public key, proof
    14 profiled   card     transaction, ICCID, algorithm (0: none), key hash, tries
    15 not done   card     transaction, cause

Numbers are big-endian; times are five octets of seconds since 1970 UTC. Whatever is not exactly
this is ``Malformed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.ota.errors import Malformed
from sim_adapter.ota.fields import Fields, Kind, Tag, coded_text, message, parse, time_octets
from sim_adapter.ota.orders import (
    DIGEST_OCTETS,
    Cause,
    Enrolled,
    KeyAlgorithm,
    Mode,
    NotDone,
    Profile,
)
from sim_adapter.ota.tpdu import swapped

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGHEST_CARD_CAUSE = 0x3F
_SIGNATURE_OCTETS = {KeyAlgorithm.P256: 64, KeyAlgorithm.RSA2048: 256}
_LONGEST_CREDENTIAL_ID = 64
_LONGEST_STRUCTURE = 1070  # more does not fit into eight short messages


@dataclass(frozen=True, slots=True)
class SignRequest:
    """Sign something, after showing something."""

    transaction_id: bytes
    mode: Mode
    not_after: int
    sent: int
    text: str | None = None
    code: str | None = None
    digest: bytes = b""
    structure: bytes = b""

    def encode(self) -> bytes:
        """The message; ``TextUnfit`` for a text that no phone should show."""
        fields = [
            (Tag.TRANSACTION, self.transaction_id),
            (Tag.MODE, bytes([self.mode])),
            (Tag.NOT_AFTER, time_octets(self.not_after)),
            (Tag.SENT, time_octets(self.sent)),
        ]
        if self.text is not None:
            fields.append((Tag.TEXT, coded_text(self.text)))
        if self.code is not None:
            fields.append((Tag.CODE, self.code.encode("ascii")))
        if self.digest:
            fields.append((Tag.DIGEST, self.digest))
        if self.structure:
            fields.append((Tag.STRUCTURE, self.structure))
        return message(Kind.SIGN, *fields)


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """Make a key pair."""

    transaction_id: bytes
    not_after: int
    sent: int
    code: str
    relying_party: str
    credential_id: str
    nonce: bytes
    algorithm: KeyAlgorithm
    replace: bool
    modes: tuple[Mode, ...]

    def encode(self) -> bytes:
        """The message; ``TextUnfit`` for a name that no phone should show."""
        return message(
            Kind.ENROL,
            (Tag.TRANSACTION, self.transaction_id),
            (Tag.NOT_AFTER, time_octets(self.not_after)),
            (Tag.SENT, time_octets(self.sent)),
            (Tag.CODE, self.code.encode("ascii")),
            (Tag.RELYING_PARTY, coded_text(self.relying_party)),
            (Tag.CREDENTIAL, self.credential_id.encode("ascii")),
            (Tag.NONCE, self.nonce),
            (Tag.ALGORITHM, bytes([self.algorithm])),
            (Tag.REPLACE, bytes([self.replace])),
            (Tag.MODE, bytes(self.modes)),
        )


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Withdraw an order."""

    transaction_id: bytes

    def encode(self) -> bytes:
        """The message."""
        return message(Kind.CANCEL, (Tag.TRANSACTION, self.transaction_id))


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """Tell about yourself."""

    transaction_id: bytes

    def encode(self) -> bytes:
        """The message."""
        return message(Kind.PROFILE, (Tag.TRANSACTION, self.transaction_id))


@dataclass(frozen=True, slots=True)
class Accepted:
    """The card has begun to ask the person."""

    transaction_id: bytes


@dataclass(frozen=True, slots=True)
class Profiled:
    """A card's profile, for the request with this transaction id."""

    transaction_id: bytes
    profile: Profile


@dataclass(frozen=True, slots=True)
class SignatureMade:
    """A signature. What it covers is known to who asked, and checked by who has the certificate."""

    transaction_id: bytes
    algorithm: KeyAlgorithm
    signature: bytes


Request = SignRequest | EnrolRequest | CancelRequest | ProfileRequest
Answer = Accepted | SignatureMade | Enrolled | Profiled | NotDone


def encode_answer(answer: Answer) -> bytes:
    """The message in which a card says this."""
    transaction = (Tag.TRANSACTION, answer.transaction_id)
    match answer:
        case Accepted():
            return message(Kind.ACCEPTED, transaction)
        case NotDone(cause=cause):
            return message(Kind.NOT_DONE, transaction, (Tag.CAUSE, bytes([cause])))
        case SignatureMade(algorithm=algorithm, signature=signature):
            made = (Tag.SIGNATURE, signature)
            return message(Kind.SIGNED, transaction, (Tag.ALGORITHM, bytes([algorithm])), made)
        case Enrolled():
            return message(
                Kind.ENROLLED,
                transaction,
                (Tag.ALGORITHM, bytes([answer.algorithm])),
                (Tag.ICCID, swapped(answer.iccid)),
                (Tag.PUBLIC_KEY, answer.public_key),
                (Tag.SIGNATURE, answer.proof),
            )
        case Profiled(profile=profile):
            tries = bytes([profile.pin_tries, profile.puk_tries, profile.pin_is_default])
            return message(
                Kind.PROFILED,
                transaction,
                (Tag.ICCID, swapped(profile.iccid)),
                (Tag.ALGORITHM, bytes([profile.algorithm or 0])),
                (Tag.DIGEST, profile.key_sha256),
                (Tag.TRIES, tries),
            )


def parse_request(octets: bytes) -> Request:
    """What the gateway asks; ``Malformed`` otherwise."""
    kind, fields = parse(octets)
    reader = _REQUESTS.get(kind)
    if reader is None:
        raise Malformed("not a request")
    request = reader(fields)
    fields.done()
    return request


def parse_answer(octets: bytes) -> Answer:
    """What a card says; ``Malformed`` otherwise."""
    kind, fields = parse(octets)
    reader = _ANSWERS.get(kind)
    if reader is None:
        raise Malformed("not an answer")
    answer = reader(fields)
    fields.done()
    return answer


def _read_sign(fields: Fields) -> SignRequest:
    transaction_id = fields.transaction()
    (mode,) = fields.modes(1)
    is_structure = mode is Mode.STRUCTURE
    return SignRequest(
        transaction_id,
        mode,
        fields.time(Tag.NOT_AFTER),
        fields.time(Tag.SENT),
        fields.text(Tag.TEXT) if not is_structure or fields.has(Tag.TEXT) else None,
        fields.code() if not is_structure or fields.has(Tag.CODE) else None,
        fields.take(Tag.DIGEST, DIGEST_OCTETS) if mode is Mode.DIGEST else b"",
        fields.take(Tag.STRUCTURE, 1, _LONGEST_STRUCTURE) if is_structure else b"",
    )


def _read_enrol(fields: Fields) -> EnrolRequest:
    credential_id = fields.take(Tag.CREDENTIAL, 1, _LONGEST_CREDENTIAL_ID)
    replace = fields.take(Tag.REPLACE, 1)
    if not credential_id.isascii() or replace not in {b"\0", b"\1"}:
        raise Malformed("not an enrolment")
    return EnrolRequest(
        fields.transaction(),
        fields.time(Tag.NOT_AFTER),
        fields.time(Tag.SENT),
        fields.code(),
        fields.text(Tag.RELYING_PARTY),
        credential_id.decode("ascii"),
        fields.take(Tag.NONCE, DIGEST_OCTETS),
        fields.algorithm(),
        replace == b"\1",
        fields.modes(len(Mode)),
    )


def _read_not_done(fields: Fields) -> NotDone:
    number = fields.take(Tag.CAUSE, 1)[0]
    if number > _HIGHEST_CARD_CAUSE:
        raise Malformed("a cause that no card can know")
    try:
        return NotDone(fields.transaction(), Cause(number))
    except ValueError:
        raise Malformed("no such cause") from None


def _read_signed(fields: Fields) -> SignatureMade:
    algorithm = fields.algorithm()
    signature = fields.take(Tag.SIGNATURE, _SIGNATURE_OCTETS[algorithm])
    return SignatureMade(fields.transaction(), algorithm, signature)


def _read_enrolled(fields: Fields) -> Enrolled:
    algorithm = fields.algorithm()
    proof = fields.take(Tag.SIGNATURE, _SIGNATURE_OCTETS[algorithm])
    iccid, public_key = fields.iccid(), fields.take(Tag.PUBLIC_KEY, 64, 512)
    return Enrolled(fields.transaction(), algorithm, iccid, public_key, proof)


def _read_profiled(fields: Fields) -> Profiled:
    number = fields.take(Tag.ALGORITHM, 1)[0]
    if number and number not in set(KeyAlgorithm):
        raise Malformed("no such algorithm")
    pin_tries, puk_tries, is_default = fields.take(Tag.TRIES, 3)
    key_sha256 = fields.take(Tag.DIGEST, DIGEST_OCTETS if number else 0)
    algorithm = KeyAlgorithm(number) if number else None
    profile = Profile(
        fields.iccid(), algorithm, key_sha256, pin_tries, puk_tries, pin_is_default=is_default == 1
    )
    return Profiled(fields.transaction(), profile)


_REQUESTS: dict[int, Callable[[Fields], Request]] = {
    Kind.SIGN: _read_sign,
    Kind.ENROL: _read_enrol,
    Kind.CANCEL: lambda fields: CancelRequest(fields.transaction()),
    Kind.PROFILE: lambda fields: ProfileRequest(fields.transaction()),
}
_ANSWERS: dict[int, Callable[[Fields], Answer]] = {
    Kind.ACCEPTED: lambda fields: Accepted(fields.transaction()),
    Kind.SIGNED: _read_signed,
    Kind.ENROLLED: _read_enrolled,
    Kind.PROFILED: _read_profiled,
    Kind.NOT_DONE: _read_not_done,
}
