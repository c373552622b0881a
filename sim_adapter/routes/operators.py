"""``/v1/operators``: what an operator's phones can show, for whoever writes the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path

from sim_adapter.routes.requests import (
    Authorized,
    ServicesDep,
)

if TYPE_CHECKING:
    from sim_adapter.display_text import TextLimits

router = APIRouter(prefix="/v1/operators", dependencies=[Authorized])
_LONGEST_NAME = 64


@router.get("/{name}")
async def show(
    name: Annotated[str, Path(max_length=_LONGEST_NAME)], services: ServicesDep
) -> dict[str, Any]:
    """What its texts begin with, and the characters for which there is room beside that.

    422 ``operator_unknown``.
    """
    operator = services.operators.named(name)
    return {
        "name": operator.name,
        "display_text": _limits(operator.text_limits),
        "receipt": _limits(operator.receipt_limits),
    }


def _limits(limits: TextLimits) -> dict[str, Any]:
    return {"prefix": limits.prefix, "room": limits.room}
