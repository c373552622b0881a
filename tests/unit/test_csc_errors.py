from __future__ import annotations

import json
import logging

import pytest

from remote_signing import errors
from remote_signing.rssp.bearer import BearerRefused
from remote_signing.rssp.csc.errors import CscError, refuse, translate
from remote_signing.rssp.csc.v2.routes import METHODS

SIGN, AUTHORIZE = "signatures/signHash", "credentials/authorize"
CHECK = "credentials/authorizeCheck"


def kinds() -> list[type[errors.RemoteSigningError]]:
    return [kind for kind in errors.type_registry.values() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("method", METHODS)
def test_every_fact_has_an_answer_and_only_faults_of_ours_are_5xx(method: str) -> None:
    for kind in kinds():
        told = translate(method, kind("the private cause"))
        ours = issubclass(kind, errors.Unavailable)
        if (method, told.error) == ("signatures/signDoc", "invalid_hash"):  # the only 403
            assert told.status == 403
        else:
            assert told.status == (503 if ours else 400), kind
        assert "private" not in told.description


@pytest.mark.parametrize(
    ("method", "error", "text"),
    [
        (SIGN, errors.TooManySignatures(), "Invalid parameter SAD"),
        (SIGN, errors.ActivationUnknown(), "Invalid parameter SAD"),
        (SIGN, errors.RecordRevoked(), "Invalid parameter credentialID"),
        (
            SIGN,
            errors.AlgorithmUnsupported(parameter="signAlgo"),
            "Invalid parameter signAlgo",
        ),
        (
            SIGN,
            errors.AlgorithmParametersInvalid(missing=True),
            "Missing (or invalid type) string parameter signAlgoParams",
        ),
        (AUTHORIZE, errors.TooManySignatures(), "Numbers of signatures is too high"),
        (AUTHORIZE, errors.EvidenceReplayed(), "The authentication data is invalid"),
        (
            AUTHORIZE,
            errors.InvalidInput(parameter="numSignatures"),
            "Invalid value for parameter numSignatures",
        ),
        (CHECK, errors.ActivationExpired(), "The authentication data is invalid"),
        (CHECK, errors.ActivationConflict(), "Invalid parameter handle"),
    ],
)
def test_one_fact_may_have_another_text_in_each_method(
    method: str, error: errors.RemoteSigningError, text: str
) -> None:
    assert translate(method, error).description == text


def test_unavailable_says_when_to_try_again() -> None:
    told = translate(SIGN, errors.SigningInProgress())
    assert (told.status, told.error) == (503, "temporarily_unavailable")
    assert told.response().headers["Retry-After"] == "1"


def test_error_that_the_table_does_not_know_is_a_fault_with_its_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        response = refuse(SIGN, errors.RemoteSigningError("the private cause")).response()
    members = json.loads(bytes(response.body))
    assert response.status_code == 500
    assert members.keys() == {"error", "error_description", "request_id"}
    assert "private" not in str(members)
    assert caplog.records[0].levelno == logging.ERROR


def test_cause_of_a_refusal_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        refuse(SIGN, errors.SadExpired("two seconds late"))
    record = caplog.records[0]
    assert record.levelno == logging.INFO
    assert record.__dict__["cause"] == "two seconds late"
    assert record.__dict__["error"] == "SadExpired"


def test_dpop_refusal_keeps_its_challenge() -> None:
    told = translate(SIGN, BearerRefused("replayed", "invalid_dpop_proof", "DPoP"))
    assert (told.status, told.error) == (401, "invalid_dpop_proof")
    assert told.headers["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof", algs="')


def test_csc_error_is_an_answer() -> None:
    response = CscError("Invalid parameter SAD").response()
    assert response.status_code == 400
    assert json.loads(bytes(response.body)) == {
        "error": "invalid_request",
        "error_description": "Invalid parameter SAD",
    }
