"""Making the cluster's keys, moving them between nodes, importing them. For ceremonies only.

A cluster key is made as an extractable session object in one node, leaves it only wrapped under
the recovery key, and is imported everywhere, there too, as a token object that can never leave
again. The recovery key itself travels between nodes under each one's RSA transport key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from remote_signing.algorithms import Algorithm
from remote_signing.errors import HsmFault
from remote_signing.sam.hsm import check_values, templates
from remote_signing.sam.hsm.counter import make_counter
from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.public_keys import (
    curve_parameters,
    ec_public_object,
    load_spki,
    read_public_key,
    rsa_public_object,
)
from remote_signing.sam.hsm.templates import CLUSTER_KEYS, ClusterKey, Templates

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pkcs11
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from remote_signing.sam.hsm.session import TokenSession
    from remote_signing.sam.hsm.templates import WrappingKey

_TRANSPORT = Algorithm("rsa-transport", "rsa", templates.TRANSPORT_BITS, ())
_AES_BITS = 256


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A cluster key under the recovery key. ``public_key`` (SPKI DER) is there for key pairs."""

    label: str
    wrapped: bytes
    public_key: bytes | None


class Custody:
    """What a ceremony does in one node's session; holds the recovery key while it runs."""

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._recovery: WrappingKey | None = None
        self.templates = Templates(copyable=self._copyable())

    def held(self) -> list[str]:
        """Labels of cluster objects that the token holds."""
        labels = (*CLUSTER_KEYS, templates.TRANSPORT, templates.COUNTER)
        return [label for label in labels if self._session.all({Attribute.LABEL: label})]

    @property
    def recovery_key(self) -> WrappingKey:
        """The recovery key; ``HsmFault`` before it was made or received."""
        if self._recovery is None:
            raise HsmFault("no recovery key in this session")
        return self._recovery

    def adopt(self, recovery_key: pkcs11.Key) -> None:
        """Use a recovery key that custodians' shares opened."""
        self._recovery = cast("WrappingKey", recovery_key)

    def create(self) -> list[WrappedKey]:
        """Make the recovery key and every cluster key; only wrapped ones remain of the latter."""
        with faults("making the cluster's keys"):
            self.adopt(self._secret_key(MechanismFlag.WRAP | MechanismFlag.UNWRAP))
            return [self._created(key) for key in CLUSTER_KEYS.values()]

    def make_transport_key(self, cluster_id: str) -> bytes:
        """The node's own RSA key pair, a token object that unwraps only; its SPKI."""
        with faults("making the transport key"):
            public, private = self._session.raw.generate_keypair(
                KeyType.RSA,
                templates.TRANSPORT_BITS,
                id=cluster_id.encode("ascii"),
                label=templates.TRANSPORT,
                store=True,
                capabilities=MechanismFlag.UNWRAP,
                private_template=self.templates.unwrapping(),
            )
        templates.check_attributes(private, "transport key", templates.TRANSPORT_ATTRIBUTES)
        return read_public_key(public, _TRANSPORT)

    def send_recovery_key(self, transport_key: bytes) -> bytes:
        """The recovery key for the node whose transport key (SPKI) this is."""
        key = load_spki(transport_key)
        if not isinstance(key, RSAPublicKey) or key.key_size < templates.TRANSPORT_BITS:
            raise HsmFault(f"a transport key is RSA of at least {templates.TRANSPORT_BITS} bits")
        attributes = rsa_public_object(key) | {Attribute.TOKEN: False, Attribute.WRAP: True}
        with faults("wrapping the recovery key"):
            public = self._session.raw.create_object(attributes)
            try:
                return cast("WrappingKey", public).wrap_key(
                    self.recovery_key,
                    mechanism=Mechanism.RSA_PKCS_OAEP,
                    mechanism_param=templates.OAEP_PARAMETERS,
                )
            finally:
                public.destroy()

    def receive_recovery_key(self, wrapped: bytes) -> None:
        """Take the recovery key in, for this session, to unwrap with and nothing else."""
        transport = self._session.one(templates.TRANSPORT, ObjectClass.PRIVATE_KEY)
        with faults("unwrapping the recovery key"):
            key = cast("WrappingKey", transport).unwrap_key(
                ObjectClass.SECRET_KEY,
                KeyType.AES,
                wrapped,
                mechanism=Mechanism.RSA_PKCS_OAEP,
                mechanism_param=templates.OAEP_PARAMETERS,
                capabilities=MechanismFlag.UNWRAP,
                template=self.templates.staying(),
            )
        self.adopt(key)

    def import_keys(self, cluster_id: str, keys: Iterable[WrappedKey]) -> None:
        """Make token objects of all cluster keys, and the counter."""
        for wrapped in keys:
            key = CLUSTER_KEYS[wrapped.label]
            with faults(f"importing {key.label}"):
                found = self._unwrapped(key, wrapped.wrapped, cluster_id)
                templates.check_attributes(found, key.label, templates.kept_attributes(key))
                if key.algorithm and wrapped.public_key:
                    self._store_public(key, key.algorithm, wrapped.public_key, cluster_id)
        make_counter(self._session, cluster_id)

    def check_value(self, wrapped: WrappedKey) -> str:
        """The check value of a secret key that the recovery key opens; nothing is kept."""
        key = CLUSTER_KEYS[wrapped.label]
        with faults(f"trying {key.label}"):
            found = self._unwrapped(key, wrapped.wrapped)
            try:
                return check_values.secret_key_value(self._session, self.templates, key, found)
            finally:
                found.destroy()

    def try_recovery_key(self, recovery_key: pkcs11.Key, wrapped: WrappedKey) -> str:
        """What :meth:`check_value` gives with this recovery key instead, which is destroyed."""
        own = self._recovery
        self.adopt(recovery_key)
        try:
            return self.check_value(wrapped)
        finally:
            self._recovery = own
            with faults("destroying the tried recovery key"):
                recovery_key.destroy()

    def forget_recovery_key(self) -> None:
        """Destroy the session's recovery key, and the transport key, which has done its work."""
        with faults("destroying the recovery key"):
            self.recovery_key.destroy()
            for each in self._session.all({Attribute.LABEL: templates.TRANSPORT}):
                each.destroy()
        self._recovery = None

    def clusters(self) -> set[str]:
        """Ids of the clusters that objects in the token belong to."""
        found: set[str] = set()
        with faults("reading whose objects there are"):
            for label in (*CLUSTER_KEYS, templates.TRANSPORT):
                for each in self._session.all({Attribute.LABEL: label}):
                    found.add(each[Attribute.ID].decode("ascii", "replace"))
            for each in self._session.all({Attribute.LABEL: templates.COUNTER}):
                found.add(each[Attribute.APPLICATION])
        return found

    def discard(self, cluster_id: str) -> int:
        """Destroy every token object of this cluster; how many there were."""
        found = self._session.all({Attribute.ID: cluster_id.encode("ascii")})
        found += self._session.all({Attribute.APPLICATION: cluster_id})
        with faults("discarding"):
            for each in found:
                each.destroy()
        return len(found)

    def _copyable(self) -> bool:
        with faults("making a test key"):
            key = self._session.raw.generate_key(KeyType.AES, _AES_BITS)
            try:
                return templates.knows(key, Attribute.COPYABLE)
            finally:
                key.destroy()

    def _secret_key(self, use: MechanismFlag, key_type: KeyType = KeyType.AES) -> pkcs11.SecretKey:
        return self._session.raw.generate_key(
            key_type, _AES_BITS, capabilities=use, template=self.templates.leaving()
        )

    def _created(self, key: ClusterKey) -> WrappedKey:
        made: list[pkcs11.Key] = []
        try:
            public_key = None
            if key.algorithm:
                curve = {Attribute.EC_PARAMS: curve_parameters(key.algorithm)}
                made += self._session.raw.create_domain_parameters(
                    KeyType.EC, curve, local=True
                ).generate_keypair(
                    capabilities=key.use,
                    private_template=self.templates.leaving_signing(),
                )
                public_key = read_public_key(made[0], key.algorithm)
            else:
                made.append(self._secret_key(key.use, key.key_type))
            wrapped = self.recovery_key.wrap_key(made[-1], mechanism=templates.WRAP)
            return WrappedKey(key.label, wrapped, public_key)
        finally:
            for each in made:
                each.destroy()

    def _unwrapped(
        self, key: ClusterKey, wrapped: bytes, cluster_id: str | None = None
    ) -> pkcs11.Key:
        """A token object when ``cluster_id`` is given, else a session object."""
        fitting = self.templates.unwrapped_signing if key.algorithm else self.templates.staying
        return self.recovery_key.unwrap_key(
            key.object_class,
            key.key_type,
            wrapped,
            id=cluster_id.encode("ascii") if cluster_id else None,
            label=key.label if cluster_id else None,
            store=cluster_id is not None,
            mechanism=templates.WRAP,
            capabilities=key.use,
            template=fitting(),
        )

    def _store_public(
        self, key: ClusterKey, algorithm: Algorithm, public_key: bytes, cluster_id: str
    ) -> None:
        public = cast("EllipticCurvePublicKey", load_spki(public_key))
        self._session.raw.create_object(
            ec_public_object(public, algorithm)
            | {
                Attribute.TOKEN: True,
                Attribute.PRIVATE: False,
                Attribute.LABEL: key.label,
                Attribute.ID: cluster_id.encode("ascii"),
                Attribute.VERIFY: True,
                Attribute.MODIFIABLE: False,
            }
        )
