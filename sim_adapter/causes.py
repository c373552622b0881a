"""Why a transaction ended without a signature, in words for the person whose phone it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_adapter.mss import codes

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Words:
    """One cause in Vietnamese and in English."""

    vi: str
    en: str


_NEW_ENROLMENT = "Cần đăng ký lại SIM PKI."
WORDS: Mapping[str, Words] = {
    "none": Words("", ""),
    "person_refused": Words(
        "Yêu cầu đã bị từ chối trên điện thoại.", "The request was refused on the phone."
    ),
    "no_answer_in_time": Words(
        "Điện thoại không trả lời kịp thời hạn.", "The phone did not answer in time."
    ),
    "cancelled": Words("Yêu cầu đã bị hủy.", "The request was cancelled."),
    "phone_unreachable": Words(
        "Không liên lạc được với điện thoại. Hãy kiểm tra máy đã bật và có sóng.",
        "The phone could not be reached. Check that it is on and has a signal.",
    ),
    "pin_blocked": Words(
        "Mã PIN ký trên SIM đã bị khóa. Hãy mở khóa bằng mã PUK.",
        "The signing PIN of the SIM is blocked. Unblock it with the PUK.",
    ),
    "sim_blocked": Words(
        f"SIM PKI đã bị khóa. {_NEW_ENROLMENT}", "The SIM is blocked. It must be enrolled again."
    ),
    "number_without_sim_pki": Words(
        f"Số điện thoại này không có SIM PKI đang hoạt động. {_NEW_ENROLMENT}",
        "There is no active SIM PKI on this number. It must be enrolled again.",
    ),
    "sim_busy": Words(
        "SIM đang xử lý một yêu cầu khác. Hãy hoàn tất yêu cầu đó rồi thử lại.",
        "The SIM is busy with another request. Finish that one and try again.",
    ),
    "text_unsuitable": Words(
        "Nhà mạng không nhận nội dung hiển thị của yêu cầu.",
        "The operator does not accept the text of the request.",
    ),
    "profile_unsupported": Words(
        "SIM không hỗ trợ kiểu ký được yêu cầu.",
        "The SIM does not support the kind of signature that was asked for.",
    ),
    "certificate_missing": Words(
        f"SIM chưa có chứng thư số. {_NEW_ENROLMENT}",
        "The SIM has no certificate. It must be enrolled again.",
    ),
    "certificate_revoked": Words(
        "Chứng thư số của SIM đã bị thu hồi.", "The certificate of the SIM is revoked."
    ),
    "certificate_unverified": Words(
        "Nhà mạng chưa kiểm tra được chứng thư số của SIM. Hãy thử lại sau.",
        "The operator could not check the certificate of the SIM. Try again later.",
    ),
    "certificate_unsuitable": Words(
        "Chứng thư số của SIM không phù hợp để ký.",
        "The certificate of the SIM is not suitable for signing.",
    ),
    "signature_wrong": Words(
        "Chữ ký từ SIM không hợp lệ.", "The signature that came from the SIM is wrong."
    ),
    "place_not_allowed": Words(
        "Điện thoại đang ở nơi không được phép ký.",
        "Signing is not allowed where the phone is now.",
    ),
    "registration_failed": Words(
        "SIM không tạo được khóa ký.", "The SIM could not make a signing key."
    ),
    "operator_refused_request": Words(
        "Nhà mạng không nhận yêu cầu này.", "The operator does not accept this request."
    ),
    "service_not_admitted": Words(
        "Nhà mạng chưa cho phép dịch vụ này ký bằng SIM.",
        "The operator does not admit this service to SIM signatures.",
    ),
    "operator_failed": Words(
        "Hệ thống của nhà mạng gặp sự cố. Hãy thử lại sau.",
        "The operator's system has a fault. Try again later.",
    ),
    "operator_code_unknown": Words(
        "Nhà mạng trả lời bằng một mã không xác định.",
        "The operator answered with a code that is not known.",
    ),
    "operator_unreachable": Words(
        "Không kết nối được với nhà mạng. Hãy thử lại sau.",
        "The operator cannot be reached. Try again later.",
    ),
    "operator_slow": Words(
        "Nhà mạng không trả lời kịp thời. Hãy thử lại sau.",
        "The operator did not answer in time. Try again later.",
    ),
    "operator_answer_invalid": Words(
        "Nhà mạng trả lời không đúng chuẩn. Yêu cầu chưa được ký.",
        "The operator's answer could not be understood. Nothing was signed.",
    ),
    "operator_answer_mismatch": Words(
        "Câu trả lời của nhà mạng không thuộc yêu cầu này. Yêu cầu chưa được ký.",
        "The operator's answer belongs to another request. Nothing was signed.",
    ),
    "send_interrupted": Words(
        "Dịch vụ bị gián đoạn trong lúc gửi yêu cầu. Hãy thử lại.",
        "The service was interrupted while the request was sent. Try again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction ends: ``state``, and the outcome that the rssp is told.

    ``code`` is the operator's number, None where the end is our own; ``name`` is for programs.
    """

    state: str
    code: int | None
    name: str
    cause: str

    @classmethod
    def of_code(cls, number: int) -> Ending:
        """The ending that the operator's final code means."""
        row = codes.meaning_of(number)
        return cls(row.meaning, row.number, row.name, row.cause)

    @classmethod
    def own(cls, cause: str, state: str = "FAILED") -> Ending:
        """An ending that no operator has told."""
        return cls(state, None, cause.upper(), cause)


def say(cause: str, language: str) -> str:
    """``cause`` in words; Vietnamese unless ``language`` is ``en``."""
    words = WORDS[cause]
    return words.en if language == "en" else words.vi
