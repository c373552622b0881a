"""A change of PIN in a process that is killed at a chosen moment.

Moments are before and after each statement, each transaction and each call of the SAM, and before
and after each file that the SAM replaces: rssp and SAM are one process here, so that one kill is
both going down at once.
"""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from remote_signing.rssp import pin_choice
from remote_signing.sam import revocation
from tests.support.passkey_world import InProcessSam
from tests.support.soft_node import SoftNode
from tests.support.verbs import Sam
from tests.support.world import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import World

_PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def token_of(node: SoftNode) -> tuple[bytes, bytes]:
    """What another process needs to be the same HSM."""
    return node.secret, node.attest_key.private_bytes(*_PEM)


def _node(token: tuple[bytes, bytes]) -> SoftNode:
    secret, pem = token
    key: Any = load_pem_private_key(pem, None)
    return SoftNode(secret=secret, attest_key=key)


class _Moments:
    """Counts moments, and kills this process at one of them."""

    def __init__(self, last: int) -> None:
        self._last, self._numbers = last, itertools.count(1)

    def passes(self) -> None:
        if next(self._numbers) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.passes()
            answer = real(*arguments, **named)
            self.passes()
            return answer

        setattr(owner, name, call)

    def around_transactions(self, database: Any) -> None:
        real = database.transaction

        @contextmanager
        def transaction() -> Iterator[Any]:
            self.passes()
            with real() as connection:
                yield connection
                self.passes()
            self.passes()

        database.transaction = transaction


def _die_at(world: World, sap: InProcessSam, moment: int) -> None:
    moments = _Moments(moment)
    moments.around_transactions(world.database)
    for owner, names in (
        (world.database, ("all", "run")),
        (sap, ("change_pin", "retire_pin")),
        (revocation, ("replace_file",)),
    ):
        for name in names:
            moments.around(owner, name)


def run(
    url: str, facts: dict[str, Any], token: tuple[bytes, bytes], pinned: Any, moment: int
) -> None:
    """A process: exits with 0 when the moment never came."""
    world = connect(url)
    world.clock.advance((facts["now_ms"] - world.clock.now_ms()) / 1000)
    authority: Any = SimpleNamespace(pinned=pinned)
    sap = InProcessSam(
        Sam(Path(facts["folder"]), node=_node(token), clock=world.clock, ra=authority)
    )
    object.__setattr__(world.services, "sam", sap)  # frozen; this process has no other use for it
    _die_at(world, sap, moment)
    typed = pin_choice.Typed(facts["new_pin"], facts["pin"], facts["otp"])
    pin_choice.change(world.services, facts["subscriber_id"], facts["credential_id"], typed)
    world.services.close()
