"""PKCS#11 errors as faults of the node.

No result of a token is taken for the caller's mistake: what a caller can get wrong is checked
before the token is asked. Errors arrive as other things anyway (a vanished node as "no such key",
a bad GCM tag as "general error"), so there is nothing to tell apart: the worker ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pkcs11

from remote_signing.errors import HsmFault

if TYPE_CHECKING:
    from types import TracebackType


class faults:  # noqa: N801 - used like a function
    """Turn any PKCS#11 error within into ``HsmFault``.

    A class and no generator, which would cost thrice as much, some twenty times a signature.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, pkcs11.PKCS11Error):
            told = f"{self._doing}: {type(error).__name__} {error}".rstrip()
            raise HsmFault(told) from error
