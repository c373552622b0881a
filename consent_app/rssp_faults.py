"""What an answer of the rssp that is none says: that it is away, or what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from consent_app.faults import ProviderAway, RsspAway, RsspRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNAVAILABLE = 503
_SERVER_ERROR = 500


def fault_of(status: int, content: bytes) -> RsspAway | RsspRefused:
    """The fault that an answer, whose ``status`` is 400 or above, stands for (RFC 9457)."""
    problem = _problem(content)
    code = problem.get("code")
    # "error" says the load balancer when it has found no rssp to send it on to.
    if status == _UNAVAILABLE and problem.get("error", code) == "temporarily_unavailable":
        return RsspAway("the rssp cannot work now", is_settled=True)
    if status == _UNAVAILABLE and code == "openid_away":
        return ProviderAway("the identity provider does not answer", is_settled=True)
    if status >= _SERVER_ERROR or not isinstance(code, str):
        return RsspAway(f"the rssp answered {status}", is_settled=False)
    left = problem.get("attempts_left", problem.get("mismatches"))
    return RsspRefused(
        status,
        code,
        left if isinstance(left, int) else None,
        _text(problem, "reason"),
        _text(problem, "parameter"),
    )


def _text(problem: Mapping[str, object], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) else None


def _problem(content: bytes) -> Mapping[str, object]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
