"""A SOAP client of the WSDL that nobody here wrote, against the test MSSP and its SIMs."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from zeep.exceptions import Fault

from tests.support import mss_schema
from tests.support.sim_chain import AP_ID, AP_PASSWORD, running_adapter, running_operator

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = "84900000001"
H = hashlib.sha256(b"consent").digest()
SERVICE = "http://mss.ficom.fi/TS102204/v1.0.0#eventId"


class Ap:
    """What an application provider does with zeep; keeps every answer's bytes."""

    def __init__(self, address: str) -> None:
        self.client = mss_schema.zeep_client()
        self.address = address
        self.bodies: list[bytes] = []
        session: Any = self.client.transport.session
        session.trust_env = False
        session.hooks["response"].append(lambda got, **_: self.bodies.append(got.content))

    def port(self, name: str) -> Any:
        url = f"{self.address}/soap/services/{name}Port"
        return mss_schema.zeep_port(self.client, f"{name}Binding", url)

    def head(self, **changes: Any) -> dict[str, Any]:
        ap = {
            "AP_ID": AP_ID,
            "AP_TransID": f"Z{secrets.token_hex(8)}",
            "AP_PWD": AP_PASSWORD,
            "Instant": datetime.now(UTC),
            **changes,
        }
        return {
            "MajorVersion": 1,
            "MinorVersion": 1,
            "AP_Info": ap,
            "MSSP_Info": {"MSSP_ID": {"URI": "urn:test"}},
        }

    def sign(self, mode: str = "asynchClientServer", number: str = NUMBER, **ap: Any) -> Any:
        event = self.client.get_element("{http://mss.ficom.fi/TS102204/v1.0.0#}EventID")
        data = {"_value_1": base64.b64encode(H).decode(), "MimeType": "application/x-sha256"}
        return self.port("MSS_Signature").MSS_Signature(
            {
                **self.head(**ap),
                "MessagingMode": mode,
                "TimeOut": 60,
                "MobileUser": {"MSISDN": f"+{number}"},
                "DataToBeSigned": data | {"Encoding": "base64"},
                "DataToBeDisplayed": {
                    "_value_1": "Bộ Nội vụ: ký 12/QĐ-BNV",
                    "MimeType": "text/plain",
                    "Encoding": "UTF-8",
                },
                "AdditionalServices": {
                    "Service": [
                        {
                            "Description": {"mssURI": SERVICE},
                            "_value_1": [{"EventID": event("4821")}],
                        }
                    ]
                },
            }
        )

    def status(self, trans_id: str) -> Any:
        return self.port("MSS_StatusQuery").MSS_StatusQuery(
            {**self.head(), "MSSP_TransID": trans_id}
        )


@pytest.fixture(scope="module")
def ap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ap]:
    folder = tmp_path_factory.mktemp("zeep")
    with running_operator(folder) as (_, address):
        with running_adapter(folder, address) as rssp:
            for number in (NUMBER, "84900040101"):
                rssp.enrol(number)
        yield Ap(address)


@pytest.fixture(autouse=True)
def _valid(ap: Ap) -> Iterator[None]:
    """Whatever the MSSP sends fits the schemas."""
    yield
    assert [mss_schema.errors(body) for body in ap.bodies] == [[]] * len(ap.bodies)
    ap.bodies.clear()


def finished(ap: Ap, trans_id: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = ap.status(trans_id)
        if answer.Status.StatusCode.Value != 504:
            return answer
        time.sleep(0.1)
    raise AssertionError("never finished")


def test_signature_and_status_query(ap: Ap) -> None:
    asked = ap.sign()
    assert asked.Status.StatusCode.Value == 100
    assert asked.MobileUser.MSISDN == NUMBER
    answer = finished(ap, asked.MSSP_TransID)
    assert answer.Status.StatusCode.Value == 502
    assert answer.MSS_Signature.Base64Signature[:1] == b"\x30"


def test_a_signature_in_synch_mode(ap: Ap) -> None:
    answer = ap.sign("synch")
    assert answer.Status.StatusCode.Value == 502
    assert answer.MSS_Signature.Base64Signature


def test_a_refusal_is_a_fault_with_its_number(ap: Ap) -> None:
    with pytest.raises(Fault, match="USER_CANCEL") as caught:
        finished(ap, ap.sign(number="84900040101").MSSP_TransID)
    assert [name.localname for name in caught.value.subcodes] == ["_401"]


def test_receipt(ap: Ap) -> None:
    trans_id = ap.sign().MSSP_TransID
    finished(ap, trans_id)
    answer = ap.port("MSS_Receipt").MSS_Receipt(
        {
            **ap.head(),
            "MSSP_TransID": trans_id,
            "MobileUser": {"MSISDN": NUMBER},
            "Message": {"_value_1": "Đã ký", "MimeType": "text/plain", "Encoding": "UTF-8"},
        }
    )
    assert answer.Status.StatusCode.Value == 100


def test_profile_query(ap: Ap) -> None:
    answer = ap.port("MSS_ProfileQuery").MSS_ProfileQuery(
        {**ap.head(), "MobileUser": {"MSISDN": NUMBER}, "_value_1": [{"GetCertificates": True}]}
    )
    assert answer.Status.StatusCode.Value == 100
    assert len(answer.SignatureProfile) == 3


BAD_HEADS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown AP": ({"AP_ID": "urn:somebody"}, "_104"),
    "a wrong password": ({"AP_PWD": "wrong"}, "_104"),
    "an old instant": ({"Instant": datetime(2020, 1, 1, tzinfo=UTC)}, "_101"),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_who_may_not_ask_is_told_so(ap: Ap, name: str) -> None:
    changes, subcode = BAD_HEADS[name]
    with pytest.raises(Fault) as caught:
        ap.sign(**changes)
    assert [name.localname for name in caught.value.subcodes] == [subcode]


def test_a_transaction_id_is_good_once(ap: Ap) -> None:
    ap.sign(AP_TransID="once-and-only")
    with pytest.raises(Fault, match="WRONG_PARAM"):
        ap.sign(AP_TransID="once-and-only")


def test_an_unknown_transaction(ap: Ap) -> None:
    with pytest.raises(Fault, match="WRONG_PARAM"):
        ap.status("M404")


def test_every_port_refuses_what_is_no_message(ap: Ap) -> None:
    soap = {"Content-Type": "application/soap+xml"}
    url = f"{ap.address}/soap/services/MSS_SignaturePort"
    bomb = b"<!DOCTYPE x [<!ENTITY a 'ha'>]><x>&a;</x>"
    answer = httpx.post(url, content=bomb, headers=soap, trust_env=False)
    assert (answer.status_code, mss_schema.errors(answer.content)) == (500, [])
    assert b"mss:_101" in answer.content
    large = httpx.post(url, content=b" " * 10_000_000, headers=soap, trust_env=False)
    assert large.status_code == 413
    assert httpx.post(url, content=b"x", trust_env=False).status_code == 415
    json = {"Content-Type": "application/json"}
    url = f"{ap.address}/rest/service/sign"
    answer = httpx.post(url, content=b"{}", headers=json, trust_env=False)
    assert answer.json()["Fault"]["Code"]["SubCode"]["Value"] == "_101"
