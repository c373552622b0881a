"""Officials add and remove their own passkeys. See docs/passkeys.md.

What decides is the SAM: evidence of the factors that were there, over exactly the new key. Here an
attempt with PIN and code is charged before it is checked, as for a signature; what the SAM gives
back is stored only if nobody changed the record meanwhile, together with an event and a notice to
the owner, in one transaction.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remote_signing.errors import (
    ChallengeExpired,
    InvalidInput,
    PasskeyRefused,
    PasskeyUnknown,
)
from remote_signing.identifiers import new_id
from remote_signing.rssp import credentials, factor_changes, factor_passkeys, totp_steps
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from remote_signing.rssp.activation_passkey import PasskeyAnswer
    from remote_signing.rssp.credentials import CredentialView
    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Evidence
    from remote_signing.sap_messages import (
        BoundPasskey,
        NewPasskey,
        PasskeyBeginning,
        PasskeyQuestion,
    )
    from remote_signing.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence of the factors that were there: PIN and code as typed, or a passkey's answer."""

    pin: str = field(default="", repr=False)
    otp: str = field(default="", repr=False)
    passkey: PasskeyAnswer | None = None


@dataclass(frozen=True, slots=True)
class NamedPasskey:
    """A new passkey as the browser made it, and what its owner calls it."""

    made: NewPasskey
    name: str


@dataclass(frozen=True, slots=True)
class Holding:
    """A credential of the signer and the rows of its passkeys."""

    credential: CredentialView
    passkeys: tuple[Row[Any], ...]


def overview(services: Services, subscriber_id: str) -> list[Holding]:
    """The signer's credentials that can be used now, with their passkeys. Two statements."""
    rows = factor_passkeys.of_subscriber(services.database, subscriber_id)
    return [
        Holding(each, tuple(row for row in rows if row.credential_id == each.id))
        for each in credentials.of_subscriber(services.database, subscriber_id)
        if each.usable_at(services.now_ms())
    ]


def begin(services: Services, subscriber_id: str, credential_id: str) -> PasskeyBeginning:
    """What a browser needs to make a passkey. One statement.

    Errors: ``CredentialUnknown``, ``PasskeyRefused`` (public ``reason``), ``PasskeyUnknown`` where
    the SAM takes none.
    """
    row = factor_changes.record(services, subscriber_id, credential_id)
    return services.sam.begin_passkey(row.sealed, new_id(services.now_ms()), "bind")


def begin_drop(services: Services, subscriber_id: str, factor_id: str) -> PasskeyBeginning:
    """What the factors that stay are asked to remove a passkey. Two statements."""
    row = _record_of_passkey(services, subscriber_id, factor_id)
    return services.sam.begin_passkey(row.sealed, factor_id, "drop")


def confirm(
    services: Services, subscriber_id: str, credential_id: str, made: NewPasskey
) -> PasskeyQuestion:
    """What a passkey that is there would sign to let the new one in. One statement."""
    row = factor_changes.record(services, subscriber_id, credential_id)
    return services.sam.confirm_passkey(row.sealed, made)


def bind(
    services: Services, subscriber_id: str, credential_id: str, new: NamedPasskey, proof: Proof
) -> str:
    """Let a passkey in; the id of the new factor. It counts from the end of its cool-off on.

    Errors: as :func:`begin`, ``InvalidInput`` (parameter ``name``), those of the evidence as for
    a signature, ``ActivationConflict`` when the record was changed meanwhile.
    """
    if not 0 < len(new.name) <= factor_passkeys.LONGEST_NAME or not is_showable(new.name):
        raise InvalidInput("a name that cannot be shown", parameter="name")
    row = _taken(services, subscriber_id, credential_id, proof)
    with _judged(services, row, proof):
        evidence = _evidence(services, row, proof)
        bound = services.sam.bind_passkey(row.sealed, new.made, evidence)
        _store(services, row, bound, new.name)
    return bound.factor_id


def _store(services: Services, row: Row[Any], bound: BoundPasskey, name: str) -> None:
    values = {
        "factor_id": bound.factor_id,
        "credential_id": row.id,
        "subscriber_id": row.subscriber_id,
        "webauthn_id": bound.passkey_id,
        "name": name,
        "aaguid": bound.aaguid.hex(),
        "is_synced": bound.is_eligible,
        "state": factor_passkeys.ACTIVE,
        "registered_at": services.now_ms(),
        "usable_from": bound.usable_from_ms,
    }
    known: dict[str, JsonValue] = {
        "id": bound.factor_id,
        "kind": "passkey",
        "usable_from": bound.usable_from_ms,
    }
    change = factor_changes.Change(
        kind="credential.factors_added",
        detail={
            "factors": [known],
            "aaguid": bound.aaguid.hex(),
            "public_key_sha256": hashlib.sha256(bound.public_key).hexdigest(),
        },
        sealed=bound.sealed,
        version=bound.version,
        factors=[*json.loads(row.factors), known],
        code=bound.code,
    )
    factor_changes.store(
        services, row, change, lambda connection: factor_passkeys.add(connection, values)
    )


def drop(
    services: Services, subscriber_id: str, factor_id: str, token: bytes, proof: Proof
) -> None:
    """Remove a passkey for ever, by the factors that stay. Errors: as :func:`bind`.

    What the SAM removes is gone at once, whatever is stored here. So a code is used up before.
    """
    named = factor_passkeys.get(services.database, factor_id)
    row = _taken(services, subscriber_id, named.credential_id, proof)
    with _judged(services, row, proof):
        evidence = _evidence(services, row, proof)
        if proof.passkey is None:
            code = services.sam.check_drop(row.sealed, token, evidence)
            with services.database.transaction() as connection:
                totp_steps.use(connection, code)
        resealed = services.sam.drop_passkey(row.sealed, token, evidence)
    change = factor_changes.Change(
        kind="credential.factor_dropped",
        detail={"factor_id": factor_id},
        sealed=resealed.sealed,
        version=resealed.version,
        factors=[one for one in json.loads(row.factors) if one["id"] != factor_id],
    )
    at = services.now_ms()
    factor_changes.store(
        services, row, change, lambda connection: factor_passkeys.drop(connection, factor_id, at)
    )


def _record_of_passkey(services: Services, subscriber_id: str, factor_id: str) -> Row[Any]:
    named = factor_passkeys.get(services.database, factor_id)
    return factor_changes.record(services, subscriber_id, named.credential_id)


def _evidence(services: Services, row: Row[Any], proof: Proof) -> list[Evidence]:
    if proof.passkey is not None:
        found = factor_passkeys.of_credential(services.database, row.id)
        known = {bytes(each.webauthn_id): each.factor_id for each in found}
        factor_id = known.get(proof.passkey.credential_id)
        if factor_id is None:
            raise PasskeyUnknown("not a passkey of this credential")
        return [proof.passkey.evidence(factor_id)]
    return factor_changes.typed(row, pin=proof.pin, totp=proof.otp)


def _taken(services: Services, subscriber_id: str, credential_id: str, proof: Proof) -> Row[Any]:
    """The record; an attempt with PIN and code is counted before anything is checked."""
    take = factor_changes.charged if proof.passkey is None else factor_changes.record
    return take(services, subscriber_id, credential_id)


@contextmanager
def _judged(services: Services, row: Row[Any], proof: Proof) -> Iterator[None]:
    refused = factor_changes.judged(
        services, row, "passkey.refused", is_charged=proof.passkey is None
    )
    try:
        with refused:
            yield
    except ChallengeExpired as error:
        raise PasskeyRefused("the token's time is over", reason="too_late") from error
