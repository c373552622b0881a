"""``POST /validate`` described: the form and the report (docs/validate.md)."""

from __future__ import annotations

from typing import get_args

from remote_signing.rssp.documents.model import LEVELS
from remote_signing.rssp.openapi.operation import MULTIPART, Answer, Asked, Operation
from remote_signing.rssp.openapi.problems import problem
from remote_signing.rssp.openapi.schema import (
    Schema,
    choice,
    flag,
    listing,
    members,
    moment,
    named,
    or_null,
    text,
    whole,
    whole_object,
)
from remote_signing.rssp.validation.model import Main, StampKind
from remote_signing.rssp.validation.report import VERSION

_MAIN = get_args(Main)
_SUB = or_null(text("The standard's name for why (EN 319 102-1)."))
_HEX = text("Hexadecimal.")
_ABOUT_CERTIFICATE: dict[str, Schema] = {
    **{
        name: or_null(text())
        for name in ("name", "organisation", "unit", "title", "email", "issuer")
    },
    "issuer_organisation": or_null(text()),
    "serial": or_null(_HEX),
    "not_before": or_null(moment()),
    "not_after": or_null(moment()),
    "sha256": _HEX,
}
_STAMP: dict[str, Schema] = {
    "kind": choice(get_args(StampKind)),
    "time": or_null(moment()),
    "authority": or_null(named("SignersCertificate")),
    "indication": choice([each.removeprefix("TOTAL-") for each in _MAIN]),
    "sub_indication": _SUB,
    "reason": or_null(text()),
}
_DECREE: dict[str, Schema] = {
    "certificate_valid_at_signing": or_null(flag()),
    "path_valid": flag(),
    "content_intact": or_null(flag()),
    "attached": whole_object(
        {name: flag() for name in ("certificate", "path", "status", "time_stamp")}
    ),
}
_PARTS: dict[str, Schema] = {
    "integrity": whole_object(
        {
            "intact": or_null(flag()),
            "covers": listing(whole_object({"name": text(), "whole": flag()})),
        }
    ),
    "path": whole_object({"trusted": flag(), "certificates": listing(named("SignersCertificate"))}),
    "revocation": whole_object(
        {
            "state": choice(("good", "revoked", "unknown")),
            "revoked_at": or_null(moment()),
            "reason": or_null(text()),
        }
    ),
    "times": whole_object(
        {
            "claimed": or_null(moment("By the signer.")),
            "proven": or_null(moment("It existed then at the latest, by a time stamp.")),
        }
    ),
    "time_stamps": listing(whole_object(_STAMP)),
    "changes": or_null(
        whole_object(
            {
                "level": choice(("none", "archive", "forms", "annotations", "other")),
                "allowed": flag(),
            },
            "What was added to a PDF after signing.",
        )
    ),
    "algorithm": whole_object(
        {"key": text(), "scheme": text(), "digest": text(), "strong": flag()}
    ),
    "stated": {
        "type": "object",
        "description": "What the signature says of itself. Nobody vouches for it.",
        "additionalProperties": text(),
    },
    "decree": whole_object(_DECREE, "For Decree 68/2024/NĐ-CP; null: it cannot be told."),
}
SCHEMAS: dict[str, Schema] = {
    "SignersCertificate": whole_object(_ABOUT_CERTIFICATE),
    "ValidatedSignature": whole_object(
        {
            "name": text(),
            "format": text(),
            "level": or_null(choice(LEVELS, "By what is there and fits; null: no AdES.")),
            "indication": choice(_MAIN),
            "sub_indication": _SUB,
            "reasons": listing(text(), "Names of our own."),
            "warnings": listing(text(), "Names of our own."),
            "signer": or_null(named("SignersCertificate")),
            **_PARTS,
        }
    ),
    "ValidationReport": whole_object(
        {
            "version": {"type": "integer", "const": VERSION},
            "validated_at": moment(),
            "document": whole_object({"size": whole("Bytes.", minimum=0), "sha256": _HEX}),
            "format": text(),
            "indication": choice((*_MAIN, "NOT-SIGNED"), "The worst of the signatures'."),
            "warnings": listing(text(), "Names of our own."),
            "signatures": listing(named("ValidatedSignature")),
        }
    ),
}


def operations() -> list[Operation]:
    """The one operation."""
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    given = members(
        {
            "document": file | {"description": "The signed file."},
            "content": file | {"description": "What a detached signature is over."},
        },
        "document",
    )
    return [
        Operation(
            *("POST", "/validate", "Validation", "Kiểm tra văn bản đã ký"),
            "What a signed document proves",
            {
                200: Answer("The report, whatever it says.", named("ValidationReport")),
                400: problem(400),
                404: problem(404, "Not offered here."),
                413: problem(413),
                415: problem(415),
                422: problem(422, "No report; `reason` tells why."),
            },
            about="Open to everybody, for documents of whatever origin. Nothing is kept.",
            asked=Asked(given, MULTIPART),
            shared={500: "Fault", 503: "Unavailable"},
        )
    ]
