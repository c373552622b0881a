"""A credential in the words of CSC API v2 (``CredentialInfo``, cl. 11.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.algorithms import algorithm_named
from remote_signing.rssp.csc.v2.certificate import certificate_info
from remote_signing.rssp.csc.wire import encode

if TYPE_CHECKING:
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.v2.schemas import Shown
    from remote_signing.rssp.deps import Services

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
_LONGEST_DESCRIPTION = 255


def is_usable(credential: CredentialView, now_ms: int) -> bool:
    """Whether consent to a signature can be asked for now."""
    return credential.usable_at(now_ms) and not credential.locked


def takes_codes(credential: CredentialView) -> bool:
    """Whether a portal may send the signer's codes along: explicit mode and SCAL1 only."""
    return credential.auth_mode == "explicit" and credential.scal == "1"


def credential_info(
    services: Services, credential: CredentialView, shown: Shown
) -> dict[str, object]:
    """The members, without ``credentialID``. What has no value is left out, never null."""
    lang = language(shown.lang, services.config.service.lang)
    now_ms = services.now_ms()
    members: dict[str, object] = {
        "key": key_members(credential, now_ms),
        "cert": cert_members(credential, shown, now_ms),
        "auth": _auth(credential, shown, lang),
        "SCAL": credential.scal,
        "multisign": min(credential.multisign, services.config.policy.max_signatures),
        "lang": lang,
    }
    if services.config.csc.signature_qualifier is not None:
        members["signatureQualifier"] = services.config.csc.signature_qualifier
    return members | description(credential)


def description(credential: CredentialView) -> dict[str, object]:
    """``description``, when there is one."""
    text = credential.description
    return {"description": text[:_LONGEST_DESCRIPTION]} if text else {}


def key_members(credential: CredentialView, now_ms: int) -> dict[str, object]:
    """``status`` is enabled when the key can be used now, so an expired one's is disabled."""
    algorithm = algorithm_named(credential.algorithm)
    members: dict[str, object] = {
        "status": "enabled" if is_usable(credential, now_ms) else "disabled",
        "algo": list(algorithm.sign_oids),
        "len": algorithm.bits,
    }
    if algorithm.curve_oid is not None:
        members["curve"] = algorithm.curve_oid
    return members


def cert_members(credential: CredentialView, shown: Shown, now_ms: int) -> dict[str, object]:
    """``status`` only where it is known: another authority's revocations are its own to tell."""
    certificate = credential.certificate or b""  # one without is not shown at all
    status = _cert_status(credential, now_ms)
    members: dict[str, object] = {} if status is None else {"status": status}
    if shown.certificates == "single":
        members["certificates"] = [encode(certificate)]
    elif shown.certificates == "chain":
        members["certificates"] = [encode(der) for der in (certificate, *credential.chain)]
    if shown.cert_info:
        members |= certificate_info(certificate)
    return members


def _cert_status(credential: CredentialView, now_ms: int) -> str | None:
    """What has been revoked stays so after its end (RFC 5280); only then it is expired."""
    if credential.certificate_state == "revoked":
        return "revoked"
    if credential.not_after_ms is not None and credential.not_after_ms <= now_ms:
        return "expired"
    state = credential.certificate_state
    return None if state is None else {"good": "valid"}.get(state, state)


def _auth(credential: CredentialView, shown: Shown, lang: str) -> dict[str, object]:
    """``objects`` is always there: clients demand it, and an empty list would be untrue."""
    objects = _auth_objects(credential, lang)
    members: dict[str, object] = {"mode": credential.auth_mode, "objects": objects}
    if shown.auth_info and objects:
        members["expression"] = " AND ".join(str(item["id"]) for item in objects)
    return members


def _auth_objects(credential: CredentialView, lang: str) -> list[dict[str, object]]:
    """CSC API v2 cl. 8.3 (2.0). At SCAL2 the one object is consent in our own page."""
    if credential.auth_mode != "explicit":
        return []
    if not takes_codes(credential):
        return [_object("PasswordOOB", CONSENT, "consent", lang)]
    return [
        _object("Password", factor_id, kind, lang)
        | {"format": "N"}
        | ({"generator": "totp"} if kind == "totp" else {})
        for factor_id, kind in credential.typed_factors
    ]


def _object(kind: str, name: str, label: str, lang: str) -> dict[str, object]:
    return {"type": kind, "id": name, **label_members(label, lang)}


def label_members(kind: str, lang: str) -> dict[str, object]:
    """How a factor of that kind (``pin``, ``totp``, ``consent``) is told to people."""
    label, text = _LABELS[lang][kind]
    return {"label": label, "description": text}


def language(wanted: str | None, default: str) -> str:
    """The language of the labels (RFC 5646): what was asked for, the service's own, or English."""
    for tag in (wanted, default):
        primary = (tag or "").partition("-")[0].lower()
        if primary in _LABELS:
            return primary
    return "en"
