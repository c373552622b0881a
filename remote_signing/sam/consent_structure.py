"""What a SIM signs: one consent as bytes that can be spelled in one way only (docs/sim-consent.md).

The structure names everything that a signature of the official must cover: for whom, which
credential, the exact digests in order, what the phone shows, the code beside it, the SAM's nonce,
the time it is good for, and the one certificate that may sign it. The SAM builds it twice from the
sealed challenge, when it is presented and when the evidence comes back, and compares bytes: it
never reads a structure that somebody else has sent. A card reads it with a parser of TLVs.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remote_signing.algorithms import digest_named
from remote_signing.errors import ChallengeInvalid, InvalidInput
from remote_signing.sam import der

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.sam.sad import Bound
    from remote_signing.sam.sealed import SimMode

DOMAIN = "remote-signing/sim-consent"
POSSESSION_DOMAIN = "remote-signing/sim-possession"
VERSION = 1
LISTED = 3  # beyond this many documents the structure names the digest of their list
LONGEST_LABEL = 40
LONGEST_PLAIN, LONGEST_UCS2 = 239, 119  # what operators send in two short messages
PLAIN, UCS2 = 4, 8  # the data coding of a toolkit text (TS 102 223 cl. 8.15)
LONGEST_LIFE_MS = 30 * 60 * 1000  # TS 119 431-1 SIG-A.5-09: a session of half an hour
_DIGEST_CHARACTERS = 20  # base 32: 100 bits, where 80 are enough
# The characters with the same code in ASCII and in the phones' alphabet (3GPP TS 23.038 cl. 6.2.1).
_SAME_IN_BOTH = frozenset(
    " !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_LAST_OF_16_BITS = "\uffff"
_SHOWN = ("L", "N", "P", "S")
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # of these categories, and nothing to see


@dataclass(frozen=True, slots=True)
class ConsentStructure:
    """One consent. ``encoded`` is the structure, ``digest`` its SHA-256, ``message`` the text.

    ``message`` is what the phone shows; in text mode it is exactly what the SIM signs.
    """

    encoded: bytes
    digest: bytes
    message: str

    def contents(self, mode: SimMode) -> tuple[bytes, ...]:
        """The bytes whose signature proves the consent in that mode, any one of them.

        In mode ``digest`` the card was given the SHA-256 of what is here.
        """
        if mode == "text":
            return self.message.encode(), self.message.encode("utf-16-be")
        return (self.encoded,)


def build(  # noqa: PLR0913 - one argument for each origin of what is signed
    bound: Bound,
    *,
    service_id: str,
    certificate_sha256: bytes,
    mode: SimMode,
    display_text: str,
    labels: Sequence[str],
) -> ConsentStructure:
    """The structure for the challenge ``bound``; the same arguments give the same bytes.

    ``InvalidInput`` (parameter ``display_text`` or ``labels``) for a text a phone can't show as it
    is; ``ChallengeInvalid`` for a challenge that a SIM can't sign.
    """
    if len(bound.hashes) != bound.count:
        raise ChallengeInvalid("a SIM signs over every hash, or not at all")
    if not 0 < bound.expires_at_ms - bound.not_before_ms <= LONGEST_LIFE_MS:
        raise ChallengeInvalid("lives longer than a SIM may be asked")
    _check_labels(labels, bound.count)
    coding, text = encode_text(display_text, "display_text", LONGEST_PLAIN, LONGEST_UCS2)
    code = bound.verification_code()
    encoded = der.write(
        der.SEQUENCE,
        der.write(der.IA5, DOMAIN.encode("ascii")),
        der.integer(VERSION),
        der.write(der.UTF8, service_id.encode()),
        der.write(der.IA5, bound.activation_id.encode("ascii")),
        der.write(der.IA5, bound.credential_id.encode("ascii")),
        _documents(bound, labels),
        der.integer(bound.count),
        der.write(der.SEQUENCE, der.integer(coding), der.write(der.OCTETS, text)),
        der.write(der.IA5, code.encode("ascii")),
        der.write(der.OCTETS, bytes.fromhex(bound.nonce)),
        der.integer(bound.not_before_ms),
        der.integer(bound.expires_at_ms),
        der.write(der.OCTETS, certificate_sha256),
    )
    digest = hashlib.sha256(encoded).digest()
    message = display_text if mode != "text" else _text_to_sign(code, display_text, digest)
    return ConsentStructure(encoded, digest, message)


def possession(credential_id: str, nonce: bytes, public_key: bytes) -> bytes:
    """What a SIM signs at enrolment to show that it holds the key (SPKI DER) it is said to hold."""
    return der.write(
        der.SEQUENCE,
        der.write(der.IA5, POSSESSION_DOMAIN.encode("ascii")),
        der.integer(VERSION),
        der.write(der.IA5, credential_id.encode("ascii")),
        der.write(der.OCTETS, nonce),
        der.write(der.OCTETS, hashlib.sha256(public_key).digest()),
    )


def encode_text(
    text: str, parameter: str, longest_plain: int, longest_ucs2: int
) -> tuple[int, bytes]:
    """Data coding and octets of ``text``; ``InvalidInput`` when it is not what it looks like.

    Composed letters (NFC), digits, punctuation, symbols and single spaces between them, all of
    them in 16 bits. Nothing that is invisible, changes the direction or sits upon another sign.
    """
    if not text or unicodedata.normalize("NFC", text) != text or text.split(" ").count(""):
        raise InvalidInput("not a composed text with single spaces", parameter=parameter)
    for sign in text:
        seen = sign == " " or unicodedata.category(sign)[0] in _SHOWN
        if sign > _LAST_OF_16_BITS or not seen or sign in _BLANK:
            raise InvalidInput(f"U+{ord(sign):04X} in a text", parameter=parameter)
    plain = set(text) <= _SAME_IN_BOTH
    if len(text) > (longest_plain if plain else longest_ucs2):
        raise InvalidInput(f"a text of {len(text)} characters", parameter=parameter)
    return (PLAIN, text.encode("ascii")) if plain else (UCS2, text.encode("utf-16-be"))


def _check_labels(labels: Sequence[str], count: int) -> None:
    if len(labels) != count:
        raise InvalidInput("as many labels as hashes", parameter="labels")
    for label in labels:
        if label:
            encode_text(label, "labels", LONGEST_LABEL, LONGEST_LABEL)


def _documents(bound: Bound, labels: Sequence[str]) -> bytes:
    algorithm = der.oid(digest_named(bound.hash_algorithm).oid)
    listed = der.write(
        der.SEQUENCE,
        *(
            der.write(
                der.SEQUENCE,
                der.write(der.UTF8, label.encode()),
                algorithm,
                der.write(der.OCTETS, bytes.fromhex(value)),
            )
            for label, value in zip(labels, bound.hashes, strict=True)
        ),
    )
    if bound.count <= LISTED:
        return listed
    return der.write(der.PRIMITIVE_0, hashlib.sha256(listed).digest())


def _text_to_sign(code: str, display_text: str, digest: bytes) -> str:
    """Code first, then the text, then 100 bits of the structure's digest.

    The nonce inside the structure is the SAM's, so nobody can look for a second structure with
    these bits before the first one is there; after that it takes 2^99 tries on average.
    """
    bits = base64.b32encode(digest).decode("ascii")[:_DIGEST_CHARACTERS]
    text = f"{code} {display_text} #{bits}"
    encode_text(text, "display_text", LONGEST_PLAIN, LONGEST_UCS2)
    return text
