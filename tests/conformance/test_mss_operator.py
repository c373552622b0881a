"""Our client against a second operator, which answers with what a real one has answered.

The operator is a server on a real socket that knows nothing but the sample answers of
``tests/data/mss/samples`` (origin there).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from sim_adapter.ap.client import OperatorClient
from sim_adapter.ap.wires import WIRES
from sim_adapter.clock import as_datetime
from sim_adapter.config import OperatorConfig
from sim_adapter.errors import OperatorAnswerInvalid, OperatorAnswerMismatch
from sim_adapter.mss.model import (
    ApInfo,
    Data,
    Fault,
    Head,
    ProfileReq,
    ProfileResp,
    SignatureReq,
    SignatureResp,
    StatusReq,
    StatusResp,
)
from tests.support.served import served

if TYPE_CHECKING:
    from starlette.requests import Request

SAMPLES = Path(__file__).parents[1] / "data" / "mss" / "samples"
CASES = [
    ("soap", "soap-response-async-signature.xml", "MSS_Signature", 100),
    ("soap", "soap-response-status-outstanding.xml", "MSS_StatusQuery", 504),
    ("soap", "soap-response-status-signature.xml", "MSS_StatusQuery", 500),
    ("soap", "soap-response-profile-query.xml", "MSS_ProfileQuery", 100),
    ("json", "rest-response-async-signature.json", "MSS_Signature", 100),
    ("json", "rest-response-signature.json", "MSS_Signature", 500),
    ("json", "rest-response-status-outstanding.json", "MSS_StatusQuery", 504),
    ("json", "rest-response-status-signature.json", "MSS_StatusQuery", 500),
]
KINDS: dict[str, Any] = {
    "MSS_Signature": SignatureResp,
    "MSS_StatusQuery": StatusResp,
    "MSS_ProfileQuery": ProfileResp,
}


class Sample(NamedTuple):
    """An answer on disk, and the question that it answers."""

    wire: str
    body: bytes
    question: Any


def sample(wire: str, name: str, operation: str) -> Sample:
    body = (SAMPLES / wire / name).read_bytes()
    answer: Any = WIRES[wire].read(body, operation)
    told: ApInfo = answer.head.ap
    instant = as_datetime(1_800_000_000_000)
    head = Head(ApInfo(told.ap_id, told.trans_id, "not-needed", instant))
    msisdn = getattr(answer, "msisdn", "41000092102")
    questions: dict[str, Any] = {
        "MSS_Signature": SignatureReq(
            head, msisdn, "asynchClientServer", Data("Ky?", "text/plain", "UTF-8")
        ),
        "MSS_StatusQuery": StatusReq(head, "CAFE_BABE"),
        "MSS_ProfileQuery": ProfileReq(head, msisdn),
    }
    return Sample(wire, body, questions[operation])


def asked(given: Sample, question: Any, kind: Any, status: int = 200) -> Any:
    """What our client makes of the operator's answer to ``question``."""
    seen: list[bytes] = []

    async def answer(request: Request) -> Response:
        seen.append(await request.body())
        return Response(given.body, status, media_type=WIRES[given.wire].media_type)

    def operator(_address: str) -> Starlette:
        return Starlette(routes=[Route("/{port:path}", answer, methods=["POST"])])

    async def ask(address: str) -> Any:
        config = OperatorConfig("swiss", f"{address}/{{port}}", "mid://x", wire=given.wire)
        client = OperatorClient(config)
        try:
            return await client.ask(question, kind, 10.0)
        finally:
            await client.close()

    with served(operator) as address:
        told = asyncio.run(ask(address))
    assert len(seen) == 1, "asked once"
    return told


@pytest.mark.parametrize(("wire", "name", "operation", "code"), CASES)
def test_answers_of_another_operator_are_taken_for_what_they_are(
    wire: str, name: str, operation: str, code: int
) -> None:
    given = sample(wire, name, operation)
    answer = asked(given, given.question, KINDS[operation])
    assert answer.status.code == code
    assert (getattr(answer, "signature", None) is not None) == (code == 500)


@pytest.mark.parametrize(("wire", "name", "operation", "code"), CASES)
def test_an_answer_to_another_question_is_refused(
    wire: str, name: str, operation: str, code: int
) -> None:
    given = sample(wire, name, operation)
    other = replace(given.question.head.ap, trans_id="A-nother")
    question = replace(given.question, head=replace(given.question.head, ap=other))
    assert code
    with pytest.raises(OperatorAnswerMismatch):
        asked(given, question, KINDS[operation])


def test_a_refusal_on_the_phone_is_told_by_its_number() -> None:
    given = sample("json", "rest-response-status-outstanding.json", "MSS_StatusQuery")
    fault = (SAMPLES / "json" / "rest-response-fault-user-cancel.json").read_bytes()
    told = asked(given._replace(body=fault), given.question, StatusResp, 500)
    assert isinstance(told, Fault)
    assert (told.code, told.reason) == (401, "USER_CANCEL")


def test_certificates_that_are_none_are_refused() -> None:
    """In this sample they are placeholder text."""
    given = sample("json", "rest-response-status-outstanding.json", "MSS_StatusQuery")
    body = (SAMPLES / "json" / "rest-response-profile-query.json").read_bytes()
    question = ProfileReq(given.question.head, "41000092102")
    with pytest.raises(OperatorAnswerInvalid):
        asked(given._replace(body=body), question, ProfileResp)
