"""Passkeys through the consent API: what does not depend on the database, with the real verbs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from remote_signing.errors import HsmUnavailable
from remote_signing.rssp import activation_passkey
from remote_signing.rssp.passkey_orders import PasskeyOrders
from tests.integration.test_rssp_passkeys import (
    events,
    failed_attempts,
    other_officials_passkey,
)
from tests.support.passkey_world import PasskeyWorld, passkey_world
from tests.support.passkeys import Authenticator, b64
from tests.support.world import digest, new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sqlite import SqliteFolder

SCRIPT = Path(__file__).parents[2] / "docs" / "verify-passkey-consent" / "verify.py"


@pytest.fixture
def place(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[PasskeyWorld]:
    with new_world(sqlite_folder) as world:
        yield passkey_world(world, tmp_path)


@pytest.fixture(scope="module")
def verify() -> Callable[[list[str]], int]:
    """docs/verify-passkey-consent/verify.py, which knows nothing of the code under test."""
    spec = importlib.util.spec_from_file_location("verify_passkey_consent", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[list[str]], int]", module.main)


def test_evidence_on_record_proves_the_consent_to_anybody(
    place: PasskeyWorld,
    verify: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place.register()
    name = place.world.opened("quyết định.pdf", "phụ lục.pdf")
    assert activation_passkey.evidence(place.world.services, name) is None
    assert place.approve(name).status_code == 200
    evidence: Any = activation_passkey.evidence(place.world.services, name)
    (added,) = events(place, "credential.factors_added")
    key = json.loads(added.detail)["public_key_sha256"]
    signed = digest("phụ lục.pdf").hex()

    def judged(told: Any, *more: str, of: str = signed) -> int:
        file = tmp_path / "evidence.json"
        file.write_text(json.dumps(told), "utf-8")
        return verify([str(file), "--digest", of, *more])

    assert judged(evidence, "--key", key) == 0
    assert "The passkey signed for exactly this digest." in capsys.readouterr().out
    (given,) = events(place, "consent.given")
    statement = json.loads(given.detail)["evidence_statement"].encode()
    assert hashlib.sha256(statement).hexdigest() == json.loads(given.detail)["evidence_digest"]
    assert judged(evidence, "--key", "0" * 64) == 1
    assert judged(evidence, of=digest("khác.pdf").hex()) == 1
    other = evidence["request"] | {"hashes": [signed]}
    assert judged(evidence | {"request": other}) == 1
    assert judged(evidence | {"request": evidence["request"] | {"client_id": "x"}}) == 1
    # What is hashed is what was looked at: the rest cannot bring hashes of its own.
    forged = json.loads(evidence["statement"])
    forged[1][0][2]["challenge"]["hashes"] = evidence["request"]["hashes"]
    false = digest("khác.pdf").hex()
    told = {"request": evidence["request"] | {"hashes": [false]}, "statement": json.dumps(forged)}
    assert judged(evidence | told, of=false) == 1
    for part in ("client_data", "authenticator_data", "signature", "public_key", "challenge"):
        changed = json.loads(evidence["statement"])
        changed[1][0][2][part] = b64(b"x" * 40)
        assert judged(evidence | {"statement": json.dumps(changed)}) == 1, part
    assert judged({}) == 1


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
    assert place.sap.sam.revoked.rule_since(place.world.credential_id), "the older rule is over"
    (changed,) = events(place, "credential.rule_changed")
    assert json.loads(changed.detail) == {"consent": [["pin", "totp"], ["sim"], ["passkey"]]}
    place.register()
    assert place.approve(place.world.opened()).status_code == 200
