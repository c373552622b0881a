"""That a hash follows from the bytes that are shown, and that nothing else is taken for that."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms

from remote_signing.errors import AttachmentMismatched
from remote_signing.rssp.attachments import binding
from remote_signing.rssp.attachments.binding import Basis
from tests.support.attachments import PortalsOwn, detached_text, prepared_pdf, with_attributes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def prepared(tmp_path: Path) -> PortalsOwn:
    return prepared_pdf(tmp_path)


def check(tmp_path: Path, own: PortalsOwn, content: bytes | None = None) -> Basis:
    path = tmp_path / "shown"
    path.write_bytes(own.content if content is None else content)
    return binding.check(path, "sha256", own.dtbs_r, own.attributes)


def reason(tmp_path: Path, own: PortalsOwn, content: bytes | None = None) -> str:
    with pytest.raises(AttachmentMismatched) as refused:
        check(tmp_path, own, content)
    return str(refused.value.public["reason"])


def attributes_with(**changes: object) -> bytes:
    values = {"content_type": ["data"], "message_digest": [b"d" * 32]} | changes
    made: bytes = cms.CMSAttributes(
        [{"type": name, "values": value} for name, value in values.items()]
    ).dump()
    return made


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_hash_of_the_file_itself_is_bound(tmp_path: Path, digest: str) -> None:
    path = tmp_path / "shown"
    path.write_bytes(b"a")
    value = hashlib.new(digest, b"a").digest()
    assert binding.check(path, digest, value, None) is Basis.FILE
    with pytest.raises(AttachmentMismatched):
        binding.check(path, digest, hashlib.new(digest, b"b").digest(), None)


def test_signed_attributes_bind_the_file_that_they_name(tmp_path: Path) -> None:
    own = detached_text(b"a")
    assert check(tmp_path, own) is Basis.ATTRIBUTES
    assert "messageDigest" in reason(tmp_path, own, b"b")


def test_signed_attributes_bind_a_prepared_pdf(tmp_path: Path, prepared: PortalsOwn) -> None:
    assert check(tmp_path, prepared) is Basis.RANGE


def test_another_version_of_a_prepared_pdf_is_refused(tmp_path: Path, prepared: PortalsOwn) -> None:
    changed = bytearray(prepared.content)
    changed[20] ^= 1
    assert "messageDigest" in reason(tmp_path, prepared, bytes(changed))


def test_bytes_behind_the_byte_range_are_refused(tmp_path: Path, prepared: PortalsOwn) -> None:
    longer = prepared.content + b"\n1 0 obj\n<<>>\nendobj\n"
    assert "covers the whole file" in reason(tmp_path, prepared, longer)


def test_bytes_in_the_hole_of_a_prepared_pdf_are_refused(
    tmp_path: Path, prepared: PortalsOwn
) -> None:
    hidden = prepared.content.replace(b"<" + b"0" * 40, b"><</Annots 9 0 R>><" + b"0" * 22)
    assert len(hidden) == len(prepared.content)
    assert hidden != prepared.content
    assert "hidden" in reason(tmp_path, prepared, hidden)


def test_two_byte_ranges_over_the_whole_file_are_refused(
    tmp_path: Path, prepared: PortalsOwn
) -> None:
    size = len(prepared.content)
    other = b"/ByteRange [0 10 20 %d]" % (size - 20)
    place = prepared.content.index(b"endobj") + 7
    content = prepared.content[:place] + other + prepared.content[place + len(other) :]
    assert "covers the whole file" in reason(tmp_path, prepared, content)


def test_attributes_of_another_hash_are_refused(tmp_path: Path, prepared: PortalsOwn) -> None:
    other = PortalsOwn(prepared.content, prepared.attributes, b"x" * 32)
    assert "not the signed attributes'" in reason(tmp_path, other)


@pytest.mark.parametrize(
    "made",
    [
        b"\x31\x80\x00\x00",
        b"rubbish",
        b"",
        attributes_with(message_digest=[b"d" * 32, b"e" * 32]),
        attributes_with(content_type=["signed_data"]),
        cms.CMSAttributes([{"type": "content_type", "values": ["data"]}]).dump(),
    ],
    ids=["indefinite", "rubbish", "empty", "two-digests", "no-data", "no-digest"],
)
def test_attributes_that_are_no_signers_are_refused(
    tmp_path: Path, prepared: PortalsOwn, made: bytes
) -> None:
    assert "signed attributes are" in reason(tmp_path, with_attributes(prepared, made))


def test_attributes_with_two_message_digests_are_refused(
    tmp_path: Path, prepared: PortalsOwn
) -> None:
    """One for whoever looks first, one for whoever looks last."""
    first, second = (cms.CMSAttributes.load(prepared.attributes) for _ in range(2))
    twice = cms.CMSAttributes([*first, second[1].copy()]).dump()
    assert "signed attributes are" in reason(tmp_path, with_attributes(prepared, twice))
