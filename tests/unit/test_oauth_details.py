"""authorization_details of the CSC API's type, in both versions of the standard."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_signing.rssp.oauth import authorization_details
from remote_signing.rssp.oauth.errors import OAuthRefused
from remote_signing.rssp.showable import is_showable
from tests.support.world import SHA256, digest

HASH = base64.b64encode(digest("a")).decode()
URL_HASH = base64.urlsafe_b64encode(digest("a")).decode().rstrip("=")
CREDENTIAL = "01mcc5rm00ptkspa6cztggafdc"
V20: dict[str, Any] = {
    "type": "credential",
    "credentialID": CREDENTIAL,
    "documentDigests": [{"hash": HASH, "label": "Quyết định số 1"}],
    "hashAlgorithmOID": SHA256,
}
V22: dict[str, Any] = {
    "type": "https://cloudsignatureconsortium.org/2025/credential",
    "credentialID": CREDENTIAL,
    "signatureQualifier": None,
    "numSignatures": 1,
    "documentDigests": [
        {"hash": HASH, "label": None, "hashType": "DTBSR", "circumstantialData": None}
    ],
    "hashAlgorithmOID": SHA256,
    "locations": ["https://rssp.example"],
}


def read(*details: object) -> authorization_details.CredentialRequest:
    return authorization_details.read(json.dumps(details))


@pytest.mark.parametrize("details", [V20, V22], ids=["2.0", "2.2"])
def test_both_versions_are_read(details: dict[str, Any]) -> None:
    asked = read(details)
    assert asked.credential_id == CREDENTIAL
    assert asked.hash_algorithm == "sha256"
    assert asked.hashes == (digest("a"),)
    assert asked.num_signatures == 1
    assert asked.labels == (details["documentDigests"][0]["label"],)


@pytest.mark.parametrize("details", [V20, V22], ids=["2.0", "2.2"])
def test_what_was_asked_is_kept_as_it_came(details: dict[str, Any]) -> None:
    asked = read(details)
    assert asked.details == [details]
    assert authorization_details.filled_in(asked.details, CREDENTIAL) == [details]
    assert authorization_details.filled_in([{"type": "credential"}], "x") == [
        {"type": "credential", "credentialID": "x"}
    ]
    assert authorization_details.filled_in(None, "x") is None


def test_digests_are_read_in_either_alphabet() -> None:
    document = {"hash": URL_HASH}
    assert read(V20 | {"documentDigests": [document]}).hashes == (digest("a"),)


def test_a_number_of_signatures_without_digests_is_left_to_the_credential() -> None:
    asked = read({"type": "credential", "credentialID": CREDENTIAL, "numSignatures": 3})
    assert (asked.hashes, asked.num_signatures, asked.hash_algorithm) == ((), 3, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "credential_creation"},
        {"type": None},
        {"type": ["credential"]},
        {"credentialID": None},
        {"credentialID": 7},
        {"credentialID": ""},
        {"unknown": 1},
        {"numSignatures": 2},
        {"numSignatures": 0},
        {"numSignatures": "1"},
        {"numSignatures": True},
        {"hashAlgorithmOID": None},
        {"hashAlgorithmOID": "1.3.14.3.2.26"},
        {"hashAlgorithmOID": 1},
        {"documentDigests": {}},
        {"documentDigests": []},
        {"documentDigests": ["hash"]},
        {"documentDigests": [{"label": "no hash"}]},
        {"documentDigests": [{"hash": "!"}]},
        {"documentDigests": [{"hash": base64.b64encode(b"short").decode()}]},
        {"documentDigests": [{"hash": HASH + "="}]},
        {"documentDigests": [{"hash": HASH, "hashType": "sdr"}]},
        {"documentDigests": [{"hash": HASH, "hashType": "sodr"}]},
        {"documentDigests": [{"hash": HASH, "hashType": 1}]},
        {"documentDigests": [{"hash": HASH, "label": 1}]},
        {"documentDigests": [{"hash": HASH, "label": "x" * 256}]},
        {"documentDigests": [{"hash": HASH, "unknown": 1}]},
    ],
    ids=str,
)
def test_details_that_do_not_fit_their_type_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OAuthRefused) as refused:
        read(V20 | changes)
    assert refused.value.error == "invalid_authorization_details"


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[1]", "null", "[{'type': 'credential'}]", '[{"a":1,"a":2}]', "[NaN]"],
)
def test_details_that_are_no_list_of_one_object_are_refused(text: str) -> None:
    with pytest.raises(OAuthRefused):
        authorization_details.read(text)


def test_two_credentials_in_one_request_are_refused() -> None:
    with pytest.raises(OAuthRefused):
        read(V20, V20)


@pytest.mark.parametrize(
    "label",
    [
        "Quyết định\nCổng khác yêu cầu ký",
        "a\tb",
        "phụ lục \u202efdp.exe",
        "\u2066ẩn\u2069",
        "\u2028",
        "zero\u200bwidth",
        "\ufeff",
        "filler\u3164",
        "\u2800",
        "\x7f",
    ],
    ids=ascii,
)
def test_a_label_that_does_not_show_what_it_says_is_refused(label: str) -> None:
    assert not is_showable(label)
    with pytest.raises(OAuthRefused):
        read(V20 | {"documentDigests": [{"hash": HASH, "label": label}]})


@pytest.mark.parametrize("label", ["Quyết định số 15/QĐ-BNV", "", "naïve – «x»", "नम\u200dस्ते"])
def test_ordinary_text_is_showable(label: str) -> None:
    assert is_showable(label)


def test_a_token_request_may_repeat_the_details_and_nothing_else() -> None:
    assert authorization_details.narrows(json.dumps([V20], indent=2), [V20])
    assert not authorization_details.narrows(json.dumps([V22]), [V20])


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*V22, "hash", "label", "hashType"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(V22)), ANY)
def test_whatever_is_sent_is_either_read_or_refused(name: str, value: object) -> None:
    told = "invalid_authorization_details"
    try:
        read(V22 | {name: value})
    except OAuthRefused as refused:
        told = str(refused.error)
    assert told == "invalid_authorization_details"
