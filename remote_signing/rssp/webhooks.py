"""Where clients are told of answers, and the secrets that sign what they are told.

A secret is 256 random bits made here and told once. It must be used in clear, so it cannot be kept
as a digest: it is sealed (AES-256-GCM, with client and row as associated data) under a key in a
file of the configuration, which is not in the database. A client has one secret, or two while it
changes from one to the next; both sign every message (Standard Webhooks).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Text, bindparam, delete, insert, select, update

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, callback
from remote_signing.rssp.config_tables import ConfigInvalid
from remote_signing.rssp.models import (
    oauth_client,
    webhook_delivery,
    webhook_endpoint,
    webhook_secret,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from remote_signing.rssp.deps import Services

PREFIX: Final = "whsec_"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_DOMAIN = "remote-signing/webhook-secret/v1"
_ENDPOINT, _SECRET = webhook_endpoint.c, webhook_secret.c


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A client's address. ``secrets`` counts those that sign; ``failures`` in a row."""

    client_id: str
    url: str
    secrets: int
    failures: int


@dataclass(frozen=True, slots=True)
class Key:
    """A sealing key by its id, which is a digest of it."""

    id: str
    value: bytes = field(repr=False)


class Sealing:
    """The sealing keys of an installation: the first seals, every one opens."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._first = keys[0]
        self._keys = {key.id: key.value for key in keys}

    @classmethod
    def load(cls, files: tuple[Path, ...]) -> Sealing:
        """The keys in ``files``; ``ConfigInvalid`` when one is none, or may be read by others."""
        return cls(tuple(map(_load, files)))

    def seal(self, client_id: str, secret_id: str, secret: bytes) -> tuple[str, bytes]:
        """The key's id, and nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._first.value).encrypt(nonce, secret, _about(client_id, secret_id))
        return self._first.id, nonce + sealed

    def open(self, client_id: str, secret_id: str, key_id: str, sealed: bytes) -> bytes:
        """The secret; ``ConfigInvalid`` when its key is not here or the row was altered."""
        key = self._keys.get(key_id)
        if key is None:
            raise ConfigInvalid(f"webhooks.key_files: key {key_id} of a secret is missing")
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, rest, _about(client_id, secret_id))
        except InvalidTag:
            raise ConfigInvalid(f"webhook secret {secret_id} was altered") from None


def make_key(file: Path) -> None:
    """A new sealing key in the new ``file`` (mode 0600); ``FileExistsError`` when it is there."""
    text = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(f"{text}\n")


def register(services: Services, client_id: str, url: str) -> str | None:
    """Tell this client at ``url`` from now on; its first secret, told this once.

    None when it has secrets: only the address has changed. Errors: ``InvalidInput`` (parameter
    ``url``: it leads where it must not; ``client_id``: there is no such client).
    """
    sealing = _sealing(services)
    try:
        callback.check(services.config.asynchronous, url)
    except InvalidInput as error:
        raise InvalidInput(error.cause, parameter="url") from None
    now = services.now_ms()
    with services.database.transaction() as connection:
        known = connection.execute(_FIND_CLIENT, {"the_client": client_id}).one_or_none()
        if known is None:
            raise InvalidInput(f"no client {client_id!r}", parameter="client_id")
        values = {"url": url, "failures": 0, "paused_until": 0}
        mine = _ENDPOINT.client_id == client_id
        if connection.execute(update(webhook_endpoint).where(mine).values(values)).rowcount:
            _note(connection, "webhook.changed", client_id, now)
            return None
        values |= {"client_id": client_id, "created_at": now}
        connection.execute(insert(webhook_endpoint), values)
        _note(connection, "webhook.registered", client_id, now)
        return _add_secret(connection, sealing, client_id, now)


def rotate(services: Services, client_id: str) -> str:
    """A further secret, told this once; of two former ones the older is over.

    Errors: ``InvalidInput`` when the client has no address.
    """
    sealing, now = _sealing(services), services.now_ms()
    with services.database.transaction() as connection:
        rows = _its_secrets(connection, client_id)
        for row in rows[:-1]:
            connection.execute(delete(webhook_secret).where(_SECRET.id == row.id))
        _note(connection, "webhook.secret_added", client_id, now)
        return _add_secret(connection, sealing, client_id, now)


def retire(services: Services, client_id: str) -> bool:
    """End the older of two secrets; False when there is one only."""
    with services.database.transaction() as connection:
        rows = _its_secrets(connection, client_id)
        for row in rows[:-1]:
            connection.execute(delete(webhook_secret).where(_SECRET.id == row.id))
            _note(connection, "webhook.secret_ended", client_id, services.now_ms())
    return len(rows) > 1


def remove(services: Services, client_id: str) -> bool:
    """Tell this client nothing any more; what was waiting is dead. False: it had no address."""
    now = services.now_ms()
    waiting = (webhook_delivery.c.client_id == client_id, webhook_delivery.c.state == "WAITING")
    ended = {"state": "DEAD", "due_at": None, "cause": "no address", "settled_at": now}
    with services.database.transaction() as connection:
        # Messages before their address, as the workers have it: else each could wait for the other.
        connection.execute(update(webhook_delivery).where(*waiting).values(ended))
        connection.execute(delete(webhook_secret).where(_SECRET.client_id == client_id))
        statement = delete(webhook_endpoint).where(_ENDPOINT.client_id == client_id)
        if connection.execute(statement).rowcount == 0:
            return False
        _note(connection, "webhook.removed", client_id, now)
    return True


def listed(services: Services) -> list[Endpoint]:
    """Every client that is told. Two statements."""
    rows = services.database.all(select(webhook_endpoint).order_by(_ENDPOINT.client_id))
    owners = [row.client_id for row in services.database.all(select(_SECRET.client_id))]
    return [
        Endpoint(row.client_id, row.url, owners.count(row.client_id), row.failures) for row in rows
    ]


def open_secrets(services: Services, sealing: Sealing, client_id: str) -> tuple[bytes, ...]:
    """The secrets that sign, the newest first. One statement."""
    rows = services.database.all(_SECRETS, {"the_client": client_id})
    return tuple(
        sealing.open(client_id, row.id, row.key_id, bytes(row.sealed)) for row in reversed(rows)
    )


def _sealing(services: Services) -> Sealing:
    config = services.config.webhooks
    if config is None:
        raise ConfigInvalid("webhooks: there is no such table in rssp.toml")
    return Sealing.load(config.key_files)


def _load(file: Path) -> Key:
    try:
        # The group's bits mean nothing: Kubernetes sets them for the pod's own group.
        if file.stat().st_mode & stat.S_IRWXO:
            raise ConfigInvalid(f"webhooks.key_files: {file} may be read by others: chmod 600")
        value = base64.b64decode(file.read_text(encoding="ascii").strip(), validate=True)
    except (OSError, binascii.Error, ValueError) as error:
        raise ConfigInvalid(f"webhooks.key_files: {file}: {error}") from error
    if len(value) != _KEY_BYTES:
        raise ConfigInvalid(f"webhooks.key_files: {file} is not base64 of {_KEY_BYTES} bytes")
    return Key(hashlib.sha256(value).hexdigest()[:16], value)


def _add_secret(connection: Connection, sealing: Sealing, client_id: str, now: int) -> str:
    secret_id, secret = new_id(now), secrets.token_bytes(_KEY_BYTES)
    key_id, sealed = sealing.seal(client_id, secret_id, secret)
    row = {
        "id": secret_id,
        "client_id": client_id,
        "key_id": key_id,
        "sealed": sealed,
        "created_at": now,
    }
    connection.execute(insert(webhook_secret), row)
    return PREFIX + base64.b64encode(secret).decode("ascii")


def _its_secrets(connection: Connection, client_id: str) -> list[Row[Any]]:
    """Oldest first, after the client's row is held: two rotations come one after the other."""
    held = connection.execute(_HOLD, {"the_client": client_id}).one_or_none()
    if held is None:
        raise InvalidInput(f"{client_id!r} has no address to be told at", parameter="client_id")
    rows: Any = connection.execute(_SECRETS, {"the_client": client_id})
    return list(rows)


def _note(connection: Connection, kind: str, client_id: str, now: int) -> None:
    audit.record(connection, audit.Event(kind, audit.operator(), client_id=client_id), now)


def _about(client_id: str, secret_id: str) -> bytes:
    return f"{_DOMAIN}|{secret_id}|{client_id}".encode()


_the_client = bindparam("the_client", type_=Text())
_FIND_CLIENT = select(oauth_client.c.id).where(oauth_client.c.id == _the_client).with_for_update()
_HOLD = select(_ENDPOINT.client_id).where(_ENDPOINT.client_id == _the_client).with_for_update()
_SECRETS = (
    select(_SECRET.id, _SECRET.key_id, _SECRET.sealed)
    .where(_SECRET.client_id == _the_client)
    .order_by(_SECRET.created_at, _SECRET.id)
)
