"""Passkeys through the consent API: what does not depend on the database, with the real verbs."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp.models import signature_activation
from remote_signing.rssp.passkey_orders import PasskeyOrders
from tests.integration.test_rssp_passkeys import (
    events,
    failed_attempts,
    other_officials_passkey,
)
from tests.support.passkey_world import PasskeyWorld, from_b64url, passkey_world
from tests.support.passkeys import Authenticator
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sqlite import SqliteFolder


@pytest.fixture
def place(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(sqlite_folder) as world:
        yield passkey_world(world, tmp_path)


def test_evidence_on_record_proves_the_consent_to_anybody(place: PasskeyWorld) -> None:
    """As docs/passkeys.md says, with nothing but the record, and none of the code under test."""
    place.register()
    name = place.world.opened("quyết định.pdf", "phụ lục.pdf")
    assert place.approve(name).status_code == 200
    row = place.world.database.one(
        select(signature_activation).where(signature_activation.c.id == name)
    )
    (given,) = events(place, "consent.given")
    assert row is not None
    detail, request = json.loads(given.detail), json.loads(row.request)
    statement = detail["evidence_statement"].encode()
    assert hashlib.sha256(statement).hexdigest() == detail["evidence_digest"]
    (digest, ((_, _, record),), _) = json.loads(statement)
    bound = {
        "activation_id": name,
        "credential_id": row.credential_id,
        "client_id": row.client_id,
        "hash_algorithm": request["hash_algorithm"],
        "hashes": [base64.b64decode(value).hex() for value in request["hashes"]],
        "count": row.num_signatures,
        **record["challenge"],
    }
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    asked = hashlib.sha256(b"remote-signing/challenge/v1\0" + text.encode()).digest()
    assert asked.hex() == digest
    said = base64.b64decode(record["client_data"])
    assert from_b64url(json.loads(said)["challenge"]) == asked
    key = place.device.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signed = base64.b64decode(record["authenticator_data"]) + hashlib.sha256(said).digest()
    signature = base64.b64decode(record["signature"])
    key.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))


def test_a_passkey_of_another_credential_or_of_nobody_is_unknown(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    challenge = place.options(name)["challenge"]
    for device in (Authenticator(), other_officials_passkey(place)):
        told = place.answered(challenge, device)
        answer = place.ask("POST", f"/requests/{name}/passkey", told)
        assert (answer.status_code, answer.json()["code"]) == (404, "passkey_unknown")


def test_a_credential_without_a_passkey_says_so(place: PasskeyWorld) -> None:
    name = place.world.opened()
    assert place.ask("GET", f"/requests/{name}").json()["passkey_from"] is None
    answer = place.ask("POST", f"/requests/{name}/passkey/options", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "passkey_unknown")


def test_a_fault_of_ours_while_a_passkey_approves_loses_nothing(place: PasskeyWorld) -> None:
    place.register()
    name = place.world.opened()
    told = place.answered(place.options(name)["challenge"])
    place.sap.faults = [HsmUnavailable("no node")]
    assert place.ask("POST", f"/requests/{name}/passkey", told).status_code == 503
    assert place.ask("POST", f"/requests/{name}/passkey", told).status_code == 200


def test_a_fault_of_ours_at_a_registration_costs_no_attempt(place: PasskeyWorld) -> None:
    made, proof = place.made(place.begin()), place.proof()
    place.sap.faults = [HsmUnavailable("no node")]
    assert place.bind(made, proof).status_code == 503
    assert failed_attempts(place) == 0
    assert place.bind(made, proof).status_code == 201


def test_somebody_elses_credential_and_passkey_are_not_found(place: PasskeyWorld) -> None:
    factor_id = place.register()
    made = place.made(place.begin())
    credential_id = place.world.credential_id
    place.world.new_signer("binh.tran")
    place.world.new_credential()
    assert place.ask("GET", "/passkeys").json()["notices"] == []
    for path, body in (
        ("/passkeys/options", {"credential_id": credential_id}),
        ("/passkeys/confirm", {"credential_id": credential_id, "passkey": made}),
        (f"/passkeys/{factor_id}/options", {}),
        (f"/passkeys/{factor_id}/drop", {"token": "AAAA", "proof": place.proof()}),
    ):
        answer = place.ask("POST", path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "credential_unknown")
    answer = place.bind(made, credential_id=credential_id)
    assert answer.json()["code"] == "credential_unknown"


def test_nothing_is_told_without_a_session(place: PasskeyWorld) -> None:
    for method, path, body in (
        ("GET", "/passkeys", None),
        ("POST", "/passkeys/options", {"credential_id": "0" * 26}),
        ("POST", f"/requests/{'0' * 26}/passkey/options", {}),
    ):
        answer = place.ask(method, path, body, session=f"{'0' * 26}.{'A' * 43}")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid")
    for path, body in (
        ("/passkeys/options", {"credential_id": "x"}),
        ("/passkeys/x/options", {}),
    ):
        assert place.ask("POST", path, body).status_code == 404


def test_a_passkey_that_is_not_taken_is_told_why(place: PasskeyWorld) -> None:
    synced = Authenticator(flags=0x1D)
    answer = place.bind(place.made(place.begin(), synced))
    assert (answer.json()["code"], answer.json()["reason"]) == ("passkey_refused", "synced")


def test_a_registration_of_another_shape_is_bad_input(place: PasskeyWorld) -> None:
    made = place.made(place.begin())
    wrong: list[dict[str, Any]] = [{"name": "a\u202eb"}, {"name": "x" * 61}, {"passkey": {}}]
    for changes in [*wrong, {"more": 1}]:
        answer = place.bind(made, **changes)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert failed_attempts(place) == 0


def test_the_authority_lets_an_older_record_have_passkeys(place: PasskeyWorld) -> None:
    orders = PasskeyOrders(place.world.services, place.world.authority)
    orders.allow(place.world.credential_id)
    (changed,) = events(place, "credential.rule_changed")
    assert json.loads(changed.detail) == {"consent": [["pin", "totp"], ["sim"], ["passkey"]]}
    place.register()
    assert place.approve(place.world.opened()).status_code == 200
