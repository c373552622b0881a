"""What the consent page asks about signing PINs (``/consent/v1/credentials/…``).

What was typed is handed on to the SAM and to nothing else; the session alone changes no PIN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the return annotation

from remote_signing.errors import CredentialUnknown
from remote_signing.identifiers import is_id
from remote_signing.rssp import account_codes, pin_choice
from remote_signing.rssp.consent import LONGEST_EVIDENCE, SessionDep, for_signer, read_texts
from remote_signing.rssp.deps import ServicesDep  # noqa: TC001 - FastAPI reads the annotation

if TYPE_CHECKING:
    from remote_signing.rssp.consent import Members
    from remote_signing.rssp.sessions import Signer

router = APIRouter(prefix="/consent/v1")


@router.post("/credentials/{name}/pin")
async def change(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """Another PIN, by the one there is and a one-time code. 403 ``pin_refused`` with ``reason``."""
    given = await read_texts(
        request, new_pin=LONGEST_EVIDENCE, pin=LONGEST_EVIDENCE, otp=LONGEST_EVIDENCE
    )
    typed = pin_choice.Typed(given["new_pin"], given["pin"], given["otp"])

    def work(signer: Signer) -> Members:
        pin_choice.change(services, signer.subscriber_id, _credential(name), typed)
        return {}

    return await for_signer(services, session, work)


@router.post("/credentials/{name}/first-pin")
async def choose(
    request: Request, name: str, services: ServicesDep, session: SessionDep
) -> Response:
    """A first PIN, by the authority's code. 404 ``pin_not_offered`` where there is no order."""
    given = await read_texts(
        request, new_pin=LONGEST_EVIDENCE, code=account_codes.LONGEST, otp=LONGEST_EVIDENCE
    )
    typed = pin_choice.Typed(given["new_pin"], account_codes.read_as(given["code"]), given["otp"])

    def work(signer: Signer) -> Members:
        pin_choice.choose(services, signer.subscriber_id, _credential(name), typed)
        return {}

    return await for_signer(services, session, work)


def _credential(name: str) -> str:
    if not is_id(name):
        raise CredentialUnknown("not the shape of an id")
    return name
