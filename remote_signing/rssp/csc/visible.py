"""Which credentials a caller may see, read with one statement and no column too many.

A signer's token shows the signer's own; a token of client_credentials those of signers of the
client's agencies; a token of scope ``credential`` that one. Nothing tells a caller whether what it
may not see exists.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, select

from remote_signing.errors import CredentialUnknown
from remote_signing.rssp.models import credential, subscriber

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

    from remote_signing.rssp.bearer import Caller
    from remote_signing.rssp.deps import Services

ANY_AGENCY = "*"

_CREDENTIAL = credential.c
_SUBSCRIBER = subscriber.c


class Factor(NamedTuple):
    """A factor of a credential; ``kind`` is ``pin`` or ``totp``."""

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it may be shown. ``usable`` is for signing now; ``chain`` is issuer first."""

    id: str
    algorithm: str
    usable: bool
    expired: bool
    scal: str
    multisign: int
    description: str | None
    auth_mode: str
    factors: tuple[Factor, ...]
    certificate: bytes
    chain: tuple[bytes, ...]

    @property
    def takes_codes(self) -> bool:
        """Whether a portal may send the signer's codes along: explicit mode and SCAL1 only."""
        return self.auth_mode == "explicit" and self.scal == "1"


def one(services: Services, caller: Caller, credential_id: str) -> Credential:
    """That credential. One statement. ``CredentialUnknown`` also when it isn't the caller's."""
    if caller.credential_id not in {None, credential_id}:
        raise CredentialUnknown("the token is for another credential")
    shape, parameters = _limits(caller, caller.subscriber_id)
    parameters |= {"the_credential": credential_id}
    row = services.database.one(_one(**shape), parameters)
    if row is None:
        raise CredentialUnknown("no such credential for this caller")
    return _credential(row, services.now_ms())


def ids_of(
    services: Services, caller: Caller, subscriber_id: str, *, only_valid: bool
) -> list[str] | None:
    """The ids of a signer's credentials, oldest first; None when the caller may not see the signer.

    One statement.
    """
    rows = _all_of(services, caller, subscriber_id, full=False, only_valid=only_valid)
    return [row.id for row in rows if row.id is not None] if rows else None


def all_of(
    services: Services, caller: Caller, subscriber_id: str, *, only_valid: bool
) -> list[Credential] | None:
    """Like :func:`ids_of`, the credentials themselves. One statement."""
    rows = _all_of(services, caller, subscriber_id, full=True, only_valid=only_valid)
    now = services.now_ms()
    return [_credential(row, now) for row in rows if row.id is not None] if rows else None


def _all_of(
    services: Services, caller: Caller, subscriber_id: str, *, full: bool, only_valid: bool
) -> list[Row[Any]]:
    shape, parameters = _limits(caller, subscriber_id)
    parameters |= {"now": services.now_ms()} if only_valid else {}
    statement = _all(full=full, only_valid=only_valid, some_agencies=shape["some_agencies"])
    return list(services.database.all(statement, parameters))


def _limits(caller: Caller, subscriber_id: str | None) -> tuple[dict[str, bool], dict[str, object]]:
    shape = {
        "one_subscriber": subscriber_id is not None,
        "some_agencies": caller.subscriber_id is None and ANY_AGENCY not in caller.agencies,
    }
    parameters: dict[str, object] = {}
    if subscriber_id is not None:
        parameters["the_subscriber"] = subscriber_id
    if shape["some_agencies"]:
        parameters["its_agencies"] = list(caller.agencies)
    return shape, parameters


_FULL = (
    *(_CREDENTIAL.id, _CREDENTIAL.algorithm, _CREDENTIAL.state, _CREDENTIAL.scal),
    *(_CREDENTIAL.multisign, _CREDENTIAL.description, _CREDENTIAL.auth_mode, _CREDENTIAL.factors),
    *(_CREDENTIAL.certificate, _CREDENTIAL.chain, _CREDENTIAL.not_before, _CREDENTIAL.not_after),
    *(_CREDENTIAL.failed_attempts, _CREDENTIAL.attempt_limit),
)
# One that is destroyed is gone; one without a certificate is not finished.
_SHOWN = (_CREDENTIAL.state != "destroyed", _CREDENTIAL.certificate.is_not(None))
_ITS_AGENCIES = _SUBSCRIBER.agency_id.in_(
    bindparam("its_agencies", expanding=True, type_=_SUBSCRIBER.agency_id.type)
)
_THE_SUBSCRIBER = _SUBSCRIBER.id == bindparam("the_subscriber", type_=_SUBSCRIBER.id.type)


def _valid() -> list[ColumnElement[bool]]:
    now = bindparam("now", type_=BigInteger())
    return [
        _CREDENTIAL.state == "enabled",
        _CREDENTIAL.failed_attempts < _CREDENTIAL.attempt_limit,
        _CREDENTIAL.not_before <= now,
        _CREDENTIAL.not_after > now,
    ]


@cache
def _one(*, one_subscriber: bool, some_agencies: bool) -> Any:  # noqa: ANN401 - a Select of columns of any type
    statement = (
        select(*_FULL)
        .join_from(credential, subscriber)
        .where(_CREDENTIAL.id == bindparam("the_credential", type_=_CREDENTIAL.id.type), *_SHOWN)
    )
    if one_subscriber:
        statement = statement.where(_THE_SUBSCRIBER)
    return statement.where(_ITS_AGENCIES) if some_agencies else statement


@cache
def _all(*, full: bool, only_valid: bool, some_agencies: bool) -> Any:  # noqa: ANN401 - as above
    mine = and_(
        _CREDENTIAL.subscriber_id == _SUBSCRIBER.id, *_SHOWN, *(_valid() if only_valid else ())
    )
    statement = (
        select(*(_FULL if full else (_CREDENTIAL.id,)))
        .select_from(subscriber)
        .outerjoin(credential, mine)
        .where(_THE_SUBSCRIBER)
        .order_by(_CREDENTIAL.id)
    )
    return statement.where(_ITS_AGENCIES) if some_agencies else statement


def _credential(row: Row[Any], now_ms: int) -> Credential:
    in_time = row.not_before <= now_ms < row.not_after
    unlocked = row.failed_attempts < row.attempt_limit
    return Credential(
        id=row.id,
        algorithm=row.algorithm,
        usable=row.state == "enabled" and unlocked and in_time,
        expired=row.not_after <= now_ms,
        scal=row.scal,
        multisign=row.multisign,
        description=row.description,
        auth_mode=row.auth_mode,
        factors=tuple(Factor(item["id"], item["kind"]) for item in json.loads(row.factors)),
        certificate=row.certificate,
        chain=tuple(base64.b64decode(value) for value in json.loads(row.chain)),
    )
