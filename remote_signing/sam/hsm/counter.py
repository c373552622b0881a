"""A number in the token that only rises: the anchor against a state folder put back.

Data objects cannot be replaced in one step on every token (SoftHSM rewrites their file in place),
so a new object is made first and the older ones are destroyed then. The number is the highest of
those found, whenever a process dies in between and whoever else raises it at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkcs11 import Attribute, ObjectClass

from remote_signing.errors import HsmFault
from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.templates import COUNTER

if TYPE_CHECKING:
    import pkcs11

    from remote_signing.sam.hsm.session import TokenSession

_LENGTH = 8  # bytes, big-endian


def make_counter(session: TokenSession, cluster_id: str, value: int = 0) -> None:
    """A counter object; a new node's first is nought."""
    with faults("making the counter"):
        session.raw.create_object(
            {
                Attribute.CLASS: ObjectClass.DATA,
                Attribute.LABEL: COUNTER,
                Attribute.APPLICATION: cluster_id,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: True,
                Attribute.MODIFIABLE: False,
                Attribute.VALUE: value.to_bytes(_LENGTH),
            }
        )


def read_counter(session: TokenSession) -> int:
    """The number; ``HsmFault`` when the token has lost it."""
    return max(value for _, value in _found(session))


def raise_counter(session: TokenSession, value: int) -> None:
    """Make the number at least ``value``."""
    found = _found(session)
    if value <= max(held for _, held in found):
        return
    with faults("raising the counter"):
        make_counter(session, found[0][0][Attribute.APPLICATION], value)
        for old, _ in found:
            old.destroy()


def _found(session: TokenSession) -> list[tuple[pkcs11.Object, int]]:
    objects = session.all({Attribute.LABEL: COUNTER, Attribute.CLASS: ObjectClass.DATA})
    if not objects:
        raise HsmFault("the token has lost its revocation counter")
    with faults("reading the counter"):
        return [(each, int.from_bytes(each[Attribute.VALUE])) for each in objects]
