"""The consent API described: what the consent page asks in the signer's name.

What a signer has at his desk and in his account is in :mod:`.consent_desk`, passkeys are in
:mod:`.consent_passkeys`.
"""

from __future__ import annotations

from remote_signing.rssp.activation_model import (
    CODE_MISMATCH,
    REASONS,
    REFUSED,
    RETURNED,
    Channel,
    State,
)
from remote_signing.rssp.activation_refuse import LONGEST_TEXT
from remote_signing.rssp.notices import ADDED, COPIED, DROPPED, PIN_CHANGED
from remote_signing.rssp.openapi.operation import (
    JSON,
    Answer,
    Asked,
    Operation,
    in_header,
    in_path,
    in_query,
)
from remote_signing.rssp.openapi.problems import problem
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
from remote_signing.rssp.sessions import LONGEST_PASSWORD, LONGEST_USERNAME

_TAG = "Consent"
_API = "/consent/v1"
_NAMED = {
    "/requests": "The request's id.",
    "/services": "The request's id.",
    "/history": "The request's id.",
    "/passkeys": "The passkey's factor, by its id.",
    "/sign-in/passkeys": "The passkey's id.",
    "/credentials": "The credential's id.",
    "/sessions": "The session's id.",
}
_SESSION = ("session",)
_SHARED = {500: "Fault", 503: "Unavailable"}
LOGO = text("Digest of the portal's logo, for `logos`.", pattern="^[0-9a-f]{64}$")
CODE = text("Four digits, the same at the portal.", pattern="^[0-9]{4}$")
EVIDENCE = text(minLength=1, maxLength=64)
ENDED = {200: Answer("It is settled.", named("Ended"))}
NOTHING = Asked(members({}, additionalProperties=False), required=False)
OPENED: dict[str, Schema] = {
    "session": text("For Authorization: Bearer."),
    "expires_at": moment(),
    "subscriber": named("Signer"),
}
ALWAYS: dict[str, Schema] = {"now": moment(), "subscriber": named("Signer")}

DETAILS: dict[str, Schema] = {
    "urgency": choice([each.wire for each in Urgency], "After Decree 30/2020."),
    "label": or_null(text()),
    "number": or_null(text()),
    "symbol": or_null(text()),
    "document_name": or_null(text()),
    "agency_names": listing(text()),
    "deadline": or_null(moment()),
    "reference": or_null(text("Number and symbol as they are written.")),
}
_DENIAL: dict[str, Schema] = {
    "kind": choice((REFUSED, RETURNED), "Returned: to be changed, and asked for anew."),
    "reason": choice((*REASONS, CODE_MISMATCH)),
    "text": or_null(text("The signer's own words.", maxLength=LONGEST_TEXT)),
}
_NOTICE: dict[str, Schema] = {
    "id": identifier(),
    "kind": choice((ADDED, DROPPED, COPIED, PIN_CHANGED)),
    "name": or_null(text("Of the passkey.")),
    "created_at": moment(),
    "usable_from": or_null(moment("From when on it counts.")),
}
_CERTIFICATE: dict[str, Schema] = {
    "holder": text(),
    "organisation": or_null(text()),
    "issuer": text(),
    "serial": text("Hexadecimal."),
    "not_before": moment(),
    "not_after": moment(),
}
_SIM: dict[str, Schema] = {
    "factor_id": identifier(),
    "number": text("Masked."),
    "is_active": flag(),
    "cause": or_null(text()),
}
_SHOWN: dict[str, Schema] = {
    "id": identifier(),
    "client_name": text(),
    "client_logo": or_null(LOGO),
    "description": or_null(text()),
    "num_signatures": whole(minimum=1),
    "verification_code": or_null(CODE),
    "codes": listing(CODE, "To pick the portal's from, while it was not picked."),
    "created_at": moment(),
    "expires_at": moment(),
    "state": choice([each.value for each in State]),
    "channel": choice([each.value for each in Channel]),
    "documents": listing(named("ShownDocument")),
    "hash_algorithm": text(),
    "details": or_null(named("RequestDetails")),
    "denial": or_null(named("Denial")),
    "certificate": named("ShownCertificate"),
    "lang": or_null(text()),
    "redirect_origin": or_null(text()),
    "passkey_from": or_null(moment("From when on a passkey that is new may be used.")),
}
_SIMS: dict[str, Schema] = {
    "sims": listing(whole_object(_SIM)),
    "sim": or_null(named("SimQuestion")),
}
_SERVICE: dict[str, Schema] = {
    **ALWAYS,
    "id": identifier(),
    "state": text(),
    "client_name": text(),
    "client_logo": or_null(LOGO),
    "description": or_null(text()),
    "lang": or_null(text()),
    "expires_at": moment(),
    "redirect_origin": or_null(text()),
}
_QUESTION: dict[str, Schema] = {
    "state": choice(("WAITING", "APPROVED", "REFUSED", "EXPIRED", "CANCELLED", "FAILED")),
    "version": whole("For `version` of the next time.", minimum=0),
    "number": text("Masked."),
    "display_text": text("What the phone shows."),
    "verification_code": text("The phone shows it too."),
    "expires_at": moment(),
    "is_delivered": flag(),
    "outcome": or_null(text()),
    "cause": or_null(text("In words.")),
}
SCHEMAS: dict[str, Schema] = {
    "Signer": whole_object(
        {
            "person": text("The same in every session, to tell officials apart."),
            "full_name": text(),
            "position": or_null(text()),
            "agency": text(),
        }
    ),
    "RequestDetails": whole_object(DETAILS, "What the portal said beside the hashes."),
    "Denial": whole_object(_DENIAL, "How the signer said no."),
    "Notice": whole_object(_NOTICE, "What the signer has to hear of."),
    "ShownCertificate": whole_object(_CERTIFICATE),
    "ConsentRequest": whole_object(_SHOWN | ALWAYS | _SIMS),
    "ReviewedRequest": whole_object(_SHOWN),
    "ServiceRequest": whole_object(_SERVICE),
    "SimQuestion": whole_object(_QUESTION),
    "Ended": whole_object(
        {
            "redirect_to": or_null(text("Where the browser goes.", format="uri")),
            "state": choice([*[each.value for each in State], "GRANTED"]),
        }
    ),
}


def operations() -> list[Operation]:
    """In the order in which the page asks."""
    return [*_sessions(), *_requests(), *_sims(), *_services()]


def asked_for(  # noqa: PLR0913 - as many facts
    method: str,
    path: str,
    titles: tuple[str, str],
    answers: dict[int, Answer],
    *,
    asked: Asked | None = None,
    refused: tuple[int, ...] = (),
    more: tuple[dict[str, object], ...] = (),
    about: str = "",
) -> Operation:
    """An operation of this API, with the refusals that all have; ``refused`` are its further ones.

    The session authorises; only who signs in has none yet.
    """
    statuses = {401, *refused} | ({400, 413, 415} if asked is not None else set())
    return Operation(
        method,
        _API + path,
        _TAG,
        *titles,
        answers | {status: problem(status) for status in statuses},
        about=about,
        asked=asked,
        parameters=_name(path) + more,
        shared=_SHARED,
        security=() if (method, path) == ("POST", "/sessions") else _SESSION,
    )


def _name(path: str) -> tuple[dict[str, object], ...]:
    before, found, _ = path.partition("/{name}")
    return (in_path("name", _NAMED[before], text()),) if found else ()


def _sessions() -> list[Operation]:
    given: dict[str, Schema] = {
        "username": text(minLength=1, maxLength=LONGEST_USERNAME),
        "password": text(minLength=1, maxLength=LONGEST_PASSWORD),
    }
    asked = Asked(whole_object(given, additionalProperties=False))
    return [
        asked_for(
            "POST",
            "/sessions",
            ("Đăng nhập", "Sign in"),
            {201: Answer("A session.", whole_object(OPENED))},
            asked=asked,
        ),
        asked_for(
            "DELETE",
            "/sessions/current",
            ("Đăng xuất", "Sign out"),
            {204: Answer.empty("It is over.")},
        ),
    ]


def _requests() -> list[Operation]:
    evidence: dict[str, Schema] = {"pin": EVIDENCE, "otp": EVIDENCE}
    return [
        asked_for(
            "GET",
            "/requests/{name}",
            ("Một yêu cầu ký", "One request"),
            {200: Answer("In whatever state.", named("ConsentRequest"))},
            refused=(404,),
        ),
        asked_for(
            "POST",
            "/requests/{name}/approve",
            ("Đồng ý ký", "Consent with PIN and code"),
            ENDED,
            asked=Asked(whole_object(evidence, additionalProperties=False)),
            refused=(403, 404, 409, 410),
        ),
        asked_for(
            "POST",
            "/requests/{name}/resume",
            ("Quay lại cổng dịch vụ", "On to the portal after a consent by SIM"),
            ENDED,
            refused=(403, 404, 409, 410),
        ),
    ]


def _sims() -> list[Operation]:
    given: dict[str, Schema] = {
        "factor_id": identifier("One of `sims`."),
        "lang": choice(("vi", "en")),
    }
    wait = (
        in_query(
            "wait", "Seconds to wait for news.", {"type": "number", "minimum": 0, "maximum": 25}
        ),
        in_query("version", "What was seen last.", whole(minimum=0)),
    )
    told = {200: Answer("The youngest question.", named("SimQuestion"))}
    return [
        asked_for(
            "POST",
            "/requests/{name}/sim",
            ("Hỏi qua SIM", "Ask a SIM"),
            {201: Answer("It is asked.", named("SimQuestion"))},
            asked=Asked(whole_object(given, additionalProperties=False)),
            refused=(403, 404, 409, 410),
        ),
        asked_for(
            "GET",
            "/requests/{name}/sim",
            ("SIM đã trả lời chưa", "Has the SIM answered?"),
            told,
            refused=(400, 404),
            more=wait,
        ),
        asked_for(
            "POST",
            "/requests/{name}/sim/cancel",
            ("Rút câu hỏi khỏi SIM", "Withdraw the question"),
            told,
            refused=(404, 409),
        ),
    ]


def _services() -> list[Operation]:
    return [
        asked_for(
            "GET",
            "/services/{name}",
            ("Cổng xin xem chứng thư", "A portal's wish to see the credentials"),
            {200: Answer("The wish.", named("ServiceRequest"))},
            refused=(404, 410),
        ),
        *(
            asked_for(
                "POST",
                f"/services/{{name}}/{verb}",
                titles,
                ENDED,
                asked=NOTHING,
                refused=(404, 409, 410),
            )
            for verb, titles in (
                ("approve", ("Cho phép", "Allow it")),
                ("deny", ("Không cho phép", "Refuse it")),
            )
        ),
    ]


def sim_events() -> Operation:
    """The adapter's call-back (Standard Webhooks)."""
    signed = tuple(
        in_header(name, "Standard Webhooks.", text(), required=True)
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    data = members({"id": identifier("The question.")}, "id")
    return Operation(
        "POST",
        "/sim/v1/events",
        "Status",
        "Thông báo từ bộ nối SIM",
        "The SIM adapter's call-back",
        {
            204: Answer.empty("Noted."),
            400: problem(400),
            403: problem(403, "Nobody we know has signed it, or not lately."),
            413: problem(413),
        },
        asked=Asked(members({"data": data}, "data"), JSON),
        parameters=signed,
        shared=_SHARED,
    )
