"""A SIM's signature over a consent: each form that counts, and everything that does not."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from remote_signing.errors import EvidenceInvalid
from remote_signing.sam import cms, der
from remote_signing.sam.sim_signature import check_consent, load_key, verifies
from tests.support.sim_card import SPKI, Cms, Issuer, SimCard
from tests.unit.test_sim_consent_structure import bound, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.sam.consent_structure import ConsentStructure

# How many broken messages a fuzz test tries.
FUZZ = int(os.environ.get("REMOTE_SIGNING_FUZZ", "300"))


@cache
def issuer() -> Issuer:
    return Issuer()


@cache
def card(kind: str = "p256") -> SimCard:
    makers: dict[str, Callable[[], Any]] = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    }
    return SimCard(issuer(), makers[kind]())


def check(
    signature: bytes,
    form: str = "cms",
    mode: Any = "structure",
    *,
    of: SimCard | None = None,
    structure: ConsentStructure | None = None,
) -> None:
    one = of or card()
    known = {one.der, issuer().der}
    check_consent(one.certificate, known, structure or build(mode=mode), mode, form, signature)


def signed(one: SimCard, form: str, data: bytes) -> bytes:
    if form == "cms":
        return one.cms(data)
    return one.sign_raw(data) if form == "ecdsa_raw" else one.sign(data)


KINDS = ["p256", "p384", "p521", "rsa2048"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["structure", "digest", "text"])
def test_raw_signature_of_each_kind_of_key_counts(kind: str, mode: str) -> None:
    one, structure = card(kind), build(mode=mode)
    contents = structure.contents(mode)  # type: ignore[arg-type] # parametrised
    for data in contents:
        if kind == "rsa2048":
            check(one.sign(data), "pkcs1", mode, of=one)
            continue
        check(one.sign(data), "ecdsa_der", mode, of=one)
        check(one.sign_raw(data), "ecdsa_raw", mode, of=one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("attached", [True, False])
def test_cms_of_each_kind_of_key_counts(kind: str, digest: str, attached: bool) -> None:  # noqa: FBT001 - parametrised
    one = card(kind)
    content = build().encoded
    check(one.cms(content, attached=attached, digest=digest), of=one)


def test_cms_by_key_identifier_without_certificate_and_with_the_chain_counts() -> None:
    content = build().encoded
    check(card().cms(content, by_key_id=True))
    check(card().cms(content, certificates=[]))
    check(card().cms(content, certificates=[card().der, issuer().der]))
    check(card("rsa2048").cms(content, signature_algorithm="rsassa_pkcs1v15"), of=card("rsa2048"))


def test_cms_in_digest_mode_carries_the_digest_or_is_over_it() -> None:
    digest = build().digest
    check(card().cms(digest), mode="digest")
    check(card().cms(b"", attached=False, message_digest=digest), mode="digest")
    with pytest.raises(EvidenceInvalid):
        check(card().cms(digest, attached=False), mode="digest")
    with pytest.raises(EvidenceInvalid):
        check(card().cms(build().encoded), mode="digest")
    with pytest.raises(EvidenceInvalid):
        check(card().cms(digest), mode="structure")


def test_cms_in_text_mode_carries_the_text_in_either_coding() -> None:
    message = build(mode="text").message
    for coding in ("utf-8", "utf-16-be"):
        check(card().cms(message.encode(coding)), mode="text")
        check(card().cms(message.encode(coding), attached=False), mode="text")
    for other in (message[:-1], message + " ", message.replace("12/QĐ", "13/QĐ")):
        with pytest.raises(EvidenceInvalid):
            check(card().cms(other.encode()), mode="text")
    with pytest.raises(EvidenceInvalid):
        check(card().cms(message.encode("utf-16-le")), mode="text")


def test_signed_attributes_besides_the_two_are_let_be() -> None:
    made = Cms(card(), build().encoded)
    nonce = {"type": "1.2.3.4", "values": [core.OctetString(b"nonce")]}
    made.attributes = [*made.default_attributes(), nonce]
    check(made.encoded())


# The wrong consent


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": (hashlib.sha256(b"other").hexdigest(),)},
        {"credential_id": "01mcc5rm00mratbh8wk05wn2gj"},
        {"activation_id": "01mcc5rm00mratbh8wk05wn2gj"},
        {"nonce": "cd" * 32},
        {"not_before_ms": 1_799_999_000_000},
        {"hash_algorithm": "sha512-256"},
        {"client_id": "another"},
    ],
)
@pytest.mark.parametrize("form", ["cms", "ecdsa_der", "ecdsa_raw"])
def test_signature_over_another_consent_is_refused(form: str, changes: dict[str, Any]) -> None:
    other = build(bound(**changes)).encoded
    with pytest.raises(EvidenceInvalid):
        check(signed(card(), form, other), form)


def test_signature_over_another_text_or_labels_is_refused() -> None:
    for changes in ({"display_text": "Ký công văn"}, {"labels": ["13/QĐ-BNV"]}):
        with pytest.raises(EvidenceInvalid):
            check(card().cms(build(**changes).encoded))


def test_signature_of_another_key_is_refused_whatever_certificate_it_brings() -> None:
    stranger = SimCard(issuer())
    content = build().encoded
    for signature in (
        stranger.cms(content),
        stranger.cms(content, certificates=[card().der]),
        Cms(SimCard(issuer()), content, info={"sid": _signer_of(card())}).encoded(),
    ):
        with pytest.raises(EvidenceInvalid):
            check(signature)
    for form, signature in (
        ("ecdsa_der", stranger.sign(content)),
        ("ecdsa_raw", stranger.sign_raw(content)),
        ("pkcs1", card("rsa2048").sign(content)),
    ):
        with pytest.raises(EvidenceInvalid):
            check(signature, form)


def _signer_of(one: SimCard) -> Any:
    return Cms(one, b"").signer_info()["sid"]


def test_form_of_another_kind_of_key_is_refused() -> None:
    content = build().encoded
    for form, one in (
        ("pkcs1", card()),
        ("ecdsa_der", card("rsa2048")),
        ("ecdsa_raw", card("rsa2048")),
    ):
        with pytest.raises(EvidenceInvalid):
            check(one.sign(content), form, of=one)
    with pytest.raises(EvidenceInvalid):
        check(card().cms(content, signature_algorithm="sha256_rsa"))
    rsa_card = card("rsa2048")
    with pytest.raises(EvidenceInvalid):
        check(rsa_card.cms(content, signature_algorithm="sha256_ecdsa"), of=rsa_card)


def test_ecdsa_in_two_spellings_is_refused() -> None:
    content = build().encoded
    signature = card().sign(content)
    assert verifies(card().key.public_key(), "ecdsa_der", signature, content)
    long_form = b"\x30\x81" + signature[1:]
    raw = card().sign_raw(content)
    for form, other in (
        ("ecdsa_der", long_form),
        ("ecdsa_der", signature + b"\0"),
        ("ecdsa_raw", raw + b"\0"),
        ("ecdsa_raw", b"\0" + raw),
        ("ecdsa_raw", bytes(64)),
        ("ecdsa_raw", b"\xff" * 64),
        ("ecdsa_der", encode_dss_signature(0, 0)),
        ("ecdsa_raw", b""),
        ("ecdsa_der", b""),
    ):
        with pytest.raises(EvidenceInvalid):
            check(other, form)


def test_keys_that_are_too_weak_or_of_another_kind_are_no_keys_of_a_sim() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    for key in (
        weak,
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ):
        assert load_key(key.public_key().public_bytes(*SPKI)) is None
    assert load_key(b"x") is None
    assert load_key(card().public_key) is not None
    other = SimCard(issuer(), weak)
    with pytest.raises(EvidenceInvalid):
        check(other.sign(build().encoded), "pkcs1", of=other)


# CMS that is not what it should be


def _two_digests() -> list[dict[str, str]]:
    return [{"algorithm": "sha256"}, {"algorithm": "sha512"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"shown_content": b"other"},
        {"message_digest": bytes(32)},
        {"message_digest": b"short"},
        {"attributes": []},
        {"signers": 2},
        {"signers": 0},
        {"content_type": "1.2.840.113549.1.9.16.1.4"},
        {"digest": "sha1", "signature_algorithm": "sha1_ecdsa"},
        {"signature_algorithm": "sha512_ecdsa"},
        {"signature_algorithm": "1.2.840.10045.2.1"},
        {"info": {"version": "v3"}},
        {"info": {"version": "v2"}},
        {"data": {"version": "v0"}, "attached": False},
        {"data": {"digest_algorithms": []}},
        {"data": {"digest_algorithms": [{"algorithm": "sha512"}]}},
        {"data": {"digest_algorithms": _two_digests()}},
        {"info": {"signed_attrs": None}},
        {"info": {"unsigned_attrs": [{"type": "1.2.3.4", "values": [core.OctetString(b"x")]}]}},
        {"info": {"signature": b""}},
        {"info": {"digest_algorithm": {"algorithm": "sha512"}}},
    ],
)
def test_cms_with_a_flaw_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EvidenceInvalid):
        check(card().cms(build().encoded, **changes))


def test_cms_with_an_attribute_missing_twice_or_with_two_values_is_refused() -> None:
    made = Cms(card(), build().encoded)
    content_type, message_digest = made.default_attributes()
    other_type = {"type": "content_type", "values": ["signed_data"]}
    two_values = {"type": "message_digest", "values": [b"a" * 32, b"b" * 32]}
    for attributes in (
        [content_type],
        [message_digest],
        [content_type, message_digest, message_digest],
        [content_type, content_type, message_digest],
        [other_type, message_digest],
        [content_type, two_values],
    ):
        with pytest.raises(EvidenceInvalid):
            check(replace(made, attributes=attributes).encoded())


def handmade(*attributes: bytes) -> bytes:
    """The smallest SignedData with these signed attributes."""
    sha256 = der.write(der.SEQUENCE, der.oid("2.16.840.1.101.3.4.2.1"))
    info = der.write(
        der.SEQUENCE,
        der.integer(1),
        der.write(der.SEQUENCE),
        sha256,
        der.write(der.CONTEXT_0, der.sorted_set(attributes)),
        der.write(der.SEQUENCE, der.oid("1.2.840.10045.4.3.2")),
        der.write(der.OCTETS),
    )
    data = der.write(der.SEQUENCE, der.oid("1.2.840.113549.1.7.1"))
    members = (der.integer(1), der.write(der.SET, sha256), data, der.write(der.SET, info))
    signed = der.write(der.CONTEXT_0, der.write(der.SEQUENCE, *members))
    return der.write(der.SEQUENCE, der.oid("1.2.840.113549.1.7.2"), signed)


def test_attribute_with_a_third_member_is_refused() -> None:
    content_type = der.write(
        der.SEQUENCE,
        der.oid("1.2.840.113549.1.9.3"),
        der.write(der.SET, der.oid("1.2.840.113549.1.7.1")),
    )
    name, values = der.oid("1.2.840.113549.1.9.4"), der.write(der.SET, der.write(der.OCTETS))
    assert cms.read(handmade(content_type, der.write(der.SEQUENCE, name, values))).signature == b""
    with pytest.raises(der.DerInvalid):
        cms.read(handmade(content_type, der.write(der.SEQUENCE, name, values, values)))


def test_cms_with_a_strange_certificate_is_refused() -> None:
    content = build().encoded
    stranger = Issuer("Người lạ")
    for certificates in ([stranger.der], [card().der, SimCard(issuer()).der]):
        with pytest.raises(EvidenceInvalid):
            check(card().cms(content, certificates=certificates))


def test_cms_with_embedded_revocation_lists_is_refused() -> None:
    made = Cms(card(), build().encoded).signed_data()
    with_crls = with_member(made.dump(), 4, der.write(der.CONTEXT_1, issuer().crl()))
    with pytest.raises(EvidenceInvalid):
        check(der.write(der.SEQUENCE, der.oid("1.2.840.113549.1.7.2"), with_crls))


def with_member(sequence: bytes, position: int, extra: bytes) -> bytes:
    """[0] { the SEQUENCE with ``extra`` put in at ``position`` }."""
    items = [item.encoded for item in der.items(der.read(sequence, der.SEQUENCE))]
    items.insert(position, extra)
    return der.write(der.CONTEXT_0, der.write(der.SEQUENCE, *items))


def test_ber_instead_of_der_is_refused() -> None:
    signature = card().cms(build().encoded)
    assert signature[:2] == b"\x30\x82"
    content = signature[4:]
    check(signature)
    for spelled in (
        b"\x30\x80" + content + b"\0\0",
        b"\x30\x83\0" + signature[2:4] + content,
        signature + b"\0",
        signature[:-1],
        b"",
        b"\x31" + signature[1:],
    ):
        with pytest.raises(EvidenceInvalid):
            check(spelled)


def test_foreign_reader_agrees_that_what_we_accept_is_cms() -> None:
    signature = card().cms(build().encoded)
    ours = cms.read(signature)
    theirs = asn1_cms.ContentInfo.load(signature, strict=True)["content"]
    info = theirs["signer_infos"][0]
    assert ours.content == theirs["encap_content_info"]["content"].native
    assert ours.signature == info["signature"].native
    assert ours.attributes == info["signed_attrs"].untag().dump()
    assert ours.certificates == (card().der,)


# A changed bit, and rubbish


@pytest.mark.parametrize(
    "form", ["cms", "cms detached", "ecdsa_der", "ecdsa_raw", "pkcs1", "cms rsa"]
)
def test_changed_bit_anywhere_is_refused(form: str) -> None:
    content = build().encoded
    one = card("rsa2048") if form in {"pkcs1", "cms rsa"} else card()
    written = form.split(" ", maxsplit=1)[0]
    detached = form == "cms detached"
    signature = one.cms(content, attached=False) if detached else signed(one, written, content)
    check(signature, written, of=one)
    chance = random.Random(form)  # noqa: S311 - the same bits in every run
    bits = chance.sample(range(len(signature) * 8), min(400, len(signature) * 8))
    for bit in bits:
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EvidenceInvalid):
            check(bytes(changed), written, of=one)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` with a few bytes changed, cut out, doubled or put in."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(broken) or 1)
        size = chance.randint(1, 8)
        match chance.randrange(5):
            case 0:
                broken[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del broken[at : at + size]
            case 2:
                broken[at:at] = broken[at : at + size]
            case 3:
                broken[at:at] = chance.randbytes(size)
            case _:
                broken[at : at + 1] = chance.choice([b"\x80", b"\x30", b"\x84", b"\xff", b"\x1f"])
    return bytes(broken)


@pytest.mark.parametrize("form", ["cms", "ecdsa_der", "ecdsa_raw", "pkcs1"])
def test_no_rubbish_is_accepted_or_raises_anything_else(form: str) -> None:
    structure = build()
    one = card("rsa2048") if form == "pkcs1" else card()
    good = signed(one, form, structure.encoded)
    chance = random.Random(f"fuzz {form}")  # noqa: S311 - the same rubbish in every run
    for _ in range(FUZZ):
        broken = mutated(good, chance)
        if broken == good:
            continue
        with pytest.raises(EvidenceInvalid):
            check(broken, form, of=one, structure=structure)


def test_deeply_nested_rubbish_costs_little() -> None:
    nested = b""
    for _ in range(2000):
        nested = der.write(der.SEQUENCE, nested)
    with pytest.raises(EvidenceInvalid):
        check(nested[:16_384])
