"""Officials choose their signing PIN. See docs/signing-pin.md.

The SAM gives a record with the new PIN; it is stored together with a note that what it replaced is
to be revoked; then the SAM is asked to do that, until it has. Whatever stops in between, the
record that is stored has one PIN, and that works.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remote_signing.errors import OrderExpired, OrderInvalid, PinNotOffered
from remote_signing.identifiers import new_id
from remote_signing.rssp import factor_changes, notices, pin_records

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from remote_signing.rssp.deps import Services
    from remote_signing.sap_messages import Resealed
    from remote_signing.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Typed:
    """What an official typed: the PIN of his choice, and what lets him choose it.

    ``known`` is the PIN there is, or the registration authority's code.
    """

    new_pin: str = field(repr=False)
    known: str = field(repr=False)
    otp: str = field(repr=False)


def change(services: Services, subscriber_id: str, credential_id: str, typed: Typed) -> None:
    """Replace the PIN, by the PIN there is and a one-time code.

    Errors: ``CredentialUnknown``, ``CredentialLocked``, ``PinRefused`` (public ``reason``), those
    of the evidence as for a signature, ``ActivationConflict`` when the record was changed
    meanwhile.
    """
    row = factor_changes.charged(services, subscriber_id, credential_id)
    with factor_changes.judged(services, row, "pin.refused"):
        evidence = factor_changes.typed(row, pin=typed.known, totp=typed.otp)
        factor_id = new_id(services.now_ms())
        resealed = services.sam.change_pin(row.sealed, factor_id, typed.new_pin, evidence)
        _store(services, row, resealed)
    pin_records.retire(services, row.id)


def choose(services: Services, subscriber_id: str, credential_id: str, typed: Typed) -> None:
    """Choose a first PIN, by the authority's order and its code.

    Errors: as :func:`change`, and ``PinNotOffered``: also for a credential that is not his.
    """
    order = pin_records.order_for(services, subscriber_id, credential_id)
    if order is None:
        raise PinNotOffered("no order waits for this credential")
    row = factor_changes.charged(services, subscriber_id, credential_id)
    with factor_changes.judged(services, row, "pin.refused"):
        evidence = factor_changes.typed(row, pin=typed.known, totp=typed.otp)
        try:
            resealed = services.sam.choose_pin(row.sealed, order, typed.new_pin, evidence)
        except (OrderExpired, OrderInvalid) as error:
            raise PinNotOffered("the SAM does not follow the order") from error
        _store(services, row, resealed)
    pin_records.retire(services, row.id)


def _store(services: Services, row: Row[Any], resealed: Resealed) -> None:
    (factor_id,) = resealed.factor_ids
    known = json.loads(row.factors)
    gone: list[JsonValue] = [one["id"] for one in known if one["kind"] == "pin"]
    changed = factor_changes.Change(
        kind="credential.pin_changed",
        detail={"factor_id": factor_id, "replaces": gone},
        sealed=resealed.sealed,
        version=resealed.version,
        factors=[{"id": factor_id, "kind": "pin"}, *(one for one in known if one["kind"] != "pin")],
        code=resealed.code,
    )
    now = services.now_ms()

    def also(connection: Connection) -> None:
        pin_records.owe(connection, row.id, now)
        notices.record(connection, notices.PIN_CHANGED, row, {"factor_id": factor_id}, now)

    factor_changes.store(services, row, changed, also)
