"""The verbs of the SAP by which a signing PIN is chosen, as :class:`remote_signing.sap.SapClient`.

Bytes are raw here and base64 on the wire. See docs/signing-pin.md for what each is for.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from remote_signing.sap_messages import Resealed, TotpUse
from remote_signing.sap_transport import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remote_signing.sap_messages import Evidence, Order
    from remote_signing.strict_json import JsonValue

_CODE_DOMAIN = b"remote-signing/pin-code/v1\0"


def code_digest(credential_id: str, code: str) -> str:
    """What an order says of the code for a first PIN: SHA-256, hexadecimal.

    The code has 70 random bits or more: too many to be found from its digest while it is good.
    """
    said = _CODE_DOMAIN + credential_id.encode("ascii") + b"\0" + code.encode("utf-8")
    return hashlib.sha256(said).hexdigest()


class PinVerbs(ABC):
    """What a client of the SAP asks about signing PINs."""

    @abstractmethod
    def _call(self, verb: str, arguments: Mapping[str, object]) -> dict[str, JsonValue]:
        """The SAM's answer; the domain error that it names."""

    def change_pin(
        self, sealed: bytes, factor_id: str, new_pin: str, evidence: Sequence[Evidence]
    ) -> Resealed:
        """The record with another PIN ``factor_id``, by the factors there are. Retires nothing."""
        arguments = {"factor_id": factor_id, "new_pin": new_pin, "evidence": list(evidence)}
        return self._choice("change_pin", sealed, arguments)

    def choose_pin(
        self, sealed: bytes, order: Order, new_pin: str, evidence: Sequence[Evidence]
    ) -> Resealed:
        """The record with a first PIN, by an order and its code. Retires nothing.

        In the evidence the code stands for the PIN that the order lets replace.
        """
        arguments = {"order": order, "new_pin": new_pin, "evidence": list(evidence)}
        return self._choice("choose_pin", sealed, arguments)

    def retire_pin(self, sealed: bytes) -> int:
        """Revoke what the record's PIN and rule replaced; the list's number. May be repeated."""
        return cast("int", self._call("retire_pin", {"sealed": b64(sealed)})["number"])

    def _choice(self, verb: str, sealed: bytes, arguments: Mapping[str, object]) -> Resealed:
        ok = self._call(verb, {"sealed": b64(sealed), **arguments})
        return Resealed(
            sealed=unb64(ok["sealed"], "sealed"),
            version=cast("int", ok["version"]),
            factor_ids=tuple(cast("list[str]", ok["factor_ids"])),
            code=TotpUse.told(ok),
        )
