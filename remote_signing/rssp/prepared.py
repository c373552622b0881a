"""Statements that PostgreSQL has prepared, run without the layers that a known one does not need.

What SQLAlchemy and the driver's cursor do for a statement, they do each time: look its text up,
bind by name, choose how each value travels, make a cursor, describe columns. For a statement that
is a constant of this program all of it is known after the first time. The text is SQLAlchemy's and
so is the connection; only the way between is short: 0.02 ms of a core instead of 0.2, and where
other processes have used the caches meanwhile, 0.1 instead of 0.6 (measured).

Values are texts, integers, octets, booleans and NULL, which is all that the tables hold. For
anything else, and while somebody listens to the engine's statements, there is no short way, and
the statement runs as any other.
"""

from __future__ import annotations

import itertools
import re
from collections import namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, pq
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Boolean, Integer, LargeBinary, NullType, String

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from psycopg.pq.abc import PGconn, PGresult
    from sqlalchemy import Engine, Executable, Row

MOST_OF_A_LIST: Final = 20
"""Values of an ``IN``: each number of them is a text of its own."""

_BINARY = 1
_NOT_PREPARED = b"26000"  # invalid_sql_statement_name
_KNOWN = (String, Integer, LargeBinary, Boolean, NullType)
_MARK = re.compile(r"%\((\w+)\)s|__\[POSTCOMPILE_(\w+)\]|%%")
_Made = TypeVar("_Made")


class Outcome(NamedTuple):
    """The rows of a result, none where there is none; how many rows were ``touched``."""

    rows: Sequence[Row[Any]]
    touched: int


@dataclass(slots=True)
class _Plan:
    """A statement ready to run: ``order`` names the value of $1, $2, …; ``fixed`` are constants.

    ``keys``: the parameters it is for; ``lists``: how many values those have that are lists.
    ``reads`` and ``row``: how its columns are read, known once it has been prepared somewhere.
    """

    name: bytes
    text: bytes
    order: tuple[str, ...]
    fixed: dict[str, object]
    keys: frozenset[str]
    lists: dict[str, int]
    reads: tuple[Callable[[bytes], object], ...] | None = None
    row: Callable[[Iterable[object]], Row[Any]] | None = None

    def fits(self, parameters: Mapping[str, object]) -> bool:
        """Whether it is the plan for these parameters."""
        return parameters.keys() == self.keys and all(
            len(_listed(parameters[name])) == count for name, count in self.lists.items()
        )

    def given(self, parameters: Mapping[str, object]) -> list[object]:
        """The values of $1, $2 and so on."""
        values = self.fixed | dict(parameters)
        for name in self.lists:
            each = enumerate(_listed(parameters[name]))
            values |= {f"{name}_{place}": value for place, value in each}
        return [values[name] for name in self.order]


class _Unfit(Exception):
    """There is no short way for this; the statement has not run."""


class Prepared:
    """The prepared statements of ``engine``. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = itertools.count(1)
        # False: there is no short way. None: seen once; a statement that comes again is a constant,
        # not made for one occasion.
        self._plans: WeakKeyDictionary[Any, _Plan | Literal[False] | None] = WeakKeyDictionary()

    def run(self, statement: Executable, parameters: Mapping[str, object]) -> Outcome | None:
        """What ``statement`` gives in autocommit; None when it has not run, for want of a way.

        Errors: ``DBAPIError``.
        """
        if self._engine.dispatch.before_cursor_execute:
            return None
        try:
            plan = self._plan(statement, parameters)
            if plan is None or not plan.fits(parameters):
                return None
            values = plan.given(parameters)
            return self._execute(plan, [_written(value) for value in values], _formats(values))
        except _Unfit:
            return None

    def _plan(self, statement: Executable, parameters: Mapping[str, object]) -> _Plan | None:
        try:
            found = self._plans[statement]
        except KeyError:
            self._plans[statement] = None
            return None
        if found is None:
            try:
                found = self._plans[statement] = self._proved(self._made(statement, parameters))
            except _Unfit:
                self._plans[statement] = False
                raise
        return found or None

    def _proved(self, plan: _Plan) -> _Plan:
        """``plan``, when PostgreSQL can prepare it and all of its columns can be read."""
        try:
            found = self._at_connection(plan, lambda link: _described(plan, link))
            columns = range(found.nfields)
            names = [(found.fname(column) or b"").decode("utf-8") for column in columns]
            plan.reads = tuple(_READERS[found.ftype(column)] for column in columns)
            plan.row = _row(names)
        except (DBAPIError, KeyError, ValueError) as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
            raise _Unfit from error  # it runs as any other, and its own error tells
        return plan

    def _made(self, statement: Any, parameters: Mapping[str, object]) -> _Plan:  # noqa: ANN401 - an Executable that can be compiled
        compiled = statement.compile(dialect=self._engine.dialect, column_keys=list(parameters))
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        lists = {
            name: len(_listed(parameters.get(name)))
            for name, bind in binds.items()
            if bind in compiled.post_compile_params
        }
        is_simple = all(isinstance(bind.type, _KNOWN) for bind in binds.values())
        is_short = all(0 < count <= MOST_OF_A_LIST for count in lists.values())
        if not is_simple or not is_short or compiled.insert_prefetch or compiled.update_prefetch:
            raise _Unfit
        order: list[str] = []
        text = _MARK.sub(lambda found: _numbered(found, lists, order), compiled.string)
        return _Plan(
            name=b"rssp_%d" % next(self._numbers),
            text=text.encode("utf-8"),
            order=tuple(order),
            fixed={name: bind.effective_value for name, bind in binds.items() if not bind.required},
            keys=frozenset(parameters),
            lists=lists,
        )

    def _execute(self, plan: _Plan, values: list[bytes | None], formats: list[int]) -> Outcome:
        def run(link: PGconn) -> Outcome:
            result = link.exec_prepared(plan.name, values, formats, _BINARY)  # type: ignore[arg-type]  # NULL is None, which the stub leaves out
            if result.error_field(pq.DiagnosticField.SQLSTATE) == _NOT_PREPARED:
                # The driver deallocates everything after a ROLLBACK, ours too; nothing has run.
                _check(link.prepare(plan.name, plan.text), pq.ExecStatus.COMMAND_OK)
                result = link.exec_prepared(plan.name, values, formats, _BINARY)  # type: ignore[arg-type]  # as above
            return _outcome(plan, result)

        return self._at_connection(plan, run)

    def _at_connection(self, plan: _Plan, work: Callable[[PGconn], _Made]) -> _Made:
        """``work`` at a connection of the pool where ``plan`` has been prepared."""
        try:
            link = self._engine.raw_connection()
        except psycopg.Error as error:  # which the engine tells as it came, unlike its connect()
            raise _told(plan, error, is_lost=True) from error
        raw: psycopg.Connection[Any] = link.driver_connection  # type: ignore[assignment]  # the dialect is psycopg's
        known = link.info.setdefault(Prepared, set())
        try:
            if plan.name not in known:
                _check(raw.pgconn.prepare(plan.name, plan.text), pq.ExecStatus.COMMAND_OK)
                known.add(plan.name)
            return work(raw.pgconn)
        except psycopg.Error as error:
            # What has no SQLSTATE is libpq's own: the server is gone, whether noticed yet or not.
            is_lost = raw.pgconn.status != pq.ConnStatus.OK or error.sqlstate is None
            if is_lost:
                link.invalidate(error)
                self._engine.dispose()  # the others of the pool will hardly have survived it
            raise _told(plan, error, is_lost=is_lost) from error
        finally:
            link.close()


def _told(plan: _Plan, error: psycopg.Error, *, is_lost: bool) -> DBAPIError:
    """``error`` as SQLAlchemy tells it."""
    text = plan.text.decode("utf-8")
    told = DBAPIError.instance(text, None, error, psycopg.Error, connection_invalidated=is_lost)
    return cast("DBAPIError", told)


def _row(names: list[str]) -> Callable[[Iterable[object]], Any]:
    kind: Any = namedtuple  # noqa: PYI024 - columns that are known here, and not before
    made: Callable[[Iterable[object]], Any] = kind("Row", names)._make
    return made


def _outcome(plan: _Plan, result: PGresult) -> Outcome:
    if result.status == pq.ExecStatus.COMMAND_OK:
        return Outcome((), result.command_tuples or 0)
    _check(result, pq.ExecStatus.TUPLES_OK)
    reads, row = list(enumerate(plan.reads or ())), cast("Any", plan.row)
    rows = [
        row([_read(read, result.get_value(place, column)) for column, read in reads])
        for place in range(result.ntuples)
    ]
    return Outcome(rows, len(rows))


def _check(result: PGresult, expected: pq.ExecStatus) -> PGresult:
    if result.status != expected:
        raise errors.error_from_result(result)
    return result


def _described(plan: _Plan, link: PGconn) -> PGresult:
    return _check(link.describe_prepared(plan.name), pq.ExecStatus.COMMAND_OK)


def _numbered(found: re.Match[str], lists: Mapping[str, int], order: list[str]) -> str:
    """PostgreSQL's spelling of a mark for a value, or for a list of them."""
    name, of_list = found[1], found[2]
    if not name and not of_list:
        return "%"
    names = [name] if name else [f"{of_list}_{place}" for place in range(lists[of_list])]
    order += [each for each in names if each not in order]
    return ", ".join(f"${order.index(each) + 1}" for each in names)


def _listed(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _Unfit
    return value


def _written(value: object) -> bytes | None:
    """``value`` as it travels: octets as they are, anything else in words."""
    if value is None or type(value) is bytes:
        return value
    if type(value) is str:
        # libpq reads a text up to its first NUL: what comes after would be lost without a word.
        if "\0" in value:
            raise _Unfit
        return value.encode("utf-8")
    if type(value) is int:
        return b"%d" % value
    if type(value) is bool:
        return b"true" if value else b"false"
    raise _Unfit


def _formats(values: Sequence[object]) -> list[int]:
    return [_BINARY if type(value) is bytes else 0 for value in values]


def _read(read: Callable[[bytes], object], value: bytes | None) -> object:
    return None if value is None else read(value)


def _integer(value: bytes) -> int:
    return int.from_bytes(value, signed=True)


def _text(value: bytes) -> str:
    return value.decode("utf-8")


def _truth(value: bytes) -> bool:
    return value != b"\0"


# By PostgreSQL's numbers of types (pg_type.dat), for values in binary.
_READERS: dict[int, Callable[[bytes], object]] = {
    16: _truth,
    17: bytes,
    **dict.fromkeys((20, 21, 23), _integer),
    **dict.fromkeys((25, 1043), _text),
}
