"""Keys of every kind in software, each with a certificate of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.rssp.documents import formats
from remote_signing.rssp.documents.model import Ending, Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from remote_signing.algorithms import Padding
    from remote_signing.rssp.documents.model import Material, Prepared

CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
CLAIMED = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def _new_key(kind: str) -> Key:
    if kind == "rsa2048":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(CURVES[kind])


def _certificate(key: Key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nguyễn Văn An")])
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=9))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class SoftSigner:
    """A signer whose key is here."""

    kind: str = "p256"
    key: Key = field(init=False)
    certificate: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = _new_key(self.kind)
        self.certificate = _certificate(self.key)

    def recipe(self, **changes: Any) -> Recipe:
        """At B-B; ``digest`` and ``padding`` make its scheme."""
        digest = DIGESTS[changes.pop("digest", "sha256")]
        kind: Padding = changes.pop("padding", "pkcs1" if self.kind == "rsa2048" else "ecdsa")
        scheme = SignatureScheme(kind, digest, digest.length if kind == "pss" else 0)
        given: dict[str, Any] = {
            "format": "X",
            "level": "B-B",
            "envelope": "Enveloped",
            "scheme": scheme,
            "certificate": self.certificate,
            "chain": (self.certificate,),
            "claimed_ms": int(CLAIMED.timestamp()) * 1000,
        }
        return Recipe(**(given | changes))

    def signature(self, recipe: Recipe, dtbs_r: bytes) -> bytes:
        """Of a digest."""
        digest = recipe.scheme.digest.hash
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(dtbs_r, ec.ECDSA(Prehashed(digest)))
        way: padding.AsymmetricPadding = padding.PKCS1v15()
        if recipe.scheme.padding == "pss":
            way = padding.PSS(padding.MGF1(digest), recipe.scheme.salt_length)
        return self.key.sign(dtbs_r, way, Prehashed(digest))

    def ending(self, recipe: Recipe, prepared: Prepared, **more: Material | bytes) -> Ending:
        """The signature, and whatever else its level needs."""
        given: dict[str, Any] = dict(more)
        return Ending(self.signature(recipe, prepared.dtbs_r), **given)

    def sign(self, path: Path, **changes: Any) -> bytes:
        """The result of all stages up to B-B."""
        recipe = self.recipe(**changes)
        stages = formats.stages(recipe)
        prepared = stages.prepare(recipe, path)
        stages.finish(recipe, prepared, self.ending(recipe, prepared))
        return stages.result(recipe, path).read_bytes()
