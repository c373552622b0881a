"""Passkeys that sign in. See docs/sign-in.md.

They are no factor of any credential: the SAM does not know them, and a taken-over rssp that makes
one up gets a session, which signs nothing. The signing passkeys in turn never answer a challenge of
ours. Discoverable, so that nobody types a name; they may be synced, as losing one costs a session.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sqlalchemy import insert, select, update

from remote_signing import webauthn
from remote_signing.errors import InvalidInput, PasskeyRefused, PasskeyUnknown, SignInRefused
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, sessions, sign_in_challenges, subscribers
from remote_signing.rssp.models import sign_in_passkey
from remote_signing.rssp.showable import is_showable
from remote_signing.webauthn import WebauthnInvalid

if TYPE_CHECKING:
    from sqlalchemy import Row

    from remote_signing.rssp.activation_passkey import PasskeyAnswer
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.sessions import Opened
    from remote_signing.rssp.subscribers import Subscriber
    from remote_signing.webauthn import AuthenticatorData

MOST: Final = 8
LONGEST_NAME: Final = 60
_HANDLE = b"sign-in|"
_ACTIVE, _DROPPED = "active", "dropped"
_ROW = sign_in_passkey.c


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser asks. ``known`` are the ids of passkeys that are there already."""

    challenge: bytes
    rp_id: str
    user_handle: bytes = b""
    known: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What ``navigator.credentials.create`` gave, raw, and what its owner calls it."""

    client_data: bytes
    attestation_object: bytes
    name: str


def ask(services: Services) -> Asked:
    """What is asked of whoever signs in. One statement."""
    return Asked(sign_in_challenges.issue(services), _rp_id(services))


def sign_in(services: Services, answer: PasskeyAnswer) -> Opened:
    """Open a session for the owner of the passkey that answered. Three statements, then four.

    Errors: ``SignInRefused`` for every reason alike; its challenge is used up all the same.
    """
    try:
        _check_client_data(services, answer.client_data, "webauthn.get", None)
        data = _authenticator_data(services, answer.authenticator_data)
        row = services.database.one(_of_id(answer.credential_id))
        if row is None or answer.user_handle not in {None, handle(row.subscriber_id)}:
            raise SignInRefused("no such passkey, or another's user handle")
        signed = (answer.authenticator_data, answer.client_data)
        if not webauthn.verifies(row.public_key, answer.signature, *signed):
            raise SignInRefused("the passkey did not sign this")
    except WebauthnInvalid as error:
        raise SignInRefused(str(error)) from None
    owner = subscribers.get(services.database, row.subscriber_id)
    if owner is None or owner.state != "active":
        raise SignInRefused("suspended")
    return _opened(services, row, data.counter, owner)


def begin(services: Services, subscriber_id: str) -> Asked:
    """What a browser needs to make one. Two statements. Errors: ``PasskeyRefused``."""
    there = of_subscriber(services, subscriber_id)
    if len(there) >= MOST:
        raise PasskeyRefused("as many as there may be", reason="too_many")
    challenge = sign_in_challenges.issue(services, subscriber_id)
    known = tuple(row.webauthn_id for row in there)
    return Asked(challenge, _rp_id(services), handle(subscriber_id), known)


def add(services: Services, subscriber_id: str, password: str, made: Made) -> str:
    """Let a new one in with the owner's password, for a session alone changes nothing; its id.

    Errors: ``SignInRefused`` (the password), ``PasskeyRefused``, ``InvalidInput``.
    """
    if not 0 < len(made.name) <= LONGEST_NAME or not is_showable(made.name):
        raise InvalidInput("a name that cannot be shown", parameter="name")
    _prove(services, subscriber_id, password)
    attested, counter = _attested(services, subscriber_id, made)
    now = services.now_ms()
    values = {
        "id": new_id(now),
        "subscriber_id": subscriber_id,
        "webauthn_id": attested.credential_id,
        "public_key": attested.public_key,
        "counter": counter,
        "name": made.name,
        "state": _ACTIVE,
        "registered_at": now,
    }
    detail = {"passkey_id": values["id"], "name": made.name}
    try:
        with services.database.transaction() as connection:
            connection.execute(insert(sign_in_passkey), values)
            event = _event("sign_in_passkey.added", subscriber_id, detail)
            audit.record(connection, event, now)
    except PasskeyRefused as error:
        raise PasskeyRefused("somebody has it", reason="known") from error
    return str(values["id"])


def drop(services: Services, subscriber_id: str, password: str, passkey_id: str) -> None:
    """Remove one, with the password. Errors: ``SignInRefused``, ``PasskeyUnknown``."""
    _prove(services, subscriber_id, password)
    gone = (
        update(sign_in_passkey)
        .where(
            _ROW.id == passkey_id,
            _ROW.subscriber_id == subscriber_id,
            _ROW.state == _ACTIVE,
        )
        .values(state=_DROPPED)
    )
    with services.database.transaction() as connection:
        if connection.execute(gone).rowcount == 0:
            raise PasskeyUnknown("none of this signer's")
        event = _event("sign_in_passkey.dropped", subscriber_id, {"passkey_id": passkey_id})
        audit.record(connection, event, services.now_ms())


def of_subscriber(services: Services, subscriber_id: str) -> list[Row[Any]]:
    """The signer's, oldest first. One statement."""
    his = (_ROW.subscriber_id == subscriber_id, _ROW.state == _ACTIVE)
    return list(services.database.all(select(sign_in_passkey).where(*his).order_by(_ROW.id)))


def handle(subscriber_id: str) -> bytes:
    """The user handle: another than the SAM's, so that no device puts one in the other's place."""
    return _HANDLE + subscriber_id.encode("ascii")


def _opened(services: Services, row: Row[Any], counter: int, owner: Subscriber) -> Opened:
    """Count the passkey on, once for each value, and open the session."""
    # Many authenticators count nothing and say 0 each time.
    moves = _ROW.counter < counter if counter else _ROW.counter == 0
    used = (
        update(sign_in_passkey)
        .where(_ROW.id == row.id, _ROW.state == _ACTIVE, moves)
        .values(counter=counter, last_used_at=services.now_ms())
    )
    with services.database.transaction() as connection:
        if connection.execute(used).rowcount:
            return sessions.open_for(services, connection, owner, "passkey")
        event = _event("sign_in_passkey.copied", owner.id, {"passkey_id": row.id})
        audit.record(connection, event, services.now_ms())
    raise SignInRefused("its counter did not move: there may be a copy, or it was dropped just now")


def _prove(services: Services, subscriber_id: str, password: str) -> None:
    known = subscribers.get(services.database, subscriber_id)
    if known is None:
        raise SignInRefused("gone")
    subscribers.sign_in(services, known.username, password)


def _attested(services: Services, subscriber_id: str, made: Made) -> tuple[webauthn.Attested, int]:
    try:
        _check_client_data(services, made.client_data, "webauthn.create", subscriber_id)
        attestation = webauthn.read_attestation(made.attestation_object)
        data = _authenticator_data(services, attestation.authenticator_data)
    except (WebauthnInvalid, SignInRefused) as error:
        raise PasskeyRefused(str(error), reason="malformed") from None
    if data.attested is None:
        raise PasskeyRefused("no new key", reason="malformed")
    return data.attested, data.counter


def _check_client_data(
    services: Services, encoded: bytes, kind: str, subscriber_id: str | None
) -> None:
    """WebAuthn cl. 7.1 steps 7-11, 7.2 steps 11-15: kind, challenge (used up), origin, no frame."""
    said = webauthn.read_client_data(encoded)
    if said.kind != kind or said.origin != _origin(services) or said.is_framed:
        raise SignInRefused("said elsewhere, or of another kind")
    if not sign_in_challenges.consume(services, said.challenge, subscriber_id):
        raise SignInRefused("a challenge that is not open")


def _authenticator_data(services: Services, encoded: bytes) -> AuthenticatorData:
    data = webauthn.read_authenticator_data(encoded)
    is_ours = data.rp_id_hash == hashlib.sha256(_rp_id(services).encode()).digest()
    if not (is_ours and data.is_present and data.is_verified):
        raise SignInRefused("for another site, or its user was not verified")
    return data


def _origin(services: Services) -> str:
    parts = urlsplit(services.config.urls.consent)
    return f"{parts.scheme}://{parts.netloc}"


def _rp_id(services: Services) -> str:
    return urlsplit(services.config.urls.consent).hostname or ""


def _of_id(webauthn_id: bytes) -> Any:  # noqa: ANN401 - a statement
    known = (_ROW.webauthn_id == webauthn_id, _ROW.state == _ACTIVE)
    return select(sign_in_passkey).where(*known)


def _event(kind: str, subscriber_id: str, detail: dict[str, Any]) -> audit.Event:
    return audit.Event(kind, "signer", subscriber_id=subscriber_id, detail=detail)
