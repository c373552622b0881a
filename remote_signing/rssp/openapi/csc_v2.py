"""CSC API v2 (2.2.0.0) described; documents are in :mod:`.sign_doc`."""

from __future__ import annotations

from typing import Any

from remote_signing.rssp.csc.v2.info import SPECS
from remote_signing.rssp.csc.v2.routes import VERSION
from remote_signing.rssp.csc.v2.schemas import LONGEST_DESCRIPTION
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS
from remote_signing.rssp.openapi import csc
from remote_signing.rssp.openapi.attachments import beside
from remote_signing.rssp.openapi.csc import body, method, refusal
from remote_signing.rssp.openapi.operation import Answer, Operation
from remote_signing.rssp.openapi.schema import (
    Schema,
    base64_told,
    choice,
    flag,
    identifier,
    listing,
    members,
    moment,
    named,
    oid,
    or_null,
    text,
    whole,
)
from remote_signing.rssp.request_details import LONGEST, MOST_AGENCIES, Urgency

REQUEST_ID = identifier("What asynchronous mode answered as `responseID`.")
_CREDENTIAL: dict[str, Schema] = {"credentialID": csc.CREDENTIAL_ID}
_FACTOR = members(
    {
        "type": choice(("Password", "PasswordOOB")),
        "id": text("For `authData`."),
        "label": text(),
        "description": text(),
        "format": choice(("N",)),
        "generator": choice(("totp",)),
    },
    *("type", "id"),
)
_CREDENTIAL_MEMBERS: dict[str, Schema] = {
    "description": text(maxLength=255),
    "signatureQualifier": text("What signatures of it are, such as `eu_eidas_qes`."),
    "key": named("Key"),
    "cert": named("Certificate"),
    "auth": members(
        {
            "mode": choice(("explicit", "oauth2code")),
            "expression": text("Which objects together are enough."),
            "objects": listing(_FACTOR),
        },
        *("mode", "objects"),
    ),
    "SCAL": choice(("1", "2")),
    "multisign": whole("Signatures of one authorisation.", minimum=1),
    "lang": text(),
}
_ALWAYS = ("key", "cert", "auth", "SCAL", "multisign", "lang")
SCHEMAS: dict[str, Schema] = {
    "InfoV2": members(
        {
            "specs": text(const=SPECS),
            "name": text(maxLength=255),
            "logo": text(format="uri"),
            "region": text(pattern="^[A-Z]{2}$"),
            "lang": text(),
            "description": text(maxLength=255),
            "authType": listing(choice(("basic", "oauth2code", "oauth2client"))),
            "oauth2": text("Base of the authorization server; ends with a slash.", format="uri"),
            "methods": listing(choice(VERSION.methods), "What this installation serves."),
            "supportsRar": {"const": True},
            "asynchronousOperationMode": flag(),
            "validationInfo": flag(),
            "supportedHashTypes": listing(choice(("dtbsr",))),
            "signAlgorithms": members(
                {
                    "algos": listing(oid()),
                    "algoParams": listing(or_null(base64_told()), "One for each of `algos`."),
                },
                *("algos", "algoParams"),
            ),
            "signature_formats": members(
                {
                    "formats": listing(choice(ENVELOPES)),
                    "envelope_properties": listing(listing(text()), "One for each format."),
                    "allowMix": flag(),
                },
                *("formats", "envelope_properties", "allowMix"),
            ),
            "conformance_levels": listing(choice([f"Ades-{level}" for level in LEVELS])),
        },
        *("specs", "name", "logo", "region", "lang", "description", "authType", "oauth2"),
        *("methods", "supportsRar", "asynchronousOperationMode", "validationInfo"),
        *("supportedHashTypes", "signAlgorithms", "signature_formats", "conformance_levels"),
    ),
    "CredentialV2": members(_CREDENTIAL_MEMBERS, *_ALWAYS),
    "ListedCredentialV2": members(
        {"credentialID": identifier(), **_CREDENTIAL_MEMBERS}, "credentialID", *_ALWAYS
    ),
    "CheckRefused": members(
        {**csc.SCHEMAS["CscError"]["properties"], "denial": named("Denial")},
        *("error", "error_description"),
    ),
    "Waiting": members(
        {
            "handle": text("For authorizeCheck."),
            "verificationCode": text(
                "Four digits: show them, the signer picks them among three.", pattern="^[0-9]{4}$"
            ),
            "activationID": identifier("What a webhook names."),
        },
        *("handle", "verificationCode", "activationID"),
    ),
}
_TEXTS = {"label": "label", "number": "number", "symbol": "symbol", "documentName": "document_name"}
_DETAILS = members(
    {
        "urgency": choice([each.wire for each in Urgency], default=Urgency.NORMAL.wire),
        "deadline": moment("With an offset; ahead, by 366 days at most."),
        **{name: text(minLength=1, maxLength=LONGEST[inside]) for name, inside in _TEXTS.items()},
        "agencyNames": listing(
            text(minLength=1, maxLength=LONGEST["agency_name"]), maxItems=MOST_AGENCIES
        ),
        "attachments": beside(),
    },
    about="What the signer reads beside the hashes. Our own member.",
    additionalProperties=False,
)
MODE: dict[str, Any] = {
    "operationMode": choice(("S", "A"), "A: answer with a `responseID`, sign later.", default="S"),
    "validity_period": whole("Milliseconds that the outcome is kept. Mode A only.", minimum=1),
    "response_uri": text("Told when the outcome is there. Mode A only.", format="uri"),
}


def operations() -> list[Operation]:
    """All methods but those about documents."""
    return [
        *_service(),
        *_reading(),
        *_authorising(),
        *_authorised(),
        *_enrolment(),
        *_signatures(),
    ]


def _service() -> list[Operation]:
    info = method(
        "v2",
        "info",
        ("Thông tin dịch vụ", "What the service is"),
        body({"lang": csc.LANG}),
        {200: Answer("The service.", named("InfoV2"))},
        security=(),
    )
    return [info, csc.auth_login("v2"), csc.auth_revoke("v2")]


def _reading() -> list[Operation]:
    asked = {
        "userID": text("The signer, with a token that is no signer's."),
        "credentialInfo": flag("Tell of each what credentials/info tells."),
        "onlyValid": flag("Those that can be used now."),
    }
    told = {
        "credentialIDs": listing(identifier()),
        "credentialInfos": listing(named("ListedCredentialV2")),
        "onlyValid": {"const": True},
    }
    return [
        method(
            "v2",
            "credentials/list",
            ("Danh sách chứng thư", "The signer's credentials"),
            body(asked | csc.SHOWN),
            {200: Answer("Oldest first.", members(told, "credentialIDs"))},
        ),
        method(
            "v2",
            "credentials/info",
            ("Thông tin chứng thư", "A credential"),
            body(_CREDENTIAL | csc.SHOWN, "credentialID"),
            {200: Answer("The credential.", named("CredentialV2"))},
        ),
    ]


def _authorising() -> list[Operation]:
    data = members({"id": text(), "value": or_null(text("A PIN or a one-time code."))}, "id")
    asked: dict[str, Schema] = {
        "numSignatures": whole(minimum=1),
        "hashes": csc.HASHES,
        "hashAlgorithmOID": csc.HASH_OID,
        "authData": listing(data, "SCAL1 only: the signer's codes.", maxItems=10),
        "description": text("What is signed; the signer reads it.", maxLength=LONGEST_DESCRIPTION),
        "lang": csc.LANG,
        "requestDetails": _DETAILS,
    }
    outcomes = {
        200: Answer("The SAD.", named("Sad")),
        202: Answer("The signer is asked; authorizeCheck tells the outcome.", named("Waiting")),
    }
    return [
        method(
            "v2",
            "credentials/authorize",
            ("Xin người ký đồng ý", "Ask for the signer's consent"),
            body(_CREDENTIAL | asked, *("credentialID", "numSignatures")),
            outcomes,
            about="At SCAL2 the signer is asked on the phone (202). At SCAL1 the signer's codes may"
            " come along (200).",
        ),
        method(
            "v2",
            "credentials/authorizeCheck",
            ("Kiểm tra sự đồng ý", "Has the signer consented?"),
            body({"handle": text("From credentials/authorize.")}, "handle"),
            outcomes | {400: Answer("Refused, or the signer's no.", named("CheckRefused"))},
        ),
    ]


def _authorised() -> list[Operation]:
    return [
        method(
            "v2",
            "credentials/getChallenge",
            ("Lấy chuỗi thách thức", "A challenge"),
            body(_CREDENTIAL | {"authObjectID": text()}, *("credentialID", "authObjectID")),
            {},
            about="Refused for every object: no factor answers a challenge in a portal's hands.",
        ),
        method(
            "v2",
            "credentials/extendTransaction",
            ("Gia hạn phiên ký", "Another SAD for what is left"),
            body(
                _CREDENTIAL
                | {
                    "SAD": text("Left out with a token of scope credential."),
                    "hashes": csc.HASHES,
                    "hashAlgorithmOID": csc.HASH_OID,
                },
                "credentialID",
            ),
            {200: Answer("The SAD.", named("Sad"))},
        ),
    ]


def _enrolment() -> list[Operation]:
    created = members(
        {
            "certificatePolicy": oid("One of the installation's."),
            "subjectData": {
                "type": "object",
                "description": "Claims for the registration authority; `sub` names the signer.",
                "maxProperties": 30,
                "propertyNames": {"maxLength": 64},
            },
        },
        "certificatePolicy",
    )
    deleted = members(
        {
            **_CREDENTIAL,
            "revoke": flag("Revoke the certificate too."),
            "revocationReason": whole(
                "CRLReason (RFC 5280); with `revoke`.", enum=[*range(7), 8, 9, 10]
            ),
        },
        "credentialID",
    )
    return [
        method(
            "v2",
            "credentials/create",
            ("Đề nghị cấp chứng thư", "Ask for a credential"),
            body({"credentialCreationRequest": created}, "credentialCreationRequest"),
            {202: refusal("Filed with the registration authority.")},
        ),
        method(
            "v2",
            "credentials/delete",
            ("Đề nghị huỷ chứng thư", "Give a credential up"),
            body({"credentialDeletionRequest": deleted}, "credentialDeletionRequest"),
            {204: Answer.empty("It is out of use.")},
        ),
    ]


def _signatures() -> list[Operation]:
    asked: dict[str, Schema] = {
        "SAD": text("Left out with a token of scope credential."),
        "hashes": csc.HASHES,
        "hashAlgorithmOID": oid("Where signAlgo does not say it."),
        "signAlgo": oid("One of the credential's `key.algo`."),
        "signAlgoParams": text("DER in base64: RSASSA-PSS-params.", maxLength=1024),
    }
    told = members({"signatures": csc.SIGNATURES, "responseID": identifier("In mode A.")})
    polled: dict[str, Schema] = {
        "requestID": REQUEST_ID,
        "userID": identifier("The signer, with a token that is no signer's."),
    }
    return [
        method(
            "v2",
            "signatures/signHash",
            ("Ký giá trị băm", "Sign hashes"),
            body(_CREDENTIAL | asked | MODE, *("credentialID", "hashes", "signAlgo")),
            {200: Answer("The signatures.", told)},
            about="Authorised by a token of scope credential, or by a SAD beside a token of scope"
            " service. The same request again gets the same signatures, without a use of the key.",
        ),
        method(
            "v2",
            "signatures/signPolling",
            ("Lấy kết quả ký", "The outcome of asynchronous mode"),
            body(polled, "requestID"),
            {
                200: Answer("What the method would have answered.", named("SignedLater")),
                202: refusal("Not yet."),
                403: refusal("A document is not the one that was consented to."),
            },
        ),
        csc.timestamp("v2"),
    ]
