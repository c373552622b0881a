"""Names that are made here and used once."""

from __future__ import annotations

import secrets


def new_trans_id() -> str:
    """A transaction id of TS 102 204: an NCName of 27 characters (FiCom allows 32)."""
    return "A" + secrets.token_hex(13)


def new_message_id() -> str:
    """The id of a message to the rssp, the same at each delivery."""
    return f"msg_{secrets.token_hex(16)}"
