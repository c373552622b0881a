"""A credential in the words of CSC API v2 (``CredentialInfo``, cl. 11.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.algorithms import algorithm_named
from remote_signing.rssp.csc.v2.certificate import certificate_info
from remote_signing.rssp.csc.wire import encode

if TYPE_CHECKING:
    from remote_signing.rssp.csc.v2.schemas import Shown
    from remote_signing.rssp.csc.visible import Credential

_LABELS = {
    "vi": {
        "pin": ("Mã PIN ký số", "Mã PIN của chứng thư chữ ký số."),
        "totp": ("Mã xác thực", "Mã 6 chữ số trong ứng dụng xác thực."),
        "consent": ("Xác nhận trên điện thoại", "Người ký xem và đồng ý trên trang xác nhận."),
    },
    "en": {
        "pin": ("Signing PIN", "The PIN of the signing certificate."),
        "totp": ("One-time code", "The six digits that the authenticator app shows."),
        "consent": ("Confirm on the phone", "The signer looks and agrees on the consent page."),
    },
}
CONSENT = "CONSENT"


def credential_info(credential: Credential, shown: Shown, default_lang: str) -> dict[str, object]:
    """The members, without ``credentialID``. What has no value is left out, never null."""
    lang = _language(shown.lang, default_lang)
    members: dict[str, object] = {
        "key": _key(credential),
        "cert": _cert(credential, shown),
        "auth": _auth(credential, shown, lang),
        "SCAL": credential.scal,
        "multisign": credential.multisign,
        "lang": lang,
    }
    if credential.description:
        members["description"] = credential.description[:255]
    return members


def _key(credential: Credential) -> dict[str, object]:
    """``status`` is enabled when a signature would be made now, so an expired one is disabled."""
    algorithm = algorithm_named(credential.algorithm)
    members: dict[str, object] = {
        "status": "enabled" if credential.usable else "disabled",
        "algo": list(algorithm.sign_oids),
        "len": algorithm.bits,
    }
    if algorithm.curve_oid is not None:
        members["curve"] = algorithm.curve_oid
    return members


def _cert(credential: Credential, shown: Shown) -> dict[str, object]:
    """``status`` only where it is known for certain: a revocation is the CA's to tell."""
    members: dict[str, object] = {"status": "expired"} if credential.expired else {}
    if shown.certificates == "single":
        members["certificates"] = [encode(credential.certificate)]
    elif shown.certificates == "chain":
        members["certificates"] = [
            encode(der) for der in (credential.certificate, *credential.chain)
        ]
    if shown.cert_info:
        members |= certificate_info(credential.certificate)
    return members


def _auth(credential: Credential, shown: Shown, lang: str) -> dict[str, object]:
    """``objects`` is always there: clients demand it, and an empty list would be untrue."""
    objects = _auth_objects(credential, lang)
    members: dict[str, object] = {"mode": credential.auth_mode, "objects": objects}
    if shown.auth_info and objects:
        members["expression"] = " AND ".join(str(item["id"]) for item in objects)
    return members


def _auth_objects(credential: Credential, lang: str) -> list[dict[str, object]]:
    """CSC API v2 cl. 8.3 (2.0). At SCAL2 the one object is consent in our own page."""
    if credential.auth_mode != "explicit":
        return []
    if not credential.takes_codes:
        return [_object("PasswordOOB", CONSENT, "consent", lang)]
    return [
        _object("Password", factor.id, factor.kind, lang)
        | {"format": "N"}
        | ({"generator": "totp"} if factor.kind == "totp" else {})
        for factor in credential.factors
    ]


def _object(kind: str, name: str, label: str, lang: str) -> dict[str, object]:
    text, description = _LABELS[lang][label]
    return {"type": kind, "id": name, "label": text, "description": description}


def _language(wanted: str | None, default: str) -> str:
    """The language of the labels (RFC 5646): what was asked for, the service's own, or English."""
    for tag in (wanted, default):
        primary = (tag or "").partition("-")[0].lower()
        if primary in _LABELS:
            return primary
    return "en"
