"""What a signer has answered, with a receipt for each. See :mod:`.activation`.

A receipt names rows of the audit table by number and leaf hash (RFC 6962): whoever has the table,
or a Merkle log over it, can check that the row is there and says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, bindparam, or_, select

from remote_signing.errors import ActivationUnknown, InvalidInput
from remote_signing.identifiers import is_id
from remote_signing.rssp import audit, request_details
from remote_signing.rssp.activation_list import LARGEST_PAGE
from remote_signing.rssp.activation_model import Denial, Document, State, documents_of
from remote_signing.rssp.activation_sql import ACTIVATION, now, the_id
from remote_signing.rssp.models import oauth_client, signature_activation

if TYPE_CHECKING:
    from sqlalchemy import Row, Select

    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.request_details import RequestDetails

_AFTER_ALL: Final = "~"  # sorts after every id


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A line of the history. ``at_ms``: when it came to the state that it is in."""

    activation_id: str
    client_id: str
    client_name: str
    client_logo: str | None
    description: str | None
    details: RequestDetails | None
    num_signatures: int
    state: State
    denial: Denial | None
    created_at_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the audit table. ``leaf_sha256`` is hexadecimal."""

    kind: str
    at_ms: int
    number: int
    leaf_sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """``factor``: ``pin_totp``, ``sim``, or what else gave the consent; None without one."""

    request: PastRequest
    documents: tuple[Document, ...]
    hash_algorithm: str | None
    factor: str | None
    records: tuple[Record, ...]


def history(  # noqa: PLR0913 - each is a condition
    services: Services,
    subscriber_id: str,
    *,
    client_id: str | None = None,
    text: str | None = None,
    after: str | None = None,
    limit: int = LARGEST_PAGE,
) -> tuple[list[PastRequest], str | None]:
    """A page of what was answered or is over, youngest first, and the next cursor. One statement.

    Kept for ``lifetimes.retention``; the audit table keeps its rows for ever.
    """
    if after is not None and not is_id(after):
        raise InvalidInput("no cursor of ours", parameter="after")
    parameters: dict[str, object] = {
        "the_owner": subscriber_id,
        "before": after or _AFTER_ALL,
        "now": services.now_ms(),
        "one_more": limit + 1,
    }
    statement = _HISTORY
    if client_id is not None:
        parameters["its_client"] = client_id
        statement = statement.where(ACTIVATION.client_id == bindparam("its_client", type_=Text()))
    if text is not None:
        parameters["pattern"] = request_details.pattern(text)
        condition = ACTIVATION.search_text.like(bindparam("pattern", type_=Text()), escape="!")
        statement = statement.where(condition)
    rows = services.database.all(statement, parameters)
    page = [_past(row) for row in rows[:limit]]
    return page, page[-1].activation_id if len(rows) > limit else None


def receipt(services: Services, activation_id: str, subscriber_id: str) -> Receipt:
    """What became of one request, as the audit table tells it. Two statements.

    Errors: ``ActivationUnknown`` (also somebody else's, and one that waits still).
    """
    parameters = {"the_id": activation_id, "the_owner": subscriber_id, "now": services.now_ms()}
    row = services.database.one(_ONE, parameters)
    if row is None:
        raise ActivationUnknown("none in this signer's history")
    events = list(audit.events(services.database, activation_id=activation_id))
    request = json.loads(row.request)
    return Receipt(
        request=_past(row),
        documents=documents_of(request),
        hash_algorithm=request["hash_algorithm"],
        factor=next((_factor(event) for event in events if event.kind == "consent.given"), None),
        records=tuple(_record(event) for event in events if event.kind in _TOLD),
    )


def _factor(event: Row[Any]) -> str:
    """The kind of evidence, by what its event names."""
    detail = json.loads(event.detail)
    if detail.get("totp_factor_id") is not None:
        return "pin_totp"
    return "sim" if "sim_transaction_id" in detail else str(detail.get("factor", "other"))


def _record(event: Row[Any]) -> Record:
    return Record(event.kind, event.at, event.number, audit.leaf_hash(event).hex())


def _past(row: Row[Any]) -> PastRequest:
    request = json.loads(row.request)
    overdue = row.state == State.PENDING.value
    return PastRequest(
        activation_id=row.id,
        client_id=row.client_id,
        client_name=row.name,
        client_logo=row.logo,
        description=request["description"],
        details=request_details.from_members(request.get("details")),
        num_signatures=row.num_signatures,
        state=State.EXPIRED if overdue else State(row.state),
        denial=None if row.denial is None else Denial(**json.loads(row.denial)),
        created_at_ms=row.created_at,
        at_ms=row.expires_at if overdue else row.event_at,
    )


_TOLD = {
    *("activation.requested", "consent.code_matched", "consent.code_mismatched"),
    *("consent.given", "consent.denied", "signing.done", "signing.unknown"),
    *("activation.expired", "activation.revoked", "activation.frozen"),
}


def _answered() -> Select[Any]:
    return (
        select(signature_activation, oauth_client.c.name, oauth_client.c.logo)
        .join_from(signature_activation, oauth_client, oauth_client.c.id == ACTIVATION.client_id)
        .where(
            ACTIVATION.subscriber_id == bindparam("the_owner", type_=ACTIVATION.subscriber_id.type),
            or_(ACTIVATION.state != State.PENDING.value, ACTIVATION.expires_at <= now),
        )
    )


_HISTORY = (
    _answered()
    .where(ACTIVATION.id < bindparam("before", type_=Text()))
    .order_by(ACTIVATION.id.desc())
    .limit(bindparam("one_more"))
)
_ONE = _answered().where(ACTIVATION.id == the_id)
