"""Every status and fault code of TS 102 204 and TS 102 207, and what each means for us.

The number alone decides. Whether a fault says Sender or Receiver is never looked at: vendors
disagree (one vendor's own samples give 401 both ways). A number that is not in the table is FAILED.

Sources of the numbers: TS 102 204, appendix C of the FiCom profile, documents of Swisscom
and Methics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Carried = Literal["status", "fault"]
Meaning = Literal["PENDING", "DONE", "SIGNED", "REFUSED", "EXPIRED", "FAILED"]
"""PENDING: ask again. DONE: an answer without a signature is good (registration, receipt). The
others are states of a transaction."""


@dataclass(frozen=True, slots=True)
class Code:
    """One row. ``cause`` is a key of :mod:`sim_adapter.causes`."""

    number: int
    name: str
    carried: Carried
    meaning: Meaning
    cause: str


def _status(number: int, name: str, meaning: Meaning, cause: str = "none") -> Code:
    return Code(number, name, "status", meaning, cause)


def _fault(number: int, name: str, cause: str, meaning: Meaning = "FAILED") -> Code:
    return Code(number, name, "fault", meaning, cause)


REQUEST_OK, WRONG_PARAM, MISSING_PARAM, WRONG_DATA_LENGTH = 100, 101, 102, 103
UNAUTHORIZED_ACCESS, UNKNOWN_CLIENT, INAPPROPRIATE_DATA = 104, 105, 107
INCOMPATIBLE_INTERFACE, UNSUPPORTED_PROFILE = 108, 109
EXPIRED_TRANSACTION, OTA_ERROR = 208, 209
USER_SIGN, USER_CANCEL, PIN_BLOCKED, CARD_BLOCKED, NO_KEY_FOUND = 400, 401, 402, 403, 404
PB_SIGNATURE_PROCESS, REGISTRATION_NOK, REGISTRATION_OK, NO_CERT_FOUND = 406, 407, 408, 422
SIGNATURE, REVOKED_CERTIFICATE, VALID_SIGNATURE, INVALID_SIGNATURE = 500, 501, 502, 503
OUTSTANDING_TRANSACTION = 504
RET_OK_NOPUSH, RET_NOK_NOPUSH = 601, 603
INTERNAL_ERROR = 900

_ROWS = (
    _status(100, "REQUEST_OK", "PENDING"),
    _fault(101, "WRONG_PARAM", "operator_refused_request"),
    _fault(102, "MISSING_PARAM", "operator_refused_request"),
    _fault(103, "WRONG_DATA_LENGTH", "text_unsuitable"),
    _fault(104, "UNAUTHORIZED_ACCESS", "service_not_admitted"),
    _fault(105, "UNKNOWN_CLIENT", "number_without_sim_pki"),
    _fault(106, "HANDSHAKE_REQUIRED", "service_not_admitted"),
    _fault(107, "INAPPROPRIATE_DATA", "text_unsuitable"),
    _fault(108, "INCOMPATIBLE_INTERFACE", "operator_refused_request"),
    _fault(109, "UNSUPPORTED_PROFILE", "profile_unsupported"),
    _fault(208, "EXPIRED_TRANSACTION", "no_answer_in_time", "EXPIRED"),
    _fault(209, "OTA_ERROR", "phone_unreachable"),
    _status(400, "USER_SIGN", "PENDING"),
    _fault(401, "USER_CANCEL", "person_refused", "REFUSED"),
    _fault(402, "PIN_NR_BLOCKED", "pin_blocked"),
    _fault(403, "CARD_BLOCKED", "sim_blocked"),
    _fault(404, "NO_KEY_FOUND", "number_without_sim_pki"),
    _fault(405, "NO_URL_FOUND", "operator_failed"),
    _fault(406, "PB_SIGNATURE_PROCESS", "sim_busy"),
    _fault(407, "REGISTRATION_NOK", "registration_failed"),
    _status(408, "REGISTRATION_OK", "DONE"),
    _fault(422, "NO_CERT_FOUND", "certificate_missing"),
    _fault(423, "CRL_PB", "certificate_unverified"),
    _fault(424, "CRL_EXPIRED", "certificate_unverified"),
    _fault(425, "ERROR_CERTIFICATE", "certificate_unverified"),
    _fault(450, "GEOFENCING_POLICY_VIOLATION", "place_not_allowed"),
    _status(500, "SIGNATURE", "SIGNED"),
    _status(501, "REVOKED_CERTIFICATE", "FAILED", "certificate_revoked"),
    # The operator's verdict "valid" counts no more than 500: the SAM verifies every signature.
    _status(502, "VALID_SIGNATURE", "SIGNED"),
    _status(503, "INVALID_SIGNATURE", "FAILED", "signature_wrong"),
    _status(504, "OUTSTANDING_TRANSACTION", "PENDING"),
    _status(505, "CONSTRAINT_MISMATCH", "FAILED", "certificate_unsuitable"),
    # 60x answer a notification or a receipt: "push" says whether to tell the user.
    _status(600, "RET_OK_PUSH", "DONE"),
    _status(601, "RET_OK_NOPUSH", "DONE"),
    _status(602, "RET_NOK_PUSH", "FAILED", "operator_failed"),
    _status(603, "RET_NOK_NOPUSH", "FAILED", "operator_failed"),
    _fault(701, "ROAMING_HEADER_MISSING", "operator_refused_request"),
    _fault(702, "IDENTITY_ISSUER_HEADER_MISSING", "operator_refused_request"),
    _fault(703, "HOME_MSSP_HEADER_MISSING", "operator_refused_request"),
    _fault(710, "INPUT_INFORMATION_MISSING", "operator_refused_request"),
    _fault(720, "VALIDITY_DATE_PASSED", "no_answer_in_time", "EXPIRED"),
    _fault(750, "ROUTING_ENTITY_UNAVAILABLE", "operator_failed"),
    _fault(760, "IDENTITY_ISSUER_UNAVAILABLE", "operator_failed"),
    _fault(770, "VERIFYING_ENTITY_UNAVAILABLE", "operator_failed"),
    _fault(780, "SERVICE_UNAVAILABLE", "operator_failed"),
    _fault(900, "INTERNAL_ERROR", "operator_failed"),
)
CODES: Mapping[int, Code] = {row.number: row for row in _ROWS}


def meaning_of(number: int) -> Code:
    """The row of ``number``; an unknown one is FAILED, whatever it may mean elsewhere."""
    unknown = Code(number, f"CODE_{number}", "fault", "FAILED", "operator_code_unknown")
    return CODES.get(number, unknown)
