"""The bytes that a SIM signs, read by asn1crypto, which nobody here wrote."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.errors import ChallengeInvalid, InvalidInput
from remote_signing.sam import consent_structure, der
from remote_signing.sam.sad import Bound

if TYPE_CHECKING:
    from remote_signing.sam.consent_structure import ConsentStructure

NOW_MS = 1_800_000_000_000
TEXT = "Bộ Nội vụ: ký 12/QĐ-BNV về bổ nhiệm"
CERTIFICATE = hashlib.sha256(b"certificate").digest()


class Document(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    _fields: ClassVar[list[Any]] = [
        ("label", core.UTF8String),
        ("algorithm", core.ObjectIdentifier),
        ("digest", core.OctetString),
    ]


class DocumentList(core.SequenceOf):  # type: ignore[misc] # as above
    _child_spec = Document


class Documents(core.Choice):  # type: ignore[misc] # as above
    _alternatives: ClassVar[list[Any]] = [
        ("list", DocumentList),
        ("list_digest", core.OctetString, {"implicit": 0}),
    ]


class Display(core.Sequence):  # type: ignore[misc] # as above
    _fields: ClassVar[list[Any]] = [("coding", core.Integer), ("text", core.OctetString)]


class SimConsent(core.Sequence):  # type: ignore[misc] # as above
    _fields: ClassVar[list[Any]] = [
        ("domain", core.IA5String),
        ("version", core.Integer),
        ("service_id", core.UTF8String),
        ("activation_id", core.IA5String),
        ("credential_id", core.IA5String),
        ("documents", Documents),
        ("count", core.Integer),
        ("display", Display),
        ("code", core.IA5String),
        ("nonce", core.OctetString),
        ("not_before", core.Integer),
        ("expires", core.Integer),
        ("certificate", core.OctetString),
    ]


def bound(count: int = 1, **changes: Any) -> Bound:
    made = Bound(
        activation_id="01mcc5rm00mratbh8wk05wn2gg",
        credential_id="01mcc5rm00mratbh8wk05wn2gh",
        client_id="portal",
        hash_algorithm="sha256",
        hashes=tuple(hashlib.sha256(bytes([number])).hexdigest() for number in range(count)),
        count=count,
        display_sha256="00" * 32,
        nonce="ab" * 32,
        not_before_ms=NOW_MS,
        expires_at_ms=NOW_MS + 300_000,
    )
    return replace(made, **changes)


def build(asked: Bound | None = None, **changes: Any) -> ConsentStructure:
    asked = asked or bound()
    arguments = {
        "service_id": "ky-so.example",
        "certificate_sha256": CERTIFICATE,
        "mode": "structure",
        "display_text": TEXT,
        "labels": [f"{number}/QĐ-BNV" for number in range(asked.count)],
        **changes,
    }
    return consent_structure.build(asked, **arguments)


def read(structure: ConsentStructure) -> dict[str, Any]:
    read = SimConsent.load(structure.encoded, strict=True)
    members: dict[str, Any] = read.native
    assert read.dump(force=True) == structure.encoded, "one spelling only"
    return members


def test_structure_names_everything_a_consent_covers() -> None:
    asked = bound(2)
    members = read(build(asked))
    assert members["domain"] == "remote-signing/sim-consent"
    assert (members["version"], members["service_id"]) == (1, "ky-so.example")
    assert members["activation_id"] == asked.activation_id
    assert members["credential_id"] == asked.credential_id
    assert [document["label"] for document in members["documents"]] == ["0/QĐ-BNV", "1/QĐ-BNV"]
    assert {document["algorithm"] for document in members["documents"]} == {
        "2.16.840.1.101.3.4.2.1"
    }
    assert [document["digest"].hex() for document in members["documents"]] == list(asked.hashes)
    assert members["count"] == 2
    assert members["display"]["text"].decode("utf-16-be") == TEXT
    assert members["code"] == asked.verification_code()
    assert members["nonce"] == b"\xab" * 32
    assert (members["not_before"], members["expires"]) == (NOW_MS, NOW_MS + 300_000)
    assert members["certificate"] == CERTIFICATE


def test_batch_is_named_by_the_digest_of_its_list() -> None:
    listed, batch = build(bound(3)), build(bound(4))
    assert len(read(listed)["documents"]) == 3
    members = read(batch)
    entries = [
        {"label": f"{number}/QĐ-BNV", "algorithm": "2.16.840.1.101.3.4.2.1", "digest": digest}
        for number, digest in enumerate(map(bytes.fromhex, bound(4).hashes))
    ]
    assert members["documents"] == hashlib.sha256(DocumentList(entries).dump()).digest()
    assert members["count"] == 4
    assert len(batch.encoded) < len(listed.encoded)


def test_same_question_gives_the_same_bytes_and_any_other_gives_others() -> None:
    asked = bound(2)
    structure = build(asked)
    assert build(asked) == structure
    others = [
        build(replace(asked, activation_id="01mcc5rm00mratbh8wk05wn2gj"), display_text=TEXT),
        build(replace(asked, credential_id="01mcc5rm00mratbh8wk05wn2gj")),
        build(replace(asked, client_id="another")),
        build(replace(asked, hashes=asked.hashes[::-1])),
        build(replace(asked, hash_algorithm="sha3-256")),
        build(replace(asked, nonce="ac" * 32)),
        build(replace(asked, not_before_ms=NOW_MS + 1)),
        build(replace(asked, expires_at_ms=NOW_MS + 1)),
        build(asked, display_text=TEXT + "."),
        build(asked, labels=["", "x"]),
        build(asked, service_id="other"),
        build(asked, certificate_sha256=bytes(32)),
    ]
    assert len({other.encoded for other in others} | {structure.encoded}) == len(others) + 1


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("Ky so 12/QD-BNV (1+2=3)?", 4),
        ("x" * 239, 4),
        ("ộ" * 119, 8),
        ("Ký", 8),
        ("a_b", 8),
        ("a@b", 8),
        ("5 €", 8),
    ],
)
def test_text_is_coded_as_the_phone_shows_it(text: str, coding: int) -> None:
    shown = read(build(display_text=text))["display"]
    assert shown["coding"] == coding
    assert shown["text"].decode("ascii" if coding == 4 else "utf-16-be") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x ",
        " x",
        "two  spaces",
        "x" * 240,
        "ộ" * 120,
        "line\nbreak",
        "tab\there",
        "nul\0",
        "no\u00a0break",
        "zero\u200bwidth",
        "filler\u3164",
        "blank\u2800cell",
        "right\u202eleft",
        "mark\u200f",
        "isolate\u2066x",
        "soft\u00adhyphen",
        "Ky\u0301",
        "x\u0338",
        "face \U0001f600",
        "private \ue000",
        "half \ud800",
        "unassigned \u0378",
        "separator\u2028",
        "\ufeffmark",
    ],
)
def test_text_that_a_phone_cannot_show_as_it_is_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        build(display_text=text)
    assert refused.value.public == {"parameter": "display_text"}


@pytest.mark.parametrize("labels", [[], ["a", "b"], ["x" * 41], ["a\u202eb"], [" "]])
def test_labels_that_do_not_fit_are_refused(labels: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        build(labels=labels)
    assert refused.value.public == {"parameter": "labels"}


def test_challenge_that_a_sim_cannot_sign_is_refused() -> None:
    for asked in (
        bound(1, hashes=()),
        bound(1, expires_at_ms=NOW_MS + 30 * 60_000 + 1),
        bound(1, expires_at_ms=NOW_MS),
    ):
        with pytest.raises(ChallengeInvalid):
            build(asked)
    assert build(bound(1, expires_at_ms=NOW_MS + 30 * 60_000)).encoded


def test_text_mode_signs_code_and_text_and_a_hundred_bits_of_the_structure() -> None:
    asked = bound()
    structure = build(asked, mode="text")
    assert structure.encoded == build(asked).encoded
    code, rest = structure.message[:4], structure.message[5:]
    text, bits = rest.rsplit(" #", 1)
    assert (code, text) == (asked.verification_code(), TEXT)
    assert len(bits) * 5 >= 80
    assert base64.b32encode(structure.digest).decode().startswith(bits)
    assert structure.contents("text") == (
        structure.message.encode(),
        structure.message.encode("utf-16-be"),
    )
    assert structure.contents("structure") == structure.contents("digest") == (structure.encoded,)


def test_text_mode_needs_room_for_code_and_digest() -> None:
    assert len(build(mode="text", display_text="x" * 212).message) == 239
    assert len(build(mode="text", display_text="ộ" * 92).message) == 119
    for text in ("x" * 213, "ộ" * 93):
        with pytest.raises(InvalidInput):
            build(mode="text", display_text=text)


def test_largest_structure_fits_eight_short_messages() -> None:
    largest = build(bound(3), display_text="ộ" * 119, labels=["ộ" * 40] * 3)
    assert len(largest.encoded) <= 132 + 7 * 134 - 40


def test_possession_names_credential_nonce_and_key() -> None:
    made = consent_structure.possession("01mcc5rm00mratbh8wk05wn2gg", bytes(32), b"key")
    members = [item.content for item in der.items(der.read(made, der.SEQUENCE))]
    assert members == [
        b"remote-signing/sim-possession",
        b"\1",
        b"01mcc5rm00mratbh8wk05wn2gg",
        bytes(32),
        hashlib.sha256(b"key").digest(),
    ]


@given(st.integers(0, 2**80))
def test_numbers_are_written_and_read_as_asn1crypto_does(number: int) -> None:
    assert der.integer(number) == core.Integer(number).dump()
    assert der.natural(der.read(der.integer(number), der.INTEGER)) == number


@pytest.mark.parametrize("dotted", ["2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2", "2.5.4.3"])
def test_identifiers_are_written_as_asn1crypto_does(dotted: str) -> None:
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_are_written_and_read_as_asn1crypto_does(length: int) -> None:
    written = der.write(der.OCTETS, bytes(length))
    assert written == core.OctetString(bytes(length)).dump()
    assert der.read(written, der.OCTETS).content == bytes(length)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x02\x00",
        b"\x04\x00\x00",
        b"\x05\x00",
        b"\x1f\x81\x00",
        b"\x04\x80\x00\x00",
        b"\x04\x81\x01\x00",
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x04\x85\x00\x00\x00\x00\x01\x00",
        b"\x04\x84\xff\xff\xff\xff",
        b"\x04\x82\x01",
    ],
)
def test_what_is_not_der_in_its_one_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(der.DerInvalid):
        der.read(data, der.OCTETS)


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x00\x01", b"\xff\xff"])
def test_number_in_a_second_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(der.DerInvalid):
        der.natural(der.read(der.write(der.INTEGER, content), der.INTEGER))


def test_set_that_is_not_sorted_is_refused() -> None:
    one, two = der.integer(1), der.integer(2)
    assert len(der.set_items(der.read(der.write(der.SET, one, two), der.SET))) == 2
    with pytest.raises(der.DerInvalid):
        der.set_items(der.read(der.write(der.SET, two, one), der.SET))
