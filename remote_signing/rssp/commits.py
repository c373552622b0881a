"""Commits that do not wait for the disk (docs/decisions/0026-what-need-not-wait-for-the-disk.md).

A step is for them when no right is given, used up or refused by it: should PostgreSQL fall over
within the second, it has not happened. The next step that waits makes all before it lasting, since
a database has one log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy import Label

SETTING: Final = "set_config('synchronous_commit', 'off', true)"
"""PostgreSQL's, for the transaction that this is evaluated in alone."""


class _WithoutWaiting(FunctionElement[str]):
    type = Text()
    inherit_cache = True


@compiles(_WithoutWaiting, "postgresql")
def _setting(_element: object, _compiler: object, **_how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return SETTING


@compiles(_WithoutWaiting, "sqlite")
def _nothing(_element: object, _compiler: object, **_how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return "NULL"


def without_waiting() -> Label[str]:
    """For the RETURNING of a statement that is a transaction of its own: its commit does not wait.

    Without effect on SQLite. In a longer transaction all of it would not wait.
    """
    return _WithoutWaiting().label("without_waiting")
