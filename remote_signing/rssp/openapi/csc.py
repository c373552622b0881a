"""What both versions of the CSC API share in the description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.csc.v2.parameters import LONGEST_CLIENT_DATA
from remote_signing.rssp.csc.v2.schemas import CERTIFICATES
from remote_signing.rssp.openapi.operation import JSON, Answer, Asked, Operation
from remote_signing.rssp.openapi.schema import (
    Schema,
    base64_given,
    base64_told,
    choice,
    flag,
    identifier,
    listing,
    members,
    named,
    oid,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BEARER = ("bearer", "dpop")
ERROR_CODES = (
    *("invalid_request", "access_denied", "unauthorized_client", "invalid_authentication_data"),
    *("invalid_pin", "invalid_otp", "authentication_error", "invalid_hash", "accepted_request"),
    *("invalid_token", "expired_token", "invalid_dpop_proof"),
    *("server_error", "temporarily_unavailable", "not_implemented"),
)
CLIENT_DATA = text("Whatever the client wants to have on record.", maxLength=LONGEST_CLIENT_DATA)
LANG = text("Language of texts (RFC 5646); an unknown one falls back to the service's own.")
CREDENTIAL_ID = identifier("From credentials/list.")
HASHES = listing(
    base64_given("A digest; outside strict mode also base64url and without padding."),
    minItems=1,
)
HASH_OID = oid("Of the digests; must fit their length.")
SHOWN: dict[str, Schema] = {
    "certificates": choice(CERTIFICATES, "How much of the chain is told.", default=CERTIFICATES[0]),
    "certInfo": flag("Tell what is in the certificate."),
    "authInfo": flag("Tell how the signer authorises."),
    "lang": LANG,
}
SIGNATURES = listing(base64_told(), "In the order of the hashes.")

SCHEMAS: dict[str, Schema] = {
    "CscError": members(
        {
            "error": choice(ERROR_CODES, "For programs."),
            "error_description": text("The standard's text for the case."),
            "request_id": text("With a fault of ours: the name under which it is in the log."),
        },
        *("error", "error_description"),
        about="How every refusal of the CSC API looks (cl. 10.1).",
    ),
    "Sad": members(
        {
            "SAD": text("Signature activation data: for signHash and signDoc, until it is over."),
            "expiresIn": whole("Seconds that are left.", minimum=0),
        },
        *("SAD", "expiresIn"),
    ),
    "Key": members(
        {
            "status": choice(("enabled", "disabled"), "Whether it could be used now."),
            "algo": listing(oid(), "What signAlgo may be.", minItems=1),
            "len": whole("Bits.", minimum=1),
            "curve": oid("Of an elliptic curve key."),
        },
        *("status", "algo", "len"),
    ),
    "Certificate": members(
        {
            "status": choice(
                ("valid", "expired", "revoked", "suspended"), "Left out where it is not known."
            ),
            "certificates": listing(base64_told("DER"), "The signer's first."),
            "issuerDN": text("RFC 4514"),
            "serialNumber": text("Hexadecimal.", pattern="^[0-9A-F]+$"),
            "subjectDN": text("RFC 4514"),
            "validFrom": text("YYYYMMDDHHMMSSZ", pattern="^[0-9]{14}Z$"),
            "validTo": text("YYYYMMDDHHMMSSZ", pattern="^[0-9]{14}Z$"),
            "policy": listing(oid(), "Policies of the certificate (v2)."),
        }
    ),
    "Login": members(
        {
            "access_token": text("For Authorization: Bearer."),
            "token_type": choice(("Bearer",)),
            "expires_in": whole("Seconds.", minimum=0),
            "refresh_token": text("With rememberMe; good once."),
        },
        *("access_token", "token_type", "expires_in"),
    ),
}


def body(known: Mapping[str, Schema], *required: str) -> Asked:
    """The members of a request; ``clientData`` and what nobody asks for is allowed in each."""
    asked = members({**known, "clientData": CLIENT_DATA}, *required)
    return Asked(asked, required=bool(required))


def refusal(about: str = "Refused: the request has a mistake, or the answer is no.") -> Answer:
    """A refusal in the standard's shape."""
    return Answer(about, named("CscError"))


def method(  # noqa: PLR0913 - a method has as many facts
    version: str,
    name: str,
    titles: tuple[str, str],
    asked: Asked,
    answers: Mapping[int, Answer],
    *,
    about: str = "",
    http: str = "POST",
    security: tuple[str, ...] = BEARER,
) -> Operation:
    """A method of the CSC API, with the refusals that all have."""
    shared = {500: "CscFault", 503: "CscUnavailable"}
    if security == BEARER:
        shared[401] = "CscUnauthorized"
    return Operation(
        method=http,
        path=f"/csc/{version}/{name}",
        tag=f"CSC {version}",
        vi=titles[0],
        en=titles[1],
        about=about,
        asked=None if http == "GET" else asked,
        answers={400: refusal(), **answers},
        shared=shared,
        security=security,
        deprecated=http == "GET",
    )


def auth_login(version: str, http: str = "POST") -> Operation:
    """``auth/login`` (v2 cl. 11.2)."""
    asked = body({"refresh_token": text("Of an earlier login."), "rememberMe": flag()})
    return method(
        version,
        "auth/login",
        ("Đăng nhập bằng mật khẩu", "Sign in with a password"),
        asked,
        {
            200: Answer("Tokens of scope service.", named("Login")),
            401: Answer("Malformed header.", named("CscError"), JSON, ("WWW-Authenticate",)),
        },
        about="With HTTP Basic, or with the refresh token of an earlier login. Only where the"
        " installation offers it. What is signed still needs the signer's consent.",
        http=http,
        security=("password",),
    )


def auth_revoke(version: str) -> Operation:
    """``auth/revoke`` (v2 cl. 11.3)."""
    hint = choice(("access_token", "refresh_token"), "What kind it is; the token itself shows it.")
    return method(
        version,
        "auth/revoke",
        ("Thu hồi mã truy cập", "Revoke a token"),
        body({"token": text(), "token_type_hint": hint}, "token"),
        {204: Answer.empty("It is over.")},
    )


def timestamp(version: str) -> Operation:
    """``signatures/timestamp`` (v2 cl. 11.16)."""
    asked = body(
        {
            "hash": base64_given("The digest to be stamped."),
            "hashAlgo": oid("Its algorithm."),
            "nonce": text("Hexadecimal.", pattern="^[0-9A-Fa-f]{1,64}$"),
        },
        *("hash", "hashAlgo"),
    )
    stamp = base64_told("A TimeStampToken (RFC 3161).")
    return method(
        version,
        "signatures/timestamp",
        ("Cấp dấu thời gian", "A time stamp"),
        asked,
        {200: Answer("The stamp.", members({"timestamp": stamp}, "timestamp"))},
    )
