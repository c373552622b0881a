from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sim_adapter.errors import BodyTooLarge, InvalidInput
from sim_adapter.mss import rest, soap
from sim_adapter.mss.codes import CODES
from sim_adapter.mss.model import Fault, ProfileResp, StatusResp
from tests.support.mss_messages import ANSWERS, OTHER_REQUESTS, REQUESTS, SAMPLES

Members = dict[str, Any]


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_request_is_read_as_it_was_written(operation: str) -> None:
    body = rest.write_message(REQUESTS[operation])
    assert rest.read_request(body) == (operation, REQUESTS[operation])


@pytest.mark.parametrize("name", OTHER_REQUESTS)
def test_a_request_with_little_in_it_is_read_too(name: str) -> None:
    body = rest.write_message(OTHER_REQUESTS[name])
    assert rest.read_request(body)[1] == OTHER_REQUESTS[name]


@pytest.mark.parametrize("operation", ANSWERS)
def test_an_answer_is_read_as_it_was_written(operation: str) -> None:
    body = rest.write_message(ANSWERS[operation])
    assert rest.read_answer(body, operation) == ANSWERS[operation]


@pytest.mark.parametrize("number", CODES)
def test_every_code_travels_as_a_fault(number: int) -> None:
    body = rest.write_fault(Fault(number, detail="chi tiết", specifier=4011))
    assert rest.read_answer(body, "MSS_Signature") == Fault(
        number, CODES[number].name, "chi tiết", 4011
    )


@pytest.mark.parametrize("operation", REQUESTS)
def test_both_wires_carry_the_same(operation: str) -> None:
    message = REQUESTS[operation]
    over_soap = soap.read_request(soap.write_request(message))[1]
    assert over_soap == rest.read_request(rest.write_message(message))[1]


SAMPLE_CODES = {
    "rest-response-async-signature.json": ("MSS_Signature", 100),
    "rest-response-signature.json": ("MSS_Signature", 500),
    "rest-response-status-outstanding.json": ("MSS_StatusQuery", 504),
    "rest-response-status-signature.json": ("MSS_StatusQuery", 500),
}


@pytest.mark.parametrize("name", SAMPLE_CODES)
def test_answers_of_a_real_operator_are_read(name: str) -> None:
    operation, code = SAMPLE_CODES[name]
    answer = rest.read_answer((SAMPLES / "json" / name).read_bytes(), operation)
    assert getattr(answer, "status").code == code  # noqa: B009 - several types have it


def test_a_fault_of_a_real_operator_is_read() -> None:
    body = (SAMPLES / "json" / "rest-response-fault-user-cancel.json").read_bytes()
    fault = Fault(401, "USER_CANCEL", "User cancelled the request")
    assert rest.read_answer(body, "MSS_StatusQuery") == fault


def test_the_profile_of_a_real_operator_is_understood() -> None:
    """Its certificates are placeholder text that is no base64, as somebody's answer could be."""
    body = (SAMPLES / "json" / "rest-response-profile-query.json").read_bytes()
    with pytest.raises(InvalidInput, match="base64"):
        rest.read_answer(body, "MSS_ProfileQuery")
    answer = rest.read_answer(re.sub(rb'"MII\w+"', b'"MIIC"', body), "MSS_ProfileQuery")
    assert isinstance(answer, ProfileResp)
    assert len(answer.profiles) == 3
    assert answer.status.profile is not None
    assert answer.status.profile.pin_blocked is False
    assert [item.algorithm for item in answer.status.profile.certificates] == ["RSA", "EC"]


def _request() -> Members:
    members: Members = json.loads(rest.write_message(REQUESTS["MSS_Signature"]))
    return members


def _changed(**changes: object) -> bytes:
    members = _request()
    members["MSS_SignatureReq"] |= changes
    return json.dumps(members).encode()


def test_the_short_name_of_the_polled_mode_is_read() -> None:
    body = _changed(MessagingMode="asynch")
    assert rest.read_request(body) == ("MSS_Signature", REQUESTS["MSS_Signature"])


def test_numbers_are_read_where_the_text_says_strings() -> None:
    assert rest.read_request(_changed(TimeOut=120))[1] == REQUESTS["MSS_Signature"]


BAD = {
    "nothing": b"",
    "a list": b"[]",
    "no member": b"{}",
    "two members": b'{"MSS_StatusReq":{},"MSS_ReceiptReq":{}}',
    "a message that is no object": b'{"MSS_StatusReq":[]}',
    "an answer": rest.write_message(ANSWERS["MSS_StatusQuery"]).replace(b"Status", b"X", 1),
    "an unknown message": b'{"MSS_HandshakeReq":{}}',
    "a member twice": b'{"MSS_StatusReq":{"MSSP_TransID":"M1","MSSP_TransID":"M2"}}',
    "an unknown member": _changed(Also="this"),
    "a user that is a string": _changed(MobileUser="84900000001"),
    "data that is a string": _changed(DataToBeSigned="AAEC"),
    "data without data": _changed(DataToBeSigned={"MimeType": "text/plain"}),
    "data of another kind": _changed(DataToBeSigned={"Data": 7}),
    "a boolean for a number": _changed(TimeOut=True),
    "services that are no list": _changed(AdditionalServices={}),
    "services that are strings": _changed(AdditionalServices=["x"]),
    "two profiles": _changed(SignatureProfile=["urn:a", "urn:b"]),
    "profiles that are numbers": _changed(SignatureProfile=[1]),
    "a key for no known mode": rest.write_message(REQUESTS["MSS_Registration"]).replace(
        b'"digest"', b'"both"'
    ),
    "depth": b'{"MSS_StatusReq":' * 20 + b"{}" + b"}" * 20,
}


@pytest.mark.parametrize("name", BAD)
def test_json_that_is_no_request_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        rest.read_request(BAD[name])


def test_ten_megabytes_are_refused_unread() -> None:
    with pytest.raises(BodyTooLarge):
        rest.read_request(b" " * 10 * 1024 * 1024)


NS = "http://uri.etsi.org/TS102204/v1.1.2#"
BAD_FAULTS: dict[str, Members] = {
    "no code": {},
    "no subcode": {"Code": {"Value": "Sender"}},
    "a foreign namespace": {"Code": {"SubCode": {"Value": "_401", "ValueNs": "urn:x"}}},
    "no underscore": {"Code": {"SubCode": {"Value": "401", "ValueNs": NS}}},
    "no value": {"Code": {"SubCode": {"ValueNs": NS}}},
}


@pytest.mark.parametrize("name", BAD_FAULTS)
def test_a_fault_that_says_nothing_is_refused(name: str) -> None:
    body = json.dumps({"Fault": BAD_FAULTS[name]}).encode()
    with pytest.raises(InvalidInput):
        rest.read_answer(body, "MSS_Signature")


def test_an_answer_of_another_operation_is_refused() -> None:
    with pytest.raises(InvalidInput):
        rest.read_answer(rest.write_message(ANSWERS["MSS_Signature"]), "MSS_StatusQuery")


def test_a_flag_that_is_no_truth_value_is_refused() -> None:
    members = json.loads(rest.write_message(ANSWERS["MSS_ProfileQuery"]))
    extension = members["MSS_ProfileResp"]["Status"]["StatusDetail"]["ProfileQueryExtension"]
    extension["Sscds"]["Sim"]["PinStatus"]["Blocked"] = "no"
    with pytest.raises(InvalidInput):
        rest.read_answer(json.dumps(members).encode(), "MSS_ProfileQuery")


def test_services_beside_the_status_are_passed_over() -> None:
    members = json.loads(rest.write_message(ANSWERS["MSS_StatusQuery"]))
    members["MSS_StatusResp"]["ServiceResponses"] = [{"Description": "urn:x"}]
    answer = rest.read_answer(json.dumps(members).encode(), "MSS_StatusQuery")
    assert isinstance(answer, StatusResp)
