"""PDF and CMS signatures by pyHanko, made with a credential of the service.

    pip install 'remote-signing-client[pdf]'

The document stays here: the service sees the digest of the signed attributes (DTBS/R), which is
what the signer consents to. Two ways, both digest first and consent in between:

- ``prepare`` gives the digest, and ``PreparedPdf.embed`` takes the signature whenever it is there.
  For portals, where the signer's browser goes away and comes back; many documents, one consent.
- :class:`CscSigner` is a pyHanko ``Signer`` and asks for the consent through a function that waits
  for it. For programs that pyHanko drives: time stamps, long-term levels, CMS.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from asn1crypto import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import ExternalSigner, PdfSigner
from pyhanko.sign.signers.pdf_cms import Signer
from pyhanko.sign.signers.pdf_signer import PdfTBSDocument
from pyhanko_certvalidator.registry import SimpleCertificateStore

from remote_signing.client.oids import DIGESTS, digest, sign_algorithm
from remote_signing.client.signatures import HashOrder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyhanko.sign.signers import PdfSignatureMetadata

    from remote_signing.client.caller import Token
    from remote_signing.client.credentials import Credential, Sad
    from remote_signing.client.shells import AsyncSigningClient

DEFAULT_DIGEST = "sha256"
_DER_OVERHEAD = 9  # of an ECDSA signature: SEQUENCE and two INTEGERs, each may need a zero in front


@dataclass(frozen=True, slots=True)
class Consent:
    """What the signer's consent came to: a token of scope ``credential``, or one with a SAD."""

    token: Token
    sad: Sad | None = None


class CscSigner(Signer):
    """Signs with ``credential`` at the service; ``consent`` is asked for each digest (DTBS/R).

    ``consent`` shows the digest to whoever must agree and waits; it may raise to give up. The
    signature is asked for once: a lost answer is fetched again, never signed anew.
    """

    def __init__(
        self,
        client: AsyncSigningClient,
        credential: Credential,
        consent: Callable[[bytes], Awaitable[Consent]],
    ) -> None:
        first, store = _certificates(credential)
        super().__init__(signing_cert=first, cert_registry=store, embed_roots=False)
        self._client = client
        self._credential = credential
        self._consent = consent

    async def async_sign_raw(
        self,
        data: bytes,
        digest_algorithm: str,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - pyHanko's own signature
    ) -> bytes:
        """The signature of ``data``; with ``dry_run`` a placeholder of its largest size."""
        if dry_run:
            return bytes(longest_signature(self._credential))
        dtbs_r = digest(digest_algorithm, data)
        consent = await self._consent(dtbs_r)
        order = hash_order(self._credential, (dtbs_r,), digest_algorithm)
        (signature,) = await self._client.sign_hash(consent.token, order, sad=consent.sad)
        return signature


@dataclass(frozen=True, slots=True)
class PreparedPdf:
    """A PDF with a hole for its signature. ``dtbs_r`` is the digest of its signed attributes."""

    dtbs_r: bytes
    digest_algorithm: str
    credential: Credential
    _output: io.BytesIO = field(repr=False)
    _range_digest: Any = field(repr=False)
    _attributes: Any = field(repr=False)

    @property
    def order(self) -> HashOrder:
        """What to ask of ``sign_hash``."""
        return hash_order(self.credential, (self.dtbs_r,), self.digest_algorithm)

    async def embed(self, signature: bytes) -> bytes:
        """The signed PDF."""
        signer = _external(self.credential, signature)
        cms = await signer.async_sign_prescribed_attributes(self.digest_algorithm, self._attributes)
        await PdfTBSDocument.async_finish_signing(self._output, self._range_digest, cms)
        return self._output.getvalue()


async def prepare(
    pdf: bytes, credential: Credential, metadata: PdfSignatureMetadata
) -> PreparedPdf:
    """Write everything but the signature into ``pdf``: PAdES, level B-B. Errors: pyHanko's own.

    ``metadata`` names the field, the digest algorithm (``md_algorithm``, else SHA-256) and what
    else pyHanko knows; it may leave the kind of signature out.
    """
    name = metadata.md_algorithm or DEFAULT_DIGEST
    metadata = replace(metadata, md_algorithm=name, subfilter=SigSeedSubFilter.PADES)
    signer = _external(credential, bytes(longest_signature(credential)))
    output = io.BytesIO()
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    range_digest, _, _ = await PdfSigner(metadata, signer).async_digest_doc_for_signing(
        writer, output=output
    )
    attributes = await signer.signed_attrs(range_digest.document_digest, name, use_pades=True)
    dtbs_r = digest(name, attributes.dump())
    return PreparedPdf(dtbs_r, name, credential, output, range_digest, attributes)


def hash_order(credential: Credential, digests: tuple[bytes, ...], name: str) -> HashOrder:
    """``signHash`` of digests of the algorithm ``name`` with what the credential's key can do."""
    algorithm = sign_algorithm(credential.algorithms, name)
    return HashOrder(credential.id, digests, algorithm, DIGESTS[name])


def longest_signature(credential: Credential) -> int:
    """In bytes: of RSA the modulus, of ECDSA two numbers of the curve's size in DER."""
    size = (credential.key_length + 7) // 8
    return size if credential.curve is None else 2 * size + _DER_OVERHEAD


def _external(credential: Credential, signature: bytes) -> Any:  # noqa: ANN401 - pyHanko has no types
    first, store = _certificates(credential)
    return ExternalSigner(first, store, signature, embed_roots=False)


def _certificates(credential: Credential) -> tuple[Any, Any]:
    """The signer's certificate, and the others for the path."""
    first, *others = (x509.Certificate.load(each) for each in credential.certificates)
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # pyHanko leaves it unannotated
    store.register_multiple(others)
    return first, store
