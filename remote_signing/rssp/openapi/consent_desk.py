"""The consent API described: what waits, refusing and returning, several at once; the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.activation_list import LARGEST_PAGE
from remote_signing.rssp.activation_model import REASONS, REFUSED, RETURNED, State
from remote_signing.rssp.activation_refuse import LONGEST_TEXT
from remote_signing.rssp.consent_requests import FILTERS
from remote_signing.rssp.openapi.consent import (
    ALWAYS,
    CODE,
    ENDED,
    EVIDENCE,
    LOGO,
    NOTHING,
    asked_for,
)
from remote_signing.rssp.openapi.operation import Answer, Asked, in_path, in_query
from remote_signing.rssp.openapi.schema import (
    Schema,
    choice,
    flag,
    identifier,
    listing,
    members,
    moment,
    named,
    or_null,
    text,
    whole,
    whole_object,
)
from remote_signing.rssp.request_details import Urgency

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation

_AFTER = or_null(text("For `after` of the next page; null: there is none."))
_COUNT = whole(minimum=0)
_LINE: dict[str, Schema] = {
    "id": identifier(),
    "client_id": text(),
    "client_name": text(),
    "client_logo": or_null(LOGO),
    "description": or_null(text()),
    "details": or_null(named("RequestDetails")),
    "num_signatures": whole(minimum=1),
}
_PAST: dict[str, Schema] = {
    **_LINE,
    "state": choice([each.value for each in State]),
    "denial": or_null(named("Denial")),
    "created_at": moment(),
    "at": moment("When it came to that state."),
}
_RECORD: dict[str, Schema] = {
    "kind": text(),
    "at": moment(),
    "number": whole("Of the line in the audit table.", minimum=0),
    "leaf_sha256": text("Leaf hash of RFC 6962, hexadecimal.", pattern="^[0-9a-f]{64}$"),
}
_RESULT: dict[str, Schema] = {
    "id": identifier(),
    "is_approved": flag("False: it came too late."),
}
_SESSION: dict[str, Schema] = {
    "id": identifier(),
    "created_at": moment(),
    "last_used_at": moment(),
    "is_this": flag("The session that asks."),
}
SCHEMAS: dict[str, Schema] = {
    "RequestLine": whole_object(
        {
            **_LINE,
            "verification_code": or_null(CODE),
            "created_at": moment(),
            "expires_at": moment(),
        }
    ),
    "PastRequest": whole_object(_PAST),
    "Receipt": whole_object(
        {
            **ALWAYS,
            **_PAST,
            "documents": listing(named("ShownDocument")),
            "hash_algorithm": or_null(text()),
            "factor": or_null(text("What gave the consent: `pin_totp`, `passkey`, `sim`.")),
            "records": listing(whole_object(_RECORD), "Lines of the audit table."),
        }
    ),
    "OpenSession": whole_object(_SESSION),
    "BatchResults": whole_object({"results": listing(whole_object(_RESULT))}),
}


def operations() -> list[Operation]:
    """What waits, then the account."""
    return [_waiting(), _match(), _deny(), *_batch(), *_history(), *_sessions(), _freeze(), _logo()]


def _filters(*left_out: str) -> tuple[dict[str, object], ...]:
    """The parameters of a list; an unknown one, and one that comes twice, is refused."""
    known: dict[str, tuple[str, Schema]] = {
        "portal": ("One portal, by its `client_id`.", text()),
        "urgency": ("This degree or a higher one.", choice([each.wire for each in Urgency])),
        "q": ("A text in it, without accents and capitals.", text()),
        "after": ("`after` of the page before.", text()),
        "limit": ("Lines of a page.", whole(minimum=1, maximum=LARGEST_PAGE)),
    }
    made = []
    for name, (about, schema) in known.items():
        is_text = schema["type"] == "string" and "enum" not in schema
        bound = {"maxLength": FILTERS[name]} if is_text else {}
        made.append(in_query(name, about, schema | bound))
    return tuple(each for each in made if each["name"] not in left_out)


def _waiting() -> Operation:
    told: dict[str, Schema] = {
        **ALWAYS,
        "requests": listing(named("RequestLine"), "What ends first at the top."),
        "total": whole("That the filters let through.", minimum=0),
        "waiting": whole("In all.", minimum=0),
        "after": _AFTER,
        "mark": text("Changes when what waits does, as that of `/waiting`."),
        "portals": listing(whole_object({"id": text(), "name": text()})),
        "notices": listing(named("Notice")),
    }
    return asked_for(
        "GET",
        "/requests",
        ("Việc đang chờ ký", "What waits for the signer"),
        {200: Answer("A page.", whole_object(told))},
        refused=(400,),
        more=_filters(),
    )


def _match() -> Operation:
    return asked_for(
        "POST",
        "/requests/{name}/match",
        ("Chọn mã của cổng", "Pick the portal's code"),
        {200: Answer("It was the right one.", whole_object({"state": choice(("PENDING",))}))},
        asked=Asked(whole_object({"code": text("One of `codes`.")}, additionalProperties=False)),
        refused=(403, 404, 409, 410),
        about="Once: another code refuses the request for good (`code_mismatched`).",
    )


def _deny() -> Operation:
    given: dict[str, Schema] = {
        "kind": choice((REFUSED, RETURNED)),
        "reason": choice(REASONS),
        "text": text("The signer's own words.", minLength=1, maxLength=LONGEST_TEXT),
    }
    together = {"kind": ["reason"], "reason": ["kind"], "text": ["kind"]}
    return asked_for(
        "POST",
        "/requests/{name}/deny",
        ("Từ chối hoặc trả lại", "Refuse or return it"),
        ENDED,
        asked=Asked(members(given, additionalProperties=False, dependentRequired=together)),
        refused=(404, 409, 410),
        about="For good, with a reason or without (`{}`); the portal is told the reason.",
    )


def _batch() -> list[Operation]:
    shown: dict[str, Schema] = {**ALWAYS, "requests": listing(named("ReviewedRequest"))}
    given: dict[str, Schema] = {
        "ids": listing(identifier(), "All of one credential.", minItems=1),
        "pin": EVIDENCE,
        "otp": EVIDENCE,
    }
    return [
        asked_for(
            "GET",
            "/batch",
            ("Việc có thể ký cùng lúc", "What may be approved together"),
            {200: Answer("What the signer has looked at.", whole_object(shown))},
        ),
        asked_for(
            "POST",
            "/batch",
            ("Đồng ý ký nhiều việc", "Consent to several"),
            {200: Answer("One for each.", named("BatchResults"))},
            asked=Asked(whole_object(given, additionalProperties=False)),
            refused=(403, 404, 409, 410),
        ),
    ]


def _history() -> list[Operation]:
    told: dict[str, Schema] = {
        **ALWAYS,
        "requests": listing(named("PastRequest"), "Youngest first."),
        "after": _AFTER,
    }
    return [
        asked_for(
            "GET",
            "/history",
            ("Lịch sử ký", "What was answered or is over"),
            {200: Answer("A page.", whole_object(told))},
            refused=(400,),
            more=_filters("urgency"),
        ),
        asked_for(
            "GET",
            "/history/{name}",
            ("Biên nhận", "The receipt"),
            {200: Answer("The receipt.", named("Receipt"))},
            refused=(404,),
        ),
    ]


def _sessions() -> list[Operation]:
    told: dict[str, Schema] = {
        **ALWAYS,
        "sessions": listing(named("OpenSession")),
        "frozen": whole("Keys of the signer that are frozen.", minimum=0),
    }
    return [
        asked_for(
            "GET",
            "/sessions",
            ("Các phiên đăng nhập", "Where the signer is signed in"),
            {200: Answer("The sessions.", whole_object(told))},
        ),
        asked_for(
            "DELETE",
            "/sessions",
            ("Đăng xuất mọi nơi", "Sign out everywhere"),
            {200: Answer("How many have ended.", whole_object({"ended": _COUNT}))},
        ),
    ]


def _freeze() -> Operation:
    return asked_for(
        "POST",
        "/freeze",
        ("Khoá mọi khoá ký", "Freeze all keys"),
        {200: Answer("How many.", whole_object({"frozen": _COUNT}))},
        asked=NOTHING,
        about="For a lost phone. Only the registration authority can end it.",
    )


def _logo() -> Operation:
    return asked_for(
        "GET",
        "/logos/{digest}",
        ("Biểu trưng của cổng", "The logo of a portal"),
        {200: Answer("A square, the same for ever.", None, "image/png")},
        refused=(400, 404),
        more=(in_path("digest", "`client_logo`.", LOGO),),
    )
