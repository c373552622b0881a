"""Texts of a portal that a signer will read: none may look like something else."""

from __future__ import annotations

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters and signs by their category, and yet nothing to see: fillers and the blank Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_JOINERS = {"\u200c", "\u200d"}  # parts of words in some scripts


def is_showable(text: str) -> bool:
    """Whether the signer sees all of ``text``, and sees it as it is.

    No line breaks, control characters or marks that turn the writing direction: with those a label
    can look like another one.
    """
    return all(
        character in _JOINERS
        or (unicodedata.category(character) not in _UNSEEN and character not in _BLANK)
        for character in text
    )
