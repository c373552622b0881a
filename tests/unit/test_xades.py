"""XAdES without a service: keys in software, judged by xmlsec, signxml and the official schemas."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier

from remote_signing.errors import DocumentUnusable
from remote_signing.rssp.documents import xades, xades_properties, xml_reading
from remote_signing.rssp.documents.model import Material
from tests.support.soft_signer import SoftSigner
from tests.support.xml_judges import (
    DS,
    canonical,
    found,
    schema_mistakes,
    signatures,
    signxml_accepts,
    xmlsec_says,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DECREE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Bộ Nội vụ -->
<VanBan xmlns="urn:vn:van-ban" xmlns:x="urn:x" kind='x:quyet-dinh'>
  <TrichYeu>Bổ nhiệm &amp; "điều động" <![CDATA[<công chức>]]></TrichYeu>\r
  <Rong/><?in a4?><!-- nội bộ -->
</VanBan>
<!-- hết -->
""".encode()
ENVELOPES = ("Enveloped", "Enveloping", "Detached")
NAME = "quyet-dinh.xml"


@pytest.fixture(scope="module")
def signer_of() -> Callable[[str], SoftSigner]:
    made: dict[str, SoftSigner] = {}

    def get(kind: str) -> SoftSigner:
        return made.setdefault(kind, SoftSigner(kind))

    return get


@pytest.fixture(scope="module")
def signer(signer_of: Callable[[str], SoftSigner]) -> SoftSigner:
    return signer_of("p256")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def sign(signer: SoftSigner, tmp_path: Path) -> Callable[..., bytes]:
    def signed(content: bytes, **changes: Any) -> bytes:
        path = tmp_path / "document"
        path.write_bytes(content)
        return signer.sign(path, **changes)

    return signed


FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    f"{kind}-{padding}-{digest}": (kind, {"padding": padding, "digest": digest})
    for kind, padding in (
        *(("p256", "ecdsa"), ("p384", "ecdsa"), ("p521", "ecdsa")),
        *(("rsa2048", "pkcs1"), ("rsa2048", "pss")),
    )
    for digest in ("sha256", "sha384", "sha512")
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_kind_of_signature_is_accepted_and_a_changed_document_refused(
    signer_of: Callable[[str], SoftSigner], family: str, envelope: str, tmp_path: Path
) -> None:
    kind, scheme = FAMILIES[family]
    signer = signer_of(kind)
    path = tmp_path / "document"
    path.write_bytes(DECREE)
    uri = NAME if envelope == "Detached" else None
    made = signer.sign(path, envelope=envelope, reference_uri=uri, **scheme)
    good, bad = {NAME: DECREE}, {NAME: DECREE.replace(b"kind", b"kin2")}
    changed = made.replace(b"kind='x:", b"kind='y:").replace(b"PD94", b"PD95")
    assert (changed == made) is (envelope == "Detached")
    assert schema_mistakes(made) == []
    assert xmlsec_says(made, signer.certificate, good) == "+"
    assert xmlsec_says(changed, signer.certificate, bad) == "-"
    assert signxml_accepts(made, signer.certificate, good)
    assert not signxml_accepts(changed, signer.certificate, bad)


def test_a_signature_is_put_into_the_root_and_no_other_byte_is_touched(
    sign: Callable[..., bytes],
) -> None:
    made = sign(DECREE)
    before, _, rest = DECREE.partition(b"</VanBan>")
    assert made.startswith(before + b"<ds:Signature ")
    assert made.endswith(b"</ds:Signature></VanBan>" + rest)


@pytest.mark.parametrize(
    ("empty", "start"),
    [(b"<r/>", b"<r><ds"), (b"<p:r xmlns:p='urn:x' />\n", b"<p:r xmlns:p='urn:x' ><ds:")],
)
def test_an_empty_root_is_opened(
    sign: Callable[..., bytes], signer: SoftSigner, empty: bytes, start: bytes
) -> None:
    made = sign(empty)
    assert made.startswith(start)
    assert xmlsec_says(made, signer.certificate) == "+"


def test_a_second_signature_leaves_the_first_one_good(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    twice = sign(sign(DECREE))
    assert xmlsec_says(twice, signer.certificate) == "++"
    assert xmlsec_says(twice.replace(b'van-ban"', b'van-bam"'), signer.certificate) == "--"
    ids = [each.get("Id") for each in etree.fromstring(twice).iter() if each.get("Id")]
    assert len(ids) == len(set(ids))


def test_what_a_prefix_is_bound_to_is_signed(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    """Readers resolve prefixes in texts; exclusive canonical form would not have them signed."""
    made = sign(DECREE)
    rebound = made.replace(b'xmlns:x="urn:x"', b'xmlns:x="urn:z"')
    assert xmlsec_says(rebound, signer.certificate) == "-"


def test_instructions_around_the_root_are_signed(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    made = sign(b'<?xml-stylesheet href="a.xsl"?><r>x</r><?end?>')
    assert xmlsec_says(made, signer.certificate) == "+"
    assert xmlsec_says(made.replace(b"a.xsl", b"b.xsl"), signer.certificate) == "-"


@pytest.mark.parametrize("before", ["", "<a/>", "<a/>x", "x"])
def test_text_around_an_earlier_signature_is_signed(
    sign: Callable[..., bytes], signer: SoftSigner, before: str
) -> None:
    filtered = FILTERED.format(uri="", algorithm=XPATH, inside=NONE)
    made = sign(filtered.replace("<ds:S", f"{before}<ds:S", 1).replace("</r>", "last</r>").encode())
    assert xmlsec_says(made, signer.certificate) == "-+"
    assert xmlsec_says(made.replace(b"last", b"lost"), signer.certificate) == "--"


NAMES = st.sampled_from(["a", "p:b", "q:c", "Signature"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
SPACES = st.sampled_from(["", " xmlns='urn:d'", " xmlns:p='urn:x'", " xmlns:q='urn:y' p:n='v'"])


def _written(name: str, spaces: str, texts: list[str], inner: list[str]) -> str:
    shown = "".join(escape(text) + child for text, child in zip(texts, inner, strict=False))
    return f"<{name}{spaces}>{shown}</{name}>"


LEAVES = st.one_of(
    TEXTS.map(escape),
    st.sampled_from(["<!-- c -->", "<?pi data?>", "<![CDATA[<&]]>", "&#13;&#10;", "\r\n", "<z/>"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        _written,
        NAMES,
        SPACES,
        st.lists(TEXTS, min_size=3, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)
EXAMPLES = int(os.environ.get("XADES_DOCUMENTS", "30"))  # 20,000 for figures


@settings(max_examples=EXAMPLES, deadline=None)
@given(inside=TREES, around=st.sampled_from(["", "<!-- </r> -->", "<?x </r>?>", "\n"]))
def test_whatever_is_in_a_document_xmlsec_finds_both_signatures_good(
    signer: SoftSigner, shelf: Path, inside: str, around: str
) -> None:
    path = shelf / "any"
    mark = "\ufeff" if around == "\n" else ""
    content = (
        f"{mark}{around.strip()}<r xmlns:p='urn:p' xmlns:q='urn:q'>{inside}</r>{around}".encode()
    )
    path.write_bytes(content)
    path.write_bytes(signer.sign(path))
    made = signer.sign(path)
    assert xmlsec_says(made, signer.certificate) == "++"
    assert re.sub(rb"<ds:Signature .*?</ds:Signature>", b"", made) == content


SPLINTERS = st.sampled_from(
    [b"<", b">", b"&", b"/", b"'", b'"', b"]]>", b"<!--", b"<?", b"xmlns:a=''", b"&#0;", b"\xff"]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, len(DECREE)), st.integers(0, 20), st.one_of(SPLINTERS, st.binary(max_size=6)))
def test_a_torn_document_is_refused_or_signed_well(
    signer: SoftSigner,
    shelf: Path,
    start: int,
    length: int,
    put: bytes,
) -> None:
    path = shelf / "torn"
    path.write_bytes(DECREE[:start] + put + DECREE[start + length :])
    try:
        made = signer.sign(path)
    except DocumentUnusable:
        return
    assert xmlsec_says(made, signer.certificate) == "+"


def other_signer() -> XMLSigner:
    return XMLSigner(SignatureConstructionMethod.enveloped, signature_algorithm="ecdsa-sha256")


def test_another_programs_signature_of_a_part_stays_good(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    root = etree.fromstring(b'<r><part Id="p">x</part></r>')
    theirs = other_signer().sign(root, key=_private(signer), cert=_pem(signer), reference_uri="#p")
    both = sign(etree.tostring(theirs))
    assert xmlsec_says(both, signer.certificate) == "++"
    first = etree.tostring(theirs)
    assert XMLVerifier().verify(first, x509_cert=_pem(signer))


def test_another_programs_signature_of_the_whole_forbids_ours(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    theirs = other_signer().sign(
        etree.fromstring(b"<r>x</r>"), key=_private(signer), cert=_pem(signer)
    )
    content = etree.tostring(theirs)
    with pytest.raises(DocumentUnusable) as refused:
        sign(content)
    assert refused.value.public == {"reason": "a signature in the XML forbids another one"}
    inside = sign(content, envelope="Enveloping")
    assert xmlsec_says(inside, signer.certificate) == "+"


def _private(signer: SoftSigner) -> Any:
    return signer.key


def _pem(signer: SoftSigner) -> str:
    made = x509.load_der_x509_certificate(signer.certificate).public_bytes(Encoding.PEM)
    return made.decode()


FILTERED = (
    '<r Id="root"><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>'
    '<ds:Reference URI="{uri}"><ds:Transforms><ds:Transform Algorithm="{algorithm}">{inside}'
    "</ds:Transform></ds:Transforms></ds:Reference></ds:SignedInfo></ds:Signature></r>"
)
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
NONE = "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath>"
EARLIER = {
    "the whole": ("", "x", "", False),
    "by pointer": ("#xpointer(/)", "x", "", False),
    "the root's Id": ("#root", "x", "", False),
    "the root's Id by pointer": ("#xpointer(id('root'))", "x", "", False),
    "an unknown pointer": ("#xpointer(//r)", "x", "", False),
    "another Id": ("#part", "x", "", True),
    "another Id by pointer": ("#xpointer(id('part'))", "x", "", True),
    "another file": ("a.pdf", "x", "", True),
    "all but signatures": ("", XPATH, NONE, True),
    "all but those of another kind": ("", XPATH, NONE.replace("ds:Sig", "x:Sig"), False),
    "an unknown filter": ("", XPATH, "<ds:XPath>self::text()</ds:XPath>", False),
    "subtracted": (
        "",
        FILTER2,
        f'<f:XPath xmlns:f="{FILTER2}" Filter="subtract"> /descendant::ds:Signature </f:XPath>',
        True,
    ),
    "intersected": (
        "",
        FILTER2,
        f'<f:XPath xmlns:f="{FILTER2}" Filter="intersect">//ds:Signature</f:XPath>',
        False,
    ),
}


@pytest.mark.parametrize("case", EARLIER)
def test_whether_an_earlier_signature_lets_another_one_in(
    sign: Callable[..., bytes], case: str
) -> None:
    uri, algorithm, inside, allowed = EARLIER[case]
    content = FILTERED.format(uri=uri, algorithm=algorithm, inside=inside).encode()
    if allowed:
        assert len(signatures(sign(content))) == 2
        return
    with pytest.raises(DocumentUnusable):
        sign(content)


DOCTYPE = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>'
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the XML is damaged"),
    "no XML": (b"%PDF-1.7", "the XML is damaged"),
    "unclosed": (b"<r><a></r>", "the XML is damaged"),
    "two roots": (b"<r/><r/>", "the XML is damaged"),
    "an unknown entity": (b"<r>&x;</r>", "the XML is damaged"),
    "an unbound prefix": (b"<r><x:y/></r>", "the XML is damaged"),
    "entities": (DOCTYPE, "the XML has a document type declaration"),
    "a file as entity": (
        b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
        "the XML has a document type declaration",
    ),
    "a distant type": (
        b'<!DOCTYPE r SYSTEM "http://192.0.2.1/r.dtd"><r/>',
        "the XML has a document type declaration",
    ),
    "UTF-16": ("<r/>".encode("utf-16"), "the XML is not UTF-8"),
    "Latin-1": (b'<?xml version="1.0" encoding="ISO-8859-1"?><r/>', "the XML is not UTF-8"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="x-y"?><r/>', "the XML is not UTF-8"),
    "bad UTF-8": (b"<r>\xff</r>", "the XML is damaged"),
    "deep": (b"<r>" * 300 + b"</r>" * 300, "the XML is too deep or too large"),
    "attributes": (
        b"<r " + b" ".join(b'a%d=""' % n for n in range(300)) + b"/>",
        "the XML is too deep or too large",
    ),
    "prefixes without end": (
        b"".join(
            b"<r%s>" % b"".join(b" xmlns:p%d_%d='urn:x'" % (n, m) for m in range(250))
            for n in range(199)
        ),
        "the XML is too deep or too large",
    ),
    "a relative namespace": (b"<r xmlns='x'/>", "the XML has no canonical form"),
    "a signature itself": (
        f'<Signature xmlns="{DS}"/>'.encode(),
        "the XML is itself a signature",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_xml_is_refused_with_its_reason(sign: Callable[..., bytes], case: str) -> None:
    content, reason = HOSTILE[case]
    with pytest.raises(DocumentUnusable) as refused:
        sign(content)
    assert refused.value.public == {"reason": reason}


def test_more_parts_than_the_bound_are_refused(
    sign: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml_reading, "MAX_PARTS", 101)
    assert sign(b"<r>" + b"<a b=''/>" * 50 + b"</r>")
    with pytest.raises(DocumentUnusable):
        sign(b"<r>" + b"<a b=''/>" * 50 + b"<a/></r>")


@pytest.mark.parametrize(
    "told", [("Memory allocation failed", 2, 1, 1), ("unknown error", 0, 0, 0)]
)
def test_too_little_memory_is_told_as_such(
    sign: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, told: tuple[str, int, int, int]
) -> None:
    def full(*_arguments: object) -> None:
        raise etree.XMLSyntaxError(*told)

    monkeypatch.setattr(etree, "parse", full)
    with pytest.raises(MemoryError):
        sign(DECREE)


def test_a_long_text_is_no_obstacle(sign: Callable[..., bytes]) -> None:
    made = sign(b"<r>" + b"x" * 11_000_000 + b"</r>")  # libxml2 refuses 10 MB by default
    assert len(made) > 11_000_000
    assert made.count(b"<ds:Signature ") == 1


def test_the_same_order_gives_the_same_dtbs_r(signer: SoftSigner, tmp_path: Path) -> None:
    path = tmp_path / "document"
    told = set()
    for _ in range(2):
        path.write_bytes(b"<r/>")
        told.add(xades.prepare(signer.recipe(), path).dtbs_r)
    assert len(told) == 1


def test_a_digest_alone_becomes_the_signature_that_the_document_would_have(
    signer: SoftSigner, sign: Callable[..., bytes]
) -> None:
    recipe = signer.recipe(envelope="Detached", reference_uri=NAME, padding="ecdsa")
    prepared = xades.prepare_digest(recipe, hashlib.sha256(DECREE).digest())
    made = xades.finish_digest(recipe, prepared, signer.ending(recipe, prepared))
    assert xmlsec_says(made, signer.certificate, {NAME: DECREE}) == "+"
    assert dtbs_of(made) == dtbs_of(sign(DECREE, envelope="Detached", reference_uri=NAME))


def dtbs_of(made: bytes) -> bytes:
    (signature,) = signatures(made)
    (info,) = found(signature, "ds:SignedInfo")
    return canonical(info)


def test_without_a_name_the_reference_has_none(sign: Callable[..., bytes]) -> None:
    (signature,) = signatures(sign(b"x", envelope="Detached"))
    assert found(signature, "ds:SignedInfo/ds:Reference[1]")[0].get("URI") is None


MATERIAL = Material((b"one", b"two", b"one"), (b"answer",), (b"list", b"another list"))


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_time_stamps_are_over_what_the_standard_says(
    signer: SoftSigner, tmp_path: Path, envelope: str
) -> None:
    """EN 319 132-1 cl. 5.3 and 5.5.2.2, canonical forms by another implementation."""
    path = tmp_path / "document"
    path.write_bytes(DECREE)
    recipe = signer.recipe(level="B-LTA", envelope=envelope, reference_uri=NAME)
    prepared = xades.prepare(recipe, path)
    ending = signer.ending(recipe, prepared, stamp=b"stamp", material=MATERIAL)
    stamped = xades.stamped(recipe, prepared, ending.signature)
    unsealed = xades.finish(recipe, prepared, ending)
    assert unsealed is not None
    xades.seal(recipe, prepared, unsealed, b"archive")
    made = xades.result(recipe, path).read_bytes()
    assert schema_mistakes(made) == []
    assert xmlsec_says(made, signer.certificate, {NAME: DECREE}) == "+"
    (signature,) = signatures(made)
    assert stamped == canonical(found(signature, "ds:SignatureValue")[0])
    digest, names = archive_imprint(signature, envelope)
    assert unsealed.digest == digest
    assert names == ["SignatureTimeStamp", "CertificateValues", "RevocationValues"]
    held = [each.text for each in found(signature, ".//xades:EncapsulatedX509Certificate")]
    assert held == ["b25l", "dHdv"]


def archive_imprint(signature: Any, envelope: str) -> tuple[bytes, list[str]]:
    """SHA-256 of what an archive time stamp is over, and the unsigned properties before it."""
    document = DECREE
    if envelope == "Enveloped":
        bare = etree.fromstring(DECREE).getroottree()
        document = etree.tostring(bare, method="c14n", with_comments=False)
    hashed = hashlib.sha256(document)
    parts = found(signature, ".//xades:SignedProperties")
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        parts += found(signature, f"ds:{name}")
    *before, last = found(signature, ".//xades:UnsignedSignatureProperties/*")
    assert etree.QName(last).localname == "ArchiveTimeStamp"
    parts += before
    parts += found(signature, "ds:Object[not(xades:QualifyingProperties)]")
    for part in parts:
        hashed.update(canonical(part))
    return hashed.digest(), [etree.QName(each).localname for each in before]


def element(name: str, inside: str) -> str:
    return (
        f'<x:{name} xmlns:x="http://uri.etsi.org/01903/v1.3.2#" '
        f'xmlns:d="http://www.w3.org/2000/09/xmldsig#">{inside}</x:{name}>'
    )


POLICY = (
    "<x:SignaturePolicyId><x:SigPolicyId>"
    '<x:Identifier Qualifier="OIDAsURN">urn:oid:1.2.3</x:Identifier></x:SigPolicyId>'
    '<x:SigPolicyHash><d:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<d:DigestValue>AAAA</d:DigestValue></x:SigPolicyHash></x:SignaturePolicyId>"
)
ROLES = "<x:ClaimedRoles><x:ClaimedRole>Bộ trưởng</x:ClaimedRole></x:ClaimedRoles>"
COMMITMENT = (
    "<x:CommitmentTypeId><x:Identifier>http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"
    "</x:Identifier></x:CommitmentTypeId><x:AllSignedDataObjects/>"
)
PLACE = "<x:City>Hà Nội</x:City> <x:CountryName>VN</x:CountryName>"
PROPERTIES = {
    "SignaturePolicyIdentifier": POLICY,
    "SignatureProductionPlaceV2": PLACE,
    "SignerRoleV2": ROLES,
    "CommitmentTypeIndication": COMMITMENT,
}


def read(name: str, value: bytes | None) -> str | None:
    return xades_properties.property_text(name, value, has_document=True)


def test_signed_properties_are_signed_and_as_the_schema_says(
    sign: Callable[..., bytes], signer: SoftSigner
) -> None:
    texts = {name: read(name, element(name, PROPERTIES[name]).encode()) for name in PROPERTIES}
    assert None not in texts.values()
    texts["DataObjectFormat"] = read("DataObjectFormat", b"application/vnd.example+xml")
    made = sign(DECREE, envelope="Enveloping", texts=texts)
    assert schema_mistakes(made) == []
    assert xmlsec_says(made, signer.certificate) == "+"
    (signature,) = signatures(made)
    assert [each.text for each in found(signature, ".//xades:ClaimedRole")] == ["Bộ trưởng"]
    assert [each.text for each in found(signature, ".//xades:City")] == ["Hà Nội"]
    (told,) = found(signature, ".//xades:MimeType")
    assert told.text == "application/vnd.example+xml"
    forged = made.replace("Bộ trưởng".encode(), "Thứ trưởng".encode())
    assert xmlsec_says(forged, signer.certificate) == "-"


BAD_PROPERTIES = {
    "none": ("SignerRoleV2", None),
    "unknown": ("AllDataObjectsTimeStamp", element("AllDataObjectsTimeStamp", "x")),
    "not XML": ("SignerRoleV2", "Bộ trưởng"),
    "too long": ("SignerRoleV2", element("SignerRoleV2", " " * 9000 + ROLES)),
    "another element": ("SignerRoleV2", element("SignerRole", ROLES)),
    "another namespace": (
        "SignerRoleV2",
        f"<x:SignerRoleV2 xmlns:x='urn:x'>{ROLES}</x:SignerRoleV2>",
    ),
    "nothing in it": ("SignatureProductionPlaceV2", element("SignatureProductionPlaceV2", "")),
    "certified": (
        "SignerRoleV2",
        element("SignerRoleV2", ROLES + "<x:CertifiedRolesV2>x</x:CertifiedRolesV2>"),
    ),
    "out of order": (
        "SignatureProductionPlaceV2",
        element(
            "SignatureProductionPlaceV2",
            "<x:CountryName>VN</x:CountryName><x:City>Hà Nội</x:City>",
        ),
    ),
    "a part is missing": (
        "CommitmentTypeIndication",
        element("CommitmentTypeIndication", COMMITMENT.replace("<x:AllSignedDataObjects/>", "")),
    ),
    "text between": ("SignerRoleV2", element("SignerRoleV2", "x" + ROLES)),
    "elements in a text": (
        "SignerRoleV2",
        element("SignerRoleV2", ROLES.replace("Bộ trưởng", "<b>x</b>")),
    ),
    "an empty text": ("SignerRoleV2", element("SignerRoleV2", ROLES.replace("Bộ trưởng", " "))),
    "a control character": (
        "SignerRoleV2",
        element("SignerRoleV2", ROLES.replace("Bộ trưởng", "a&#9;b")),
    ),
    "an attribute": (
        "SignerRoleV2",
        element("SignerRoleV2", ROLES.replace("<x:ClaimedRole>", "<x:ClaimedRole a='b'>")),
    ),
    "no algorithm": (
        "SignaturePolicyIdentifier",
        element(
            "SignaturePolicyIdentifier",
            POLICY.replace('Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"', ""),
        ),
    ),
    "a type of nothing": ("DataObjectFormat", "pdf"),
    "a document type": ("SignerRoleV2", "<!DOCTYPE x>" + element("SignerRoleV2", ROLES)),
}


@pytest.mark.parametrize("case", BAD_PROPERTIES)
def test_a_bad_property_is_refused(case: str) -> None:
    name, value = BAD_PROPERTIES[case]
    assert read(name, None if value is None else value.encode()) is None
