"""Which operator a number belongs to. There is no second choice: one of them has the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_adapter.errors import OperatorUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim_adapter.config import OperatorConfig


class Operators:
    """The operators of the configuration."""

    def __init__(self, operators: Iterable[OperatorConfig]) -> None:
        self._by_name = {operator.name: operator for operator in operators}
        self._prefixes = sorted(
            (
                (prefix, operator)
                for operator in self._by_name.values()
                for prefix in operator.prefixes
            ),
            key=lambda pair: -len(pair[0]),
        )

    def named(self, name: str) -> OperatorConfig:
        """The operator ``name``; ``OperatorUnknown``."""
        if name not in self._by_name:
            raise OperatorUnknown(f"no operator {name[:40]!r}")
        return self._by_name[name]

    def of(self, msisdn: str, name: str | None) -> OperatorConfig:
        """``name`` as chosen at enrolment, else the operator of the longest fitting prefix.

        A ported number keeps its prefix, so an explicit choice always wins.
        """
        if name is not None:
            return self.named(name)
        for prefix, operator in self._prefixes:
            if msisdn.startswith(prefix):
                return operator
        raise OperatorUnknown("no operator for this number")
