"""The DER that a card signs (docs/sim-consent.md): one structure it reads, one it writes.

The consent structure is read strictly: every field in its place, definite and shortest lengths, no
field more. What a person has to see comes out as :class:`Consent`. The proof of possession has a
domain of its own, so a signature for one can never pass for the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sim_adapter.ota import text
from sim_adapter.ota.errors import Malformed, TextUnfit
from sim_adapter.ota.octets import Octets, tlv

CONSENT_DOMAIN = b"remote-signing/sim-consent"
POSSESSION_DOMAIN = b"remote-signing/sim-possession"
_VERSION = 1
_INTEGER, _OCTETS, _OID, _UTF8, _IA5 = 0x02, 0x04, 0x06, 0x0C, 0x16
_SEQUENCE, _LIST_DIGEST = 0x30, 0x80
_DIGEST = 32
_LISTED = 3
_LONGEST_LABEL = 40
_SIGN_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person consents to, as far as the card shows and checks it."""

    text: str
    code: str
    count: int
    not_before_ms: int
    expires_ms: int


def parse_consent(structure: bytes) -> Consent:
    """Read a consent structure; ``Malformed`` or ``TextUnfit`` unless it is one to the last bit."""
    outer = _Der(structure)
    fields = _Der(outer.value(_SEQUENCE))
    outer.done()
    if fields.value(_IA5) != CONSENT_DOMAIN or fields.natural() != _VERSION:
        raise Malformed("another domain or version")
    _utf8(fields.value(_UTF8))
    _ascii(fields.value(_IA5))
    _ascii(fields.value(_IA5))
    listed = _documents(fields)
    count = fields.natural()
    shown = _display(_Der(fields.value(_SEQUENCE)))
    code = _ascii(fields.value(_IA5))
    _sized(fields.value(_OCTETS))
    not_before_ms, expires_ms = fields.natural(), fields.natural()
    _sized(fields.value(_OCTETS))
    fields.done()
    is_counted = listed == count if listed is not None else count > _LISTED
    if not is_counted or not not_before_ms < expires_ms or not is_code(code):
        raise Malformed("a consent structure that contradicts itself")
    return Consent(shown, code, count, not_before_ms, expires_ms)


def possession(credential_id: str, nonce: bytes, public_key: bytes) -> bytes:
    """What a card signs to prove that it holds the private part of ``public_key`` (SPKI, DER)."""
    fields = (
        tlv(_IA5, POSSESSION_DOMAIN),
        tlv(_INTEGER, bytes([_VERSION])),
        tlv(_IA5, credential_id.encode("ascii")),
        tlv(_OCTETS, nonce),
        tlv(_OCTETS, hashlib.sha256(public_key).digest()),
    )
    return tlv(_SEQUENCE, b"".join(fields))


def is_code(code: str) -> bool:
    """Whether ``code`` is a verification code: four to eight decimal digits."""
    return 4 <= len(code) <= 8 and code.isascii() and code.isdecimal()  # noqa: PLR2004 - the docstring


class _Der(Octets):
    """DER values, one after the other; BER lengths are read in their shortest form only."""

    def value(self, *tags: int) -> bytes:
        """The content of the next value, which has one of these tags."""
        tag = self.number()
        if tag not in tags:
            raise Malformed(f"tag {tag:#04x} in a consent structure")
        return self.take(self.length())

    def natural(self) -> int:
        """A non-negative INTEGER in its shortest form, of at most eight octets."""
        content = self.value(_INTEGER)
        if not 1 <= len(content) <= 8 or content[0] & _SIGN_BIT:  # noqa: PLR2004 - the docstring
            raise Malformed("not a number of use here")
        if len(content) > 1 and content[0] == 0 and not content[1] & _SIGN_BIT:
            raise Malformed("a number that could be shorter")
        return int.from_bytes(content, "big")


def _documents(fields: _Der) -> int | None:
    """How many documents are listed, None when the structure holds the digest of their list."""
    tag, content = fields.number(), fields.take(fields.length())
    if tag == _LIST_DIGEST:
        _sized(content)
        return None
    if tag != _SEQUENCE:
        raise Malformed("neither a list of documents nor its digest")
    listed, count = _Der(content), 0
    while listed.left:
        document = _Der(listed.value(_SEQUENCE))
        label = _utf8(document.value(_UTF8))
        if label:
            text.check_showable(label)
        document.value(_OID)
        digest = document.value(_OCTETS)
        document.done()
        if len(label) > _LONGEST_LABEL or not _DIGEST <= len(digest) <= 2 * _DIGEST:
            raise Malformed("a document that cannot be")
        count += 1
    if not 1 <= count <= _LISTED:
        raise Malformed("a list of no or too many documents")
    return count


def _display(display: _Der) -> str:
    coding, octets = display.natural(), display.value(_OCTETS)
    display.done()
    try:
        encoding = text.Encoding(coding)
    except ValueError:
        raise Malformed("no such coding of a text") from None
    shown = text.decode(encoding, octets)
    text.check_showable(shown)
    if not text.measure(shown).fits:
        raise TextUnfit("longer than a phone shows")
    if encoding is text.Encoding.GSM7 and shown.encode("utf-8") != octets:
        raise TextUnfit("characters with another code in ASCII")
    return shown


def _sized(content: bytes) -> None:
    if len(content) != _DIGEST:
        raise Malformed("not 32 octets")


def _ascii(content: bytes) -> str:
    if not content.isascii():
        raise Malformed("not ASCII")
    return content.decode("ascii")


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
