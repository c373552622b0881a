from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from remote_signing.algorithms import ALGORITHMS, DIGESTS, RSASSA_PSS, implied_digest
from remote_signing.identifiers import Ticket
from remote_signing.rssp.csc.errors import CscError
from remote_signing.rssp.csc.v2 import schemas
from remote_signing.rssp.csc.v2.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable

CREDENTIAL = "0" * 26
HANDLE = f"{CREDENTIAL}.{'x' * 43}"
SHA256, SHA384 = DIGESTS["sha256"].oid, DIGESTS["sha384"].oid
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
RSA, EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
MISSING = "Missing (or invalid type) {} parameter {}"
PSS_SHA384_SALT_48 = bytes.fromhex(
    "3034a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SIGN: dict[str, Any] = {
    "credentialID": CREDENTIAL,
    "SAD": "x",
    "hashes": [b64(bytes(32))],
    "signAlgo": ECDSA_SHA256,
}
AUTHORIZE: dict[str, Any] = {
    "credentialID": CREDENTIAL,
    "numSignatures": 1,
    "hashes": [b64(bytes(32))],
    "hashAlgorithmOID": SHA256,
}


def text_of(read: Callable[[Parameters], object], members: dict[str, Any]) -> str:
    with pytest.raises(CscError) as caught:
        read(Parameters(members))
    assert caught.value.status == 400
    return caught.value.description


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"SAD": 1}, MISSING.format("string", "SAD")),
        ({"credentialID": None}, MISSING.format("string", "credentialID")),
        ({"credentialID": 7}, MISSING.format("string", "credentialID")),
        ({"credentialID": ""}, "Invalid parameter credentialID"),
        ({"credentialID": "x" * 2000}, "Invalid parameter credentialID"),
        ({"credentialID": "'; DROP TABLE credential"}, "Invalid parameter credentialID"),
        ({"hashes": None}, MISSING.format("array", "hash")),
        ({"hashes": b64(bytes(32))}, MISSING.format("array", "hash")),
        ({"hashes": {}}, MISSING.format("array", "hash")),
        ({"hashes": []}, "Empty hash array"),
        ({"hashes": ["%"]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [1]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [None]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [[]]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [""]}, "Invalid digest value length"),
        ({"hashes": [b64(bytes(31))]}, "Invalid digest value length"),
        ({"hashes": [b64(bytes(32)), b64(bytes(33))]}, "Invalid digest value length"),
        ({"signAlgo": None}, MISSING.format("string", "signAlgo")),
        ({"signAlgo": 1}, MISSING.format("string", "signAlgo")),
        ({"signAlgo": "1.2.3"}, "Invalid parameter signAlgo"),
        ({"signAlgo": "1.2.840.10045.4.1"}, "Invalid parameter signAlgo"),  # ECDSA with SHA-1
        ({"signAlgo": RSA}, MISSING.format("string", "hashAlgorithmOID")),
        ({"signAlgo": EC}, MISSING.format("string", "hashAlgorithmOID")),
        ({"hashAlgorithmOID": 1}, MISSING.format("string", "hashAlgorithmOID")),
        (
            {"signAlgo": EC, "hashAlgorithmOID": "1.3.14.3.2.26"},
            "Invalid parameter hashAlgorithmOID",
        ),
        ({"signAlgo": EC, "hashAlgorithmOID": ""}, "Invalid parameter hashAlgorithmOID"),
        ({"signAlgo": RSASSA_PSS}, MISSING.format("string", "signAlgoParams")),
        ({"signAlgoParams": 1}, MISSING.format("string", "signAlgoParams")),
        ({"signAlgoParams": {}}, MISSING.format("string", "signAlgoParams")),
        ({"signAlgo": RSASSA_PSS, "signAlgoParams": "%"}, "Invalid parameter signAlgoParams"),
        (
            {"signAlgo": RSASSA_PSS, "signAlgoParams": b64(b"\x30")},
            "Invalid parameter signAlgoParams",
        ),
        (
            {
                "signAlgo": RSASSA_PSS,
                "signAlgoParams": b64(PSS_SHA384_SALT_48),
                "hashAlgorithmOID": SHA256,
            },
            "Invalid parameter signAlgoParams",
        ),
        (
            {"signAlgo": RSASSA_PSS, "signAlgoParams": b64(PSS_SHA384_SALT_48)},
            "Invalid digest value length",
        ),
        ({"operationMode": "X"}, "Invalid parameter operationMode"),
        ({"operationMode": 1}, "Invalid parameter operationMode"),
        ({"operationMode": ["S"]}, "Invalid parameter operationMode"),
        ({"operationMode": "A", "validity_period": "1"}, "Invalid parameter validity_period"),
        ({"operationMode": "A", "validity_period": 0}, "Invalid parameter validity_period"),
        ({"operationMode": "A", "validity_period": True}, "Invalid parameter validity_period"),
        ({"operationMode": "A", "validity_period": 1.5}, "Invalid parameter validity_period"),
        ({"operationMode": "A", "response_uri": "ftp://x"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "//x/y"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://a@x"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://x:0"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://x:a"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://x/#y"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://x/ y"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://é"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://"}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": "https://["}, "Invalid parameter response_uri"),
        ({"operationMode": "A", "response_uri": 1}, "Invalid parameter response_uri"),
        ({"clientData": 1}, "Invalid parameter clientData"),
        ({"clientData": "x" * 2001}, "Invalid parameter clientData"),
    ],
)
def test_sign_hash_says_what_is_wrong(change: dict[str, Any], text: str) -> None:
    assert text_of(schemas.read_sign_hash, SIGN | change) == text


def test_sign_hash_reads_what_it_was_given() -> None:
    members = SIGN | {
        "hashes": [b64(bytes(48)), "A" * 64],
        "signAlgo": RSASSA_PSS,
        "signAlgoParams": b64(PSS_SHA384_SALT_48),
        "hashAlgorithmOID": SHA384,
        "operationMode": "S",
        "clientData": "tracked",
    }
    assert schemas.read_sign_hash(Parameters(members)) == schemas.SignHashRequest(
        sad="x",
        credential_id=CREDENTIAL,
        hashes=(bytes(48), bytes(48)),
        sign_algo=RSASSA_PSS,
        hash_algorithm_oid=SHA384,
        sign_algo_params=PSS_SHA384_SALT_48,
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"somethingElse": {"a": []}, "PIN": 1},
        {"SAD": None, "signAlgoParams": None, "hashAlgorithmOID": None, "operationMode": None},
        {"validity_period": "ignored in mode S", "response_uri": 7},
        {"validity_period": None, "clientData": None},
        {"hashAlgorithmOID": "1.2.3"},  # ignored: signAlgo fixes the digest
        {"signAlgoParams": "BQA="},  # NULL, as some send beside any algorithm
    ],
)
def test_sign_hash_takes_what_does_not_matter(change: dict[str, Any]) -> None:
    assert schemas.read_sign_hash(Parameters(SIGN | change)).hashes == (bytes(32),)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_sign_hash_takes_every_algorithm_that_a_key_lists(name: str) -> None:
    for oid in ALGORITHMS[name].sign_oids:
        digest = implied_digest(oid) or DIGESTS["sha512"]
        members = SIGN | {"signAlgo": oid, "hashes": [b64(bytes(digest.length))]}
        request = schemas.read_sign_hash(Parameters(members | {"hashAlgorithmOID": digest.oid}))
        assert request.sign_algo == oid


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"credentialID": None}, MISSING.format("string", "credentialID")),
        ({"credentialID": []}, MISSING.format("string", "credentialID")),
        ({"credentialID": "none"}, "Invalid parameter credentialID"),
        ({"numSignatures": None}, MISSING.format("integer", "numSignatures")),
        ({"numSignatures": "1"}, MISSING.format("integer", "numSignatures")),
        ({"numSignatures": 1.0}, MISSING.format("integer", "numSignatures")),
        ({"numSignatures": True}, MISSING.format("integer", "numSignatures")),
        ({"numSignatures": 0}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": -1}, "Invalid value for parameter numSignatures"),
        ({"hashes": "x"}, MISSING.format("array", "hashes")),
        ({"hashes": []}, "Empty hash array"),
        ({"hashes": ["%"]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [b64(bytes(20))]}, "Invalid digest value length"),
        ({"hashAlgorithmOID": None}, MISSING.format("string", "hashAlgorithmOID")),
        ({"hashAlgorithmOID": 1}, MISSING.format("string", "hashAlgorithmOID")),
        ({"hashAlgorithmOID": "1.3.14.3.2.26"}, "Invalid parameter hashAlgorithmOID"),
        ({"authData": "PIN"}, MISSING.format("array", "authData")),
        ({"authData": ["PIN"]}, "The authentication data is invalid"),
        ({"authData": [{}]}, "The authentication data is invalid"),
        ({"authData": [{"id": "PIN", "value": 1}]}, "The authentication data is invalid"),
        ({"authData": [{"id": "PIN"}] * 11}, "The authentication data is invalid"),
        ({"description": 1}, MISSING.format("string", "description")),
        ({"description": "x" * 501}, "Invalid parameter description"),
        ({"clientData": []}, "Invalid parameter clientData"),
        ({"lang": 1}, MISSING.format("string", "lang")),
    ],
)
def test_authorize_says_what_is_wrong(change: dict[str, Any], text: str) -> None:
    assert text_of(schemas.read_authorize, AUTHORIZE | change) == text


def test_authorize_reads_what_it_was_given() -> None:
    members = AUTHORIZE | {
        "numSignatures": 3,
        "authData": [{"id": "PIN", "value": "731904", "more": 1}, {"id": "PUSH", "value": None}],
        "description": "Tờ trình số 12",
        "clientData": "tracked",
        "lang": "vi",
    }
    assert schemas.read_authorize(Parameters(members)) == schemas.AuthorizeRequest(
        credential_id=CREDENTIAL,
        num_signatures=3,
        hashes=(bytes(32),),
        digest=DIGESTS["sha256"],
        auth_data=(schemas.AuthDatum("PIN", "731904"), schemas.AuthDatum("PUSH", None)),
        description="Tờ trình số 12",
        client_data="tracked",
        lang="vi",
    )


def test_authorize_needs_no_hashes_to_be_well_formed() -> None:
    request = schemas.read_authorize(
        Parameters({"credentialID": CREDENTIAL, "numSignatures": 2, "lang": "x" * 40})
    )
    assert (request.hashes, request.digest, request.auth_data) == ((), None, ())
    assert request.lang is None


def test_secrets_do_not_show_in_a_printed_request() -> None:
    assert "731904" not in repr(schemas.AuthDatum("PIN", "731904"))
    assert "my-sad" not in repr(schemas.read_sign_hash(Parameters(SIGN | {"SAD": "my-sad"})))


@pytest.mark.parametrize(
    "handle",
    [None, 1, "", "x", HANDLE + "x", ["x"]],
    ids=["null", "number", "empty", "short", "long", "list"],
)
def test_authorize_check_has_one_text_for_a_bad_handle(handle: object) -> None:
    assert text_of(schemas.read_authorize_check, {"handle": handle}) == "Invalid parameter handle"


def test_authorize_check_reads_the_handle() -> None:
    members: dict[str, Any] = {"handle": HANDLE, "clientData": "x", "credentialID": 1}
    assert schemas.read_authorize_check(Parameters(members)) == Ticket.parse(HANDLE)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"userID": 1}, "Invalid parameter userID"),
        ({"credentialInfo": "yes"}, MISSING.format("boolean", "credentialInfo")),
        ({"credentialInfo": 1}, MISSING.format("boolean", "credentialInfo")),
        ({"onlyValid": "true"}, MISSING.format("boolean", "onlyValid")),
        ({"certificates": "all"}, "Invalid parameter certificates"),
        ({"credentialInfo": True, "certificates": 1}, "Invalid parameter certificates"),
        ({"credentialInfo": True, "certInfo": 0}, MISSING.format("boolean", "certInfo")),
        ({"credentialInfo": True, "authInfo": "x"}, MISSING.format("boolean", "authInfo")),
        ({"clientData": 1}, "Invalid parameter clientData"),
    ],
)
def test_list_says_what_is_wrong(members: dict[str, Any], text: str) -> None:
    assert text_of(schemas.read_list, members) == text


def test_list_asks_for_ids_only_by_default() -> None:
    members: dict[str, Any] = {"maxResults": 20, "pageToken": "x", "certificates": None}
    assert schemas.read_list(Parameters(members)) == schemas.ListRequest(None, False, None)  # noqa: FBT003 - a dataclass in its order


def test_list_asks_for_the_leaf_only_by_default() -> None:
    members: dict[str, Any] = {"userID": "u", "credentialInfo": True, "onlyValid": True}
    request = schemas.read_list(Parameters(members))
    assert request == schemas.ListRequest("u", True, schemas.Shown())  # noqa: FBT003 - as above
    assert request.shown == schemas.Shown("single", cert_info=False, auth_info=False, lang=None)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, MISSING.format("string", "credentialID")),
        ({"credentialID": "?"}, "Invalid parameter credentialID"),
        ({"credentialID": CREDENTIAL, "certificates": "x"}, "Invalid parameter certificates"),
        ({"credentialID": CREDENTIAL, "clientData": 1}, "Invalid parameter clientData"),
    ],
)
def test_info_says_what_is_wrong(members: dict[str, Any], text: str) -> None:
    assert text_of(schemas.read_info, members) == text
