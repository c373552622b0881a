"""A credential in the words of CSC API v1 (``credentials/info``, cl. 11.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.csc.v2.credentials import factor_of_kind
from remote_signing.rssp.csc.v2.presentation import (
    cert_members,
    description,
    key_members,
    label_members,
    language,
    takes_codes,
)

if TYPE_CHECKING:
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.csc.v2.schemas import Shown
    from remote_signing.rssp.deps import Services


def credential_info(
    services: Services, credential: CredentialView, shown: Shown
) -> dict[str, object]:
    """The members of v1. What has no value is left out, never null."""
    config, now_ms = services.config, services.now_ms()
    lang = language(shown.lang, config.service.lang)
    cert = cert_members(credential, shown, now_ms)
    cert.pop("policy", None)  # a member of 2.2
    members: dict[str, object] = {
        "key": key_members(credential, now_ms),
        "cert": cert,
        "authMode": "explicit" if takes_codes(credential) else "oauth2code",
        "SCAL": credential.scal,
        "multisign": min(credential.multisign, config.policy.max_signatures),
        "lang": lang,
    }
    if shown.auth_info and takes_codes(credential):
        members |= {"PIN": _pin(credential, lang), "OTP": _otp(credential, lang)}
    return members | description(credential)


def _pin(credential: CredentialView, lang: str) -> dict[str, object]:
    if factor_of_kind(credential, "pin") is None:
        return {"presence": "false"}
    return {"presence": "true", "format": "N", **label_members("pin", lang)}


def _otp(credential: CredentialView, lang: str) -> dict[str, object]:
    """Offline: the signer's own authenticator makes the code, nobody sends one."""
    factor_id = factor_of_kind(credential, "totp")
    if factor_id is None:
        return {"presence": "false"}
    return {
        "presence": "true",
        "type": "offline",
        "ID": factor_id,
        "format": "N",
        **label_members("totp", lang),
    }
