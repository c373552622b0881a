"""What a registration authority does about PINs: it lets an official choose them, with a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, credentials, pin_records
from remote_signing.rssp.enrolment import Enrolment
from remote_signing.sap_pins import code_digest

if TYPE_CHECKING:
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.strict_json import JsonValue


class PinOrders(Enrolment):
    """Orders about PINs. Errors: as :class:`.Enrolment`."""

    def let_choose(self, subscriber_id: str, code: str, lifetime_ms: int) -> list[str]:
        """Orders for every PIN of a signer, to be followed with ``code``; whose credentials.

        ``code`` is one of :mod:`.account_codes` as its ``read_as`` gives it. The SAM follows no
        order that lives longer than two weeks.
        """
        found = credentials.of_subscriber(self._services.database, subscriber_id)
        offered = [each for each in found if any(kind == "pin" for _, kind in each.factors)]
        for each in offered:
            self._offer(each, code, lifetime_ms)
        return [each.id for each in offered]

    def _offer(self, view: CredentialView, code: str, lifetime_ms: int) -> None:
        now = self._services.now_ms()
        replaced = next(factor_id for factor_id, kind in view.factors if kind == "pin")
        members: dict[str, JsonValue] = {
            "replaces": replaced,
            "factor_id": new_id(now),
            "code_sha256": code_digest(view.id, code),
        }
        order = self._authority.order("choose_pin", view.id, now, members, lifetime_ms)
        event = self._event(
            "credential.ordered", view.subscriber_id, view.id, {"verb": "choose_pin"}
        )
        with self._services.database.transaction() as connection:
            end_ms = now + lifetime_ms
            pin_records.offer(connection, view.id, view.subscriber_id, order, end_ms)
            audit.record(connection, event, now)
