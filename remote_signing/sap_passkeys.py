"""The verbs of the SAP that are about passkeys, as :class:`remote_signing.sap.SapClient` has them.

Bytes are raw here and base64 on the wire. See docs/passkeys.md for what each is for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from remote_signing.sap_messages import (
    BoundPasskey,
    PasskeyBeginning,
    PasskeyQuestion,
    Resealed,
    TotpUse,
)
from remote_signing.sap_transport import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from remote_signing.sap_messages import Evidence, NewPasskey, PasskeyEvidence, PasskeyName
    from remote_signing.strict_json import JsonValue

PASSKEY_VERBS = frozenset({"ask_passkey", "ask_passkey_all", "begin_passkey", "confirm_passkey"})
"""Those that change nothing."""


def passkey_evidence(factor_id: str, signature: bytes, passkey: PasskeyEvidence) -> Evidence:
    """Evidence of kind ``passkey`` with ``signature`` as the authenticator wrote it."""
    return {
        "factor_id": factor_id,
        "kind": "passkey",
        "value": b64(signature),
        "passkey": passkey,
    }


class PasskeyVerbs(ABC):
    """What a client of the SAP asks about passkeys."""

    @abstractmethod
    def _call(self, verb: str, arguments: Mapping[str, object]) -> dict[str, JsonValue]:
        """The SAM's answer; the domain error that it names."""

    def ask_passkey(self, sealed: bytes, challenge: bytes) -> PasskeyQuestion:
        """What the credential's passkeys are asked to consent to ``challenge``."""
        ok = self._call("ask_passkey", {"sealed": b64(sealed), "challenge": b64(challenge)})
        return _question(ok)

    def ask_passkey_all(self, sealed: bytes, challenges: Sequence[bytes]) -> PasskeyQuestion:
        """What they are asked to consent to all of ``challenges``, in this order, at once."""
        tokens = [b64(value) for value in challenges]
        return _question(
            self._call("ask_passkey_all", {"sealed": b64(sealed), "challenges": tokens})
        )

    def begin_passkey(
        self, sealed: bytes, factor_id: str, purpose: Literal["bind", "drop"]
    ) -> PasskeyBeginning:
        """The challenge for a new passkey ``factor_id``, or for dropping the one of that id."""
        arguments = {"sealed": b64(sealed), "factor_id": factor_id, "purpose": purpose}
        ok = self._call("begin_passkey", arguments)
        return PasskeyBeginning(
            token=unb64(ok["token"], "token"),
            challenge=unb64(ok["challenge"], "challenge"),
            rp_id=cast("str", ok["rp_id"]),
            user_handle=unb64(ok["user_handle"], "user_handle"),
            algorithms=tuple(cast("list[int]", ok["algorithms"])),
            known=tuple(cast("list[PasskeyName]", ok["known"])),
            expires_at_ms=cast("int", ok["expires_at_ms"]),
        )

    def confirm_passkey(self, sealed: bytes, passkey: NewPasskey) -> PasskeyQuestion:
        """What the passkeys there are would have to sign to let the new one in."""
        return _question(self._call("confirm_passkey", {"sealed": b64(sealed), "passkey": passkey}))

    def bind_passkey(
        self, sealed: bytes, passkey: NewPasskey, evidence: Sequence[Evidence]
    ) -> BoundPasskey:
        """The credential with the new passkey, by evidence of the factors there were before."""
        arguments = {"sealed": b64(sealed), "passkey": passkey, "evidence": list(evidence)}
        ok = self._call("bind_passkey", arguments)
        return BoundPasskey(
            sealed=unb64(ok["sealed"], "sealed"),
            version=cast("int", ok["version"]),
            factor_id=cast("str", ok["factor_id"]),
            passkey_id=unb64(ok["passkey_id"], "passkey_id"),
            public_key=unb64(ok["public_key"], "public_key"),
            aaguid=unb64(ok["aaguid"], "aaguid"),
            is_eligible=cast("bool", ok["is_eligible"]),
            usable_from_ms=cast("int", ok["usable_from_ms"]),
            code=TotpUse.told(ok),
        )

    def check_drop(
        self, sealed: bytes, token: bytes, evidence: Sequence[Evidence]
    ) -> TotpUse | None:
        """The code that :meth:`drop_passkey` would take in this evidence. Removes nothing."""
        return TotpUse.told(self._call("check_drop", _dropping(sealed, token, evidence)))

    def drop_passkey(self, sealed: bytes, token: bytes, evidence: Sequence[Evidence]) -> Resealed:
        """The credential without the passkey, for ever, by evidence of the factors that stay."""
        ok = self._call("drop_passkey", _dropping(sealed, token, evidence))
        return Resealed(
            unb64(ok["sealed"], "sealed"), cast("int", ok["version"]), code=TotpUse.told(ok)
        )


def _dropping(sealed: bytes, token: bytes, evidence: Sequence[Evidence]) -> dict[str, object]:
    return {"sealed": b64(sealed), "token": b64(token), "evidence": list(evidence)}


def _question(ok: dict[str, JsonValue]) -> PasskeyQuestion:
    return PasskeyQuestion(
        challenge=unb64(ok["challenge"], "challenge"),
        rp_id=cast("str", ok["rp_id"]),
        passkeys=tuple(cast("list[PasskeyName]", ok["passkeys"])),
    )
