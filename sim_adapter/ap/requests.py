"""The messages that this application provider sends, made from its rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from sim_adapter.clock import as_datetime
from sim_adapter.identifiers import new_trans_id
from sim_adapter.mss.model import (
    ENCODING_BYTES,
    ENCODING_TEXT,
    MIME_BYTES,
    MIME_SHA256,
    MIME_TEXT,
    SERVICE_EVENT_ID,
    SERVICE_USER_LANG,
    ApInfo,
    Data,
    Head,
    KeyOrder,
    MessagingMode,
    MsspInfo,
    ProfileReq,
    ReceiptReq,
    RegistrationReq,
    Service,
    SignatureReq,
    Status,
    StatusReq,
)
from sim_adapter.mss.values import write_base64

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sim_adapter.ap.client import OperatorClient

_PROFILE_PARAMS = "sscds state certs pinstatus carddetails"


def head(client: OperatorClient, now_ms: int, trans_id: str | None = None, minor: int = 1) -> Head:
    """A head with a new AP_TransID, or with ``trans_id``."""
    config = client.config
    url = config.notification_url if config.mode == "asynchServerServer" else None
    if url is not None and client.notification_secret is not None:
        url = f"{url}/{config.name}/{client.notification_secret}"
    instant = as_datetime(now_ms)
    ap = ApInfo(config.ap_id, trans_id or new_trans_id(), client.password, instant, url)
    return Head(ap, MsspInfo(config.mssp_uri), minor=minor)


def signature(client: OperatorClient, row: Row[Any], now_ms: int) -> SignatureReq:
    """The question of ``row``, with the time that is left as TimeOut."""
    config = client.config
    dtbs, dtbd = _data(row)
    return SignatureReq(
        head=head(client, now_ms, row.ap_trans_id),
        msisdn=row.msisdn,
        mode=cast("MessagingMode", config.mode),
        dtbs=dtbs,
        dtbd=dtbd,
        profile=config.profile,
        services=tuple(_services(client, row)),
        format=config.format,
        timeout=max(1, (row.deadline - now_ms) // 1000),
    )


def _data(row: Row[Any]) -> tuple[Data, Data | None]:
    text = Data(row.display_text, MIME_TEXT, ENCODING_TEXT)
    if row.mode == "text":
        return text, None
    if row.mode == "digest":
        digest = hashlib.sha256(row.consent).digest()
        return Data(write_base64(digest), MIME_SHA256, ENCODING_BYTES), text
    return Data(write_base64(row.consent), MIME_BYTES, ENCODING_BYTES), text


def _services(client: OperatorClient, row: Row[Any]) -> list[Service]:
    services = []
    if client.config.event_id:
        services.append(Service(SERVICE_EVENT_ID, event_id=row.verification_code))
    if client.config.user_lang:
        services.append(Service(SERVICE_USER_LANG, user_lang=row.language))
    return services


def status(client: OperatorClient, row: Row[Any], now_ms: int) -> StatusReq:
    """What became of ``row``?"""
    return StatusReq(head(client, now_ms), row.mssp_trans_id)


def receipt(
    client: OperatorClient, row: Row[Any], message: str, code: int, now_ms: int
) -> ReceiptReq:
    """Show ``message`` on the phone, after ``row`` ended with ``code``."""
    return ReceiptReq(
        head(client, now_ms),
        row.mssp_trans_id,
        row.msisdn,
        Status(code),
        Data(message, MIME_TEXT, ENCODING_TEXT),
    )


def profile(client: OperatorClient, msisdn: str, now_ms: int) -> ProfileReq:
    """What does the operator know of ``msisdn``?"""
    return ProfileReq(head(client, now_ms), msisdn, _PROFILE_PARAMS)


def key_generation(client: OperatorClient, row: Row[Any], now_ms: int) -> RegistrationReq:
    """Make a key in the SIM of ``row`` (of ``sim_registration``)."""
    order = KeyOrder(
        credential_id=row.credential_id,
        challenge=row.challenge,
        relying_party=row.relying_party,
        code=row.verification_code,
        timeout=max(1, (row.deadline - now_ms) // 1000),
        algorithm=row.algorithm,
        replace=row.replace,
        mode=row.mode,
    )
    return RegistrationReq(head(client, now_ms), row.msisdn, order)


def certificate(client: OperatorClient, row: Row[Any], der: bytes, now_ms: int) -> RegistrationReq:
    """Here is the certificate of the key that was made."""
    return RegistrationReq(head(client, now_ms), row.msisdn, certificate=der)
