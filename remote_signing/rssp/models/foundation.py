"""What every table is made of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, String
from sqlalchemy.dialects.postgresql import VARCHAR

_ID_LENGTH = 26

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Collation "C": identifiers are compared byte by byte, so that they sort by time in any locale.
Identifier = String(_ID_LENGTH).with_variant(VARCHAR(_ID_LENGTH, collation="C"), "postgresql")
# SQLite counts rows up by itself only in a column declared exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")
