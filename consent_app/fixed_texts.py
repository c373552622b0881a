"""What in a template can be known when it is compiled is put in there and then.

Each language has an environment of its own, so ``{{ _("Settings") }}`` says the same for everybody
who is shown this template. Found again for each page, its hundred such texts are a fifth of what
this program spends on a signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jinja2.ext import Extension
from jinja2.lexer import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jinja2 import Environment
    from jinja2.lexer import TokenStream

_SHAPE = ("variable_begin", "name", "lparen", "string", "rparen", "variable_end")
_NAME, _STRING = _SHAPE.index("name"), _SHAPE.index("string")


class FixedTexts(Extension):
    """Replaces ``{{ name("constant") }}`` for the names that :func:`fix` was told."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The same tokens, with text in place of such calls."""
        fixed = cast("Mapping[str, Callable[[str], str]]", getattr(self.environment, "fixed", {}))
        held: list[Token] = []
        for token in stream:
            held.append(token)
            if token.type != _SHAPE[len(held) - 1]:
                # What was held may only be the beginning of no call; a new one starts outside it.
                yield from held
                held = []
            elif len(held) == len(_SHAPE):
                make = fixed.get(held[_NAME].value)
                yield from (
                    held
                    if make is None
                    else [Token(token.lineno, "data", make(held[_STRING].value))]
                )
                held = []
        yield from held


def fix(environment: Environment, fixed: Mapping[str, Callable[[str], str]]) -> None:
    """What functions ``fixed``, by their names, give for a constant is HTML and never changes."""
    environment.extend(fixed=fixed)
