"""What the signer sees of a request. See :mod:`.activation`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import bindparam, literal_column, select

from remote_signing.errors import ActivationUnknown
from remote_signing.rssp import request_details
from remote_signing.rssp.activation_model import (
    ActivationDetails,
    Channel,
    Denial,
    State,
    documents_of,
)
from remote_signing.rssp.activation_refuse import codes
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SUBSCRIBER,
    code_is_matched,
    now,
    the_id,
)
from remote_signing.rssp.models import credential, oauth_client, signature_activation, subscriber

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.deps import Services


def details(services: Services, activation_id: str, subscriber_id: str) -> ActivationDetails:
    """What the consent page shows to the credential's owner. One statement.

    Errors: ``ActivationUnknown`` (also for somebody else's).
    """
    parameters = {"the_id": activation_id, "the_owner": subscriber_id}
    row = services.database.one(_DETAILS, parameters)
    if row is None:
        raise ActivationUnknown("no such activation of this subscriber")
    return details_of(row, services.now_ms())


def reviewed(services: Services, subscriber_id: str, limit: int) -> list[ActivationDetails]:
    """Decoupled requests whose code this signer has picked, those that end first at the top.

    They may be approved together (:mod:`.activation_batch`). One statement.
    """
    parameters = {"the_owner": subscriber_id, "now": services.now_ms(), "at_most": limit}
    return [
        details_of(row, services.now_ms()) for row in services.database.all(_REVIEWED, parameters)
    ]


def details_of(row: Row[Any], now_ms: int) -> ActivationDetails:
    """What a row of :data:`SHOWN` and the signer's ``full_name`` tell."""
    request = json.loads(row.request)
    is_pending = row.state == State.PENDING.value
    expired = is_pending and row.expires_at <= now_ms
    must_pick = is_pending and not row.is_matched
    return ActivationDetails(
        activation_id=row.id,
        state=State.EXPIRED if expired else State(row.state),
        channel=Channel(row.channel),
        client_id=row.client_id,
        client_name=row.client_name,
        client_logo=row.logo,
        description=request["description"],
        documents=documents_of(request),
        hash_algorithm=request["hash_algorithm"],
        num_signatures=row.num_signatures,
        verification_code=None if must_pick else row.verification_code,
        codes=codes(row.challenge, row.verification_code) if must_pick else (),
        details=request_details.from_members(request.get("details")),
        denial=None if row.denial is None else Denial(**json.loads(row.denial)),
        credential_id=row.credential_id,
        credential_description=row.credential_description,
        certificate=row.certificate,
        signer_name=row.full_name,
        lang=request["lang"],
        created_at_ms=row.created_at,
        expires_at_ms=row.expires_at,
        redirect_origin=_origin(row.redirect_uri),
        passkey_from_ms=_passkey_from(row.factors),
    )


def _passkey_from(factors: str) -> int | None:
    found = (one["usable_from"] for one in json.loads(factors) if one["kind"] == "passkey")
    return min(found, default=None)


def _origin(uri: str | None) -> str | None:
    if uri is None:
        return None
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


_owner = bindparam("the_owner", type_=ACTIVATION.subscriber_id.type)
SHOWN = (
    *(ACTIVATION.id, ACTIVATION.state, ACTIVATION.channel, ACTIVATION.client_id),
    *(ACTIVATION.credential_id, ACTIVATION.request, ACTIVATION.num_signatures),
    *(ACTIVATION.verification_code, ACTIVATION.created_at, ACTIVATION.expires_at),
    *(ACTIVATION.challenge, ACTIVATION.redirect_uri, ACTIVATION.denial),
    oauth_client.c.name.label("client_name"),
    oauth_client.c.logo,
    CREDENTIAL.certificate,
    CREDENTIAL.factors,
    CREDENTIAL.description.label("credential_description"),
    code_is_matched().label("is_matched"),
)
ASKED = signature_activation.join(oauth_client, oauth_client.c.id == ACTIVATION.client_id).join(
    credential, CREDENTIAL.id == ACTIVATION.credential_id
)
"""The tables of :data:`SHOWN`, a row for each activation."""
_OWNERS = (
    select(*SHOWN, SUBSCRIBER.full_name)
    .select_from(ASKED)
    .join(subscriber, SUBSCRIBER.id == ACTIVATION.subscriber_id)
    .where(ACTIVATION.subscriber_id == _owner)
)
_DETAILS = _OWNERS.where(ACTIVATION.id == the_id)
_REVIEWED = (
    _OWNERS.where(
        ACTIVATION.state == literal_column("'PENDING'"),
        ACTIVATION.expires_at > now,
        ACTIVATION.channel == Channel.DECOUPLED.value,
        ACTIVATION.matched_at.is_not(None),
    )
    .order_by(ACTIVATION.expires_at, ACTIVATION.id)
    .limit(bindparam("at_most"))
)
