"""What the validator says of PDF and CMS signatures that pyHanko made, and of what was bent."""

from __future__ import annotations

import asyncio
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms, pem
from asn1crypto import crl as asn1_crl
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign import fields
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

from remote_signing.rssp.validation.trust import Knowledge
from tests.support.foreign_pki import SIGNED, ForeignPki
from tests.support.validation import Desk, told

DECISION = (Path(__file__).parents[2] / "remote_signing" / "demo" / "decision.pdf").read_bytes()
TEXT = "Quyết định bổ nhiệm".encode()
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
A_WEEK_LATER = SIGNED + timedelta(days=7)
AFTER_THE_END = SIGNED + timedelta(days=400)  # the signer's certificate has 90 days


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def pki() -> ForeignPki:
    return ForeignPki()


@pytest.fixture(scope="module")
def signed(pki: ForeignPki) -> dict[str, bytes]:
    return {level: pki.pdf(DECISION, level) for level in LEVELS}


PASSED = ("TOTAL-PASSED", None)


@pytest.mark.parametrize("level", LEVELS)
def test_pdf_that_another_program_signed_passes(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes], level: str
) -> None:
    found = desk.one(signed[level], pki.knowledge(*pki.fresh))
    assert told(found) == PASSED
    assert found["level"] == level
    assert found["format"] == "PAdES"
    assert found["signer"]["name"] == "Nguyễn Văn An"
    assert found["signer"]["organisation"] == "Bộ Nội vụ"
    assert found["integrity"] == {
        "intact": True,
        "covers": [{"name": "", "whole": level in {"B-B", "B-T"}}],
    }
    assert [each["name"] for each in found["path"]["certificates"]] == [
        *("Nguyễn Văn An", "Issuing CA", "Root CA"),
    ]
    assert found["revocation"]["state"] == "good"
    assert found["algorithm"] == {
        "key": "EC secp256r1",
        "scheme": "ecdsa",
        "digest": "sha256",
        "strong": True,
    }
    proven = None if level == "B-B" else "2026-01-05T03:00:05Z"
    assert found["times"]["proven"] == proven
    assert found["decree"]["certificate_valid_at_signing"] is True
    assert found["decree"]["path_valid"] is True
    assert found["decree"]["attached"]["status"] is (level in {"B-LT", "B-LTA"})


def test_b_lta_file_passes_with_the_clock_moved_past_the_certificates_end(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    assert pki.signer.certificate.not_valid_after_utc < AFTER_THE_END
    now = pki.knowledge(
        pki.crl(at=AFTER_THE_END - timedelta(days=1)),
        pki.crl(pki.root, at=AFTER_THE_END - timedelta(days=1)),
    )
    found = desk.one(signed["B-LTA"], now, AFTER_THE_END)
    assert told(found) == PASSED
    assert found["level"] == "B-LTA"
    assert found["times"]["proven"] == "2026-01-05T03:00:05Z"
    for level in ("B-B", "B-T", "B-LT"):  # nothing proves that their status is that old
        assert told(desk.one(signed[level], now, AFTER_THE_END)) == (
            "INDETERMINATE",
            "OUT_OF_BOUNDS_NO_POE",
        )


def test_without_status_nothing_is_certain_and_nothing_is_fetched(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    found = desk.one(signed["B-T"], pki.knowledge())
    assert told(found) == ("INDETERMINATE", "TRY_LATER")
    assert found["reasons"] == ["no_status"]
    assert found["decree"]["certificate_valid_at_signing"] is None
    assert found["integrity"]["intact"] is True
    assert told(desk.one(signed["B-LT"], pki.knowledge())) == PASSED  # it brought its status along


def test_signature_of_an_unknown_authority_is_not_trusted(
    desk: Desk, signed: dict[str, bytes]
) -> None:
    found = desk.one(signed["B-LTA"], ForeignPki(label=" 2").knowledge())
    assert told(found) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    assert found["path"] == {"trusted": False, "certificates": []}
    assert found["decree"]["path_valid"] is False


def revoked(pki: ForeignPki, moment: datetime) -> Knowledge:
    told_of = pki.crl(revoked=[(pki.signer, moment)], at=moment + timedelta(minutes=1))
    return pki.knowledge(told_of, pki.crl(pki.root))


def test_certificate_revoked_before_it_was_used(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    for level in ("B-B", "B-T"):
        found = desk.one(signed[level], revoked(pki, SIGNED - timedelta(minutes=30)))
        assert told(found) == ("INDETERMINATE", "REVOKED_NO_POE")
        assert found["revocation"] == {
            "state": "revoked",
            "revoked_at": "2026-01-05T02:30:00Z",
            "reason": "key_compromise",
        }


def test_certificate_revoked_after_it_was_provably_used(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    later = revoked(pki, SIGNED + timedelta(hours=2))
    assert told(desk.one(signed["B-T"], later)) == PASSED
    assert desk.one(signed["B-T"], later)["revocation"]["revoked_at"] == "2026-01-05T05:00:00Z"
    # Without a time stamp nobody knows on which side of the revocation the signature is.
    assert told(desk.one(signed["B-B"], later)) == ("INDETERMINATE", "REVOKED_NO_POE")


def test_revocation_that_a_document_leaves_out_counts(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    found = desk.one(signed["B-LT"], revoked(pki, SIGNED - timedelta(minutes=30)))
    assert found["indication"] != "TOTAL-PASSED"


def test_byte_that_was_changed_is_seen(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    data = bytearray(signed["B-T"])
    place = data.index(b"/MediaBox")
    data[place + 1 : place + 9] = b"mediaBox"
    found = desk.one(bytes(data), pki.knowledge(*pki.fresh))
    assert told(found) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert found["reasons"][0] == "content_changed"
    assert found["integrity"]["intact"] is False


def appended(signed: bytes, *, visible: bool) -> bytes:
    """The document with a further revision: another title of the page, or other content of it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(signed))
    page = writer.root["/Pages"]["/Kids"][0]
    if visible:
        stream = generic.StreamObject(stream_data=b"BT /F1 40 Tf 50 400 Td (Khong) Tj ET")
        page[generic.pdf_name("/Contents")] = writer.add_object(stream)
    else:
        page[generic.pdf_name("/Rotate")] = generic.NumberObject(180)  # type: ignore[no-untyped-call]  # unannotated
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]  # as above
    return out.getvalue()


@pytest.mark.parametrize("visible", [True, False], ids=["content", "rotation"])
def test_what_was_appended_to_a_signed_pdf_is_told(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes], *, visible: bool
) -> None:
    found = desk.one(appended(signed["B-T"], visible=visible), pki.knowledge(*pki.fresh))
    assert told(found) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    assert found["reasons"] == ["changed_after_signing"]
    assert found["changes"] == {"level": "other", "allowed": False}
    assert found["integrity"]["intact"] is True  # the revision that was signed is as it was


def hole(signed: bytes) -> tuple[int, int]:
    """Where the signature is in a PDF: between the two parts of its byte range."""
    start = signed.index(b"/Contents <") + len(b"/Contents ")
    return start, signed.index(b">", start) + 1


def test_signature_that_leaves_more_out_than_itself_is_none_of_the_document(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    """A right signature over a byte range that skips what the reader shows."""
    data = bytearray(signed["B-B"])
    start, end = hole(bytes(data))
    place = data.index(b"/ByteRange [") + len(b"/ByteRange [")
    stop = data.index(b"]", place)
    text = b"0 100 %d %d" % (end, len(data) - end)
    data[place:stop] = text.ljust(stop - place)
    message = pki.cms(bytes(data[:100] + data[end:]), detached=True).hex().encode()
    data[start + 1 : end - 1] = message.ljust(end - start - 2, b"0")
    found = desk.one(bytes(data), pki.knowledge(*pki.fresh))
    assert told(found) == ("TOTAL-FAILED", "FORMAT_FAILURE")
    assert found["reasons"] == ["not_whole_document", "changed_after_signing"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/ByteRange [", b"/ByteRangX ["),
        (b"/Contents <", b"/Contentz <"),
        (b"/ByteRange [0 ", b"/ByteRange [-1"),
    ],
    ids=["no-range", "no-contents", "negative"],
)
def test_universal_forgery_of_a_signature_that_is_not_there_fails(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes], old: bytes, new: bytes
) -> None:
    assert len(old) == len(new)
    report = desk.report(signed["B-B"].replace(old, new), pki.knowledge(*pki.fresh))
    assert report["indication"] in {"TOTAL-FAILED", "NOT-SIGNED"}


def test_signature_emptied_of_its_value_fails(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    data = bytearray(signed["B-B"])
    start, end = hole(bytes(data))
    data[start + 1 : end - 1] = b"0" * (end - start - 2)
    found = desk.one(bytes(data), pki.knowledge(*pki.fresh))
    assert told(found) == ("TOTAL-FAILED", "FORMAT_FAILURE")


def test_encrypted_pdf_is_refused_by_name(desk: Desk) -> None:
    writer: Any = copy_into_new_writer(PdfFileReader(io.BytesIO(DECISION)))
    writer.encrypt("owner", "user")
    out = io.BytesIO()
    writer.write(out)
    assert desk.refused(out.getvalue()) == "encrypted"


def test_older_kind_of_pdf_signature_is_told_as_such(desk: Desk, pki: ForeignPki) -> None:
    older = pki.pdf(
        DECISION,
        subfilter=fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED,
        cades_signed_attr_spec=None,
    )
    found = desk.one(older, pki.knowledge(*pki.fresh))
    assert (*told(found), found["format"]) == (*PASSED, "PDF")


def test_kind_of_pdf_signature_that_is_not_known_is_told_as_such(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    data = signed["B-B"].replace(b"/ETSI.CAdES.detached", b"/adbe.x509.rsa_sha1 ")
    found = desk.one(data, pki.knowledge(*pki.fresh))
    assert told(found) == ("INDETERMINATE", "GENERIC")
    assert found["reasons"] == ["not_supported", "no_certificate"]


def test_certified_document_that_was_filled_in_beyond_what_it_allows(
    desk: Desk, pki: ForeignPki
) -> None:
    certified = pki.pdf(DECISION, certify=True, docmdp_permissions=fields.MDPPerm.NO_CHANGES)
    assert told(desk.one(certified, pki.knowledge(*pki.fresh))) == PASSED
    found = desk.one(appended(certified, visible=True), pki.knowledge(*pki.fresh))
    assert found["reasons"] == ["changed_after_signing"]


def test_pyhanko_says_the_same_of_a_file_that_outlived_its_certificate(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    later = AFTER_THE_END - timedelta(days=1)
    crls = (pki.crl(at=later), pki.crl(pki.root, at=later))
    for level in LEVELS:
        ours = desk.one(signed[level], pki.knowledge(*crls), AFTER_THE_END)["indication"]
        theirs = pyhanko_says(signed[level], pki, crls, AFTER_THE_END)
        assert (ours == "TOTAL-PASSED") is theirs, level


def pyhanko_says(data: bytes, pki: ForeignPki, crls: tuple[bytes, ...], now: datetime) -> bool:
    """PyHanko's own AdES validation of a PDF with long-term data."""
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build([pki.root.asn1]),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
    )
    containers = [CRLContainer(asn1_crl.CertificateList.load(each)) for each in crls]
    spec = SignatureValidationSpec(
        policy,
        revinfo_gathering_policy=RevocationInfoGatheringSpec(
            online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY
        ),
        local_knowledge=LocalKnowledge(known_crls=containers),
    )
    signature = PdfFileReader(io.BytesIO(data)).embedded_regular_signatures[0]
    timing = ValidationTimingInfo(now, now, point_in_time_validation=False)
    work = ades_lta_validation(signature, PdfSignatureValidationSpec(spec), timing)
    try:
        return asyncio.run(work).ades_subindic is AdESPassed.OK
    except SignatureValidationError:
        return False  # without long-term data it does not begin


def test_second_signature_does_not_hurt_the_first(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes]
) -> None:
    twice = pki.pdf(signed["B-T"], "B-B", holder=pki.issue("Văn thư"), field_name="Dau")
    report = desk.report(twice, pki.knowledge(*pki.fresh))
    assert report["indication"] == "TOTAL-PASSED"
    assert [each["name"] for each in report["signatures"]] == ["ChuKy", "Dau"]
    assert report["signatures"][0]["changes"] == {"level": "forms", "allowed": True}


def test_pdf_without_signature_is_told_so(desk: Desk) -> None:
    report = desk.report(DECISION, Knowledge())
    assert report["indication"] == "NOT-SIGNED"
    assert report["signatures"] == []


@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("detached", [True, False], ids=["detached", "attached"])
def test_cms_that_another_program_signed_passes(
    desk: Desk, pki: ForeignPki, level: str, *, detached: bool
) -> None:
    data = pki.cms(TEXT, level, detached=detached)
    content = TEXT if detached else None
    found = desk.one(data, pki.knowledge(*pki.fresh), content=content)
    assert told(found) == PASSED
    assert (found["format"], found["level"]) == ("CAdES", level)
    assert found["times"]["claimed"] == "2026-01-05T03:00:00Z"


def test_content_time_stamp_proves_that_a_revoked_certificate_was_used(
    desk: Desk, pki: ForeignPki
) -> None:
    spec = CAdESSignedAttrSpec(timestamp_content=True)
    data = pki.cms(TEXT, "B-T", spec=spec)
    assert told(desk.one(data, pki.knowledge(*pki.fresh))) == PASSED
    before = revoked(pki, SIGNED - timedelta(minutes=30))
    assert told(desk.one(data, before)) == ("TOTAL-FAILED", "REVOKED")
    after = revoked(pki, SIGNED + timedelta(hours=2))
    assert told(desk.one(data, after)) == PASSED


def test_signature_older_than_its_certificate_fails(desk: Desk, pki: ForeignPki) -> None:
    young = pki.issue("Người đến sau", start=SIGNED + timedelta(hours=1))
    found = desk.one(pki.cms(TEXT, "B-T", holder=young), pki.knowledge(*pki.fresh))
    assert told(found) == ("TOTAL-FAILED", "NOT_YET_VALID")


def test_certificate_for_another_purpose_signs_nothing(desk: Desk, pki: ForeignPki) -> None:
    found = desk.one(pki.cms(TEXT, holder=pki.issuing), pki.knowledge(*pki.fresh))
    assert told(found) == ("INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")


def test_time_stamp_of_a_certificate_for_another_purpose_proves_nothing(desk: Desk) -> None:
    other = ForeignPki(label=" 3", kind="rsa2048")
    other.stamper = other.issue("no TSA")
    found = desk.one(other.cms(TEXT, "B-T"), other.knowledge(*other.fresh))
    assert told(found) == PASSED
    assert found["times"]["proven"] is None
    assert found["time_stamps"][0]["sub_indication"] == "CHAIN_CONSTRAINTS_FAILURE"
    assert found["warnings"] == ["no_time_stamp_holds"]


def test_time_stamp_of_the_future_proves_nothing(desk: Desk, pki: ForeignPki) -> None:
    data = pki.cms(TEXT, "B-T", at=A_WEEK_LATER)
    found = desk.one(data, pki.knowledge(*pki.fresh))
    assert found["times"]["proven"] is None
    assert found["time_stamps"][0]["reason"] == "stamp_of_the_future"


def test_content_time_stamp_that_is_younger_than_the_signatures_is_a_contradiction(
    desk: Desk, pki: ForeignPki
) -> None:
    spec = CAdESSignedAttrSpec(timestamp_content=True)
    times = iter((SIGNED + timedelta(hours=5), SIGNED))
    data = pki.cms(TEXT, "B-T", spec=spec, times=times)
    found = desk.one(data, pki.knowledge(*pki.fresh))
    assert told(found) == ("INDETERMINATE", "TIMESTAMP_ORDER_FAILURE")


@pytest.mark.parametrize("token", [b"0\x00", b"hello"], ids=["empty", "text"])
def test_time_stamp_that_is_none_proves_nothing(desk: Desk, pki: ForeignPki, token: bytes) -> None:
    message = cms.ContentInfo.load(pki.cms(TEXT))
    info = message["content"]["signer_infos"][0]
    value = cms.ContentInfo({"content_type": "data", "content": token})
    info["unsigned_attrs"] = [{"type": "signature_time_stamp_token", "values": [value]}]
    found = desk.one(message.dump(force=True), pki.knowledge(*pki.fresh))
    assert told(found) == PASSED
    assert (found["level"], found["time_stamps"][0]["reason"]) == ("B-B", "malformed")


def test_weak_digest_of_the_signature_itself_is_told(desk: Desk, pki: ForeignPki) -> None:
    message = cms.ContentInfo.load(pki.cms(TEXT))
    info = message["content"]["signer_infos"][0]
    info["signature_algorithm"] = {"algorithm": "sha1_ecdsa"}
    found = desk.one(message.dump(force=True), pki.knowledge(*pki.fresh))
    assert found["algorithm"] == {
        "key": "EC secp256r1",
        "scheme": "ecdsa",
        "digest": "sha1",
        "strong": False,
    }
    assert "weak_algorithm" in found["reasons"]


def test_two_signers_in_one_message_are_judged_apart(desk: Desk, pki: ForeignPki) -> None:
    first, second = (
        cms.ContentInfo.load(pki.cms(TEXT, holder=each))
        for each in (pki.signer, pki.issue("Người thứ hai"))
    )
    content = first["content"]
    for name in ("certificates", "signer_infos"):
        content[name] = [*content[name], *second["content"][name]]
    report = desk.report(first.dump(force=True), pki.knowledge(*pki.fresh))
    assert report["indication"] == "TOTAL-PASSED"
    names = {each["signer"]["name"] for each in report["signatures"]}
    assert names == {"Nguyễn Văn An", "Người thứ hai"}


def test_pem_around_a_message_is_taken_off(desk: Desk, pki: ForeignPki) -> None:
    text = pem.armor("CMS", pki.cms(TEXT))
    assert told(desk.one(text, pki.knowledge(*pki.fresh))) == PASSED


def test_detached_signature_of_another_file_fails(desk: Desk, pki: ForeignPki) -> None:
    data = pki.cms(TEXT, detached=True)
    found = desk.one(data, pki.knowledge(*pki.fresh), content=TEXT + b" ")
    assert told(found) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_weak_digest_is_told(desk: Desk, pki: ForeignPki) -> None:
    message = cms.ContentInfo.load(pki.cms(TEXT))
    message["content"]["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha1"}
    found = desk.one(message.dump(force=True), pki.knowledge(*pki.fresh))
    assert found["algorithm"]["strong"] is False
    assert "weak_algorithm" in found["reasons"]


def test_signature_without_signed_attributes_is_no_ades_signature(
    desk: Desk, pki: ForeignPki
) -> None:
    message = cms.ContentInfo.load(pki.cms(TEXT))
    info = message["content"]["signer_infos"][0]
    info["signed_attrs"] = None
    found = desk.one(message.dump(force=True), pki.knowledge(*pki.fresh))
    assert found["indication"] != "TOTAL-PASSED"
    assert found["level"] is None


def test_files_that_have_no_report_are_refused_by_name(desk: Desk, pki: ForeignPki) -> None:
    pdf, message = pki.pdf(DECISION), pki.cms(TEXT, detached=True)
    assert desk.refused(b"hello") == "unknown_format"
    assert desk.refused(b"") == "unknown_format"
    assert desk.refused(b"%PDF-1.7\nhello") == "damaged"
    assert desk.refused(b"0\x80hello") == "damaged"
    assert desk.refused(pdf, content=TEXT) == "content_superfluous"
    assert desk.refused(message) == "content_missing"
    assert desk.refused(pki.cms(TEXT), content=TEXT) == "content_superfluous"
    assert desk.refused(pdf, most=0) == "too_many_signatures"
    assert desk.refused(message, most=0, content=TEXT) == "too_many_signatures"


def test_anchors_and_crls_come_from_a_folder(
    desk: Desk, pki: ForeignPki, signed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "trust"
    folder.mkdir()
    (folder / "root.pem").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    (folder / "notes.txt").write_text("kept by the installation", encoding="utf-8")
    for number, crl in enumerate(pki.fresh):
        (folder / f"{number}.crl").write_bytes(crl)
    assert told(desk.one(signed["B-T"], Knowledge(), folder=folder)) == PASSED
