"""Adapter, MSSP, gateway, SMPP and virtual SIMs together, over sockets."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote_signing.sam import consent_structure
from remote_signing.sam.sad import Bound
from sim_adapter.mss.model import FORMAT_CMS, FORMAT_PKCS1
from sim_adapter.mssp.signing import PROFILE_ATTACHED, PROFILE_DETACHED
from tests.support.sim_chain import (
    check_bare,
    running_adapter,
    running_adapter_that_is_called,
    running_operator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.support.sim_chain import Operator, Rssp

CONSENT = b"a consent structure"
H = hashlib.sha256(CONSENT).digest()
BARE = {"format": FORMAT_PKCS1}
ATTACHED = {"format": FORMAT_CMS, "profile": PROFILE_ATTACHED}
DETACHED = {"format": FORMAT_CMS, "profile": PROFILE_DETACHED}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, str]]:
    with running_operator(tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture(scope="module")
def bare(
    tmp_path_factory: pytest.TempPathFactory, operator: tuple[Operator, str]
) -> Iterator[Rssp]:
    with running_adapter(tmp_path_factory.mktemp("adapter"), operator[1], **BARE) as rssp:
        yield rssp


def value_of(signed: dict[str, Any], kind: str) -> bytes:
    assert signed["state"] == "SIGNED", signed
    assert signed["outcome"]["code"] == 502
    assert signed["signature"]["format"] == kind
    return base64.b64decode(signed["signature"]["value"])


def test_a_bare_signature_of_the_digest(bare: Rssp) -> None:
    certificate, spki = bare.enrol("84900000010")
    signed = bare.ended(bare.order("84900000010"))
    check_bare(spki, value_of(signed, "ecdsa_raw"), CONSENT)
    assert base64.b64decode(signed["signature"]["certificate"]) == certificate


def test_a_bare_signature_of_an_rsa_key(bare: Rssp) -> None:
    _, spki = bare.enrol("84900000011", algorithm="RSA2048")
    signed = bare.ended(bare.order("84900000011"))
    check_bare(spki, value_of(signed, "pkcs1"), CONSENT)


def test_text_is_signed_as_it_was_shown(bare: Rssp) -> None:
    _, spki = bare.enrol("84900000012", mode="text")
    text = "4821 Bộ Nội vụ: ký 12/QĐ-BNV #ABCDEFGHIJKLMNOPQRST"
    signed = bare.ended(bare.order("84900000012", mode="text", display_text=text))
    check_bare(spki, value_of(signed, "ecdsa_raw"), text.encode())


def test_a_structure_of_the_sam_is_read_shown_and_signed_by_the_card(bare: Rssp) -> None:
    certificate, spki = bare.enrol("84900000014", mode="structure")
    now_ms = int(time.time() * 1000)
    bound = Bound(
        activation_id="01mcc5rm00mratbh8wk05wn2gg",
        credential_id="01mcc5rm00mratbh8wk05wn2gh",
        client_id="portal",
        hash_algorithm="sha256",
        hashes=(H.hex(),),
        count=1,
        display_sha256="00" * 32,
        nonce="ab" * 32,
        not_before_ms=now_ms,
        expires_at_ms=now_ms + 60_000,
    )
    asked = consent_structure.build(
        bound,
        service_id="ky-so.example",
        certificate_sha256=hashlib.sha256(certificate).digest(),
        mode="structure",
        display_text="Bộ Nội vụ: ký 12/QĐ-BNV",
        labels=["12/QĐ-BNV"],
    )
    order = {
        "mode": "structure",
        "display_text": asked.message,
        "verification_code": bound.verification_code(),
        "consent": base64.b64encode(asked.encoded).decode(),
    }
    signed = bare.ended(bare.order("84900000014", **order))
    check_bare(spki, value_of(signed, "ecdsa_raw"), asked.encoded)
    other = bare.ended(bare.order("84900000014", **order | {"display_text": "Another text"}))
    assert (other["state"], other["outcome"]["code"]) == ("FAILED", 107)


def test_the_card_refuses_a_structure_that_is_none(bare: Rssp) -> None:
    bare.enrol("84900000013", mode="structure")
    ended = bare.ended(bare.order("84900000013", mode="structure"))
    assert (ended["state"], ended["outcome"]["code"]) == ("FAILED", 107)


def test_an_operator_cannot_have_a_digest_signed_by_a_key_for_structures(bare: Rssp) -> None:
    bare.enrol("84900000015", mode="structure")
    ended = bare.ended(bare.order("84900000015", mode="digest"))
    assert (ended["state"], ended["outcome"]["code"]) == ("FAILED", 101)


def check_cms(der: bytes, spki: bytes, content: bytes | None, message_digest: bytes) -> None:
    """With asn1crypto and cryptography: one signer, signed attributes, content, signature."""
    data = cms.ContentInfo.load(der)["content"]
    assert data["encap_content_info"]["content"].native == content
    (signer,) = data["signer_infos"]
    attributes = {item["type"].native: item["values"].native for item in signer["signed_attrs"]}
    assert attributes == {"content_type": ["data"], "message_digest": [message_digest]}
    key = serialization.load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signed = signer["signed_attrs"].untag().dump()
    key.verify(signer["signature"].native, signed, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("wire", ["soap", "json"])
def test_attached_cms_over_both_wires(
    tmp_path: Path, operator: tuple[Operator, str], wire: str
) -> None:
    number = {"soap": "84900000020", "json": "84900000021"}[wire]
    with running_adapter(tmp_path, operator[1], wire, **ATTACHED) as rssp:
        _, spki = rssp.enrol(number)
        der = value_of(rssp.ended(rssp.order(number)), "cms")
        check_cms(der, spki, H, hashlib.sha256(H).digest())
        # Bytes instead of a digest: the operator holds them, so they can be the content.
        der = value_of(rssp.ended(rssp.order(number, mode="structure")), "cms")
        check_cms(der, spki, CONSENT, H)


def test_detached_cms_in_synch_mode(tmp_path: Path, operator: tuple[Operator, str]) -> None:
    with running_adapter(tmp_path, operator[1], mode="synch", **DETACHED) as rssp:
        _, spki = rssp.enrol("84900000022")
        for mode in ("digest", "structure"):
            der = value_of(rssp.ended(rssp.order("84900000022", mode=mode)), "cms")
            check_cms(der, spki, None, H)


def test_an_operator_that_calls(tmp_path: Path, operator: tuple[Operator, str]) -> None:
    with running_adapter_that_is_called(tmp_path, operator[1]) as rssp:
        _, spki = rssp.enrol("84900000023")
        der = value_of(rssp.ended(rssp.order("84900000023")), "cms")
        check_cms(der, spki, H, hashlib.sha256(H).digest())
        rssp.enrol("84900040123")
        refused = rssp.ended(rssp.order("84900040123"))
        assert (refused["state"], refused["outcome"]["code"]) == ("REFUSED", 401)


OUTCOMES = {
    "84900040101": ("REFUSED", 401),
    "84900040201": ("FAILED", 402),
    "84900040301": ("FAILED", 403),
}


@pytest.mark.parametrize("number", OUTCOMES)
def test_what_a_person_does_is_what_the_rssp_hears(bare: Rssp, number: str) -> None:
    bare.enrol(number)
    ended = bare.ended(bare.order(number))
    assert (ended["state"], ended["outcome"]["code"]) == OUTCOMES[number]


def test_a_phone_that_is_off(bare: Rssp) -> None:
    bare.enrol("84900020901")
    name = bare.order("84900020901", deadline=int((time.time() + 3) * 1000))
    ended = bare.ended(name)
    assert ended["state"] in {"EXPIRED", "FAILED"}
    assert ended["outcome"]["code"] in {None, 208, 209}


def test_a_sim_that_was_never_enrolled(bare: Rssp) -> None:
    ended = bare.ended(bare.order("84900000030"))
    assert (ended["state"], ended["outcome"]["code"]) == ("FAILED", 422)


def test_a_number_of_somebody_else(bare: Rssp) -> None:
    ended = bare.ended(bare.order("84987654321", operator="test"))
    assert (ended["state"], ended["outcome"]["code"]) == ("FAILED", 105)


def test_a_revoked_certificate_and_a_wrong_one(bare: Rssp, operator: tuple[Operator, str]) -> None:
    """501 and 503 come with the signature that the SIM made; it is not handed out."""
    bare.enrol("84900000031")
    subscriber = operator[0].subscribers.find("84900000031")
    subscriber.is_revoked = True
    assert bare.ended(bare.order("84900000031"))["outcome"]["code"] == 501
    subscriber.is_revoked = False
    subscriber.certificate = bare.enrol("84900000032")[0]
    wrong = bare.ended(bare.order("84900000031"))
    assert (wrong["state"], wrong["outcome"]["code"]) == ("FAILED", 503)
    assert wrong["signature"] is None


def test_a_replaced_sim_has_no_key_and_no_certificate(
    bare: Rssp, operator: tuple[Operator, str]
) -> None:
    bare.enrol("84900000033")
    before = bare.http.post("/v1/profiles", json={"msisdn": "84900000033"}).json()
    operator[0].subscribers.replace_sim("84900000033")
    operator[0].phones.phone("84900000033").replace_card()
    after = bare.http.post("/v1/profiles", json={"msisdn": "84900000033"}).json()
    assert before["iccid"] != after["iccid"]
    assert (before["sim_state"], after["sim_state"]) == ("ACTIVE", "INACTIVE")
    assert (len(before["certificates"]), len(after["certificates"])) == (1, 0)
    assert bare.ended(bare.order("84900000033"))["outcome"]["code"] == 422


def test_a_profile_tells_sim_pin_certificate_and_network(bare: Rssp) -> None:
    certificate, _ = bare.enrol("84900000034")
    answer = bare.http.post("/v1/profiles", json={"msisdn": "+84900000034"})
    assert answer.status_code == 200
    members = answer.json()
    assert members["outcome"]["code"] == 100
    assert (members["operator"], members["pin_state"]) == ("test", "active")
    assert members["network"] == {"mcc": "452", "mnc": "99", "name": "Test Mobile"}
    (held,) = members["certificates"]
    assert held["state"] == "ACTIVE"
    assert base64.b64decode(held["chain"][0]) == certificate


def test_a_second_key_needs_the_word_replace(bare: Rssp) -> None:
    first = bare.enrol("84900000035")
    with pytest.raises(AssertionError, match="REGISTRATION_NOK"):
        bare.enrol("84900000035")
    second = bare.enrol("84900000035", replace=True)
    assert first[1] != second[1]


def test_a_receipt_reaches_the_phone(bare: Rssp, operator: tuple[Operator, str]) -> None:
    bare.enrol("84900000036")
    name = bare.order("84900000036")
    bare.ended(name)
    message = "Đã ký 12/QĐ-BNV lúc 10:04"
    told = bare.http.post(f"/v1/transactions/{name}/receipt", json={"message": message})
    assert told.json()["outcome"]["code"] == 100
    inbox = operator[0].phones.phone("84900000036").handset.inbox
    deadline = time.monotonic() + 20
    while not inbox and time.monotonic() < deadline:
        time.sleep(0.02)
    assert inbox == [message]


def test_canned_codes_need_no_phone(bare: Rssp) -> None:
    for number, state in ((209, "FAILED"), (401, "REFUSED"), (501, "FAILED"), (900, "FAILED")):
        ended = bare.ended(bare.order(f"849001{number}01"))
        assert (ended["state"], ended["outcome"]["code"]) == (state, number)


def test_the_operator_remembers_over_a_restart(tmp_path: Path) -> None:
    with (
        running_operator(tmp_path) as (operator, address),
        running_adapter(tmp_path, address) as rssp,
    ):
        certificate, _ = rssp.enrol("84900000040")
        subscribers = operator.subscribers
    assert x509.load_der_x509_certificate(certificate).subject
    again = type(subscribers)(subscribers._issuer, file=tmp_path / "subscribers.json")  # noqa: SLF001 - the same cards
    assert again.find("84900000040") == subscribers.find("84900000040")
