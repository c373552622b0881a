"""``signatures/signDoc`` and ``signatures/prepareDoc`` described (docs/sign-doc.md)."""

from __future__ import annotations

import re

from remote_signing.rssp.documents.appearance import KINDS
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS
from remote_signing.rssp.openapi import csc
from remote_signing.rssp.openapi.csc import body, method, refusal
from remote_signing.rssp.openapi.csc_v2 import MODE
from remote_signing.rssp.openapi.operation import Answer, Operation
from remote_signing.rssp.openapi.schema import (
    Schema,
    base64_given,
    base64_told,
    choice,
    flag,
    identifier,
    listing,
    members,
    moment,
    named,
    oid,
    text,
    whole,
)


def _either_case(level: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"[{letter[0]}{letter[0].lower()}]", level)


_ENVELOPE = "Of the format; without it the first of: " + "; ".join(
    f"{kind}: {', '.join(known)}" for kind, known in ENVELOPES.items()
)
_SIGNATURE: dict[str, Schema] = {
    "signature_format": choice(ENVELOPES),
    "conformance_level": text(
        f"Ades- with one of {', '.join(LEVELS)}, in either case of letters.",
        pattern=f"^[Aa][Dd][Ee][Ss]-({'|'.join(map(_either_case, LEVELS))})$",
        default=f"Ades-{LEVELS[0]}",
    ),
    "signed_envelope_property": choice(
        dict.fromkeys(each for known in ENVELOPES.values() for each in known), _ENVELOPE
    ),
    "signAlgo": oid("One of the credential's `key.algo`; the same in a call."),
    "hashAlgorithmOID": oid("Where signAlgo does not say it: SHA-256, SHA-384 or SHA-512."),
    "signAlgoParams": text("DER in base64: RSASSA-PSS-params.", maxLength=1024),
    "signed_props": listing(
        members(
            {"attribute_name": text(), "attribute_value": base64_given("UTF-8")}, "attribute_name"
        ),
        "Names and forms of each format are in docs/sign-doc.md.",
    ),
    "referenceUri": text(
        "How a detached signature of X or J names its document.",
        pattern="^([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){1,500}$",
    ),
}
_APPEARANCE = members(
    {
        "kind": choice(KINDS),
        "image": base64_given("PNG or JPEG: of a signature or seal."),
        "lines": listing(text(), "The text of a copy or an attachment.", minItems=1, maxItems=4),
        "page": whole("From 1; with `rect`.", minimum=1),
        "rect": listing(
            {"type": "number"}, "Left, bottom, right, top; points.", minItems=4, maxItems=4
        ),
        "field": text("The name of a signature field that is there."),
        "between": members({"title": text(), "name": text()}, "title", "name"),
    },
    "kind",
    about="How the signature is seen on the page, after Decree 30/2020. Our own member.",
    additionalProperties=False,
)
_VALIDATION = members(
    {name: listing(base64_told("DER")) for name in ("ocsp", "crl", "certificates")},
    *("ocsp", "crl", "certificates"),
)
_RESULTS: dict[str, Schema] = {
    "DocumentWithSignature": listing(base64_told(), "Documents with their signature inside."),
    "SignatureObject": listing(base64_told(), "Signatures beside their document."),
    "validationInfo": _VALIDATION,
}

SCHEMAS: dict[str, Schema] = {
    "SignedDocuments": members(_RESULTS | {"responseID": identifier("In mode A.")}),
    "SignedLater": members({"signatures": csc.SIGNATURES, **_RESULTS}),
    "DocumentToSign": members(
        {
            "document": text("In base64.", contentEncoding="base64", minLength=1),
            **_SIGNATURE,
            "appearance": _APPEARANCE,
            "documentName": text("Of the file in a container; our own member.", maxLength=200),
        },
        *("document", "signature_format", "signAlgo"),
    ),
    "DigestsToSign": members(
        {"hashes": csc.HASHES, **_SIGNATURE}, *("hashes", "signature_format", "signAlgo")
    ),
}


def operations() -> list[Operation]:
    """Both steps."""
    return [_sign(), _prepare()]


def _order() -> dict[str, Schema]:
    return {
        "credentialID": csc.CREDENTIAL_ID,
        "signatureQualifier": text("Instead of the id, where one credential can be meant."),
        "documents": listing(named("DocumentToSign"), "These, or `documentDigests`."),
        "documentDigests": listing(named("DigestsToSign"), "The documents stay with the client."),
        "SAD": text("Left out with a token of scope credential."),
        **MODE,
        "container": choice(
            ("ASiC-E",), "All documents in one file with one signature; our own member."
        ),
        "returnValidationInfo": flag("Tell certificates, OCSP answers and CRLs."),
        "claimedTime": moment("As prepareDoc told it; our own member."),
    }


def _sign() -> Operation:
    return method(
        "v2",
        "signatures/signDoc",
        ("Ký tài liệu", "Sign documents"),
        body(_order()),
        {
            200: Answer("In the order of the entries.", named("SignedDocuments")),
            403: refusal("A document is not the one that was consented to."),
        },
        about="At SCAL2 in two steps: prepareDoc tells the hashes that the signer has to consent"
        " to. The level that was asked for, or an error.",
    )


def _prepare() -> Operation:
    told = members(
        {
            "credentialID": csc.CREDENTIAL_ID,
            "hashes": listing(base64_told(), "What will be signed (DTBS/R)."),
            "hashAlgorithmOID": oid(),
            "claimedTime": moment("For signDoc."),
            "attachmentIDs": listing(identifier(), "With `attach`; in the order of `hashes`."),
        },
        *("credentialID", "hashes", "hashAlgorithmOID", "claimedTime"),
    )
    return method(
        "v2",
        "signatures/prepareDoc",
        ("Chuẩn bị ký tài liệu", "What signDoc would sign"),
        body(_order() | {"attach": flag("Keep the documents, for the signer to see.")}),
        {200: Answer("What to have consented to.", told)},
        about="Not in the standard, and not there in strict mode.",
    )
