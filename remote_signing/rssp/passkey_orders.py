"""What a registration authority does about passkeys: it lets a credential have them, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remote_signing.rssp import factor_passkeys
from remote_signing.rssp.enrolment import Enrolment
from remote_signing.rssp.registration import Recipient

if TYPE_CHECKING:
    from remote_signing.strict_json import JsonValue

# As the SAM has them for new credentials. A record that says otherwise was sealed before there were
# passkeys, or its authority wanted it so.
_USUAL_RULE: Final[dict[str, list[JsonValue]]] = {
    "1": [["pin"], ["totp"], ["sim"], ["passkey"]],
    "2": [["pin", "totp"], ["sim"], ["passkey"]],
}


class PasskeyOrders(Enrolment):
    """Orders about passkeys. Errors: as :class:`.Enrolment`."""

    def allow(self, credential_id: str) -> None:
        """The record's rule of consent becomes the usual one, in which a passkey is enough.

        The older record's rule is over when this returns. If only that fails, it is over when the
        new record is first used, or when this is done once more.
        """
        row = self._record(credential_id)
        rule = _USUAL_RULE[row.scal]
        order = self._order(
            "bind_factor",
            row.subscriber_id,
            row.id,
            factors=[],
            recipient=Recipient().public_key,
            if_version=row.sealed_version,
            consent=rule,
        )
        resealed = self._services.sam.bind_factor(row.sealed, order=order)
        values = {"sealed": resealed.sealed, "sealed_version": resealed.version}
        self._store(row, "credential.rule_changed", values, {"consent": rule})
        self._services.sam.retire_pin(resealed.sealed)

    def revoke_passkey(self, factor_id: str) -> None:
        """Take a passkey away for ever. Errors besides: ``PasskeyUnknown``."""
        row = factor_passkeys.get(self._services.database, factor_id)
        self.drop_factor(row.credential_id, factor_id)
