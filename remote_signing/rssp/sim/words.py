"""What a phone shows and what the consent page says of a SIM. Vietnamese first.

A SIM has room for 119 characters that are not all plain, some operators for less, and some want
words of their own first. Longer names and labels are cut by rule, with ``…`` where something is
missing; the page shows the very text that the phone will show.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.rssp.sim_client import Room

LONGEST_TEXT = 119
_SIGNED_PART = 27  # characters that mode text adds: code, spaces and 20 characters of the digest
_LONGEST_LABEL = 40
_LONGEST_CLIENT = 40
_LAST_PLANE = 0xFFFF  # what one UCS-2 unit holds
_ELLIPSIS = "…"
_REPLACEMENT = "?"

_CAUSES = {
    "sim_unreachable": (
        "Chưa kết nối được với hệ thống SIM PKI. Hãy thử lại sau.",
        "The SIM service cannot be reached. Try again later.",
    ),
    "request_not_taken": (
        "Hệ thống SIM PKI không nhận yêu cầu này.",
        "The SIM service does not take this request.",
    ),
    "signature_refused": (
        "Chữ ký từ SIM không đúng với yêu cầu này. Chưa có gì được ký.",
        "The signature that came from the SIM is not for this request. Nothing was signed.",
    ),
    "cancelled": ("Bạn đã hủy yêu cầu trên SIM.", "You have cancelled the request to the SIM."),
    "no_answer_in_time": (
        "Không có câu trả lời từ điện thoại trong thời hạn.",
        "There was no answer from the phone in time.",
    ),
    "request_over": (
        "Yêu cầu ký đã kết thúc trước khi SIM trả lời.",
        "The signature request was over before the SIM answered.",
    ),
    "suspended": (
        "SIM này đang bị tạm dừng. Hãy đăng ký lại SIM PKI tại cơ quan đăng ký.",
        "This SIM is suspended. It must be enrolled again at the registration authority.",
    ),
    "iccid_changed": (
        "SIM đã được thay. Hãy đăng ký lại SIM PKI tại cơ quan đăng ký.",
        "The SIM was replaced. It must be enrolled again at the registration authority.",
    ),
    "certificate_changed": (
        "Chứng thư số trên SIM đã thay đổi. Hãy đăng ký lại SIM PKI tại cơ quan đăng ký.",
        "The certificate on the SIM has changed. It must be enrolled again.",
    ),
    "network_changed": (
        "Số điện thoại đã chuyển mạng. Hãy đăng ký lại SIM PKI tại cơ quan đăng ký.",
        "The number has moved to another operator. The SIM must be enrolled again.",
    ),
    "rule_asks_more": (
        "Chứng thư số này yêu cầu thêm yếu tố xác nhận khác cùng với SIM. Trang này chưa hỗ trợ.",
        "This certificate asks for another factor beside the SIM. This page does not support that.",
    ),
    "number_without_sim_pki": (
        "Số điện thoại không còn SIM PKI hoạt động. Hãy đăng ký lại tại cơ quan đăng ký.",
        "There is no active SIM PKI on the number any more. It must be enrolled again.",
    ),
}


def say(cause: str, lang: str) -> str:
    """``cause`` in words; one that is not known is a suspension by an officer."""
    vietnamese, english = _CAUSES.get(cause, _CAUSES["suspended"])
    return english if lang == "en" else vietnamese


def display_text(
    client_name: str, labels: Sequence[str | None], lang: str, mode: str, room: Room
) -> str:
    """What the phone shows: who asks, what for. The code stands beside it.

    It fits for a ``room`` of 48 characters or more.
    """
    most = min(room.characters, LONGEST_TEXT - len(room.prefix))
    most -= _SIGNED_PART if mode == "text" else 0
    return room.prefix + _question(client_name, labels, lang, most)


def _question(client_name: str, labels: Sequence[str | None], lang: str, most: int) -> str:
    verb, many = ("sign", "documents") if lang == "en" else ("ký", "văn bản")
    head = f"{shortened(client_name, min(_LONGEST_CLIENT, most // 2))}: {verb} "
    if len(labels) != 1:
        head += f"{len(labels)} {many}"
    first = next((label for label in labels if label), None)
    if first is None:
        return plain(head if len(labels) != 1 else f"{head}1 {many}")
    joint = "" if len(labels) == 1 else ": "
    left = most - len(head) - len(joint)
    return plain(f"{head}{joint}{shortened(first, left)}")


def structure_labels(labels: Sequence[str | None]) -> list[str]:
    """As they go into the structure: at most 40 characters, empty where there is none."""
    return [shortened(label or "", _LONGEST_LABEL) for label in labels]


def receipt_text(labels: Sequence[str], when: str, lang: str, room: Room) -> str:
    """What the phone is told after the signature was used; it fits as :func:`display_text` does."""
    english = lang == "en"
    before, after = ("signed", f"at {when}") if english else ("đã ký", f"lúc {when}")
    what = labels[0] if len(labels) == 1 else ""
    if not what:
        what = f"{len(labels)} {'document(s)' if english else 'văn bản'}"
    left = room.characters - len(before) - len(after) - 2
    return room.prefix + plain(f"{before} {shortened(what, left)} {after}")


def shortened(text: str, most: int) -> str:
    """``text`` within ``most`` characters, with ``…`` for what is left out."""
    text = plain(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + _ELLIPSIS


def plain(text: str) -> str:
    """As a SIM takes it: composed, single spaces, and ``?`` for what no phone can show."""
    spaced = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(map(_shown, spaced))


def _shown(character: str) -> str:
    bad = unicodedata.category(character)[0] in "CMZ" and character != " "
    return _REPLACEMENT if bad or ord(character) > _LAST_PLANE else character


def masked(msisdn: str) -> str:
    """A number that its holder recognises: its last three digits."""
    return f"+{msisdn[:2]} *** *** {msisdn[-3:]}"
