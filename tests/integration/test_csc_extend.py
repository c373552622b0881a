"""``credentials/extendTransaction``: another SAD, never another consent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.csc import CscPortal, b64
from tests.support.world import SHA256, digest

if TYPE_CHECKING:
    import httpx

    from tests.support.world import World

EXTEND, SIGN = "credentials/extendTransaction", "signatures/signHash"


@pytest.fixture
def portal(world: World) -> CscPortal:
    return CscPortal.at(world)


def extend(portal: CscPortal, sad: str, *documents: str, token: str = "") -> httpx.Response:
    body: dict[str, Any] = {"credentialID": portal.world.credential_id, "SAD": sad}
    if documents:
        body["hashes"] = [b64(digest(name)) for name in documents]
        body["hashAlgorithmOID"] = SHA256
    return portal.post(EXTEND, body, token)


def sign(portal: CscPortal, sad: str, *documents: str) -> httpx.Response:
    return portal.post(SIGN, portal.sign_body(*documents, SAD=sad))


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error_description"])


def uncounted_sad(portal: CscPortal, count: int) -> str:
    """At SCAL1, for anything."""
    portal.world.next_step()
    portal.world.new_credential(scal="1")
    body = {
        "credentialID": portal.world.credential_id,
        "numSignatures": count,
        "PIN": portal.world.pin,
        "OTP": portal.world.otp(),
    }
    answer = portal.post("credentials/authorize", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["SAD"])


def test_new_sad_signs_what_is_left_and_the_old_one_nothing(portal: CscPortal) -> None:
    sad = portal.sad("a", "b", "c")
    assert sign(portal, sad, "a").status_code == 200
    portal.world.clock.advance(100)
    answer = extend(portal, sad, "b", "c")
    new = answer.json()["SAD"]
    assert answer.json()["expiresIn"] == 200  # of 300: the consent lives no longer
    assert text(sign(portal, sad, "b")) == "Invalid parameter SAD"
    assert text(extend(portal, sad)) == "Invalid parameter SAD"
    assert sign(portal, new, "b", "c").status_code == 200
    assert text(extend(portal, new)) == "Invalid parameter SAD"


def test_hash_that_the_signer_did_not_see_does_not_come_in(portal: CscPortal) -> None:
    sad = portal.sad("a", "b")
    refused = "Hash is not authorized by the SAD"
    assert text(extend(portal, sad, "c")) == refused
    assert text(extend(portal, sad, "a", "a")) == refused
    assert sign(portal, sad, "a").status_code == 200
    assert text(extend(portal, sad, "a")) == refused
    assert extend(portal, sad, "b").status_code == 200


def test_another_digest_algorithm_does_not_come_in(portal: CscPortal) -> None:
    body = {"credentialID": portal.world.credential_id, "SAD": portal.sad("a")}
    other = {"hashes": [b64(digest("a"))], "hashAlgorithmOID": "2.16.840.1.101.3.4.2.8"}
    assert text(portal.post(EXTEND, body | other)) == "Hash is not authorized by the SAD"


def test_sad_that_is_over_is_not_extended(portal: CscPortal) -> None:
    sad = portal.sad()
    portal.world.clock.advance(301)
    assert text(extend(portal, sad)) == "SAD expired"


def test_sad_of_another_credential_is_not_extended(portal: CscPortal) -> None:
    sad = portal.sad()
    portal.world.new_credential()
    assert text(extend(portal, sad)) == "Invalid parameter SAD"
    assert text(extend(portal, "x")) == "Invalid parameter SAD"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_sad_is_needed(portal: CscPortal, version: str) -> None:
    body = {"credentialID": portal.world.credential_id}
    answer = portal.at_version(version).post(EXTEND, body)
    assert text(answer) == "Missing (or invalid type) string parameter SAD"


def test_credential_token_is_extended_as_sad_and_by_itself(portal: CscPortal) -> None:
    token = portal.credential_token("a", "b")
    new = extend(portal, token).json()["SAD"]
    assert portal.post(SIGN, portal.sign_body("a"), token).status_code == 401
    assert sign(portal, new, "a").status_code == 200
    body = {"credentialID": portal.world.credential_id}
    newest = portal.post(EXTEND, body, new).json()["SAD"]
    assert portal.post(SIGN, portal.sign_body("b"), newest).status_code == 200


def test_hashes_named_at_scal1_bind_and_the_count_goes_on(portal: CscPortal) -> None:
    sad = uncounted_sad(portal, 3)
    assert sign(portal, sad, "a").status_code == 200
    bound = extend(portal, sad, "b").json()["SAD"]
    assert text(sign(portal, bound, "c")) == "Hash is not authorized by the SAD"
    assert sign(portal, bound, "b").status_code == 200
    assert text(extend(portal, bound, "c", "d")) == "Numbers of signatures is too high"
    free = extend(portal, bound).json()["SAD"]
    assert sign(portal, free, "d").status_code == 200
    assert text(sign(portal, free, "e")) == "Invalid parameter SAD"


def test_v1_extends_without_naming_an_algorithm(portal: CscPortal) -> None:
    v1 = portal.at_version("v1")
    body = {"credentialID": portal.world.credential_id, "SAD": portal.sad("a", "b")}
    hashes = [b64(digest("a"))]
    answer = v1.post(EXTEND, body | {"hash": hashes})
    assert answer.status_code == 200
    uneven = v1.post(EXTEND, body | {"hash": [*hashes, b64(bytes(48))]})
    assert text(uneven) == "Invalid digest value length"


def test_of_many_extensions_at_once_one_is_good(portal: CscPortal) -> None:
    sad = portal.sad("a")
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(extend(portal, sad))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [answer.json()["SAD"] for answer in answers if answer.status_code == 200]
    working = [new for new in good if sign(portal, new, "a").status_code == 200]
    assert len(working) == 1
