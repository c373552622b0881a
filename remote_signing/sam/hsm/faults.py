"""PKCS#11 errors as faults of the node.

No result of a token is taken for the caller's mistake: what a caller can get wrong is checked
before the token is asked. Errors arrive as other things anyway (a vanished node as "no such key",
a bad GCM tag as "general error"), so there is nothing to tell apart: the worker ends.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pkcs11

from remote_signing.errors import HsmFault

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def faults(doing: str) -> Iterator[None]:
    """Turn any PKCS#11 error within into ``HsmFault``."""
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise HsmFault(f"{doing}: {type(error).__name__} {error}".rstrip()) from error
