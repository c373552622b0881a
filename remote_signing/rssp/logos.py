"""The logos of portals, which signers see beside their names.

A registered address of a logo (``logo_uri``) is never loaded: who asks would be told when an
official looks at what. The operator hands in a picture instead; it is drawn anew, small, and kept
by its digest, so that nothing of the file's own bytes reaches a phone.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Final

from PIL import Image
from sqlalchemy import bindparam, delete, insert, select, update

from remote_signing.errors import InvalidInput
from remote_signing.rssp import audit
from remote_signing.rssp.models import client_logo, oauth_client

if TYPE_CHECKING:
    from remote_signing.clock import Clock
    from remote_signing.rssp.db import Database

LARGEST: Final = 512 * 1024
"""Bytes of a file that is handed in."""
SIDE: Final = 96
"""Pixels of a logo: a square of 48 px on a phone with two dots a pixel."""
_MOST_PIXELS = 4_000_000
_PICTURE = select(client_logo.c.picture).where(client_logo.c.digest == bindparam("digest")).limit(1)


def drawn(data: bytes) -> bytes:
    """The PNG or JPEG ``data`` as a PNG of :data:`SIDE` x :data:`SIDE`, the rest transparent.

    Raises ``InvalidInput`` for what is no such picture, or too large.
    """
    if len(data) > LARGEST:
        raise InvalidInput(f"a logo has at most {LARGEST} bytes", parameter="logo")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise InvalidInput("a logo has at most 4 million pixels", parameter="logo")
            drawing = picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"no picture: {error}", parameter="logo") from error
    drawing.thumbnail((SIDE, SIDE))
    square = Image.new("RGBA", (SIDE, SIDE))
    square.paste(drawing, ((SIDE - drawing.width) // 2, (SIDE - drawing.height) // 2))
    target = io.BytesIO()
    square.save(target, "PNG", optimize=True)
    return target.getvalue()


def put(
    database: Database,
    clock: Clock,
    client_id: str,
    data: bytes | None,
    actor: str | None = None,
) -> bool:
    """Show this picture beside the client's name, or none; False when there is no such client.

    Raises ``InvalidInput`` as :func:`drawn`.
    """
    picture = None if data is None else drawn(data)
    digest = None if picture is None else hashlib.sha256(picture).hexdigest()
    named = update(oauth_client).where(oauth_client.c.id == client_id).values(logo=digest)
    with database.transaction() as connection:
        if connection.execute(named).rowcount == 0:
            return False
        connection.execute(delete(client_logo).where(client_logo.c.client_id == client_id))
        if picture is not None:
            row = {"client_id": client_id, "digest": digest, "picture": picture}
            connection.execute(insert(client_logo), row)
        event = audit.Event(
            "client.changed",
            actor or audit.operator(),
            client_id=client_id,
            detail={"logo": digest},
        )
        audit.record(connection, event, clock.now_ms())
    return True


def picture(database: Database, digest: str) -> bytes | None:
    """The PNG of that digest; None: no client has it. One statement."""
    row = database.one(_PICTURE, {"digest": digest})
    return None if row is None else bytes(row.picture)
