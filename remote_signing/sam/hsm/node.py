"""A node of the cluster: one HSM token, as the SAM's verbs use it.

Whatever the token answers beyond what was expected ends the worker (``HsmFault``). Nothing here
may be called from two threads.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.errors import SealBroken
from remote_signing.sam.cluster import attested
from remote_signing.sam.hsm import check_values, counter, templates
from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.public_keys import curve_parameters, read_public_key
from remote_signing.sam.hsm.session import TokenSession
from remote_signing.sam.hsm.signing import ActiveKey
from remote_signing.sam.hsm.templates import CLUSTER_KEYS, Templates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from remote_signing.algorithms import Algorithm
    from remote_signing.sam.config import NodeConfig
    from remote_signing.sam.hsm.templates import SealingKey, SigningKey, WrappingKey

_VERSION = b"\x01"
_NONCE = 12
_TAG = 16
_OUTER = 32
_SEALED_WITH = {
    b"credential": templates.SEAL,
    **dict.fromkeys((b"sad", b"challenge", b"passkey-change"), templates.SAD),
}
_ECDSA = SignatureScheme("ecdsa", DIGESTS["sha256"])
_TEST_SCHEMES = {"ec": _ECDSA, "rsa": SignatureScheme("pkcs1", DIGESTS["sha256"])}


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A new key pair: the private key wrapped with the KEK, the public key as SPKI DER."""

    wrapped: bytes
    public_key: bytes


class Node:
    """One logged-in session on one node, with handles of the cluster's keys."""

    def __init__(self, session: TokenSession) -> None:
        self.name = session.name
        self._session = session
        # Verifies EC batches; never touches the token.
        self._verifier = ThreadPoolExecutor(1, "verifier")
        self._held: dict[str, pkcs11.Key] = {}
        self._pairs: dict[str, ActiveKey] = {}
        self._public: dict[str, bytes] = {}
        for key in CLUSTER_KEYS.values():
            self._load(key)
        self._kek = cast("WrappingKey", self._held[templates.KEK])
        self._mac = cast("SigningKey", self._held[templates.MAC])
        self._templates = Templates(
            copyable=templates.knows(self._kek, Attribute.COPYABLE),
            trusted=templates.is_true(self._kek, Attribute.TRUSTED),
        )

    @classmethod
    def open(cls, config: NodeConfig, lock_folder: Path) -> Self:
        """Log in (:meth:`TokenSession.open`) and find the cluster's keys. Raises ``HsmFault``."""
        session = TokenSession.open(config, lock_folder)
        try:
            return cls(session)
        except BaseException:
            session.close()
            raise

    def _load(self, key: templates.ClusterKey) -> None:
        found = cast("pkcs11.Key", self._session.one(key.label, key.object_class))
        templates.check_attributes(found, key.label, templates.kept_attributes(key))
        self._held[key.label] = found
        if key.algorithm:
            public = self._session.one(key.label, ObjectClass.PUBLIC_KEY)
            spki = read_public_key(public, key.algorithm)
            self._public[key.label] = spki
            signing = cast("SigningKey", found)
            self._pairs[key.label] = ActiveKey(signing, key.algorithm, spki, self._verifier)

    # Sealing

    def seal(self, domain: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """``plaintext`` sealed for ``domain``, bound to ``associated``, which is not contained.

        Layout: version (1) | nonce (12) | AES-256-GCM ciphertext and tag | HMAC-SHA256 (32).
        The outer HMAC is checked first on opening: SoftHSM reports a bad GCM tag as a general
        error, and a foreign record must not look like a fault of the node. A random nonce is good
        for 2^32 seals of one key (NIST SP 800-38D cl. 8.3).
        """
        nonce = secrets.token_bytes(_NONCE)
        with faults("sealing"):
            ciphertext = self._sealing_key(domain).encrypt(
                plaintext,
                mechanism=Mechanism.AES_GCM,
                mechanism_param=GCMParams(nonce, associated),
                buffer_size=len(plaintext) + _TAG,
            )
        body = _VERSION + nonce + ciphertext
        return body + self._outer(domain, body, associated)

    def unseal(self, domain: bytes, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext; ``SealBroken`` unless exactly this was sealed by this cluster."""
        body, outer = sealed[:-_OUTER], sealed[-_OUTER:]
        expected = self._outer(domain, body, associated)
        if not hmac.compare_digest(outer, expected) or body[:1] != _VERSION:
            raise SealBroken(f"not a {domain.decode()} sealed by this cluster")
        nonce, ciphertext = body[1 : 1 + _NONCE], body[1 + _NONCE :]
        with faults("unsealing"):
            return self._sealing_key(domain).decrypt(
                ciphertext,
                mechanism=Mechanism.AES_GCM,
                mechanism_param=GCMParams(nonce, associated),
                buffer_size=len(ciphertext),
            )

    def mac(self, domain: bytes, data: bytes) -> bytes:
        """HMAC-SHA256 of ``data`` for ``domain``: equal for nothing else."""
        return self._hmac(b"mac:" + domain, data)

    def _sealing_key(self, domain: bytes) -> SealingKey:
        return cast("SealingKey", self._held[_SEALED_WITH[domain]])

    def _outer(self, domain: bytes, body: bytes, associated: bytes) -> bytes:
        return self._hmac(b"seal:" + domain, len(associated).to_bytes(4) + associated + body)

    def _hmac(self, domain: bytes, data: bytes) -> bytes:
        with faults("HMAC"):
            return self._mac.sign(
                len(domain).to_bytes(2) + domain + data,
                mechanism=Mechanism.SHA256_HMAC,
                buffer_size=_OUTER,
            )

    # Signers' keys

    def generate(self, algorithm: Algorithm) -> GeneratedKey:
        """A new key pair, which has signed once; nothing of it stays in the token."""
        with faults("generating a key pair"):
            public, private = self._generate_pair(algorithm)
            try:
                templates.check_attributes(private, "new key", templates.GENERATED_ATTRIBUTES)
                spki = read_public_key(public, algorithm)
                active = ActiveKey(cast("SigningKey", private), algorithm, spki, self._verifier)
                active.sign(_TEST_SCHEMES[algorithm.kind], secrets.token_bytes(32))
                return GeneratedKey(self._kek.wrap_key(private, mechanism=templates.WRAP), spki)
            finally:
                private.destroy()
                public.destroy()

    def _generate_pair(self, algorithm: Algorithm) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
        template = self._templates.leaving_signing()
        if algorithm.kind == "rsa":
            return self._session.raw.generate_keypair(
                KeyType.RSA,
                algorithm.bits,
                capabilities=MechanismFlag.SIGN,
                private_template=template,
            )
        curve = {Attribute.EC_PARAMS: curve_parameters(algorithm)}
        parameters = self._session.raw.create_domain_parameters(KeyType.EC, curve, local=True)
        return parameters.generate_keypair(
            capabilities=MechanismFlag.SIGN, private_template=template
        )

    @contextmanager
    def activate(
        self, wrapped: bytes, algorithm: Algorithm, public_key: bytes
    ) -> Iterator[ActiveKey]:
        """The key in ``wrapped``, for as long as the block runs.

        ``wrapped`` and ``public_key`` must come out of a sealed record: a blob that does not
        unwrap is a fault, not a refusal.
        """
        with self.unwrapped(wrapped, algorithm) as private:
            yield ActiveKey(private, algorithm, public_key, self._verifier)

    @contextmanager
    def unwrapped(self, wrapped: bytes, algorithm: Algorithm) -> Iterator[SigningKey]:
        """The bare key object of :meth:`activate`, for measuring: it verifies nothing."""
        kind = KeyType.RSA if algorithm.kind == "rsa" else KeyType.EC
        with faults("unwrapping a key"):
            private = self._kek.unwrap_key(
                ObjectClass.PRIVATE_KEY,
                kind,
                wrapped,
                mechanism=templates.WRAP,
                capabilities=MechanismFlag.SIGN,
                template=self._templates.unwrapped_signing(),
            )
        try:
            yield cast("SigningKey", private)
        finally:
            with faults("destroying an unwrapped key"):
                private.destroy()

    # The cluster's own key pairs

    def attest(self, domain: bytes, data: bytes) -> bytes:
        """ECDSA (DER, SHA-256) by ``rs-attest``; ``cluster.verify_attestation`` checks it."""
        digest = hashlib.sha256(attested(domain, data)).digest()
        return self._pairs[templates.ATTEST].sign(_ECDSA, digest)

    def attest_public_key(self) -> bytes:
        """SPKI DER of ``rs-attest``."""
        return self._public[templates.ATTEST]

    def authority_key(
        self, label: Literal["rs-ca-root", "rs-ca-issuing"]
    ) -> EllipticCurvePrivateKey:
        """A CA key that X.509 builders can sign with."""
        key = self._pairs[label].private_key_for_csr()
        return cast("EllipticCurvePrivateKey", key)

    def public_keys(self) -> dict[str, bytes]:
        """Label → SPKI DER, for every key pair of the cluster."""
        return dict(self._public)

    # Health

    def canary(self) -> None:
        """Sign random data with a token key; ``HsmFault`` unless the signature verifies.

        The public key was read when the node was opened: a vanished token still opens sessions
        and makes session keys, but it cannot do this.
        """
        check_values.prove(self._pairs[templates.CANARY])

    def key_check_values(self) -> dict[str, str]:
        """Label → check value (:mod:`.check_values`), for every key of the cluster."""
        values: dict[str, str] = {}
        for label, key in CLUSTER_KEYS.items():
            if key.algorithm:
                values[label] = check_values.key_pair_value(self._public[label], self._pairs[label])
            else:
                values[label] = check_values.secret_key_value(
                    self._session, self._templates, key, self._held[label]
                )
        return values

    def mechanisms(self) -> frozenset[str]:
        """PKCS#11 names of the token's mechanisms, without ``CKM_``."""
        return self._session.mechanisms()

    def counter(self) -> int:
        """The token's number that only rises."""
        return counter.read_counter(self._session)

    def raise_counter(self, value: int) -> None:
        """Make the token's number at least ``value``."""
        counter.raise_counter(self._session, value)

    def close(self) -> None:
        """End the session; this process may then open another node."""
        self._verifier.shutdown()
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
