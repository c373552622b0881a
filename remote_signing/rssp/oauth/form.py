"""Parameters of a request, read strictly (RFC 6749 cl. 3.1, 3.2, appendix B).

One value for each name: a parameter sent twice has made two programs believe different things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from remote_signing.errors import InvalidInput
from remote_signing.rssp.edge.body import read_body

if TYPE_CHECKING:
    from starlette.requests import Request

LARGEST_FORM: Final = 256 * 1024
"""Bytes. A hundred digests with long Vietnamese labels, URL-encoded, take less than half of it."""
LARGEST_QUERY: Final = 16 * 1024
_MOST_PARAMETERS = 50
_LONGEST_NAME = 64
_MEDIA_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """The parameters in the body of a POST. ``InvalidInput`` when anything about it is odd.

    Parameters in the URL of a POST are refused: what belongs into the body is secret, and URLs end
    up in logs (RFC 6749 cl. 2.3.1).
    """
    if request.scope["query_string"]:
        raise InvalidInput("parameters in the URL of a POST")
    body = await read_body(request, LARGEST_FORM)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise InvalidInput(f"Content-Type {media_type[:80]!r}")
    return parse(body)


def read_query(request: Request) -> dict[str, str]:
    """The parameters in the URL of a GET. ``InvalidInput`` when anything about it is odd."""
    query: bytes = request.scope["query_string"]
    if len(query) > LARGEST_QUERY:
        raise InvalidInput(f"a query of {len(query)} bytes")
    return parse(query)


def parse(encoded: bytes) -> dict[str, str]:
    """The parameters in ``encoded``. One without a value counts as left out (RFC 6749 cl. 3.1)."""
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidInput(f"not a form: {error}") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise InvalidInput("a parameter is there twice")
    for name, value in pairs:
        if len(name) > _LONGEST_NAME or "\0" in name or "\0" in value:
            raise InvalidInput("a name is too long, or NUL")
    return {name: value for name, value in pairs if value}
