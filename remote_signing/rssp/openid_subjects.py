"""Who is whom at the identity provider: bound by the registration, never found out by a sign-in.

Of the provider's name for a person (its ``sub``, or a citizen's number) only an HMAC is kept.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from remote_signing.errors import InvalidInput, OpenidNotOffered
from remote_signing.rssp import audit
from remote_signing.rssp.models import openid_subject

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.openid_client import OpenidProvider

LONGEST: Final = 255
_DOMAIN = b"remote-signing/openid-subject/v1\0"
_ROW = openid_subject.c


def provider(services: Services) -> OpenidProvider:
    """The configured provider; ``OpenidNotOffered``."""
    if services.openid is None:
        raise OpenidNotOffered("there is no [openid] in the configuration")
    return services.openid


def bind(services: Services, subscriber_id: str, value: str) -> None:
    """Let whom the provider calls ``value`` sign in as that signer. Two statements.

    Errors: ``OpenidNotOffered``, ``InvalidInput`` when that is somebody already.
    """
    offered, now = provider(services), services.now_ms()
    if not 0 < len(value) <= LONGEST:
        raise InvalidInput(f"not 1 to {LONGEST} characters", parameter="value")
    row = {
        "subject_mac": _mac(offered, value),
        "subscriber_id": subscriber_id,
        "issuer": offered.config.issuer,
        "created_at": now,
    }
    if subscriber_of(services, value) is not None:
        raise InvalidInput("is bound to a signer already", parameter="value")
    event = audit.Event(
        "openid.bound",
        audit.operator(),
        subscriber_id=subscriber_id,
        detail={"issuer": offered.config.issuer},
    )
    with services.database.transaction() as connection:
        connection.execute(insert(openid_subject), row)
        audit.record(connection, event, now)


def unbind(services: Services, subscriber_id: str) -> int:
    """Nobody at a provider signs in as that signer any more; how many could. Two statements."""
    event = audit.Event("openid.unbound", audit.operator(), subscriber_id=subscriber_id)
    gone = delete(openid_subject).where(_ROW.subscriber_id == subscriber_id)
    with services.database.transaction() as connection:
        count = connection.execute(gone).rowcount
        if count:
            audit.record(connection, event, services.now_ms())
    return count


def subscriber_of(services: Services, value: str) -> str | None:
    """Whose id is bound to what the provider calls ``value``. One statement."""
    query = select(_ROW.subscriber_id).where(_ROW.subject_mac == _mac(provider(services), value))
    row = services.database.one(query)
    return None if row is None else str(row.subscriber_id)


def _mac(offered: OpenidProvider, value: str) -> bytes:
    config = offered.config
    said = f"{config.issuer}\0{config.claim}\0{value}".encode()
    return hmac.digest(offered.subject_key, _DOMAIN + said, "sha256")
