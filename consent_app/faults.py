"""What can go wrong between browser, page and rssp. Each becomes a page with words and a status."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fault(Exception):
    """Root. The text is for the log; ``status`` and ``kind`` choose what the visitor reads."""

    status = 500
    kind = "server_error"


class RequestMalformed(Fault):
    """A parameter is missing, double, too long or not text; or the form is not a form."""

    status = 400
    kind = "malformed"


class FormForged(Fault):
    """The form does not come from a page that this visitor was shown."""

    status = 403
    kind = "forged"


class BodyTooLarge(Fault):
    """More was sent than any of the forms holds."""

    status = 413
    kind = "malformed"


class DocumentRefused(Fault):
    """There can be no report about a file. ``reason`` is the rssp's name for why."""

    status = 422
    kind = "malformed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WordsRefused(Fault):
    """What somebody wrote is not taken as it is; the page that says so keeps it."""

    status = 422
    kind = "words"


class PageUnknown(Fault):
    """There is nothing at this address, or nothing for this signer."""

    status = 404
    kind = "unknown"


class MethodUnknown(Fault):
    """The address has another HTTP method."""

    status = 405
    kind = "unknown"


class RsspAway(Fault):
    """The rssp cannot be reached or cannot work now.

    ``is_settled``: nothing was done. Otherwise the request may have had its effect.
    """

    status = 503
    kind = "unavailable"

    def __init__(self, cause: str, *, is_settled: bool) -> None:
        super().__init__(cause)
        self.is_settled = is_settled


class ProviderAway(RsspAway):
    """The rssp is there, and the identity provider is not. The other ways in still work."""


class RsspRefused(Fault):
    """The rssp says no. ``code`` is its problem code, for example ``evidence_invalid``.

    ``reason``: why a passkey is not taken. ``parameter``: what of a request is malformed.
    """

    kind = "refused"

    def __init__(
        self,
        status: int,
        code: str,
        attempts_left: int | None = None,
        reason: str | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.attempts_left = attempts_left
        self.reason = reason
        self.parameter = parameter


@contextmanager
def once_sent() -> Iterator[None]:
    """Around what is asked after a form was sent on: that the rssp is away then settles nothing."""
    try:
        yield
    except RsspAway as away:
        raise RsspAway(str(away), is_settled=False) from away
