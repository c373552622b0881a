"""Digests as clients write them: base64 in either alphabet, padded or not.

The standard wants base64url in the address of a browser and base64 in JSON; clients do it the other
way round as well. So digests are decoded first and compared as bytes.
"""

from __future__ import annotations

import base64
import binascii

_FROM_URL = str.maketrans("-_ ", "+/+")  # a "+" in an address arrives as a space


def decode(text: str) -> bytes | None:
    """The bytes that ``text`` spells, None when it spells none."""
    bare = text.translate(_FROM_URL).rstrip("=")
    padded = len(text) - len(bare)
    if padded not in {0, -len(bare) % 4}:
        return None
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
