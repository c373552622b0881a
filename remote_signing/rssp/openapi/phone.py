"""The consent API for the phone in the pocket described: how much waits, and being told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.openapi.consent import ALWAYS, asked_for
from remote_signing.rssp.openapi.operation import Answer, Asked
from remote_signing.rssp.openapi.schema import Schema, or_null, text, whole, whole_object
from remote_signing.rssp.push_subscriptions import LONGEST, MOST

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation

_COUNT = whole(minimum=0)
_ENDED = {200: Answer("How many are told no more.", whole_object({"ended": _COUNT}))}
_ENDPOINT = text("As the browser was given it.", minLength=1, maxLength=LONGEST)
_ASKED = Asked(whole_object({"endpoint": _ENDPOINT}, additionalProperties=False))


def operations() -> list[Operation]:
    """The count, then what is told."""
    mark = text("Changes when what waits does.")
    return [
        asked_for(
            "GET",
            "/waiting",
            ("Có bao nhiêu việc đang chờ", "How much waits"),
            {200: Answer("Now.", whole_object({"waiting": _COUNT, "mark": mark}))},
            about="For a page that stays open: the session does not count as used.",
        ),
        *_push(),
    ]


def _push() -> list[Operation]:
    told: dict[str, Schema] = {
        **ALWAYS,
        "public_key": or_null(text("For `applicationServerKey`; null: nobody is told.")),
        "browsers": whole("Of this signer that are told.", minimum=0, maximum=MOST),
    }
    empty = whole_object({})
    return [
        asked_for(
            "GET",
            "/push",
            ("Thông báo đẩy", "Whether browsers are told"),
            {200: Answer("How it stands.", whole_object(told))},
        ),
        asked_for(
            "POST",
            "/push",
            ("Bật thông báo cho trình duyệt này", "Tell this browser"),
            {201: Answer("From now on.", empty), 200: Answer("It is told already.", empty)},
            asked=_ASKED,
            about="A message has no content (RFC 8030, RFC 8292). Of push services that the"
            " installation names alone; a further browser takes the place of the oldest.",
        ),
        asked_for(
            "POST",
            "/push/end",
            ("Tắt thông báo cho trình duyệt này", "Tell this browser no more"),
            _ENDED,
            asked=_ASKED,
        ),
        asked_for(
            "DELETE",
            "/push",
            ("Tắt thông báo ở mọi thiết bị", "Tell no browser any more"),
            _ENDED,
        ),
    ]
