"""What the gateway is asked for, and what became of it.

Nothing here is a signature check: a :class:`Signed` says that the card which holds the record's
keys answered. Whether the signature is good is decided by whoever holds the certificate.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sim_adapter.ota.structure import is_code

TRANSACTION_ID_OCTETS = 16
DIGEST_OCTETS = 32


class Mode(enum.IntEnum):
    """What the card signs, always as SHA-256. All modes show the text and the code first."""

    DIGEST = 1  # the digest that is given; the person trusts the sender for the link to the text
    STRUCTURE = 2  # the consent structure, after checking that it says what was shown
    TEXT = 3  # the text that was shown, in UTF-8


class KeyAlgorithm(enum.IntEnum):
    """The key pair inside the card and the form of its signatures."""

    P256 = 1  # ECDSA, r and s of 32 octets each
    RSA2048 = 2  # PKCS#1 v1.5, 256 octets


class Cause(enum.IntEnum):
    """Why there is no result. Values below 0x40 are also what a card says (one octet)."""

    REFUSED = 0x01  # the person said no
    NO_ANSWER = 0x02  # the person did nothing in the handset's time
    EXPIRED = 0x03  # the deadline passed
    CANCELLED = 0x04  # the order was withdrawn
    PIN_BLOCKED = 0x05  # the signing PIN is blocked; the PUK opens it again
    CARD_BLOCKED = 0x06  # PIN and PUK are blocked
    NO_KEY = 0x07  # the card holds no signing key
    KEY_EXISTS = 0x08  # the card holds a key and was not told to replace it
    BUSY = 0x09  # another order is open for this card
    REPLAYED = 0x0A  # the card has seen this transaction id
    TEXT_REFUSED = 0x0B  # the card will not show this text
    STRUCTURE_REFUSED = 0x0C  # the consent structure says something else than the text shown
    NOT_UNDERSTOOD = 0x0D  # the card cannot read the order
    CARD_FAULT = 0x0E  # the handset or the card failed on the way
    UNREACHABLE = 0x40  # the network did not take or deliver the message
    CARD_REFUSED = 0x41  # the card refused the secured packet
    TOO_LONG = 0x42  # the order does not fit into the messages that a card takes


# What an operator's MSSP reports for each cause (ETSI TS 102 204, status and fault codes).
TS_102_204_CODES = {
    Cause.REFUSED: 401,
    Cause.NO_ANSWER: 208,
    Cause.EXPIRED: 208,
    Cause.CANCELLED: 401,
    Cause.PIN_BLOCKED: 402,
    Cause.CARD_BLOCKED: 403,
    Cause.NO_KEY: 404,
    Cause.KEY_EXISTS: 407,
    Cause.BUSY: 406,
    Cause.REPLAYED: 406,
    Cause.TEXT_REFUSED: 107,
    Cause.STRUCTURE_REFUSED: 107,
    Cause.NOT_UNDERSTOOD: 101,
    Cause.CARD_FAULT: 406,
    Cause.UNREACHABLE: 209,
    Cause.CARD_REFUSED: 209,
    Cause.TOO_LONG: 103,
}


def _check(transaction_id: bytes, code: str) -> None:
    if len(transaction_id) != TRANSACTION_ID_OCTETS or not is_code(code):
        raise ValueError("not a transaction id, or not a verification code")


@dataclass(frozen=True, slots=True)
class SignOrder:
    """One signature. ``digest`` belongs to mode DIGEST, ``structure`` to mode STRUCTURE only."""

    transaction_id: bytes  # 16 octets, never used twice
    mode: Mode
    text: str  # see sim_adapter.ota.text: 239 units of GSM-7 or 119 of UCS-2
    code: str  # 4 to 8 decimal digits, the same as the person reads where the order came from
    not_after: int  # seconds since 1970 UTC; the card refuses to sign later
    digest: bytes = b""  # SHA-256
    structure: bytes = b""

    def __post_init__(self) -> None:
        _check(self.transaction_id, self.code)
        is_digest, is_structure = self.mode is Mode.DIGEST, self.mode is Mode.STRUCTURE
        if len(self.digest) != DIGEST_OCTETS * is_digest or bool(self.structure) != is_structure:
            raise ValueError("the order's mode asks for something else")


@dataclass(frozen=True, slots=True)
class EnrolOrder:
    """Make a key pair inside the card. The card keeps ``relying_party`` and shows it ever after."""

    transaction_id: bytes
    relying_party: str  # at most 40 characters
    credential_id: str  # ASCII, at most 64 characters; part of the proof of possession
    challenge: bytes  # 32 octets of the registration authority; part of the proof
    code: str
    not_after: int
    algorithm: KeyAlgorithm = KeyAlgorithm.P256
    replace: bool = False  # a key that is there is destroyed; without this the card says KEY_EXISTS
    # What the key may ever sign, rising. Without DIGEST it signs only what its card has read.
    modes: tuple[Mode, ...] = (Mode.STRUCTURE,)

    def __post_init__(self) -> None:
        _check(self.transaction_id, self.code)
        if len(self.challenge) != DIGEST_OCTETS or not self.credential_id.isascii():
            raise ValueError("not a challenge, or not a credential's id")


@dataclass(frozen=True, slots=True)
class Signed:
    """The card's signature over ``digest``: r‖s (64 octets) for P-256, PKCS#1 v1.5 for RSA."""

    transaction_id: bytes
    algorithm: KeyAlgorithm
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A new public key and the proof that the card holds its private part.

    ``proof`` is a signature over :func:`sim_adapter.ota.structure.possession` of the order.
    """

    transaction_id: bytes
    algorithm: KeyAlgorithm
    iccid: str
    public_key: bytes  # SubjectPublicKeyInfo, DER
    proof: bytes


@dataclass(frozen=True, slots=True)
class Profile:
    """What a card tells about itself without asking the person."""

    iccid: str
    algorithm: KeyAlgorithm | None  # None: no key
    key_sha256: bytes  # of the SubjectPublicKeyInfo; empty without a key
    pin_tries: int  # 0: blocked
    puk_tries: int
    pin_is_default: bool


@dataclass(frozen=True, slots=True)
class NotDone:
    """There is no result, and there will be none that counts."""

    transaction_id: bytes
    cause: Cause


SignOutcome = Signed | NotDone
EnrolOutcome = Enrolled | NotDone
ProfileOutcome = Profile | NotDone
