"""What each method of CSC API v1 takes, read into the values of v2."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from remote_signing.identifiers import is_id
from remote_signing.rssp.csc.errors import invalid, missing
from remote_signing.rssp.csc.v2.schemas import (
    AuthDatum,
    AuthorizeRequest,
    digest_by_length,
    named_digest,
    read_count,
    read_credential_id,
    read_description,
    read_sign_hash_now,
)
from remote_signing.rssp.csc.v2.schemas import (
    read_extend as _read_extend,
)

if TYPE_CHECKING:
    from remote_signing.rssp.csc.v2.parameters import Parameters
    from remote_signing.rssp.csc.v2.schemas import ExtendRequest, SignHashRequest
    from remote_signing.strict_json import JsonValue

MOST_RESULTS: Final = 100
_LONGEST_CODE = 64


@dataclass(frozen=True, slots=True)
class ListRequest:
    """``credentials/list``: the page of at most ``count`` ids that comes ``after`` one."""

    user_id: str | None
    count: int
    after: str


@dataclass(frozen=True, slots=True)
class CodesRequest:
    """``credentials/authorize``: what v2 takes, and the codes as v1 names them."""

    asked: AuthorizeRequest
    pin: str | None = field(repr=False)
    otp: str | None = field(repr=False)


def read_list(parameters: Parameters) -> ListRequest:
    """CSC API v1 cl. 11.4. A bad ``maxResults`` is not an error: the service's own counts then."""
    after = _page(parameters.value("pageToken"))
    user_id = parameters.value("userID")
    if user_id is not None and not isinstance(user_id, str):
        raise invalid("userID")
    wanted = parameters.value("maxResults")
    good = type(wanted) is int and 0 < wanted <= MOST_RESULTS
    parameters.client_data()
    return ListRequest(user_id, wanted if good and type(wanted) is int else MOST_RESULTS, after)


def page_token(last_id: str) -> str:
    """``nextPageToken`` after that id; opaque to the client."""
    return base64.urlsafe_b64encode(last_id.encode("ascii")).decode("ascii").rstrip("=")


def read_authorize(parameters: Parameters) -> CodesRequest:
    """CSC API v1 cl. 11.6. v1 names no digest algorithm: the length tells, unless a client does."""
    credential_id = read_credential_id(parameters)
    count = read_count(parameters)
    hashes = parameters.digests()
    by_name = parameters.borrowed("hashAlgorithmOID") is not None
    digest = named_digest(parameters, hashes) if by_name else digest_by_length(hashes)
    pin, otp = _code(parameters, "PIN"), _code(parameters, "OTP")
    codes = [AuthDatum(name, value) for name, value in (("PIN", pin), ("OTP", otp)) if value]
    asked = AuthorizeRequest(
        credential_id=credential_id,
        num_signatures=count,
        hashes=hashes,
        digest=digest,
        auth_data=tuple(codes),
        description=read_description(parameters),
        client_data=parameters.client_data(),
        lang=None,
    )
    return CodesRequest(asked, pin, otp)


def read_send_otp(parameters: Parameters) -> str:
    """CSC API v1 cl. 11.8: the credential's id."""
    credential_id = read_credential_id(parameters)
    parameters.client_data()
    return credential_id


def read_extend(parameters: Parameters) -> ExtendRequest:
    """CSC API v1 cl. 11.7."""
    request = _read_extend(parameters)
    if request.sad is None:
        raise missing("string", "SAD")
    return request


def read_sign_hash(parameters: Parameters) -> SignHashRequest:
    """CSC API v1 cl. 11.9: SAD is always needed, and there is one mode only."""
    parameters.text("SAD")
    return read_sign_hash_now(parameters)


def _code(parameters: Parameters, name: str) -> str | None:
    value = parameters.value(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_CODE:
        raise invalid(name)
    return value


def _page(value: JsonValue) -> str:
    """The id that a page token names; "" for the first page."""
    if value is None:
        return ""
    try:
        text = base64.urlsafe_b64decode(f"{value}==").decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not isinstance(value, str) or not is_id(text):
        raise invalid("pageToken")
    return text
