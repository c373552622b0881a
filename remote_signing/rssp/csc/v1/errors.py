"""Errors of the core in the texts of CSC API v1, where these differ from v2's."""

from __future__ import annotations

from typing import Final

from remote_signing.errors import CredentialLocked, EvidenceInvalid
from remote_signing.rssp.csc.errors import MALFORMED_HEADER, CscError

MALFORMED: Final = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed."
)
_HEADER = {"credentials/sendOTP": "Malformed authroization header."}  # the standard's own slip
_TEXTS = {
    "Hash is not authorized by the SAD": "Hash is not authorized by the SAD.",
}
_NAMES = {" hashAlgorithmOID": " hashAlgo", " parameter hashes": " parameter hash"}


def retold(method: str, error: CscError) -> CscError:
    """``error`` as v1 words it."""
    text = _TEXTS.get(error.description, error.description)
    if text == MALFORMED_HEADER:
        text = _HEADER.get(method, MALFORMED)
    for ours, its in _NAMES.items():
        text = text.replace(ours, its)
    return CscError(text, error=error.error, status=error.status, headers=error.headers)


def invalid_pin() -> CscError:
    """The PIN is missing, superfluous or, where it is the only factor, wrong."""
    return CscError("The PIN is invalid", error="invalid_pin")


def invalid_otp() -> CscError:
    """The one-time code is missing, superfluous or wrong."""
    return CscError("The OTP is invalid", error="invalid_otp")


def factor_refused(error: CredentialLocked | EvidenceInvalid, *, pin: bool, otp: bool) -> CscError:
    """What v1 says of ``error``: which factor, as far as the SAM lets anybody know.

    The SAM does not tell which of two factors was wrong; v1 has no text for "one of them", so it is
    the code, which is more often the one.
    """
    if isinstance(error, CredentialLocked):
        return CscError("PIN locked" if pin else "OTP locked")
    return invalid_otp() if otp else invalid_pin()
