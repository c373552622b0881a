"""The rows of attachments: what came, which requests name it, and when it goes.

A file is there before its row and goes after it, so a row without a file is a fault and a file
without a row is a leftover that nobody can read: its key was in the row.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, bindparam, case, delete, exists, func, insert, or_, select
from sqlalchemy import update as sql_update

from remote_signing.errors import AttachmentUnknown, Unavailable
from remote_signing.identifiers import is_id
from remote_signing.rssp.attachments import vault
from remote_signing.rssp.models import attachment, attachment_use, signature_activation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Row

    from remote_signing.rssp.config_attachments import AttachmentsConfig
    from remote_signing.rssp.deps import Services

_ROW = attachment.c
_USE = attachment_use.c
_ACTIVATION = signature_activation.c
_BATCH = 200
_MOST_UNUSED = 500  # of one client, uploaded and named by no request yet
_MEGABYTE = 1024 * 1024
_LEFTOVER = 3600  # seconds; no upload takes as long


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """``sha256`` and ``size`` are of the file. ``dtbs_r`` under ``digest``: of ``prepareDoc``."""

    id: str
    client_id: str
    sha256: bytes
    size: int
    media_type: str
    pages: int | None
    remarks: tuple[str, ...]
    sealing_key: bytes
    dtbs_r: bytes | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A file that a signer may see now."""

    id: str
    media_type: str
    size: int
    pages: int | None
    sealing_key: bytes


def settings(services: Services) -> AttachmentsConfig:
    """How this installation keeps attachments. ``AttachmentUnknown`` where it takes none."""
    found = services.config.attachments
    if found is None:
        raise AttachmentUnknown("this installation takes no attachments")
    return found


def add(services: Services, new: NewAttachment) -> int:
    """Note what was kept; until when it has to be named (ms). One statement.

    ``Unavailable`` when all attachments, or those of this client, take all the room for them.
    """
    limits, now = settings(services), services.now_ms()
    end = now + limits.unused * 1000
    values = {
        **{name: getattr(new, name) for name in NewAttachment.__slots__},
        "remarks": json.dumps(new.remarks),
        "created_at": now,
        "claimed_at": None,
        "expires_at": end,
    }
    parameters = {f"v_{name}": value for name, value in values.items()}
    most = {"most": limits.kept * _MEGABYTE - new.size, "most_unused": _MOST_UNUSED}
    if not services.database.run(_ADD, parameters | most):
        raise Unavailable("attachments take all the room for them")
    return end


def claim(
    services: Services, client_id: str, names: Sequence[str], until_ms: int
) -> dict[str, Row[Any]]:
    """The rows of a client's attachments by id, kept until ``until_ms`` now. One statement.

    ``AttachmentUnknown`` when one of them is not there, or not his.
    """
    now = services.now_ms()
    found = {}
    if all(map(is_id, names)):
        parameters = {"names": list(names), "the_client": client_id, "now": now, "end": until_ms}
        found = {row.id: row for row in services.database.all(_CLAIM, parameters)}
    if found.keys() != set(names):
        raise AttachmentUnknown("one of them is not there")
    return found


def use(services: Services, activation_id: str, names: dict[int, str]) -> None:
    """The request ``activation_id`` shows them, by position of the hash. One transaction."""
    rows = [
        {"activation_id": activation_id, "position": position, "attachment_id": name}
        for position, name in names.items()
    ]
    with services.database.transaction() as connection:
        connection.execute(insert(attachment_use), rows)


def shown(services: Services, subscriber_id: str, activation_id: str, position: int) -> Shown:
    """What the signer of a waiting request may see. One statement.

    ``AttachmentUnknown`` for anything else, also when the request has been answered.
    """
    parameters = {
        "the_activation": activation_id,
        "the_owner": subscriber_id,
        "the_position": position,
        "now": services.now_ms(),
    }
    row = services.database.one(_SHOWN, parameters)
    if row is None:
        raise AttachmentUnknown("no such document of a waiting request of this signer")
    return Shown(row.id, row.media_type, row.size, row.pages, row.sealing_key)


def prune(services: Services) -> int:
    """Remove what no waiting request shows any more; how many. Two statements for each 200."""
    limits = services.config.attachments
    if limits is None:
        return 0
    now = services.now_ms()
    parameters = {"now": now, "before": now - limits.lingering * 1000}
    count = 0
    while True:
        names = [row.id for row in services.database.all(_PRUNE, parameters)]
        for name in names:
            vault.drop(limits.folder, name)
        count += len(names)
        if len(names) < _BATCH:
            break
    services.database.run(_PRUNE_USES)
    return count


def remove_leftovers(services: Services) -> int:
    """Remove files whose process died before their row was written, or after it was removed.

    How many. One statement for each 200 old files.
    """
    limits = services.config.attachments
    if limits is None or not limits.folder.is_dir():
        return 0
    count, before = 0, time.time() - _LEFTOVER
    found = (path.name for path in limits.folder.iterdir() if _is_old(path, before))
    while names := set(islice(found, _BATCH)):
        known = {row.id for row in services.database.all(_KNOWN, {"names": list(names)})}
        for name in names - known:
            vault.drop(limits.folder, name)
        count += len(names - known)
    return count


def _is_old(path: Path, before: float) -> bool:
    """Whether it is a file of ours from before then; not if another process just removed it."""
    try:
        return is_id(path.name) and path.stat().st_mtime < before
    except FileNotFoundError:
        return False


_NOW = bindparam("now", type_=BigInteger())
_BEFORE = bindparam("before", type_=BigInteger())
_NAMES = bindparam("names", expanding=True, type_=_ROW.id.type)
_SIZE = select(func.coalesce(func.sum(_ROW.size), 0)).scalar_subquery()
_UNUSED = (
    select(func.count())
    .select_from(attachment)
    .where(_ROW.client_id == bindparam("v_client_id"), _ROW.claimed_at.is_(None))
    .scalar_subquery()
)
_ADD = insert(attachment).from_select(
    [column.name for column in _ROW],
    select(*[bindparam(f"v_{column.name}", type_=column.type) for column in _ROW]).where(
        bindparam("most", type_=BigInteger()) >= _SIZE,
        bindparam("most_unused", type_=BigInteger()) > _UNUSED,
    ),
)
_END = bindparam("end", type_=BigInteger())
_CLAIM = (
    sql_update(attachment)
    .where(
        _ROW.id.in_(_NAMES),
        _ROW.client_id == bindparam("the_client", type_=_ROW.client_id.type),
        _ROW.expires_at > _NOW,
    )
    .values(claimed_at=_NOW, expires_at=case((_ROW.expires_at > _END, _ROW.expires_at), else_=_END))
    .returning(attachment)
)
_SHOWN = (
    select(attachment)
    .join_from(attachment, attachment_use, _USE.attachment_id == _ROW.id)
    .join(signature_activation, _ACTIVATION.id == _USE.activation_id)
    .where(
        _USE.activation_id == bindparam("the_activation", type_=_USE.activation_id.type),
        _USE.position == bindparam("the_position", type_=_USE.position.type),
        _ACTIVATION.subscriber_id == bindparam("the_owner", type_=_ACTIVATION.subscriber_id.type),
        _ACTIVATION.state == "PENDING",
        _ACTIVATION.expires_at > _NOW,
    )
)
_OF_IT = _USE.attachment_id == _ROW.id
_STILL_SHOWN = (
    select(_USE.attachment_id)
    .join_from(attachment_use, signature_activation, _ACTIVATION.id == _USE.activation_id)
    .where(_OF_IT, or_(_ACTIVATION.state == "PENDING", _ACTIVATION.event_at > _BEFORE))
    .correlate(attachment)
)
_OVER = or_(
    _ROW.expires_at <= _NOW,
    and_(
        # A request that names it just now has no row of its own yet.
        _ROW.claimed_at <= _BEFORE,
        exists(select(_USE.attachment_id).where(_OF_IT).correlate(attachment)),
        ~exists(_STILL_SHOWN),
    ),
)
_DUE = select(_ROW.id).where(_OVER).limit(_BATCH).with_for_update(skip_locked=True).cte("due")
_PRUNE = delete(attachment).where(_ROW.id.in_(select(_DUE.c.id))).returning(_ROW.id)
_PRUNE_USES = delete(attachment_use).where(
    ~exists(select(_ROW.id).where(_OF_IT).correlate(attachment_use))
)
_KNOWN = select(_ROW.id).where(_ROW.id.in_(_NAMES))
