"""The whole description: one OpenAPI 3.1 document for one installation.

What an installation does not offer is not in it, so a document is made for a configuration.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from remote_signing.rssp.csc.v1.routes import VERSION as V1
from remote_signing.rssp.csc.v2.attach import VERSION as ATTACHMENTS
from remote_signing.rssp.csc.v2.routes import VERSION as V2
from remote_signing.rssp.edge import request_id
from remote_signing.rssp.edge.problem import MEDIA_TYPE as PROBLEM
from remote_signing.rssp.openapi import (
    attachments,
    consent,
    consent_desk,
    consent_openid,
    consent_passkeys,
    consent_pins,
    csc,
    csc_v1,
    csc_v2,
    examples,
    health,
    oauth,
    phone,
    pki,
    problems,
    sign_doc,
    sign_in,
    validate,
)
from remote_signing.rssp.openapi.operation import JSON
from remote_signing.rssp.openapi.schema import Schema, named, text

if TYPE_CHECKING:
    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.openapi.operation import Object, Operation

OPENAPI: Final = "3.1.1"
TAGS: Final = {
    "CSC v2": "CSC API 2.2.0.0: ký từ xa · remote signing. Null is the same as absent, and unknown"
    " members are ignored.",
    "CSC v1": "CSC API 1.0.4.0, cho ứng dụng cũ · for older clients",
    "OAuth 2.0": "Máy chủ uỷ quyền · the authorization server",
    "PKI": "Chứng thư, CRL, OCSP, dấu thời gian · certificates, status, time stamps",
    "Validation": "Kiểm tra chữ ký của bất kỳ ai · whoever signed it",
    "Consent": "API của trang xác nhận · what the consent page asks in the signer's name",
    "Status": "Tình trạng dịch vụ và tài liệu · health, and this description",
}
_ABOUT = (
    "Dịch vụ ký số từ xa: chữ ký chỉ được tạo khi người ký đồng ý trên điện thoại của mình.\n\n"
    "Remote signing: a signature is made only with the signer's own consent. Departures from the"
    " standards are listed in docs/csc-divergences.md. Every answer has an `X-Request-Id`."
)
_SCHEMAS: Final[dict[str, Schema]] = {
    **csc.SCHEMAS,
    **csc_v1.SCHEMAS,
    **csc_v2.SCHEMAS,
    **sign_doc.SCHEMAS,
    **oauth.SCHEMAS,
    **consent.SCHEMAS,
    **consent_desk.SCHEMAS,
    **consent_passkeys.SCHEMAS,
    **validate.SCHEMAS,
    **sign_in.SCHEMAS,
    **attachments.SCHEMAS,
    "Problem": problems.SCHEMA,
}


def operations() -> list[Operation]:
    """Everything that some installation serves, in the order of the reference."""
    return [
        *csc_v2.operations(),
        *sign_doc.operations(),
        *attachments.operations(),
        *csc_v1.operations(),
        *oauth.operations(),
        *pki.operations(),
        *validate.operations(),
        *consent.operations(),
        *consent_desk.operations(),
        *consent_passkeys.operations(),
        *consent_pins.operations(),
        *sign_in.operations(),
        *phone.operations(),
        *consent_openid.operations(),
        *health.operations(),
    ]


@lru_cache(16)
def document(config: RsspConfig) -> Object:
    """The description of what ``config`` serves. Not to be changed: it is kept."""
    paths: dict[str, Object] = {}
    for operation in operations():
        if is_served(config, operation):
            paths.setdefault(operation.path, {})[operation.method.lower()] = operation.described()
    return {
        "openapi": OPENAPI,
        "info": {
            "title": config.service.name,
            "version": version("remote-signing"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": config.urls.issuer}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "responses": _responses(),
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }


def is_served(config: RsspConfig, operation: Operation) -> bool:
    """Whether an installation serves it."""
    for api in (V1, V2, ATTACHMENTS):
        before, _, name = operation.path.partition(f"{api.prefix}/")
        if before or name.startswith("oauth2/"):
            continue
        may_get = name in api.gets and not config.csc.strict
        return api.offers(config, name) and (operation.method == "POST" or may_get)
    return operation.path != "/revoke" or not config.csc.strict


_HEADERS: Final[Object] = {
    request_id.HEADER: {
        "description": "The request's name in our log, or the one that the client gave it.",
        "schema": text(),
    },
    "WWW-Authenticate": {
        "description": "How to authorise (RFC 6750, 7617, 9449).",
        "schema": text(),
    },
    "Retry-After": {"description": "Seconds.", "schema": text()},
    "Location": {"description": "Where the browser goes.", "schema": text()},
    "Cache-Control": {"description": "How long it may be kept.", "schema": text()},
}
_SECURITY: Final[Object] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of scope service or credential.",
    },
    "dpop": {
        "type": "http",
        "scheme": "DPoP",
        "description": "A token bound to a key, with a proof in the header DPoP (RFC 9449).",
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "The signer's user name and password.",
    },
    "client": {
        "type": "http",
        "scheme": "basic",
        "description": "client_id and client_secret, form-encoded (RFC 6749 cl. 2.3.1).",
    },
    "none": {
        "type": "mutualTLS",
        "description": "A client certificate; or a client_assertion in the body.",
    },
    "session": {"type": "http", "scheme": "bearer", "description": "The signer's session."},
}


def _responses() -> Object:
    """The answers that many operations share."""
    challenge, again = "WWW-Authenticate", "Retry-After"
    return {
        "CscUnauthorized": _shared(
            "CscUnauthorized", "The token is not good.", "CscError", challenge
        ),
        "CscFault": _shared("CscFault", "A fault of ours.", "CscError"),
        "CscUnavailable": _shared("CscUnavailable", "Try again in a moment.", "CscError", again),
        "OAuthFault": _shared("OAuthFault", "A fault of ours.", "OAuthError"),
        "OAuthUnavailable": _shared("OAuthUnavailable", "Try again.", "OAuthError", again),
        "Fault": _shared("CscFault", "A fault of ours.", "CscError"),
        "Unavailable": {
            "description": "Try again in a moment.",
            "headers": {again: {"$ref": f"#/components/headers/{again}"}},
            "content": {
                PROBLEM: {
                    "schema": named("Problem"),
                    "examples": problems.examples(503),
                }
            },
        },
    }


def _shared(name: str, about: str, schema: str, *headers: str) -> dict[str, Any]:
    told = {one.key: {"summary": one.name, **one.told} for one in examples.of(name)}
    made: dict[str, Any] = {
        "description": about,
        "content": {JSON: {"schema": named(schema)} | ({"examples": told} if told else {})},
    }
    if headers:
        made["headers"] = {header: {"$ref": f"#/components/headers/{header}"} for header in headers}
    return made
