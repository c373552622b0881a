from __future__ import annotations

import re
import resource
import time

import pytest

from sim_adapter.errors import BodyTooLarge, InvalidInput
from sim_adapter.mss import soap
from sim_adapter.mss.codes import CODES
from sim_adapter.mss.model import Fault, Message, SignatureReq, SignatureResp, StatusResp
from sim_adapter.mss.write import kind_of, write
from sim_adapter.mss.xml_tree import MAX_BYTES
from tests.support.mss_messages import (
    ANSWERS,
    CMS,
    NUMBER,
    OTHER_REQUESTS,
    REQUESTS,
    SAMPLES,
)
from tests.support.mss_schema import errors

STATUS_SAMPLE = (SAMPLES / "soap" / "soap-response-status-signature.xml").read_bytes()
REQUEST = soap.write_request(REQUESTS["MSS_Signature"])
STATUS = soap.write_request(REQUESTS["MSS_StatusQuery"])
ANSWER = soap.write_answer("MSS_StatusQuery", ANSWERS["MSS_StatusQuery"])


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_request_is_read_as_it_was_written_and_fits_the_schemas(operation: str) -> None:
    body = soap.write_request(REQUESTS[operation])
    assert soap.read_request(body) == (operation, REQUESTS[operation])
    assert errors(body) == []


@pytest.mark.parametrize("name", OTHER_REQUESTS)
def test_a_request_with_little_in_it_fits_the_schemas_too(name: str) -> None:
    body = soap.write_request(OTHER_REQUESTS[name])
    assert soap.read_request(body)[1] == OTHER_REQUESTS[name]
    assert errors(body) == []


@pytest.mark.parametrize("operation", ANSWERS)
def test_an_answer_is_read_as_it_was_written_and_fits_the_schemas(operation: str) -> None:
    body = soap.write_answer(operation, ANSWERS[operation])
    assert soap.read_answer(body, operation) == ANSWERS[operation]
    assert errors(body) == []


@pytest.mark.parametrize("number", CODES)
def test_every_code_travels_as_a_fault(number: int) -> None:
    body = soap.write_fault(Fault(number, detail="chi tiết", specifier=4011))
    assert errors(body) == []
    row = CODES[number]
    for operation in soap.OPERATIONS:
        assert soap.read_answer(body, operation) == Fault(number, row.name, "chi tiết", 4011)


def test_a_fault_without_a_specifier() -> None:
    assert soap.read_answer(soap.write_fault(Fault(900)), "MSS_Receipt") == Fault(
        900, "INTERNAL_ERROR"
    )


def test_wrapper_and_accessor_are_in_no_namespace() -> None:
    assert b"<MSS_StatusQueryResponse><MSS_StatusResp " in ANSWER
    assert b"<mss:StatusCode Value=" in ANSWER


SAMPLE_CODES = {
    "soap-response-async-signature.xml": ("MSS_Signature", 100),
    "soap-response-status-outstanding.xml": ("MSS_StatusQuery", 504),
    "soap-response-status-signature.xml": ("MSS_StatusQuery", 500),
    "soap-response-profile-query.xml": ("MSS_ProfileQuery", 100),
}


@pytest.mark.parametrize("name", SAMPLE_CODES)
def test_answers_of_a_real_operator_are_read(name: str) -> None:
    operation, code = SAMPLE_CODES[name]
    answer = soap.read_answer((SAMPLES / "soap" / name).read_bytes(), operation)
    assert not isinstance(answer, Fault | SignatureReq)
    assert getattr(answer, "status").code == code  # noqa: B009 - several types have it


def test_the_profile_of_a_real_operator_is_understood() -> None:
    body = (SAMPLES / "soap" / "soap-response-profile-query.xml").read_bytes()
    profile = getattr(soap.read_answer(body, "MSS_ProfileQuery"), "status").profile  # noqa: B009 - the type is told by the sample
    assert (profile.state, profile.pin_blocked) == ("ACTIVE", False)
    assert [item.algorithm for item in profile.certificates] == ["RSA", "EC"]
    assert [len(item.chain) for item in profile.certificates] == [3, 3]


# What clients really send: the wrapper and the accessor in no namespace, the WSDL's or the types'.
@pytest.mark.parametrize("wrapper", ["", "tns:", "mss:"])
@pytest.mark.parametrize("accessor", ["", "tns:", "mss:"])
def test_known_spellings_of_wrapper_and_accessor_are_read(wrapper: str, accessor: str) -> None:
    body = REQUEST.replace(
        b"<env:Envelope ",
        b'<env:Envelope xmlns:tns="http://uri.etsi.org/TS102204/etsi204-kiuru.wsdl" ',
    )
    body = re.sub(rb"(</?)(MSS_Signature[ >])", rb"\g<1>" + wrapper.encode() + rb"\2", body)
    body = re.sub(rb"(</?)(MSS_SignatureReq[ >])", rb"\g<1>" + accessor.encode() + rb"\2", body)
    assert soap.read_request(body) == ("MSS_Signature", REQUESTS["MSS_Signature"])


def test_unqualified_elements_are_read_only_behind_the_switch() -> None:
    body = re.sub(rb"(</?)(?:mss|fi):", rb"\1", REQUEST)
    with pytest.raises(InvalidInput):
        soap.read_request(body)
    assert soap.read_request(body, unqualified=True)[1] == REQUESTS["MSS_Signature"]


def test_a_transaction_id_as_an_element_is_read() -> None:
    body = STATUS.replace(b' MSSP_TransID="M42"', b"").replace(
        b"</MSS_StatusReq>", b"<mss:MSSP_TransID>M42</mss:MSSP_TransID></MSS_StatusReq>"
    )
    assert soap.read_request(body)[1] == REQUESTS["MSS_StatusQuery"]


def test_two_transaction_ids_are_refused() -> None:
    body = STATUS.replace(
        b"</MSS_StatusReq>", b"<mss:MSSP_TransID>M43</mss:MSSP_TransID></MSS_StatusReq>"
    )
    with pytest.raises(InvalidInput, match="twice"):
        soap.read_request(body)


DOCTYPE = b"<?xml version='1.0'?><!DOCTYPE x "
BAD_XML = {
    "a document type": DOCTYPE + b"[]><x/>",
    "an external one": DOCTYPE + b'SYSTEM "file:///etc/passwd"><x/>',
    "an external entity": DOCTYPE + b'[<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "a parameter entity": DOCTYPE + b'[<!ENTITY % p SYSTEM "http://127.0.0.1:9/">%p;]><x/>',
    "billion laughs": DOCTYPE
    + b"[<!ENTITY a '"
    + b"ha" * 50
    + b"'>"
    + b"".join(f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>".encode() for i in range(10))
    + b"]><x>&k;</x>",
    "quadratic blow-up": DOCTYPE
    + b"[<!ENTITY a '"
    + b"a" * 50_000
    + b"'>]><x>"
    + b"&a;" * 50_000
    + b"</x>",
    "an undeclared entity": b"<x>&nothing;</x>",
    "UTF-16": "<x/>".encode("utf-16"),
    "another encoding": b"<?xml version='1.0' encoding='UTF-7'?><x>+ADwAIQ-</x>",
    "no XML": b"GIF89a",
    "nothing": b"",
    "a NUL": b"<x>\x00</x>",
    "half": REQUEST[: len(REQUEST) // 2],
    "too deep": b"<x>" * 40 + b"</x>" * 40,
    "far too deep": b"<x>" * 100_000 + b"</x>" * 100_000,
    "too many elements": b"<x>" + b"<y/>" * 30_000 + b"</x>",
    "many attributes": b"<x " + b" ".join(b'a%d=""' % i for i in range(50_000)) + b"/>",
    "two megabytes of text": b"<x>" + b"a" * (2 * MAX_BYTES) + b"</x>",
}


@pytest.mark.parametrize("name", BAD_XML)
def test_hostile_xml_is_refused_soon_and_in_little_memory(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(InvalidInput):
        soap.read_request(BAD_XML[name])
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


def test_ten_megabytes_are_refused_unread() -> None:
    began = time.process_time()
    with pytest.raises(BodyTooLarge):
        soap.read_answer(b" " * 10 * 1024 * 1024, "MSS_Receipt")
    assert time.process_time() - began < 0.1


TWICE = {
    "AP_Info": rb"<mss:AP_Info [^>]*/>",
    "MSISDN": rb"<mss:MSISDN>.*?</mss:MSISDN>",
    "MobileUser": rb"<mss:MobileUser>.*?</mss:MobileUser>",
    "DataToBeSigned": rb"<mss:DataToBeSigned .*?</mss:DataToBeSigned>",
    "DataToBeDisplayed": rb"<mss:DataToBeDisplayed .*?</mss:DataToBeDisplayed>",
    "SignatureProfile": rb"<mss:SignatureProfile>.*?</mss:SignatureProfile>",
    "AdditionalServices": rb"<mss:AdditionalServices>.*?</mss:AdditionalServices>",
    "EventID": rb"<fi:EventID>.*?</fi:EventID>",
    "MSS_SignatureReq": rb"<MSS_SignatureReq .*</MSS_SignatureReq>",
    "MSS_Signature": rb"<MSS_Signature>.*</MSS_Signature>",
    "Body": rb"<env:Body>.*</env:Body>",
}


@pytest.mark.parametrize("name", TWICE)
def test_what_decides_is_refused_when_it_is_there_twice(name: str) -> None:
    body, count = re.subn(TWICE[name], rb"\g<0>\g<0>", REQUEST, count=1, flags=re.DOTALL)
    assert count == 1
    with pytest.raises(InvalidInput):
        soap.read_request(body)


ANSWER_TWICE = (b"MSS_Signature", b"Base64Signature", b"Status", b"StatusCode", b"MSISDN")


@pytest.mark.parametrize("name", ANSWER_TWICE, ids=[name.decode() for name in ANSWER_TWICE])
def test_what_decides_in_an_answer_is_refused_when_it_is_there_twice(name: bytes) -> None:
    pattern = rb"<mss:%s(?: [^>]*)?(?:/>|>.*?</mss:%s>)" % (name, name)
    body, count = re.subn(pattern, rb"\g<0>\g<0>", STATUS_SAMPLE, count=1, flags=re.DOTALL)
    assert count == 1
    body = re.sub(rb' xmlns:(?:fi|mss)="[^"]*"', b"", body).replace(
        b"<soapenv:Envelope ",
        b'<soapenv:Envelope xmlns:mss="http://uri.etsi.org/TS102204/v1.1.2#"'
        b' xmlns:fi="http://mss.ficom.fi/TS102204/v1.0.0#" ',
    )
    with pytest.raises(InvalidInput, match="twice"):
        soap.read_answer(body, "MSS_StatusQuery")


CHANGES = {
    "a foreign element among ours": (b"<mss:DataToBeSigned", b"<x:y xmlns:x='urn:x'/>\\g<0>"),
    "a foreign namespace for ours": (b"v1.1.2#", b"v9#"),
    "a foreign accessor": (b"<MSS_SignatureReq ", b"<MSS_SignatureReq xmlns='urn:x' "),
    "an unknown attribute": (b"MessagingMode", b"Flag='1' MessagingMode"),
    "xsi:nil": (
        b"<mss:MSISDN>",
        b"<mss:MSISDN xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'><b/>",
    ),
    "text between elements": (b"<mss:MobileUser>", b"text\\g<0>"),
    "elements where text belongs": (b"<mss:MSISDN>", b"<mss:MSISDN><mss:a/>"),
    "no mode": (b'MessagingMode="asynchClientServer"', b""),
    "an unknown mode": (b"asynchClientServer", b"whenever"),
    "no major version": (b'MajorVersion="1"', b""),
    "a version that is no number": (b'MajorVersion="1"', b'MajorVersion="one"'),
    "no AP_Info": (b"<mss:AP_Info [^>]*/>", b""),
    "no user": (b"<mss:MobileUser>.*?</mss:MobileUser>", b""),
    "no number": (b"<mss:MSISDN>.*?</mss:MSISDN>", b""),
    "a number that is none": (NUMBER.encode(), b"0912"),
    "nothing to sign": (b"<mss:DataToBeSigned .*?</mss:DataToBeSigned>", b""),
    "an id that is no NCName": (b"A0123456789", b"0 or 1=1"),
    "an instant that is none": (b"2026-11-25T03", b"2026-13-25T03"),
    "an instant without a time": (b"2026-11-25T03:04:05.678Z", b"2026-11-25"),
    "a time-out that is no number": (b'TimeOut="120"', b'TimeOut="1e9"'),
    "an URI type without its URI": (b"<mss:mssURI>.*?</mss:mssURI>", b""),
    "an unknown operation": (b"MSS_Signature>", b"MSS_Everything>"),
    "another message inside": (b"MSS_SignatureReq", b"MSS_StatusReq"),
    "SOAP 1.1": (
        b"http://www.w3.org/2003/05/soap-envelope",
        b"http://schemas.xmlsoap.org/soap/envelope/",
    ),
    "no body": (b"<env:Body>.*</env:Body>", b""),
    "a header that must be understood": (
        b"<env:Body>",
        b"<env:Header><x:y xmlns:x='urn:x' env:mustUnderstand='true'/></env:Header><env:Body>",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_request_that_is_not_one_is_refused(name: str) -> None:
    pattern, by = CHANGES[name]
    body, count = re.subn(pattern, by, REQUEST, flags=re.DOTALL)
    assert count >= 1
    with pytest.raises(InvalidInput):
        soap.read_request(body)


def test_a_header_that_need_not_be_understood_is_passed_over() -> None:
    body = REQUEST.replace(
        b"<env:Body>", b"<env:Header><x:y xmlns:x='urn:x'/></env:Header><env:Body>"
    )
    assert soap.read_request(body)[0] == "MSS_Signature"


FAULT = soap.write_fault(Fault(401))
FAULT_CHANGES = {
    "no subcode": (b"<env:Subcode>.*</env:Subcode>", b""),
    "a prefix that nobody declared": (b"mss:_401", b"nobody:_401"),
    "a prefix of a foreign namespace": (b"mss:_401", b"env:_401"),
    "no prefix": (b"mss:_401", b"_401"),
    "no underscore": (b"mss:_401", b"mss:401"),
    "two codes": (b"<env:Code>.*</env:Code>", b"\\g<0>\\g<0>"),
    "a subcode without a value": (b"<env:Value>mss:_401</env:Value>", b""),
    "mss bound to another name": (
        b"<env:Subcode>",
        b"<env:Subcode xmlns:mss='urn:somebody-else'>",
    ),
}


@pytest.mark.parametrize("name", FAULT_CHANGES)
def test_a_fault_that_says_nothing_is_refused(name: str) -> None:
    pattern, by = FAULT_CHANGES[name]
    body, count = re.subn(pattern, by, FAULT, flags=re.DOTALL)
    assert count >= 1
    with pytest.raises(InvalidInput):
        soap.read_answer(body, "MSS_Signature")


@pytest.mark.parametrize("side", [b"env:Sender", b"env:Receiver", b"env:Other"])
def test_the_side_of_a_fault_means_nothing(side: bytes) -> None:
    body = re.sub(rb"env:(?:Sender|Receiver)<", side + b"<", FAULT)
    assert soap.read_answer(body, "MSS_Signature") == Fault(401, "USER_CANCEL")


def test_a_prefix_is_resolved_where_it_stands() -> None:
    body = FAULT.replace(
        b"<env:Value>mss:_401",
        b"<env:Value xmlns:any='http://mss.ficom.fi/TS102204/v1.0.0#'>any:_401",
    )
    assert soap.read_answer(body, "MSS_Signature") == Fault(401, "USER_CANCEL")


def test_an_answer_of_another_operation_is_refused() -> None:
    with pytest.raises(InvalidInput):
        soap.read_answer(ANSWER, "MSS_Signature")


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        b"<mss:Base64Signature>AA==</mss:Base64Signature><fi:PKCS1/>",
        b"<mss:Base64Signature></mss:Base64Signature>",
        b"<mss:Base64Signature>=</mss:Base64Signature>",
        b"<mss:XMLSignature/>",
        b"<fi:PKCS1><fi:SignatureValue>AA==</fi:SignatureValue></fi:PKCS1>",
    ],
    ids=["nothing", "both", "empty", "no base64", "XML", "no certificate"],
)
def test_a_signature_that_cannot_be_told_is_refused(inside: bytes) -> None:
    body = re.sub(rb"<mss:Base64Signature>.*</mss:Base64Signature>", inside, ANSWER)
    with pytest.raises(InvalidInput):
        soap.read_answer(body, "MSS_StatusQuery")


def test_white_space_in_base64_is_no_matter() -> None:
    body = ANSWER.replace(b"MANjbXM=", b"\n  MANj\n bXM= ")
    answer = soap.read_answer(body, "MSS_StatusQuery")
    assert isinstance(answer, StatusResp)
    assert answer.signature == CMS


def test_a_bare_signature_keeps_its_certificate() -> None:
    body = soap.write_answer("MSS_Signature", ANSWERS["MSS_Signature"])
    answer = soap.read_answer(body, "MSS_Signature")
    assert isinstance(answer, SignatureResp)
    assert answer.signature is not None
    assert answer.signature.format == "pkcs1"
    assert CMS.format == "cms"


def test_what_is_no_message_is_not_written() -> None:
    class Strange:
        pass

    with pytest.raises(TypeError):
        write(Strange(), None)  # type: ignore[arg-type]  # the point of the test
    message: Message = REQUESTS["MSS_Receipt"]
    assert kind_of(message) == "MSS_ReceiptReq"
