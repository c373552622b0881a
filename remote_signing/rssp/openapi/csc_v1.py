"""CSC API v1 (1.0.4.0) described."""

from __future__ import annotations

from remote_signing.rssp.csc.v1.info import SPECS
from remote_signing.rssp.csc.v1.routes import VERSION
from remote_signing.rssp.csc.v1.schemas import MOST_RESULTS
from remote_signing.rssp.csc.v2.schemas import LONGEST_DESCRIPTION
from remote_signing.rssp.openapi import csc
from remote_signing.rssp.openapi.csc import body, method
from remote_signing.rssp.openapi.operation import Answer, Asked, Operation
from remote_signing.rssp.openapi.schema import (
    Schema,
    choice,
    identifier,
    listing,
    members,
    named,
    oid,
    text,
    whole,
)

_HASH = csc.HASHES | {"description": "Digests; SHA-2, by their length."}
_CREDENTIAL: dict[str, Schema] = {"credentialID": csc.CREDENTIAL_ID}
_FACTOR = {
    "presence": choice(("true", "false")),
    "format": choice(("N",)),
    "label": text(),
    "description": text(),
}
SCHEMAS: dict[str, Schema] = {
    "InfoV1": members(
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
        },
        *("specs", "name", "logo", "region", "lang", "description", "authType", "oauth2"),
        "methods",
    ),
    "CredentialV1": members(
        {
            "description": text(maxLength=255),
            "key": named("Key"),
            "cert": named("Certificate"),
            "authMode": choice(("explicit", "oauth2code")),
            "SCAL": choice(("1", "2")),
            "PIN": members(_FACTOR, "presence"),
            "OTP": members(
                _FACTOR | {"type": choice(("offline",)), "ID": identifier()}, "presence"
            ),
            "multisign": whole(minimum=1),
            "lang": text(),
        },
        *("key", "cert", "authMode", "SCAL", "multisign", "lang"),
    ),
}


def operations() -> list[Operation]:
    """All methods, and the GET form of those that are asked for with it outside strict mode."""
    return [*_service(), *_credentials(), *_authorised(), *_signatures()]


def _service() -> list[Operation]:
    def info(http: str) -> Operation:
        return method(
            "v1",
            "info",
            ("Thông tin dịch vụ", "What the service is"),
            Asked(members({"lang": csc.LANG}), required=False),
            {200: Answer("The service.", named("InfoV1"))},
            http=http,
            security=(),
        )

    logins = [csc.auth_login("v1"), csc.auth_login("v1", "GET")]
    return [info("POST"), info("GET"), *logins, csc.auth_revoke("v1")]


def _credentials() -> list[Operation]:
    return [
        _list("POST"),
        _list("GET"),
        method(
            "v1",
            "credentials/info",
            ("Thông tin chứng thư", "A credential"),
            body(_CREDENTIAL | csc.SHOWN, "credentialID"),
            {200: Answer("The credential.", named("CredentialV1"))},
        ),
        method(
            "v1",
            "credentials/authorize",
            ("Kích hoạt dữ liệu ký", "Authorise with PIN and code"),
            body(
                _CREDENTIAL
                | {
                    "numSignatures": whole(minimum=1),
                    "hash": _HASH,
                    "PIN": text(maxLength=64),
                    "OTP": text(maxLength=64),
                    "description": text(
                        "What is signed, for the record.", maxLength=LONGEST_DESCRIPTION
                    ),
                },
                *("credentialID", "numSignatures"),
            ),
            {200: Answer("The SAD.", named("Sad"))},
            about="Only for credentials of SCAL1 (`authMode` explicit). At SCAL2 the signer"
            " consents at `/csc/v1/oauth2/authorize`, and the access token is the SAD.",
        ),
    ]


def _authorised() -> list[Operation]:
    return [
        method(
            "v1",
            "credentials/extendTransaction",
            ("Gia hạn phiên ký", "Another SAD for what is left"),
            body(
                _CREDENTIAL
                | {"SAD": text(), "hash": _HASH, "hashAlgo": oid("Without it their length tells.")},
                *("credentialID", "SAD"),
            ),
            {200: Answer("The SAD.", named("Sad"))},
        ),
        method(
            "v1",
            "credentials/sendOTP",
            ("Gửi mã OTP", "Send a code"),
            body(_CREDENTIAL, "credentialID"),
            {},
            about="Refused for every credential: the signer's own device makes the codes.",
        ),
    ]


def _list(http: str) -> Operation:
    asked = body(
        {
            "userID": text("The signer, with a token that is no signer's."),
            "maxResults": whole(f"At most {MOST_RESULTS}, also without it."),
            "pageToken": text("`nextPageToken` of the page before."),
        }
    )
    told = {"credentialIDs": listing(identifier()), "nextPageToken": text("If there are more.")}
    return method(
        "v1",
        "credentials/list",
        ("Danh sách chứng thư", "The signer's credentials"),
        asked,
        {200: Answer("A page, oldest first.", members(told, "credentialIDs"))},
        http=http,
    )


def _signatures() -> list[Operation]:
    asked = body(
        {
            "credentialID": csc.CREDENTIAL_ID,
            "SAD": text("From credentials/authorize, or the access token of scope credential."),
            "hash": _HASH,
            "hashAlgo": oid("Where signAlgo does not say it."),
            "signAlgo": oid("One of the credential's `key.algo`."),
            "signAlgoParams": text("DER in base64: RSASSA-PSS-params.", maxLength=1024),
        },
        *("credentialID", "SAD", "hash", "signAlgo"),
    )
    return [
        method(
            "v1",
            "signatures/signHash",
            ("Ký giá trị băm", "Sign hashes"),
            asked,
            {200: Answer("The signatures.", members({"signatures": csc.SIGNATURES}, "signatures"))},
        ),
        csc.timestamp("v1"),
    ]
