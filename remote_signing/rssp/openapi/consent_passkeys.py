"""The consent API's passkeys described (docs/passkeys.md): consent, and the passkeys there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.openapi.consent import (
    ALWAYS,
    ENDED,
    EVIDENCE,
    NOTHING,
    asked_for,
)
from remote_signing.rssp.openapi.operation import Answer, Asked
from remote_signing.rssp.openapi.schema import (
    Schema,
    flag,
    identifier,
    listing,
    moment,
    named,
    or_null,
    text,
    whole,
    whole_object,
)

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation


def _octets(about: str = "") -> Schema:
    """Bytes as base64url without padding."""
    return text(about, contentEncoding="base64url", pattern="^[A-Za-z0-9_-]*$")


_KNOWN = listing(
    whole_object({"id": _octets(), "transports": listing(text())}), "Those that there are."
)
_TOKEN = _octets("Of this change; comes back with it.")
_ANSWER: dict[str, Schema] = {
    "credential_id": _octets("Of the passkey."),
    "authenticator_data": _octets(),
    "client_data": _octets(),
    "signature": _octets(),
    "user_handle": or_null(_octets()),
}
_NEW: dict[str, Schema] = {
    "token": _TOKEN,
    "client_data": _octets(),
    "attestation_object": _octets(),
    "transports": listing(text()),
}
_PASSKEY: dict[str, Schema] = {
    "factor_id": identifier(),
    "name": text(),
    "is_synced": flag("It may be on several devices."),
    "registered_at": moment(),
    "usable_from": moment(),
}
_PROOF: Schema = {
    "description": "PIN and code, or a passkey that is there.",
    "oneOf": [
        whole_object({"passkey": named("PasskeyAnswer")}, additionalProperties=False),
        whole_object({"pin": EVIDENCE, "otp": EVIDENCE}, additionalProperties=False),
    ],
}
SCHEMAS: dict[str, Schema] = {
    "PasskeyAnswer": whole_object(
        _ANSWER, "What `navigator.credentials.get` gave (WebAuthn).", additionalProperties=False
    ),
    "NewPasskey": whole_object(
        _NEW, "What `navigator.credentials.create` gave (WebAuthn).", additionalProperties=False
    ),
    "PasskeyQuestion": whole_object(
        {"challenge": _octets(), "rp_id": text(), "passkeys": _KNOWN},
        "For `navigator.credentials.get`.",
    ),
    "PasskeyChange": whole_object(
        {
            "token": _TOKEN,
            "challenge": _octets(),
            "rp_id": text(),
            "user_handle": _octets(),
            "algorithms": listing(whole(), "COSE identifiers, the best first."),
            "passkeys": _KNOWN,
        }
    ),
    "CredentialPasskeys": whole_object(
        {
            "id": identifier(),
            "description": or_null(text()),
            "certificate": named("ShownCertificate"),
            "passkeys": listing(whole_object(_PASSKEY)),
        }
    ),
}
_QUESTION = {200: Answer("What to ask the device.", named("PasskeyQuestion"))}
_CHANGE = {200: Answer("What the browser needs.", named("PasskeyChange"))}


def operations() -> list[Operation]:
    """Consent, then what there is and how it changes."""
    return [*_consent(), *_together(), _listed(), *_added(), *_dropped(), _seen()]


def _given(**known: Schema) -> Asked:
    return Asked(whole_object(known, additionalProperties=False))


def _consent() -> list[Operation]:
    return [
        asked_for(
            "POST",
            "/requests/{name}/passkey/options",
            ("Hỏi khoá truy cập", "What the passkeys are asked"),
            _QUESTION,
            asked=NOTHING,
            refused=(403, 404, 409, 410),
        ),
        asked_for(
            "POST",
            "/requests/{name}/passkey",
            ("Đồng ý bằng khoá truy cập", "Consent with a passkey"),
            ENDED,
            asked=Asked(named("PasskeyAnswer")),
            refused=(403, 404, 409, 410),
        ),
    ]


def _together() -> list[Operation]:
    ids = listing(identifier(), "All of one credential.", minItems=1)
    refused = (403, 404, 409, 410)
    return [
        asked_for(
            "POST",
            "/batch/passkey/options",
            ("Hỏi khoá truy cập về nhiều việc", "What they are asked about several"),
            _QUESTION,
            asked=_given(ids=ids),
            refused=refused,
            about="The challenge is over exactly these, in this order.",
        ),
        asked_for(
            "POST",
            "/batch/passkey",
            ("Đồng ý nhiều việc bằng khoá truy cập", "Consent to several with a passkey"),
            {200: Answer("One for each.", named("BatchResults"))},
            asked=_given(ids=ids, answer=named("PasskeyAnswer")),
            refused=refused,
        ),
    ]


def _listed() -> Operation:
    told: dict[str, Schema] = {
        **ALWAYS,
        "credentials": listing(named("CredentialPasskeys")),
        "notices": listing(named("Notice"), "What the signer has not seen yet."),
    }
    return asked_for(
        "GET",
        "/passkeys",
        ("Các khoá truy cập", "The signer's passkeys"),
        {200: Answer("By credential.", whole_object(told))},
    )


def _added() -> list[Operation]:
    credential, new = identifier(), named("NewPasskey")
    name = text("What the signer calls it.", minLength=1, maxLength=64)
    refused = (403, 404, 409)
    return [
        asked_for(
            "POST",
            "/passkeys/options",
            ("Bắt đầu thêm khoá truy cập", "Begin to add a passkey"),
            _CHANGE,
            asked=_given(credential_id=credential),
            refused=refused,
        ),
        asked_for(
            "POST",
            "/passkeys/confirm",
            ("Xác nhận bằng khoá đã có", "What a passkey that is there is asked"),
            _QUESTION,
            asked=_given(credential_id=credential, passkey=new),
            refused=refused,
        ),
        asked_for(
            "POST",
            "/passkeys",
            ("Thêm khoá truy cập", "Add a passkey"),
            {201: Answer("It is there.", whole_object({"factor_id": identifier()}))},
            asked=_given(credential_id=credential, passkey=new, name=name, proof=_PROOF),
            refused=refused,
        ),
    ]


def _dropped() -> list[Operation]:
    return [
        asked_for(
            "POST",
            "/passkeys/{name}/options",
            ("Bắt đầu gỡ khoá truy cập", "Begin to remove a passkey"),
            _CHANGE,
            asked=NOTHING,
            refused=(403, 404, 409),
        ),
        asked_for(
            "POST",
            "/passkeys/{name}/drop",
            ("Gỡ khoá truy cập", "Remove a passkey"),
            {200: Answer("It is gone.", {"type": "object"})},
            asked=_given(token=_TOKEN, proof=_PROOF),
            refused=(403, 404, 409),
        ),
    ]


def _seen() -> Operation:
    return asked_for(
        "POST",
        "/notices/seen",
        ("Đã xem thông báo", "The signer has seen the notices"),
        {200: Answer("How many.", whole_object({"seen": whole(minimum=0)}))},
        asked=_given(newest=identifier("Of the youngest notice that was shown.")),
    )
