"""Signatures that a call gave, for who repeats it because the answer was lost."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from remote_signing.rssp.models.foundation import Identifier, metadata

# One row is one call of signHash. Only a trigger on signature_activation writes it (migration
# 0016): what the last call of an authorisation gave stands in `outcomes` there, what the calls
# before gave, here. The id, which begins with its time, comes first in the key: what is old is
# removed along it.
signing_outcome = Table(
    "signing_outcome",
    metadata,
    Column("activation_id", Identifier, primary_key=True),
    Column("request", Text, primary_key=True),  # its digest (hex)
    Column("signatures", Text, nullable=False),  # JSON: in base64, in the order asked
)
