"""Documents signed by the service with a real SAM behind, and what foreign programs say of them."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asn1crypto import cms, crl, ocsp, x509
from cryptography import x509 as pyca
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.clock import SystemClock
from remote_signing.rssp.app import create_app
from remote_signing.rssp.config import CscConfig
from remote_signing.rssp.documents import pades
from remote_signing.rssp.documents.model import Ending, Recipe
from tests.support.asgi import call
from tests.support.csc import CscPortal
from tests.support.fake_sam import FakeSam
from tests.support.world import ECDSA_SHA256

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI
    from pyhanko.sign.ades.report import AdESSubIndic

    from remote_signing.rssp.certificate_status import Status
    from tests.support.world import World

DECISION = Path(__file__).parents[2] / "remote_signing" / "demo" / "decision.pdf"
TEXT = "Quyết định bổ nhiệm".encode()


@dataclass
class DocumentPortal:
    """A portal that has documents signed. ``scal1`` SADs bind no hash."""

    world: World
    app: FastAPI
    portal: CscPortal

    @property
    def judge(self) -> Judge:
        return Judge(self.app.state.status)

    @classmethod
    def at(cls, world: World, **csc: Any) -> DocumentPortal:
        config = replace(world.services.config, csc=CscConfig(**csc))
        world.services = replace(world.services, config=config)
        app = create_app(config, world.services)
        return cls(world, app, CscPortal(world, app))

    def close(self) -> None:
        self.app.state.desk.close()

    def post(self, method: str, body: object, token: str = "") -> httpx.Response:
        token = token or self.portal.user_token()
        headers = {"Authorization": f"Bearer {token}"}
        return call(self.app, "POST", f"/csc/v2/{method}", json=body, headers=headers)

    def order(self, *entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
        name = "documentDigests" if "hashes" in entries[0] else "documents"
        return {"credentialID": self.world.credential_id, name: list(entries)} | changes

    def sad(self, hashes: list[str], oid: str, after: float = 0, **changes: Any) -> str:
        """A SAD for these hashes: the signer has consented to them, ``after`` so many seconds."""
        self.now()
        body = {
            "credentialID": self.world.credential_id,
            "numSignatures": len(hashes),
            "hashes": hashes,
            "hashAlgorithmOID": oid,
        }
        asked = self.post("credentials/authorize", body | changes)
        assert asked.status_code == 202, asked.text
        handle = asked.json()["handle"]
        if after:
            self.world.clock.advance(after)
            self.now()
        self.world.approve(handle.partition(".")[0])
        given = self.post("credentials/authorizeCheck", {"handle": handle})
        assert given.status_code == 200, given.text
        return str(given.json()["SAD"])

    def sad_for(self, count: int) -> str:
        """A SAD for so many signatures of a SCAL1 credential, which binds no hash."""
        body = {
            "credentialID": self.world.credential_id,
            "numSignatures": count,
            "authData": [{"id": name, "value": value} for name, value in self._factors().items()],
        }
        given = self.post("credentials/authorize", body)
        assert given.status_code == 200, given.text
        return str(given.json()["SAD"])

    def _factors(self) -> dict[str, str]:
        """Factor id → what the signer types."""
        body = {"credentialID": self.world.credential_id, "authInfo": True, "lang": "en"}
        objects = self.post("credentials/info", body).json()["auth"]["objects"]
        known = {"Signing PIN": self.world.pin, "One-time code": self.world.otp()}
        return {each["id"]: known[each["label"]] for each in objects}

    def now(self) -> None:
        """A signer who is there, with an unused code; a real SAM's clock is the machine's."""
        if isinstance(self.world.services.sam, FakeSam):
            self.portal.signer_is_ready()
            return
        clock = self.world.clock
        clock.advance((SystemClock().now_ms() - clock.now_ms()) / 1000)
        self.world.session = self.world.new_session()

    def prepared(self, order: dict[str, Any]) -> dict[str, Any]:
        """``order`` as it goes to signDoc: with the time it was prepared for, and the SAD."""
        found = self.post("signatures/prepareDoc", order)
        assert found.status_code == 200, found.text
        told = json.loads(found.text)
        sad = self.sad(told["hashes"], told["hashAlgorithmOID"])
        return order | {"claimedTime": told["claimedTime"], "SAD": sad}

    def sign(self, *entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """In two steps, as SCAL2 wants it."""
        answer = self.post("signatures/signDoc", self.prepared(self.order(*entries, **changes)))
        assert answer.status_code == 200, answer.text
        members: dict[str, Any] = answer.json()
        return members


def document(content: bytes = TEXT, **changes: Any) -> dict[str, Any]:
    """An entry of ``documents``."""
    entry = {
        "document": base64.b64encode(content).decode(),
        "signature_format": "C",
        "conformance_level": "Ades-B-B",
        "signAlgo": ECDSA_SHA256,
    }
    return entry | changes


def decision(**changes: Any) -> dict[str, Any]:
    """The demo's document, as PAdES."""
    return document(DECISION.read_bytes(), **({"signature_format": "P"} | changes))


class Judge:
    """pyHanko's AdES validation (ETSI EN 319 102-1), with our root as its only anchor, offline.

    Of B-LT and B-LTA in a PDF it knows the status of certificates from the PDF alone.
    """

    def __init__(self, status: Status) -> None:
        self._status = status

    def pades(self, pdf: bytes, level: str, later: timedelta | None = None) -> AdESSubIndic:
        """``later``: as seen so long from now."""
        reader = PdfFileReader(io.BytesIO(pdf))
        signature = reader.embedded_regular_signatures[-1]
        spec = PdfSignatureValidationSpec(self._spec(LocalKnowledge()))
        if later is not None:
            future = datetime.now(UTC) + later
            work = ades.simulate_future_ades_lta_validation(signature, spec, future)
            return asyncio.run(work).ades_subindic
        if level != "B-LTA":
            known = stored(reader) if level == "B-LT" else self._known()
            return self.cms(signature.signed_data, level, signature.compute_digest(), known)
        return asyncio.run(ades.ades_lta_validation(signature, spec)).ades_subindic

    def cms(
        self,
        signed: cms.SignedData,
        level: str,
        digest: bytes | None = None,
        known: LocalKnowledge | None = None,
    ) -> AdESSubIndic:
        """With what is ``known`` of the status of certificates; by default, from our authority."""
        spec = self._spec(known or self._known())
        kind = ades.ades_basic_validation if level == "B-B" else ades.ades_with_time_validation
        return asyncio.run(kind(signed, spec, raw_digest=digest)).ades_subindic

    def _spec(self, known: LocalKnowledge) -> SignatureValidationSpec:
        root = x509.Certificate.load(self._status.root_certificate())
        policy = CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build([root]),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        )
        return SignatureValidationSpec(
            policy,
            revinfo_gathering_policy=RevocationInfoGatheringSpec(
                online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY
            ),
            local_knowledge=known,
        )

    def _known(self) -> LocalKnowledge:
        lists = (self._status.crl(), self._status.root_crl())
        return LocalKnowledge(
            known_crls=[CRLContainer(crl.CertificateList.load(each)) for each in lists],
            known_certs=[x509.Certificate.load(self._status.issuing_certificate())],
        )


def stored(reader: PdfFileReader) -> LocalKnowledge:
    """What a PDF's document security store holds."""
    store = DocumentSecurityStore.read_dss(reader)
    answers = [ocsp.OCSPResponse.load(each.get_object().data) for each in store.ocsps]
    lists = [crl.CertificateList.load(each.get_object().data) for each in store.crls]
    return LocalKnowledge(
        known_ocsps=[one for each in answers for one in OCSPContainer.load_multi(each)],
        known_crls=[CRLContainer(each) for each in lists],
        known_certs=list(store.load_certs()),
    )


def pdf(parts: list[bytes]) -> bytes:
    """A PDF of these objects, the first its catalogue."""
    out, places = b"%PDF-1.7\n", []
    chunks = [out]
    length = len(out)
    for number, part in enumerate(parts, 1):
        places.append(length)
        chunk = b"%d 0 obj\n%s\nendobj\n" % (number, part)
        chunks.append(chunk)
        length += len(chunk)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(parts) + 1, table)
    end += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(parts) + 1, length)
    return b"".join([*chunks, end])


class Softly:
    """Signs PDFs with a key in software and a certificate of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = pyca.Name([pyca.NameAttribute(NameOID.COMMON_NAME, "Nguyễn Văn An")])
        start = datetime.now(UTC) - timedelta(hours=1)
        builder = pyca.CertificateBuilder(name, name, self._key.public_key(), 1)
        builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=9))
        made = builder.sign(self._key, hashes.SHA256())
        self.certificate = made.public_bytes(Encoding.DER)

    def sign(self, path: Path, **changes: Any) -> None:
        """Another signature in the file."""
        scheme = SignatureScheme("ecdsa", DIGESTS["sha256"])
        at = int(datetime.now(UTC).timestamp()) * 1000
        recipe = Recipe(
            format="P",
            level="B-B",
            envelope="Revision",
            scheme=scheme,
            certificate=self.certificate,
            chain=(self.certificate,),
            claimed_ms=at,
        )
        recipe = replace(recipe, **changes)
        prepared = pades.prepare(recipe, path)
        pades.finish(recipe, prepared, Ending(self.signature(prepared.dtbs_r)))

    def signature(self, dtbs_r: bytes) -> bytes:
        """Of a SHA-256 digest."""
        return self._key.sign(dtbs_r, ec.ECDSA(Prehashed(hashes.SHA256())))
