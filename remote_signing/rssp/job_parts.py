"""Documents of signatures that are made later, kept in the database in pieces.

So they outlive the process that took them, and whichever process is there makes the signature. What
is kept is bounded: by time (``expires_at``, as the job's own), and in all by
``asynchronous.kept`` when a document comes in. What came of documents that were let in always has
room, so all of it may come to two or three times that.

The last piece of a document is never a full one, if need be it is empty. So a reader knows whether
all of it was there: pieces whose time is over go while somebody reads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from sqlalchemy import Text, bindparam, delete, func, insert, select, update

from remote_signing.errors import Unavailable
from remote_signing.identifiers import new_id
from remote_signing.rssp.models import job_part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from remote_signing.rssp.deps import Services

PIECE: Final = 3 * 256 * 1024
"""Bytes of a piece; its base64 needs no padding."""
_MEGABYTE: Final = 1024 * 1024
_ANY_NUMBER: Final = 2**31 - 1
_PART = job_part.c


@dataclass(frozen=True, slots=True)
class Part:
    """A document of a job. ``expires_at`` is in ms since the epoch."""

    job_id: str
    name: str
    expires_at: int


class PieceMissing(Unavailable):
    """What is kept of a document is not all of it: its time is over, or the table was altered."""


def keep(services: Services, part: Part, path: Path) -> None:
    """Keep a document that came in. A statement a piece. ``Unavailable`` when too much is kept."""
    _write(services, part, path, services.config.asynchronous.kept * _MEGABYTE // PIECE)


def keep_result(services: Services, part: Part, path: Path) -> None:
    """Keep what came of a document. A statement a piece."""
    _write(services, part, path, _ANY_NUMBER)


def load(services: Services, job_id: str, name: str, path: Path) -> None:
    """Write what is kept to a new file. A statement a piece. ``PieceMissing``."""
    with path.open("xb") as stream:
        stream.writelines(pieces(services, job_id, name))


def pieces(services: Services, job_id: str, name: str) -> Iterator[bytes]:
    """What is kept, piece by piece. A statement a piece. ``PieceMissing``, as late as it shows."""
    for number in count():
        place = {"the_job": job_id, "the_name": name, "the_number": number}
        row = services.database.one(_READ, place)
        if row is None:
            raise PieceMissing(f"piece {number} of {name} of job {job_id}")
        yield row.content
        if len(row.content) < PIECE:
            return


def forget(services: Services, job_id: str) -> None:
    """Remove everything of a job. One statement."""
    services.database.run(_FORGET, {"the_job": job_id, "the_names": [""]})


def forget_others(connection: Connection, job_id: str, names: Collection[str]) -> None:
    """Remove what a job no longer needs: all but ``names``. One statement."""
    connection.execute(_FORGET, {"the_job": job_id, "the_names": [*names, ""]})


def expire(connection: Connection, job_id: str, expires_at: int) -> None:
    """Let what is kept of a job end at ``expires_at``. One statement."""
    connection.execute(_EXPIRE, {"the_job": job_id, "the_end": expires_at})


def _write(services: Services, part: Part, path: Path, most: int) -> None:
    with path.open("rb") as stream:
        for number in count():
            content = stream.read(PIECE)
            row = {
                "id": new_id(services.now_ms()),
                **asdict(part),
                "number": number,
                "content": content,
                "most": most,
            }
            if not services.database.run(_KEEP, row):
                raise Unavailable("documents of jobs take all the room for them")
            if len(content) < PIECE:
                return


_COLUMNS = [*_PART]
_KEPT = select(func.count()).select_from(job_part).scalar_subquery()
_KEEP = insert(job_part).from_select(
    [column.name for column in _COLUMNS],
    select(*[bindparam(column.name, type_=column.type) for column in _COLUMNS]).where(
        bindparam("most", type_=_PART.number.type) > _KEPT
    ),
)
_THE_JOB = bindparam("the_job", type_=_PART.job_id.type)
_READ = select(_PART.content).where(
    _PART.job_id == _THE_JOB,
    _PART.name == bindparam("the_name", type_=Text()),
    _PART.number == bindparam("the_number", type_=_PART.number.type),
)
_FORGET = delete(job_part).where(
    _PART.job_id == _THE_JOB, _PART.name.not_in(bindparam("the_names", expanding=True))
)
_EXPIRE = (
    update(job_part)
    .where(_PART.job_id == _THE_JOB)
    .values(expires_at=bindparam("the_end", type_=_PART.expires_at.type))
)
