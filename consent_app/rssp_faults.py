"""What an answer of the rssp that is none says: that it is away, or what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent_app.faults import RsspAway, RsspRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

_UNAVAILABLE = 503
_SERVER_ERROR = 500


def fault_of(response: httpx.Response) -> RsspAway | RsspRefused:
    """The fault that ``response``, whose status is 400 or above, stands for (RFC 9457)."""
    problem = _problem(response)
    code = problem.get("code")
    if response.status_code == _UNAVAILABLE and code == "temporarily_unavailable":
        return RsspAway("the rssp cannot work now", is_settled=True)
    if response.status_code >= _SERVER_ERROR or not isinstance(code, str):
        return RsspAway(f"the rssp answered {response.status_code}", is_settled=False)
    left = problem.get("attempts_left", problem.get("mismatches"))
    reason = problem.get("reason")
    return RsspRefused(
        response.status_code,
        code,
        left if isinstance(left, int) else None,
        reason if isinstance(reason, str) else None,
    )


def _problem(response: httpx.Response) -> Mapping[str, object]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
