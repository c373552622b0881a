"""Clients of the service (portals, integrators): registration, and a directory that is cached.

The directory is at most five seconds behind the table, so that authenticating a client costs no
statement; a name that is no client's leaves nothing behind, or strangers could fill the memory.
Client secrets are 256 random bits made here, so SHA-256 keeps them well enough.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import bindparam, insert, select, update

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import is_id
from remote_signing.rssp import audit, dpop, jose
from remote_signing.rssp.models import oauth_client
from remote_signing.rssp.showable import is_showable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database
    from remote_signing.strict_json import JsonValue

TTL_MS = 5_000
AUTH_METHODS = ("private_key_jwt", "tls_client_auth", "client_secret_basic", "client_secret_post")
GRANT_TYPES = ("authorization_code", "client_credentials", "refresh_token")
SCOPES = ("service", "credential")
STATES = ("active", "suspended")
# Rights of a client, given with its registration only: no authorization request asks for them.
RIGHTS = ("credential-creation", "credential-deletion")
ANY_AGENCY = "*"
LONGEST_ID = 100
"""Characters of a client_id."""

_SELECT = select(oauth_client).where(
    oauth_client.c.id == bindparam("id"), oauth_client.c.state == "active"
)
_LARGEST_CACHE = 10_000
_LONGEST_NAME = 200
_LONGEST_ADDRESS = 2_000


@dataclass(frozen=True, slots=True)
class NewClient:
    """What a client registers with (RFC 7591 names). ``agencies`` is for client_credentials.

    ``endpoint_audience`` lets its assertions name the endpoint instead of the issuer, for clients
    older than FAPI 2.0.
    """

    client_id: str
    name: str
    auth_method: str
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    scopes: tuple[str, ...] = SCOPES
    logo_uri: str | None = None
    jwks: dict[str, JsonValue] | None = None
    tls_subject: str | None = None
    tls_thumbprint: str | None = None
    dpop_required: bool = False
    par_required: bool = True
    endpoint_audience: bool = False
    agencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """An active client. ``tls_thumbprint`` is base64url SHA-256 of its certificate (RFC 8705)."""

    client_id: str
    name: str
    logo_uri: str | None
    auth_method: str
    secret_hash: bytes | None = field(repr=False)
    jwks: dict[str, JsonValue] | None
    tls_subject: str | None
    tls_thumbprint: str | None
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    dpop_required: bool
    par_required: bool
    endpoint_audience: bool
    agencies: tuple[str, ...]

    def secret_matches(self, secret: str) -> bool:
        """Whether ``secret`` is this client's, compared in constant time."""
        return self.secret_hash is not None and hmac.compare_digest(
            self.secret_hash, _secret_hash(secret)
        )


class ClientDirectory:
    """Active clients by id. Thread-safe; entries are at most :data:`TTL_MS` old."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[int, Client]] = {}

    def get(self, client_id: str) -> Client | None:
        """The active client with that id. At most one statement, none while cached."""
        if len(client_id) > LONGEST_ID:
            return None
        now = self._clock.now_ms()
        with self._lock:
            found = self._cache.get(client_id)
        if found is not None and 0 <= now - found[0] < TTL_MS:
            return found[1]
        row = self._database.one(_SELECT, {"id": client_id})
        client = None if row is None else _client(row)
        with self._lock:
            self._cache.pop(client_id, None)
            if client is not None:
                if len(self._cache) >= _LARGEST_CACHE:
                    del self._cache[next(iter(self._cache))]  # the one read longest ago
                self._cache[client_id] = (now, client)
        return client


def register(
    database: Database, clock: Clock, new: NewClient, actor: str | None = None
) -> str | None:
    """Register a client. Its secret, told this once, or None when it authenticates without one."""
    _check(new)
    secret = secrets.token_urlsafe(32) if new.auth_method.startswith("client_secret_") else None
    now = clock.now_ms()
    with database.transaction() as connection:
        connection.execute(insert(oauth_client), _values(new, secret, now))
        detail: dict[str, JsonValue] = {
            "auth_method": new.auth_method,
            "grant_types": list(new.grant_types),
            "agencies": list(new.agencies),
        }
        event = audit.Event(
            "client.registered", actor or audit.operator(), client_id=new.client_id, detail=detail
        )
        audit.record(connection, event, now)
    return secret


def change(
    database: Database,
    clock: Clock,
    client_id: str,
    changes: Mapping[str, Any],
    actor: str | None = None,
) -> bool:
    """Register other values for a client, by the checks of :func:`register`; False: there is none.

    ``changes`` are fields of :class:`NewClient`, but not its id, nor how it authenticates: whoever
    authenticates otherwise is registered as another client.
    """
    for name in {"client_id", "auth_method"} & changes.keys():
        raise InvalidInput(f"{name} cannot be changed", parameter=name)
    now = clock.now_ms()
    query = select(oauth_client).where(oauth_client.c.id == client_id).with_for_update()
    with database.transaction() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return False
        new = replace(_registered(row), **changes)
        _check(new)
        statement = update(oauth_client).where(oauth_client.c.id == client_id)
        connection.execute(statement.values(_registration(new)))
        detail = _changed(new, changes)
        event = audit.Event(
            "client.changed", actor or audit.operator(), client_id=client_id, detail=detail
        )
        audit.record(connection, event, now)
    return True


def set_state(
    database: Database, clock: Clock, client_id: str, state: str, actor: str | None = None
) -> bool:
    """Make a client ``active`` or ``suspended``; False when there is none of that id."""
    if state not in STATES:
        raise InvalidInput(f"state {state!r}", parameter="state")
    now = clock.now_ms()
    with database.transaction() as connection:
        statement = update(oauth_client).where(oauth_client.c.id == client_id).values(state=state)
        if connection.execute(statement).rowcount == 0:
            return False
        event = audit.Event(f"client.{state}", actor or audit.operator(), client_id=client_id)
        audit.record(connection, event, now)
    return True


def rotate_secret(
    database: Database, clock: Clock, client_id: str, actor: str | None = None
) -> str | None:
    """A new secret, told this once; the old one is over. None: no such client has a secret."""
    secret, now = secrets.token_urlsafe(32), clock.now_ms()
    has_secret = (oauth_client.c.id == client_id, oauth_client.c.secret_hash.is_not(None))
    with database.transaction() as connection:
        statement = update(oauth_client).where(*has_secret).values(secret_hash=_secret_hash(secret))
        if connection.execute(statement).rowcount == 0:
            return None
        event = audit.Event("client.secret_rotated", actor or audit.operator(), client_id=client_id)
        audit.record(connection, event, now)
    return secret


def listed(database: Database) -> list[tuple[Client, str]]:
    """Every client with its state (``active``, ``suspended``), by id. One statement."""
    rows = database.all(select(oauth_client).order_by(oauth_client.c.id))
    return [(_client(row), row.state) for row in rows]


def _check(new: NewClient) -> None:
    checks = {
        # No client may be taken for a subscriber (RFC 9700 cl. 4.15).
        "client_id": _is_text(new.client_id, LONGEST_ID) and not is_id(new.client_id.lower()),
        "name": _is_text(new.name, _LONGEST_NAME),
        "auth_method": new.auth_method in AUTH_METHODS,
        "grant_types": set(new.grant_types) <= set(GRANT_TYPES) and bool(new.grant_types),
        "scopes": set(new.scopes) <= {*SCOPES, *RIGHTS} and bool(new.scopes),
        "redirect_uris": bool(new.redirect_uris) or "authorization_code" not in new.grant_types,
        "jwks": new.jwks is not None or new.auth_method != "private_key_jwt",
        "tls": bool(new.tls_subject or new.tls_thumbprint) or new.auth_method != "tls_client_auth",
        "tls_subject": new.tls_subject is None or _is_text(new.tls_subject, _LONGEST_ADDRESS),
        "tls_thumbprint": new.tls_thumbprint is None or dpop.is_thumbprint(new.tls_thumbprint),
    }
    for name, holds in checks.items():
        if not holds:
            raise InvalidInput(f"client registration: {name}", parameter=name)
    if new.jwks is not None:
        jose.check_key_set(new.jwks)
    for uri in new.redirect_uris:
        _check_address(uri, "redirect_uris")
    if new.logo_uri is not None:
        _check_address(new.logo_uri, "logo_uri")


def _is_text(text: str, longest: int) -> bool:
    """Whether ``text`` shows what it is: signers read the name, operators all of them."""
    return 0 < len(text.strip()) <= len(text) <= longest and is_showable(text)


def _check_address(uri: str, parameter: str) -> None:
    """https, or http to the same machine; printable ASCII; no user name, no fragment.

    Requests must repeat a redirect_uri character by character, so here is the only place to look
    inside.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InvalidInput(f"{parameter}: {uri!r}", parameter=parameter) from None
    loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    odd = not uri.isascii() or not uri.isprintable() or set(uri) & set(' \\"<>^`{|}')
    if odd or len(uri) > _LONGEST_ADDRESS or "@" in parts.netloc or "#" in uri:
        raise InvalidInput(f"{parameter}: {uri[:80]!r}", parameter=parameter)
    if not parts.hostname or (parts.scheme != "https" and not loopback):
        raise InvalidInput(f"{parameter}: {uri[:80]!r}", parameter=parameter)


def _changed(new: NewClient, changes: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What the record tells of a change: the new values, of keys their thumbprints."""
    told: dict[str, JsonValue] = {}
    for name in changes:
        value = getattr(new, name)
        told[name] = list(value) if isinstance(value, tuple) else value
    if new.jwks is not None and "jwks" in changes:
        told["jwks"] = jose.thumbprints(new.jwks)
    return told


def _registered(row: Row[Any]) -> NewClient:
    client = _client(row)
    return NewClient(**{each.name: getattr(client, each.name) for each in fields(NewClient)})


def _values(new: NewClient, secret: str | None, now: int) -> dict[str, Any]:
    return _registration(new) | {
        "id": new.client_id,
        "secret_hash": None if secret is None else _secret_hash(secret),
        "state": "active",
        "created_at": now,
    }


def _registration(new: NewClient) -> dict[str, Any]:
    """The columns that a registration fills and a change of it fills anew."""
    return {
        "name": new.name,
        "logo_uri": new.logo_uri,
        "auth_method": new.auth_method,
        "jwks": None if new.jwks is None else json.dumps(new.jwks),
        "tls_subject": new.tls_subject,
        "tls_thumbprint": new.tls_thumbprint,
        "redirect_uris": json.dumps(new.redirect_uris),
        "grant_types": json.dumps(new.grant_types),
        "scopes": json.dumps(new.scopes),
        "dpop_required": new.dpop_required,
        "par_required": new.par_required,
        "endpoint_audience": new.endpoint_audience,
        "agencies": json.dumps(new.agencies),
    }


def _client(row: Row[Any]) -> Client:
    return Client(
        client_id=row.id,
        name=row.name,
        logo_uri=row.logo_uri,
        auth_method=row.auth_method,
        secret_hash=row.secret_hash,
        jwks=None if row.jwks is None else json.loads(row.jwks),
        tls_subject=row.tls_subject,
        tls_thumbprint=row.tls_thumbprint,
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        grant_types=tuple(json.loads(row.grant_types)),
        scopes=tuple(json.loads(row.scopes)),
        dpop_required=row.dpop_required,
        par_required=row.par_required,
        endpoint_audience=row.endpoint_audience,
        agencies=tuple(json.loads(row.agencies)),
    )


def _secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8")).digest()
