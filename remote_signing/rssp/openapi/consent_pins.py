"""The consent API's signing PINs described (docs/signing-pin.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.rssp.account_codes import LONGEST as LONGEST_CODE
from remote_signing.rssp.openapi.consent import ALWAYS, EVIDENCE, asked_for
from remote_signing.rssp.openapi.operation import Answer, Asked
from remote_signing.rssp.openapi.schema import Schema, text, whole_object

if TYPE_CHECKING:
    from remote_signing.rssp.openapi.operation import Operation

_NEW = text("Six to twelve digits, none that would be guessed.", minLength=1, maxLength=64)
_CODE = text("As it is typed.", minLength=1, maxLength=LONGEST_CODE)
_DONE = {200: Answer("It is the PIN from now on.", whole_object(ALWAYS))}


def operations() -> list[Operation]:
    """Another PIN, and the first one."""
    return [
        asked_for(
            "POST",
            "/credentials/{name}/pin",
            ("Đổi mã PIN ký", "Change the signing PIN"),
            _DONE,
            asked=_given(new_pin=_NEW, pin=EVIDENCE, otp=EVIDENCE),
            refused=(403, 404, 409),
            about="By the PIN there is and a one-time code. Requests that were approved with the"
            " old PIN and not signed yet have to be approved anew.",
        ),
        asked_for(
            "POST",
            "/credentials/{name}/first-pin",
            ("Chọn mã PIN ký đầu tiên", "Choose the first signing PIN"),
            _DONE,
            asked=_given(new_pin=_NEW, code=_CODE, otp=EVIDENCE),
            refused=(403, 404, 409),
            about="By the registration authority's order and the code that it names.",
        ),
    ]


def _given(**known: Schema) -> Asked:
    return Asked(whole_object(known, additionalProperties=False))
