"""Documents beside hashes described (docs/what-you-see.md): the portal's side and the signer's."""

from __future__ import annotations

from dataclasses import replace

from remote_signing.rssp.attachments.binding import Basis
from remote_signing.rssp.attachments.inspection import MEDIA_TYPES
from remote_signing.rssp.csc.v2.attach import NAME, PREFIX
from remote_signing.rssp.csc.v2.attachment_order import MOST
from remote_signing.rssp.openapi.consent import asked_for
from remote_signing.rssp.openapi.csc import method
from remote_signing.rssp.openapi.operation import Answer, Asked, Operation, in_path
from remote_signing.rssp.openapi.schema import (
    Schema,
    base64_given,
    choice,
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

_SHA256 = text("Hexadecimal.", pattern="^[0-9a-f]{64}$")
_REMARKS = listing(
    choice(("embedded_files", "fields", "large_page", "layers")), "What the signer is told."
)
_PAGES = whole("Of a PDF.", minimum=1)
_SIZE = whole("Bytes.", minimum=1)
_KEPT: dict[str, Schema] = {
    "attachmentID": identifier("For a request."),
    "sha256": _SHA256,
    "size": _SIZE,
    "mediaType": choice(sorted(MEDIA_TYPES)),
    "remarks": _REMARKS,
    "expiresAt": moment("A request has to name it by then."),
}
_ATTACHED: dict[str, Schema] = {
    "sha256": _SHA256,
    "size": _SIZE,
    "media_type": choice(sorted(MEDIA_TYPES)),
    "basis": choice([each.value for each in Basis], "How the hash follows from the file."),
    "pages": or_null(_PAGES),
    "remarks": _REMARKS,
}
SCHEMAS: dict[str, Schema] = {
    "KeptDocument": members(_KEPT | {"pages": _PAGES}, *_KEPT),
    "AttachedDocument": whole_object(_ATTACHED, "The bytes that are shown beside a hash."),
    "ShownDocument": whole_object(
        {
            "label": or_null(text()),
            "digest": text(),
            "attached": or_null(named("AttachedDocument")),
        },
        "What is to be signed; `attached` is null where only the hash is known.",
    ),
    "Beside": members(
        {
            "attachmentID": identifier("From attachments/v1/documents or prepareDoc."),
            "hashIndex": whole("Of `hashes`, from 0.", minimum=0),
            "signedAttributes": base64_given("DER of the SET OF, where the hash is theirs."),
        },
        *("attachmentID", "hashIndex"),
        additionalProperties=False,
    ),
}


def beside() -> Schema:
    """``requestDetails.attachments``."""
    return listing(named("Beside"), "The documents that the signer is to see.", maxItems=MOST)


def operations() -> list[Operation]:
    """From the portal's upload to the signer's eyes."""
    return [_attach(), *_seen()]


def _attach() -> Operation:
    first, *others = sorted(MEDIA_TYPES)
    of_csc = method(
        "v2",
        NAME,
        ("Gửi tài liệu cho người ký xem", "Attach a document for the signer to see"),
        Asked(None, first, also=tuple(others)),
        {201: Answer("It is kept.", named("KeptDocument"))},
        about="The body is the file itself. With a token of scope service. Not in the standard, and"
        " only where the installation keeps documents.",
    )
    return replace(of_csc, path=f"{PREFIX}/{NAME}")


def _seen() -> list[Operation]:
    place = in_path("position", "Of its hash, from 0.", whole(minimum=0, maximum=999))
    page = in_path("page", "From 1.", whole(minimum=1, maximum=99_999))
    return [
        asked_for(
            "GET",
            "/requests/{name}/documents/{position}",
            ("Tài liệu cần ký", "The bytes of a document"),
            {200: Answer("The file, never to be opened as a page.", None, _BYTES)},
            refused=(400, 404),
            more=(place,),
            about="While the request waits.",
        ),
        asked_for(
            "GET",
            "/requests/{name}/documents/{position}/pages/{page}",
            ("Một trang tài liệu", "A page of a document, drawn"),
            {200: Answer("The page.", None, "image/png")},
            refused=(400, 404),
            more=(place, page),
            about="While the request waits.",
        ),
    ]


_BYTES = "application/octet-stream"
