"""Custodians' shares: M of N together open the recovery key, inside a token; fewer see ciphertext.

Each custodian has an AES-256 key of his own. For every choice of M custodians there is one chain:
the recovery key wrapped under the first one's key, and that wrapped key encrypted in layers under
the others'. (Shamir's scheme would put the recovery key together in a computer's memory.) A share
is the only thing that ever leaves a token in clear; by its nature it must.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass

from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.templates import WRAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pkcs11

    from remote_signing.sam.hsm.custody import Custody
    from remote_signing.sam.hsm.session import TokenSession
    from remote_signing.sam.hsm.templates import SealingKey, WrappingKey

_SHARE_BITS = 256
_NONCE = 12


def new_share(session: TokenSession) -> bytes:
    """A custodian's key, from the token's generator."""
    with faults("random bytes"):
        return session.raw.generate_random(_SHARE_BITS)


def share_check(cluster_id: str, index: int, share: bytes) -> str:
    """What the recovery package keeps of a share, to tell a wrong one before it is tried."""
    text = f"remote-signing/share/v1|{cluster_id}|{index}|".encode()
    return hashlib.sha256(text + share).hexdigest()


class Shares:
    """The shares of some custodians (index → key), in one node's session."""

    def __init__(
        self,
        session: TokenSession,
        custody: Custody,
        cluster_id: str,
        shares: Mapping[int, bytes],
    ) -> None:
        self._session = session
        self._custody = custody
        self._cluster_id = cluster_id
        self._shares = shares

    def lock(self, indexes: tuple[int, ...]) -> bytes:
        """The chain of these custodians over the session's recovery key."""
        first, *others = indexes
        with faults("wrapping the recovery key"):
            with self._key(first, MechanismFlag.WRAP) as key:
                recovery = self._custody.recovery_key
                chain = cast("WrappingKey", key).wrap_key(recovery, mechanism=WRAP)
            for index in others:
                nonce = secrets.token_bytes(_NONCE)
                with self._key(index, MechanismFlag.ENCRYPT) as key:
                    chain = nonce + cast("SealingKey", key).encrypt(
                        chain, **self._layer(indexes, index, nonce)
                    )
        return chain

    def open(self, indexes: tuple[int, ...], chain: bytes) -> pkcs11.Key:
        """The recovery key out of ``chain``: a session object that unwraps and nothing else."""
        first, *others = indexes
        with faults("opening the recovery key"):
            for index in reversed(others):
                nonce, body = chain[:_NONCE], chain[_NONCE:]
                with self._key(index, MechanismFlag.DECRYPT) as key:
                    chain = cast("SealingKey", key).decrypt(
                        body, **self._layer(indexes, index, nonce)
                    )
            with self._key(first, MechanismFlag.UNWRAP) as key:
                return cast("WrappingKey", key).unwrap_key(
                    ObjectClass.SECRET_KEY,
                    KeyType.AES,
                    chain,
                    mechanism=WRAP,
                    capabilities=MechanismFlag.UNWRAP,
                    template=self._custody.templates.staying(),
                )

    def _layer(self, indexes: tuple[int, ...], index: int, nonce: bytes) -> dict[str, Any]:
        associated = f"{self._cluster_id}|{indexes}|{index}".encode()
        return {
            "mechanism": Mechanism.AES_GCM,
            "mechanism_param": GCMParams(nonce, associated),
        }

    @contextmanager
    def _key(self, index: int, use: MechanismFlag) -> Iterator[pkcs11.Object]:
        """A custodian's key as a session object for one purpose."""
        uses = {
            Attribute.WRAP: MechanismFlag.WRAP,
            Attribute.UNWRAP: MechanismFlag.UNWRAP,
            Attribute.ENCRYPT: MechanismFlag.ENCRYPT,
            Attribute.DECRYPT: MechanismFlag.DECRYPT,
        }
        key = self._session.raw.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.TOKEN: False,
                **{attribute: flag is use for attribute, flag in uses.items()},
                Attribute.VALUE: self._shares[index],
                **self._custody.templates.staying(),
            }
        )
        try:
            yield key
        finally:
            key.destroy()
