"""One-time codes that were used, whatever for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from remote_signing.rssp.models.foundation import Identifier, metadata

# One row is one use: the key lets a time step of a factor in once, whichever SAM host took it. A
# trigger on signature_activation writes those of signatures, `rssp/totp_steps.py` all others. The
# step comes first in the key: what is old is removed along it.
totp_step = Table(
    "totp_step",
    metadata,
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("factor_id", Identifier, primary_key=True),
)
