"""Problem details (RFC 9457) described: the rows of the one table that all other answers share."""

from __future__ import annotations

from typing import Any

from remote_signing.rssp.edge.problem import HTTP, MEDIA_TYPE, TABLE, members
from remote_signing.rssp.openapi.operation import Answer
from remote_signing.rssp.openapi.schema import Schema, choice, named, text, whole
from remote_signing.rssp.openapi.schema import members as object_of

_ROWS = {row.code: row for row in (*TABLE.values(), *HTTP.values())}
_REQUEST_ID = "6a1f0c7be3d84f0f9c2f5b8f0f1d2e3a"
SCHEMA: Schema = object_of(
    {
        "type": text(const="about:blank"),
        "title": text("For people who read logs."),
        "status": whole(),
        "code": choice([*_ROWS, "server_error"], "For programs."),
        "request_id": text("The name under which it is in the log."),
        "parameter": text("Which part of the request is wrong."),
        "reason": text("Why, where there are several: a name for programs."),
        "mismatches": whole("Wrong codes that were picked in a day.", minimum=0),
        "attempts_left": whole("Before the credential is locked.", minimum=0),
    },
    *("type", "title", "status", "code", "request_id"),
)


def problem(status: int, about: str = "Refused.") -> Answer:
    """A refusal outside CSC and OAuth."""
    return Answer(about, named("Problem"), MEDIA_TYPE, examples=examples(status))


def examples(status: int) -> dict[str, Any]:
    """Examples of every row with that status."""
    return {
        row.code: {"summary": row.title, "value": members(row, _REQUEST_ID)}
        for row in _ROWS.values()
        if row.status == status
    }
