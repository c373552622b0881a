"""A SIM at a real SAM: certified, pinned, asked, checked, dropped, over the SAP's socket."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from remote_signing.errors import EvidenceInvalid, FactorRevoked
from remote_signing.identifiers import new_id
from remote_signing.sam.consent_structure import possession
from remote_signing.sap import b64, sim_evidence
from tests.support.official import CLOCK, Official, ask, sign_request
from tests.support.sim_card import Issuer, SimCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remote_signing.sap import Activated, Evidence, Presentation, SapClient
    from tests.support.official import Asked
    from tests.support.registration import TestAuthority
    from tests.support.sam import RunningSam

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
VERIFIER = Path(__file__).parents[2] / "docs" / "verify-sim-consent" / "verify.py"
HASHES = tuple(hashlib.sha256(bytes([number])).digest() for number in range(5))
TEXT, LABELS = "Bộ Nội vụ: ký 5 quyết định", tuple(f"{number}/QĐ-BNV" for number in range(5))


@dataclass
class Place:
    """A SAM that believes one outside authority of SIMs, and itself."""

    sam: SapClient
    ra: TestAuthority
    outside: Issuer


@pytest.fixture(scope="module")
def place(
    sam_factory: Callable[..., RunningSam],
    registration: TestAuthority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    outside = Issuer(not_before=NOW - DAY, not_after=NOW + DAY)
    file = tmp_path_factory.mktemp("anchors") / "sim-ca.pem"
    file.write_bytes(outside.certificate.public_bytes(serialization.Encoding.PEM))
    sim = {
        "service_id": "ky-so.example",
        "embedded_authority": True,
        "anchors": [{"certificate": str(file)}],
    }
    running = sam_factory(sim=sim)
    client = running.client()
    yield Place(client, registration, outside)
    client.close()
    running.stop()


def certified(place: Place, card: SimCard, credential_id: str) -> None:
    """The embedded authority's certificate, for the SIM's own proof."""
    nonce = hashlib.sha256(b"desk").digest()
    proof = card.sign(possession(credential_id, nonce, card.public_key))
    said = place.ra.order(
        "certify_sim",
        credential_id,
        CLOCK.now_ms(),
        profile="sim",
        subject={"common_name": "Nguyễn Văn An", "serial_number": "01mcc5rm00ptkspa6cztggafdc"},
        validity_days=365,
        public_key_sha256=hashlib.sha256(card.public_key).hexdigest(),
        possession_nonce=nonce.hex(),
    )
    made = place.sam.certify_sim(
        card.public_key, {"format": "ecdsa_der", "value": b64(proof)}, said
    )
    card.certificate = x509.load_der_x509_certificate(made)


def enrolled(place: Place, card: SimCard, credential_id: str) -> Official:
    sim_id = new_id(CLOCK.now_ms())
    factor = {
        "id": sim_id,
        "kind": "sim",
        "mode": "structure",
        "certificate": b64(card.der),
        "chain": [],
    }
    said = place.ra.order(
        "create_credential",
        credential_id,
        CLOCK.now_ms(),
        owner="subscriber",
        algorithm="p256",
        scal="2",
        multisign=100,
        factors=[factor],
    )
    made = place.sam.create_credential(said)
    return Official(credential_id, made.sealed, made.public_key, sim_id, "", "", "")


def own(place: Place) -> tuple[SimCard, Official]:
    """An official whose SIM the embedded authority certified."""
    card, credential_id = SimCard(place.outside), new_id(CLOCK.now_ms())
    certified(place, card, credential_id)
    return card, enrolled(place, card, credential_id)


def asked_of_the_sim(place: Place, official: Official, asked: Asked) -> Presentation:
    return place.sam.present(
        official.sealed,
        asked.challenge.token,
        official.pin_id,
        display_text=TEXT,
        labels=LABELS,
    )


def evidence(official: Official, signature: bytes, ocsp: tuple[bytes, ...] = ()) -> Evidence:
    return sim_evidence(
        official.pin_id,
        signature,
        {
            "format": "cms",
            "display_text": TEXT,
            "labels": list(LABELS),
            "ocsp": [b64(response) for response in ocsp],
            "crls": [],
        },
    )


def activated(place: Place, official: Official, asked: Asked, item: Evidence) -> Activated:
    return place.sam.activate(official.sealed, asked.challenge.token, [item])


def test_sim_goes_the_whole_way_and_the_small_verifier_agrees(place: Place, tmp_path: Path) -> None:
    card, official = own(place)
    asked = ask(place.sam, official, HASHES)
    shown = asked_of_the_sim(place, official, asked)
    assert shown.verification_code == asked.challenge.verification_code
    signature = card.cms(shown.structure)
    consent = activated(place, official, asked, evidence(official, signature))
    assert hashlib.sha256(consent.evidence_statement).digest() == consent.evidence_digest
    signed = place.sam.sign(sign_request(official, asked, consent.sad))
    key = cast("ec.EllipticCurvePublicKey", serialization.load_der_public_key(official.public_key))
    for value, made in zip(HASHES, signed.signatures, strict=True):
        key.verify(made, value, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    file = tmp_path / "evidence.json"
    documents = [
        {"label": label, "algorithm": "2.16.840.1.101.3.4.2.1", "digest": value.hex()}
        for label, value in zip(LABELS, HASHES, strict=True)
    ]
    exported = {
        "format": "remote-signing/sim-evidence/v1",
        "structure": b64(shown.structure),
        "mode": shown.mode,
        "signature": {"format": "cms", "value": b64(signature)},
        "certificate": b64(shown.certificate),
        "documents": documents,
    }
    file.write_text(json.dumps(exported), "utf-8")
    spec = importlib.util.spec_from_file_location("verify_sim_consent", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [module.main([str(file), "--digest", value.hex()]) for value in HASHES] == [0] * 5
    assert module.main([str(file), "--digest", "00" * 32]) == 1


def test_sim_of_an_outside_authority_needs_its_status_at_each_consent(place: Place) -> None:
    card = SimCard(place.outside)
    card.certificate = place.outside.issue(card.key, not_before=NOW - DAY, not_after=NOW + DAY)
    official = enrolled(place, card, new_id(CLOCK.now_ms()))
    asked = ask(place.sam, official, HASHES)
    signature = card.cms(asked_of_the_sim(place, official, asked).structure)
    with pytest.raises(EvidenceInvalid):
        activated(place, official, asked, evidence(official, signature))
    fresh = place.outside.ocsp(card.certificate, at=NOW - DAY / 2, until=NOW + DAY / 2)
    assert activated(place, official, asked, evidence(official, signature, (fresh,))).sad


def test_dropped_sim_stays_gone_on_every_worker(place: Place) -> None:
    card, official = own(place)
    asked = ask(place.sam, official, HASHES)
    signature = card.cms(asked_of_the_sim(place, official, asked).structure)
    said = place.ra.order(
        "drop_factor", official.credential_id, CLOCK.now_ms(), factor_id=official.pin_id
    )
    place.sam.drop_factor(official.sealed, said)
    for _ in range(8):
        with pytest.raises(FactorRevoked):
            activated(place, official, asked, evidence(official, signature))


def test_rubbish_sent_at_once_locks_nobody_and_kills_no_worker(place: Place) -> None:
    card, official = own(place)
    asked = ask(place.sam, official, HASHES)
    good = card.cms(asked_of_the_sim(place, official, asked).structure)

    def send(number: int) -> bool:
        changed = bytearray(good)
        changed[number % len(changed)] ^= 0xFF
        try:
            activated(place, official, asked, evidence(official, bytes(changed)))
        except EvidenceInvalid:
            return True
        return False

    workers = [node["workers"] for node in place.sam.status().nodes]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(send, range(200)))
    assert [node["workers"] for node in place.sam.status().nodes] == workers
    assert activated(place, official, asked, evidence(official, good)).sad
