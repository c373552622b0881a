"""One of each message of TS 102 204, and how to say what an operator would say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sim_adapter.mss.model import (
    FORMAT_CMS,
    MIME_BYTES,
    MIME_TEXT,
    SERVICE_EVENT_ID,
    SERVICE_USER_LANG,
    ApInfo,
    Data,
    Head,
    KeyOrder,
    Message,
    MsspInfo,
    Possession,
    ProfileReq,
    ProfileResp,
    ReceiptReq,
    ReceiptResp,
    RegistrationReq,
    RegistrationResp,
    Service,
    Signature,
    SignatureReq,
    SignatureResp,
    SimCertificate,
    SimProfile,
    Status,
    StatusReq,
    StatusResp,
)

SAMPLES = Path(__file__).parents[1] / "data" / "mss" / "samples"
NUMBER = "84900000001"
INSTANT = datetime(2026, 11, 25, 3, 4, 5, 678000, tzinfo=UTC)
HEAD = Head(
    ApInfo("urn:example:ap", "A0123456789", "pass-word", INSTANT),
    MsspInfo("urn:example:mssp", INSTANT),
)
CALLED = replace(HEAD, ap=replace(HEAD.ap, url="https://ap.example/mss"))
SHOWN = Data("Bộ Nội vụ: ký 12/QĐ-BNV", MIME_TEXT, "UTF-8")
CMS, BARE = Signature(b"\x30\x03cms"), Signature(b"\x01" * 64, b"\x30\x04cert")
PROFILE = SimProfile(
    state="ACTIVE",
    pin_blocked=False,
    certificates=(
        SimCertificate("ACTIVE", "EC", (b"one", b"two")),
        SimCertificate(None, None, (b"three",)),
    ),
    iccid="8984000000000000001",
    mcc="452",
    mnc="99",
    network="Test Mobile",
)

REQUESTS: dict[str, Message] = {
    "MSS_Signature": SignatureReq(
        head=CALLED,
        msisdn=NUMBER,
        mode="asynchClientServer",
        dtbs=Data("AAEC", MIME_BYTES, "base64"),
        dtbd=SHOWN,
        profile="urn:example:profile",
        services=(
            Service(SERVICE_EVENT_ID, event_id="4821"),
            Service(SERVICE_USER_LANG, user_lang="vi"),
        ),
        format=FORMAT_CMS,
        timeout=120,
        validity=INSTANT,
    ),
    "MSS_StatusQuery": StatusReq(HEAD, "M42"),
    "MSS_Receipt": ReceiptReq(HEAD, "M42", NUMBER, Status(502, "VALID_SIGNATURE"), SHOWN),
    "MSS_ProfileQuery": ProfileReq(HEAD, NUMBER, "sscds state"),
    "MSS_Registration": RegistrationReq(
        HEAD,
        NUMBER,
        KeyOrder(
            "credential",
            b"\x07" * 32,
            "Bộ Nội vụ",
            "4821",
            90,
            "RSA2048",
            replace=True,
            mode="digest",
        ),
    ),
    "MSS_Notification": StatusResp(HEAD, NUMBER, Status(500), CMS, "M42"),
}
ANSWERS: dict[str, Message] = {
    "MSS_Signature": SignatureResp(
        HEAD, "M42", NUMBER, Status(502, "VALID_SIGNATURE", 5021), BARE, "urn:example:profile"
    ),
    "MSS_StatusQuery": StatusResp(HEAD, NUMBER, Status(500, "SIGNATURE"), CMS),
    "MSS_Receipt": ReceiptResp(HEAD, Status(100, "REQUEST_OK")),
    "MSS_ProfileQuery": ProfileResp(
        HEAD, ("urn:a", "urn:b"), Status(100, "REQUEST_OK", profile=PROFILE)
    ),
    "MSS_Registration": RegistrationResp(
        HEAD, Status(408, possession=Possession(b"proof", "8984000000000000001")), b"spki"
    ),
    "MSS_Notification": ReceiptReq(HEAD, "M42", NUMBER, Status(601)),
}
OTHER_REQUESTS: dict[str, Message] = {
    "certificate": RegistrationReq(HEAD, NUMBER, certificate=b"der"),
    "bare text": SignatureReq(HEAD, NUMBER, "synch", Data("Ký", MIME_TEXT, "UTF-8")),
    "receipt without anything": ReceiptReq(HEAD, "M42", NUMBER),
}
