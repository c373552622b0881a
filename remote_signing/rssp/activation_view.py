"""What the signer sees of a request. See :mod:`.activation`."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Text, bindparam, or_, select

from remote_signing.errors import ActivationUnknown
from remote_signing.identifiers import new_id
from remote_signing.rssp.activation_model import (
    ActivationDetails,
    ActivationSummary,
    Channel,
    Document,
    State,
)
from remote_signing.rssp.activation_sql import (
    ACTIVATION,
    CREDENTIAL,
    SUBSCRIBER,
    TIME_PREFIX,
    now,
    the_id,
)
from remote_signing.rssp.models import credential, oauth_client, signature_activation, subscriber

if TYPE_CHECKING:
    from remote_signing.rssp.deps import Services


def details(services: Services, activation_id: str, subscriber_id: str) -> ActivationDetails:
    """What the consent page shows to the credential's owner. One statement.

    Errors: ``ActivationUnknown`` (also for somebody else's).
    """
    parameters = {"the_id": activation_id, "the_owner": subscriber_id}
    row = services.database.one(_DETAILS, parameters)
    if row is None:
        raise ActivationUnknown("no such activation of this subscriber")
    request = json.loads(row.request)
    hashes = [base64.b64decode(value).hex() for value in request["hashes"]]
    labels = request["labels"] or [None] * len(hashes)
    expired = row.state == State.PENDING.value and row.expires_at <= services.now_ms()
    return ActivationDetails(
        activation_id=row.id,
        state=State.EXPIRED if expired else State(row.state),
        channel=Channel(row.channel),
        client_id=row.client_id,
        client_name=row.client_name,
        client_logo_uri=row.logo_uri,
        description=request["description"],
        documents=tuple(map(Document, labels, hashes)),
        hash_algorithm=request["hash_algorithm"],
        num_signatures=row.num_signatures,
        verification_code=row.verification_code,
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


def pending_for(services: Services, subscriber_id: str) -> list[ActivationSummary]:
    """The requests that wait for this signer, oldest first. One statement.

    A pushed authorization request counts only after a browser has opened it.
    """
    started = services.now_ms()
    parameters = {
        "the_owner": subscriber_id,
        "now": started,
        # Ids rise with time, so the index of (subscriber, id) is read from here on only.
        "first_id": new_id(started - services.config.lifetimes.activation * 1000)[:TIME_PREFIX],
    }
    return [
        ActivationSummary(
            activation_id=row.id,
            client_name=row.name,
            description=json.loads(row.request)["description"],
            num_signatures=row.num_signatures,
            verification_code=row.verification_code,
            created_at_ms=row.created_at,
            expires_at_ms=row.expires_at,
        )
        for row in services.database.all(_PENDING_FOR, parameters)
    ]


def _passkey_from(factors: str) -> int | None:
    found = (one["usable_from"] for one in json.loads(factors) if one["kind"] == "passkey")
    return min(found, default=None)


def _origin(uri: str | None) -> str | None:
    if uri is None:
        return None
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


_owner = bindparam("the_owner", type_=ACTIVATION.subscriber_id.type)
_DETAILS = (
    select(
        signature_activation,
        oauth_client.c.name.label("client_name"),
        oauth_client.c.logo_uri,
        CREDENTIAL.certificate,
        CREDENTIAL.factors,
        CREDENTIAL.description.label("credential_description"),
        SUBSCRIBER.full_name,
    )
    .join_from(signature_activation, oauth_client, oauth_client.c.id == ACTIVATION.client_id)
    .join(credential, CREDENTIAL.id == ACTIVATION.credential_id)
    .join(subscriber, SUBSCRIBER.id == ACTIVATION.subscriber_id)
    .where(ACTIVATION.id == the_id, ACTIVATION.subscriber_id == _owner)
)
_PENDING_FOR = (
    select(signature_activation, oauth_client.c.name)
    .join_from(signature_activation, oauth_client, oauth_client.c.id == ACTIVATION.client_id)
    .where(
        ACTIVATION.subscriber_id == _owner,
        ACTIVATION.id > bindparam("first_id", type_=Text()),
        ACTIVATION.state == State.PENDING.value,
        ACTIVATION.expires_at > now,
        or_(
            ACTIVATION.channel == Channel.DECOUPLED.value,
            ACTIVATION.request_used_at.is_not(None),
        ),
    )
    .order_by(ACTIVATION.id)
)
