"""Who a certificate is for: profile and subject, from the registration authority's own records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, literal, select

from remote_signing.errors import CredentialUnknown, InvalidInput
from remote_signing.rssp.models import agency, subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

_MOST_LEVELS = 8


@dataclass(frozen=True, slots=True)
class Holder:
    """The members ``profile`` and ``subject`` of a certificate order (Decree 68/2024 Art. 7)."""

    profile: str
    subject: dict[str, JsonValue]


def of_subscriber(database: Database, subscriber_id: str) -> Holder:
    """One statement. ``CredentialUnknown``; ``InvalidInput`` when the records do not suffice."""
    rows = database.all(_SUBSCRIBER_AND_AGENCIES, {"the_subscriber": subscriber_id})
    if not rows:
        raise CredentialUnknown(f"no subscriber {subscriber_id!r}")
    return _organisation(rows) if rows[0].kind == "organisation" else _official(rows)


def _official(rows: Sequence[Row[Any]]) -> Holder:
    """A person in an agency: from the topmost agency down to the unit that he or she works in."""
    own, top = rows[0], rows[-1]
    subject = _known(
        common_name=own.full_name,
        organization=top.name,
        organizational_units=[row.name for row in reversed(rows[:-1])],
        locality=_locality(rows),
        title=own.position,
        email=own.email,
        # The subscriber's number: two people of one name, title and unit differ in it.
        serial_number=own.subscriber_id,
    )
    return Holder("official", subject)


def _organisation(rows: Sequence[Row[Any]]) -> Holder:
    """The agency itself, as a legal person (ETSI EN 319 412-3)."""
    own = rows[0]
    subject = _known(
        common_name=own.full_name,
        organization=own.name,
        organization_identifier=_identifier(own),
        locality=_locality(rows),
        email=own.email,
    )
    return Holder("organisation", subject)


def _identifier(row: Row[Any]) -> str:
    """ETSI EN 319 412-1 cl. 5.1.4: a tax code, else the agency's code of Decision 20/2020."""
    if row.tax_code is not None:
        return f"VATVN-{row.tax_code}"
    if row.code is not None:
        return f"GO:VN-{row.code}"
    raise InvalidInput("the agency has neither tax code nor code", parameter="agency")


def _known(**members: JsonValue) -> dict[str, JsonValue]:
    return {name: value for name, value in members.items() if value is not None}


def _locality(rows: Sequence[Row[Any]]) -> str | None:
    """The nearest agency's that has one on record."""
    return next((row.province for row in rows if row.province is not None), None)


_own = (
    select(
        literal(0).label("level"),
        agency.c.id,
        agency.c.parent_id,
    )
    .select_from(subscriber.join(agency, agency.c.id == subscriber.c.agency_id))
    .where(subscriber.c.id == bindparam("the_subscriber"))
    .cte("line", recursive=True)
)
_line = _own.union_all(
    select(_own.c.level + 1, agency.c.id, agency.c.parent_id)
    .join_from(_own, agency, agency.c.id == _own.c.parent_id)
    .where(_own.c.level < _MOST_LEVELS)
)
# The agency that the subscriber belongs to, then the one above it, and so on.
_SUBSCRIBER_AND_AGENCIES = (
    select(
        subscriber.c.id.label("subscriber_id"),
        *(subscriber.c.kind, subscriber.c.full_name, subscriber.c.position, subscriber.c.email),
        *(agency.c.name, agency.c.code, agency.c.tax_code, agency.c.province),
    )
    .select_from(_line)
    .join(agency, agency.c.id == _line.c.id)
    .join(subscriber, subscriber.c.id == bindparam("the_subscriber"))
    .order_by(_line.c.level)
)
