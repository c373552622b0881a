"""Client of the rssp's ``POST /validate``: files pass through here in pieces, never as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

from consent_app import request_id
from consent_app.faults import BodyTooLarge, DocumentRefused, RequestMalformed, RsspAway
from consent_app.report import Report

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

_SECONDS_TO_SEND = 300.0  # as the rssp's own: 100 MB, the most that it takes, at 3 Mbit/s
_SECONDS = 180.0  # from then until the report is there: others may be in front
_CONTENT_TOO_LARGE = 413
_UNAVAILABLE = 503
_UNPROCESSABLE = 422
_MALFORMED = {400, 415}


class Validator:
    """Raises ``DocumentRefused``, ``BodyTooLarge``, ``RequestMalformed``, ``RsspAway``."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def report(self, body: AsyncIterator[bytes], media_type: str, length: str) -> Report:
        """The report about the files in ``body``, a form as the browser sent it.

        ``length`` is its Content-Length; empty: not told.
        """
        if not media_type.isascii():
            raise RequestMalformed("a media type that is none")
        headers = {"Content-Type": media_type, request_id.HEADER: request_id.current.get()}
        if length.isdecimal():
            headers["Content-Length"] = length
        try:
            answer = await self._sent(body, headers)
        except TimeoutError:
            raise RequestMalformed("the files did not arrive in time") from None
        except httpx.HTTPError as error:
            raise RsspAway(f"POST /validate: {error!r}", is_settled=True) from error
        if not answer.is_success:
            raise _fault(answer)
        try:
            return Report.model_validate_json(answer.content)
        except ValidationError as error:
            cause = f"POST /validate: {error.error_count()} members of the answer are wrong"
            raise RsspAway(cause, is_settled=True) from error

    async def _sent(self, body: AsyncIterator[bytes], headers: Mapping[str, str]) -> httpx.Response:
        """The answer. Errors: ``TimeoutError`` when the visitor is too slow, ``httpx.HTTPError``.

        No timeout of httpx looks at how long a piece of the body is waited for, and an answer that
        came too early is not seen before its end.
        """
        async with asyncio.timeout(_SECONDS_TO_SEND) as limit:
            return await self._http.post(
                "/validate",
                content=_until_sent(body, limit),
                headers=headers,
                timeout=httpx.Timeout(_SECONDS, connect=3.0, pool=3.0),
            )


async def _until_sent(
    body: AsyncIterator[bytes], limit: asyncio.Timeout
) -> AsyncGenerator[bytes, None]:
    async for piece in body:
        yield piece
    limit.reschedule(None)


def _fault(
    answer: httpx.Response,
) -> DocumentRefused | BodyTooLarge | RequestMalformed | RsspAway:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    told = problem if isinstance(problem, dict) else {}
    if answer.status_code == _UNPROCESSABLE:
        return DocumentRefused(str(told.get("reason", "")))
    if answer.status_code == _CONTENT_TOO_LARGE:
        return BodyTooLarge("the rssp takes no file of this size")
    if told.get("parameter") == "document":
        return DocumentRefused("no_file")
    if answer.status_code in _MALFORMED:
        return RequestMalformed(f"the rssp answered {answer.status_code}")
    return RsspAway(f"the rssp answered {answer.status_code}", is_settled=True)
