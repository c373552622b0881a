"""The client in Python against a real service and SAM, with a proxy that breaks connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import load_der_x509_certificate
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

from remote_signing import client as csc
from remote_signing.client import pdf
from remote_signing.rssp import client_certificate
from remote_signing.rssp.csc.v2 import polling
from remote_signing.rssp.signing_worker import step
from tests.support.client_certificates import certificate, escaped
from tests.support.client_desk import BACK, DIGEST, QUICK, Desk
from tests.support.documents import DECISION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.documents import Judge
    from tests.support.relay import Fault

SIGNATURES = int(os.environ.get("CLIENT_SIGNATURES", "6"))
RSASSA_PSS = "1.2.840.113549.1.1.10"
LOST: tuple[Fault, ...] = ("unheard", "cut", "half", "gateway")
PATIENT = csc.Retry(tries=12, first=0.1, longest=1.5)


def assert_signed(desk: Desk, signature: bytes, digest: bytes = DIGEST) -> None:
    """``InvalidSignature`` unless it is; and the key was used once."""
    desk.world.verify(desk.certificate, digest, signature)
    recorded = desk.recorded()
    assert (recorded["signing.started"], recorded["signing.done"]) == (1, 1)


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_fetched_again_and_the_key_is_used_once(desk: Desk, fault: Fault) -> None:
    with desk.client() as client:
        token = desk.token(client)
        desk.relay.fail("signHash", fault, fault)
        (signature,) = client.sign_hash(token, desk.order())
    assert_signed(desk, signature)
    heard = 1 if fault == "unheard" else 3
    assert desk.relay.times("signHash") == heard
    assert desk.recorded()["signing.repeated"] == heard - 1


def test_a_repeat_while_the_first_is_being_signed_waits_for_its_signature(desk: Desk) -> None:
    with desk.client(retry=PATIENT) as client:
        token = desk.token(client)
        desk.relay.fail("signHash", "early", "early")
        (signature,) = client.sign_hash(token, desk.order())
    assert_signed(desk, signature)


def test_the_asynchronous_client_fetches_a_lost_answer_too(desk: Desk) -> None:
    async def signed() -> bytes:
        async with desk.asynchronous() as client:
            pushed = await client.ask_consent(desk.wanted())
            token = await client.redeem(pushed, await asyncio.to_thread(desk.consent, pushed))
            desk.relay.fail("signHash", "busy", "cut", "half")
            (signature,) = await client.sign_hash(token, desk.order())
            return signature

    assert_signed(desk, asyncio.run(signed()))
    assert desk.relay.times("signHash") == 3


def test_who_gives_up_and_calls_again_gets_the_same_signature(desk: Desk) -> None:
    with desk.client() as client:
        token = desk.token(client)
        cuts: list[Fault] = ["cut"] * QUICK.tries
        desk.relay.fail("signHash", *cuts)
        with pytest.raises(csc.OutcomeUnknown, match="signHash"):
            client.sign_hash(token, desk.order())
        (signature,) = client.sign_hash(token, desk.order())
    assert_signed(desk, signature)


def test_however_answers_are_lost_each_hash_is_signed_once(desk: Desk) -> None:
    """One consent to many hashes, one call for each, some of them failing again and again."""
    chance = random.Random(26)  # noqa: S311 - the same faults in each run
    kinds: tuple[Fault, ...] = (*LOST, "busy", "early")
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(SIGNATURES)]
    with desk.client(retry=PATIENT) as client:
        token = desk.token(client, *digests)
        for number, digest in enumerate(digests):
            desk.clock_is_right()
            desk.relay.fail("signHash", *chance.choices(kinds, k=chance.randrange(4)))
            (signature,) = client.sign_hash(token, desk.order(digest))
            desk.world.verify(desk.certificate, digest, signature)
            assert desk.recorded()["signing.done"] == number + 1
    print(f"{SIGNATURES} hashes, {desk.relay.times('signHash')} requests: {desk.recorded()}")


def test_a_lost_redemption_is_not_sent_again(desk: Desk) -> None:
    with desk.client() as client:
        pushed = client.ask_consent(desk.wanted())
        came_back = desk.consent(pushed)
        desk.relay.heard.clear()
        desk.relay.fail("token", "busy", "cut")
        with pytest.raises(csc.OutcomeUnknown):
            client.redeem(pushed, came_back)
        assert desk.relay.times("token") == 1  # the service's own 503 was worth another try
        with pytest.raises(csc.GrantRefused):
            client.redeem(pushed, came_back)


def test_a_lost_question_is_not_put_to_the_signer_again(desk: Desk) -> None:
    wanted = csc.Authorization(desk.world.credential_id, (DIGEST,))
    with desk.client() as client:
        token = client.service_token()
        desk.relay.fail("authorize", "cut")
        with pytest.raises(csc.OutcomeUnknown):
            client.authorize(token, wanted)
    assert desk.relay.times("authorize") == 1
    assert desk.recorded()["activation.requested"] == 1


def test_without_a_browser_the_signer_is_asked_and_waited_for(desk: Desk) -> None:
    wanted = csc.Authorization(desk.world.credential_id, (DIGEST,), "Ký ban hành")
    with desk.client() as client:
        token = client.service_token()
        asked = client.authorize(token, wanted)
        assert isinstance(asked, csc.Asked)
        assert len(asked.verification_code) == 4
        assert isinstance(client.authorize_check(token, asked), csc.Asked)
        with pytest.raises(csc.Denied, match="no answer"):
            client.await_sad(token, asked, every=0.01, longest=0.02)
        desk.world.approve(asked.handle.partition(".")[0])
        desk.relay.fail("authorizeCheck", "cut")
        sad = client.await_sad(token, asked)
        (signature,) = client.sign_hash(token, desk.order(), sad)
    assert_signed(desk, signature)


def test_at_scal1_the_codes_go_along_and_a_transaction_is_extended(desk: Desk) -> None:
    desk.world.new_credential(scal="1")
    world = desk.world
    second = hashlib.sha256(b"y").digest()
    codes = {"PIN": world.pin, "OTP": world.otp()}
    wanted = csc.Authorization(world.credential_id, num_signatures=2, codes=codes)
    with desk.client() as client:
        token = client.service_token()
        sad = client.authorize(token, wanted)
        assert isinstance(sad, csc.Sad)
        client.sign_hash(token, desk.order(), sad)
        sad = client.extend_transaction(
            token, csc.Authorization(world.credential_id, (second,)), sad
        )
        with pytest.raises(csc.HashNotAuthorised):
            client.sign_hash(token, desk.order(hashlib.sha256(b"z").digest()), sad)
        client.sign_hash(token, desk.order(second), sad)
    assert desk.recorded()["signing.done"] == 2


def test_signatures_are_made_after_the_answer(desk: Desk) -> None:
    with desk.client() as client:
        token = desk.token(client)
        name = client.sign_hash_later(token, desk.order())
        deadline = time.monotonic() + 60
        made = None
        while made is None:  # the service's own workers may have taken it up
            assert time.monotonic() < deadline
            step(desk.world.services, polling.make)
            made = client.poll(token, name)
    assert_signed(desk, *made)


def test_a_time_stamp_is_over_the_digest(desk: Desk) -> None:
    with desk.client() as client:
        token = client.timestamp(client.service_token(), DIGEST, csc.SHA256)
    content = tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    assert content["message_imprint"]["hashed_message"].native == DIGEST
    assert content["nonce"].native is not None


def test_the_signer_lets_a_client_see_his_credentials_until_it_is_revoked(desk: Desk) -> None:
    with desk.client() as client:
        pushed = client.ask_access(BACK)
        first = client.redeem(pushed, desk.consent(pushed))
        assert desk.world.credential_id in client.list_credentials(first)
        second = client.refresh(first)
        shown = client.credential_info(second, desk.world.credential_id)
        assert (shown.scal, shown.key_length, shown.is_enabled) == ("2", 256, True)
        assert csc.sign_algorithm(shown.algorithms, "sha256") == csc.ECDSA_SHA256
        desk.relay.fail("revoke", "cut")
        client.revoke(second.refresh or "")
        assert desk.relay.times("revoke") == 2
        with pytest.raises(csc.TokenRefused):
            client.list_credentials(second)
        with pytest.raises(csc.Refused, match="token"):
            client.revoke(second.refresh or "")
        with pytest.raises(ValueError, match="without a refresh token"):
            client.refresh(client.service_token())


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_with_a_secret_signs_too(desk: Desk, method: str) -> None:
    secret = desk.register(method, auth_method=method)
    identity = csc.ClientSecret(method, secret, in_form=method.endswith("post"))
    with desk.client(identity=identity, proof_key=None) as client:
        token = desk.token(client)
        assert token.kind == "Bearer"
        client.sign_hash(token, desk.order())
    wrong = csc.ClientSecret(method, secret + "x", in_form=identity.in_form)
    with desk.client(identity=wrong, proof_key=None) as client, pytest.raises(csc.Refused):
        client.service_token()


def test_a_client_known_by_its_certificate_signs_too(desk: Desk) -> None:
    shown = escaped(certificate())
    thumbprint = client_certificate.read(shown).thumbprint
    desk.register("tls", auth_method="tls_client_auth", tls_thumbprint=thumbprint)
    desk.relay.added["X-Client-Certificate"] = shown
    with desk.client(identity=csc.MutualTls("tls"), proof_key=None) as client:
        token = desk.token(client)
        client.sign_hash(token, desk.order())
        desk.relay.added.clear()
        with pytest.raises(csc.TokenRefused):
            client.sign_hash(token, desk.order())


def test_refusals_are_told_by_their_kind(desk: Desk) -> None:
    other = hashlib.sha256(b"another").digest()
    with desk.client() as client:
        token = desk.token(client)
        with pytest.raises(csc.HashNotAuthorised) as refused:
            client.sign_hash(token, desk.order(other))
        reason = refused.value.reason
        assert (reason.status, reason.error) == (400, "invalid_request")
        assert reason.request_id
        with pytest.raises(csc.MethodMissing):
            client.call(token, "credentials/sendOTP", {})
        service = client.service_token()
        assert client.call(None, "info", {}) == client.info()
        assert client.info()["specs"] == "2.2.0.0"
        with pytest.raises(csc.Refused, match="credentialID"):
            client.credential_info(service, "0" * 26)
    with desk.client(proof_key=None) as bare, pytest.raises(ValueError, match="bound to a key"):
        bare.sign_hash(token, desk.order())
    assert desk.recorded()["signing.done"] == 0


def test_when_the_signer_refuses_the_browser_brings_that_back(desk: Desk) -> None:
    with desk.client() as client:
        pushed = client.ask_consent(desk.wanted())
        came_back = f"{BACK}?error=access_denied&state={pushed.state}&iss={desk.relay.url}"
        with pytest.raises(csc.Denied):
            client.redeem(pushed, came_back)


def test_documents_are_signed_in_two_steps_and_a_lost_answer_fetched_again(
    desk: Desk, judge: Judge, tmp_path: Path
) -> None:
    document = csc.Document(DECISION, csc.ECDSA_SHA256)
    order = csc.DocumentOrder(desk.world.credential_id, (document, document))
    with desk.client() as client:
        service = client.service_token()
        prepared = client.prepare_doc(service, order)
        wanted = csc.Authorization(order.credential_id, prepared.digests)
        asked = client.authorize(service, wanted)
        assert isinstance(asked, csc.Asked)
        desk.world.approve(asked.handle.partition(".")[0])
        sad = client.await_sad(service, asked)
        desk.relay.fail("signDoc", "half", "cut")
        signed = client.sign_doc(service, prepared.order, tmp_path, sad)
    assert [path.name for path in signed.documents] == ["document-1", "document-2"]
    for path in signed.documents:
        assert judge.pades(path.read_bytes(), "B-B") == AdESPassed.OK
    assert desk.relay.times("signDoc") == 3
    assert desk.recorded()["signing.done"] == 1


def test_a_document_without_a_claimed_time_is_not_sent_again(desk: Desk, tmp_path: Path) -> None:
    desk.world.new_credential(scal="1")
    codes = {"PIN": desk.world.pin, "OTP": desk.world.otp()}
    document = csc.Document(
        DECISION, csc.ECDSA_SHA256, "C", more={"signed_envelope_property": "Detached"}
    )
    order = csc.DocumentOrder(desk.world.credential_id, (document,), wants_validation_info=True)
    with desk.client() as client:
        token = client.service_token()
        wanted = csc.Authorization(order.credential_id, num_signatures=2, codes=codes)
        sad: Any = client.authorize(token, wanted)
        desk.relay.fail("signDoc", "cut")
        with pytest.raises(csc.OutcomeUnknown):
            client.sign_doc(token, order, tmp_path, sad)
        assert desk.recorded()["signing.done"] == 1
        signed = client.sign_doc(token, order, tmp_path, sad)
    assert (len(signed.documents), len(signed.signatures)) == (0, 1)
    assert signed.validation_info is not None


def test_pss_is_asked_for_with_the_parameters_that_the_service_tells(desk: Desk) -> None:
    desk.world.new_credential(algorithm="rsa2048")
    with desk.client() as client:
        told: Any = client.info()["signAlgorithms"]
        parameters = dict(zip(told["algos"], told["algoParams"], strict=True))[RSASSA_PSS]
        order = desk.order(sign_algorithm=RSASSA_PSS, parameters=base64.b64decode(parameters))
        (signature,) = client.sign_hash(desk.token(client), order)
    key: Any = load_der_x509_certificate(desk.certificate).public_key()
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    key.verify(signature, DIGEST, pss, Prehashed(hashes.SHA256()))


PADES = PdfSignatureMetadata(
    field_name="ChuKySo", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES
)


@pytest.mark.parametrize("algorithm", ["p256", "rsa2048"])
def test_pyhanko_signs_with_the_consent_between_digest_and_signature(
    desk: Desk, judge: Judge, algorithm: str
) -> None:
    desk.world.new_credential(algorithm=algorithm)
    asked_for: list[bytes] = []

    async def signed() -> bytes:
        async with desk.asynchronous() as client:

            async def consent(dtbs_r: bytes) -> pdf.Consent:
                asked_for.append(dtbs_r)
                pushed = await client.ask_consent(desk.wanted(dtbs_r))
                came_back = await asyncio.to_thread(desk.consent, pushed)
                return pdf.Consent(await client.redeem(pushed, came_back))

            service = await client.service_token()
            credential = await client.credential_info(service, desk.world.credential_id)
            signer = pdf.CscSigner(client, credential, consent)
            desk.relay.fail("signHash", "cut")
            writer = IncrementalPdfFileWriter(io.BytesIO(DECISION.read_bytes()))
            out = await PdfSigner(PADES, signer).async_sign_pdf(writer)
            return bytes(out.getvalue())

    assert judge.pades(asyncio.run(signed()), "B-B") == AdESPassed.OK
    assert len(asked_for) == 1
    recorded = desk.recorded()
    assert (recorded["signing.done"], recorded["signing.repeated"]) == (1, 1)


def test_many_documents_are_prepared_for_one_consent(desk: Desk, judge: Judge) -> None:
    with desk.client() as client:
        credential = client.credential_info(client.service_token(), desk.world.credential_id)

        async def prepared() -> list[pdf.PreparedPdf]:
            content = DECISION.read_bytes()
            fields = [PdfSignatureMetadata(field_name=f"Ký-{number}") for number in range(3)]
            return [await pdf.prepare(content, credential, each) for each in fields]

        documents = asyncio.run(prepared())
        digests = tuple(each.dtbs_r for each in documents)
        token = desk.token(client, *digests)
        signatures = client.sign_hash(token, pdf.hash_order(credential, digests, "sha256"))
    for each, signature in zip(documents, signatures, strict=True):
        content = asyncio.run(each.embed(signature))
        assert judge.pades(content, "B-B") == AdESPassed.OK
