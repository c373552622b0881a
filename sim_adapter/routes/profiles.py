"""``/v1/profiles``: what the operator tells of a number now. For health and for changes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from sim_adapter.ap import requests
from sim_adapter.causes import Ending
from sim_adapter.mss.model import Fault, ProfileResp, SimProfile
from sim_adapter.routes.requests import (
    Authorized,
    Body,
    Msisdn,
    ServicesDep,
    read_model,
    to_base64,
)
from sim_adapter.routes.transactions import outcome

router = APIRouter(prefix="/v1/profiles", dependencies=[Authorized])


class ProfileOrder(Body):
    """Whose profile."""

    msisdn: Msisdn
    operator: str | None = Field(default=None, max_length=64)


@router.post("")
async def query(request: Request, services: ServicesDep) -> dict[str, Any]:
    """SIM and PIN state, certificates and network; ``outcome`` is 100, or why there is nothing."""
    order = await read_model(request, ProfileOrder)
    operator = services.operators.of(order.msisdn, order.operator)
    client = services.clients[operator.name]
    asked = requests.profile(client, order.msisdn, services.now_ms())
    answer = await client.ask(asked, ProfileResp, operator.timeout)
    code = answer.code if isinstance(answer, Fault) else answer.status.code
    found = None if isinstance(answer, Fault) else answer.status.profile
    return {
        "operator": operator.name,
        "outcome": outcome(Ending.of_code(code), "vi"),
        "profiles": [] if isinstance(answer, Fault) else list(answer.profiles),
        **_shown(found or SimProfile()),
    }


def _shown(profile: SimProfile) -> dict[str, Any]:
    pin = {None: None, True: "blocked", False: "active"}[profile.pin_blocked]
    certificates = [
        {
            "state": item.state,
            "algorithm": item.algorithm,
            "chain": [to_base64(der) for der in item.chain],
        }
        for item in profile.certificates
    ]
    return {
        "sim_state": profile.state,
        "pin_state": pin,
        "iccid": profile.iccid,
        "certificates": certificates,
        "network": {"mcc": profile.mcc, "mnc": profile.mnc, "name": profile.network},
    }
