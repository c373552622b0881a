"""``remote-signing passkey`` as a registration officer types it; a real SAM, a real token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from sqlalchemy import select

from remote_signing.cli.settings import ConfigFolder
from remote_signing.identifiers import new_id
from remote_signing.rssp import migrations, passkey_enrolment
from remote_signing.rssp.models import credential
from remote_signing.rssp.passkey_enrolment import NamedPasskey, Proof
from remote_signing.rssp.registration import RegistrationAuthority
from remote_signing.sap import ChallengeRequest, b64
from remote_signing.sap_passkeys import passkey_evidence
from tests.integration.test_cli import Desk
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator
from tests.support.sam import toml
from tests.support.world import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from remote_signing.rssp.deps import Services
    from remote_signing.sap import Activated
    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

NAME = "an.nguyen"
TAKES_PASSKEYS = {"rp_id": RP_ID, "origins": [ORIGIN], "cool_off_seconds": 0}


@pytest.fixture
def desk(
    sqlite_folder: SqliteFolder,
    sam_factory: Callable[..., RunningSam],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    authority = RegistrationAuthority.create(tmp_path / "ra.key")
    pinned = {authority.key_id: authority.public_key}
    sam = sam_factory(workers=1, pinned=pinned, passkey=TAKES_PASSKEYS)
    url = sqlite_folder.fresh(migrations.upgrade)
    tables: dict[str, dict[str, object]] = {
        "service": {"name": "Ký số", "logo": "https://x/x.png", "region": "VN", "description": "x"},
        "urls": {"issuer": "http://127.0.0.1:1", "consent": "http://127.0.0.1:2"},
        "database": {"url": url},
        "sam": {"socket": sam.address.path},
    }
    text = ""
    for name, members in tables.items():
        text += f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in members.items())
    (tmp_path / "rssp.toml").write_text(text, "utf-8")
    (tmp_path / "password").write_text("một mật khẩu đủ dài\n", "utf-8")
    (tmp_path / "password").chmod(0o600)
    found = Desk(tmp_path, capsys)
    found.type("agency", "add", "Bộ Nội vụ", "--code", "G09", "--province", "Hà Nội")
    found.type(
        *("subscriber", "add", NAME, "--agency", "G09", "--name", "Nguyễn Văn An"),
        *("--position", "Vụ trưởng", "--password-file", str(tmp_path / "password")),
    )
    yield found
    sqlite_folder.drop(url)


def register(services: Services, issued: dict[str, Any], device: Authenticator) -> str:
    """What the official does at the consent page; the new factor's id."""
    credential_id = issued["credential_id"]
    row = services.database.one(select(credential).where(credential.c.id == credential_id))
    assert row is not None
    begun = passkey_enrolment.begin(services, row.subscriber_id, credential_id)
    made = device.make(begun.challenge)
    new = NamedPasskey(
        {
            "token": b64(begun.token),
            "client_data": made["client_data"],
            "attestation_object": made["attestation_object"],
            "transports": made["transports"],
        },
        "Điện thoại",
    )
    secret = parse_qs(urlsplit(issued["otpauth_uri"]).query)["secret"][0]
    proof = Proof(issued["pin"], pyotp.TOTP(secret).now())
    return passkey_enrolment.bind(services, row.subscriber_id, credential_id, new, proof)


def consent(services: Services, credential_id: str, device: Authenticator) -> Activated:
    """What the SAM says to the passkey's answer."""
    row = services.database.one(select(credential).where(credential.c.id == credential_id))
    assert row is not None
    now = services.now_ms()
    request = ChallengeRequest(
        credential_id=credential_id,
        activation_id=new_id(now),
        client_id="portal",
        hash_algorithm="sha256",
        hashes=(digest("quyết định.pdf"),),
        count=1,
        display_text="Quyết định",
        expires_at_ms=now + 60_000,
    )
    challenge = services.sam.challenge(request)
    asked = services.sam.ask_passkey(row.sealed, challenge.token)
    assert asked.challenge == challenge.digest
    signature, rest = device.answer(asked.challenge)
    known: Any = rest
    factor_id = next(one["id"] for one in json.loads(row.factors) if one["kind"] == "passkey")
    evidence = passkey_evidence(factor_id, signature, known)
    return services.sam.activate(row.sealed, challenge.token, [evidence])


def test_a_passkey_is_allowed_registered_shown_used_and_revoked(desk: Desk) -> None:
    issued = desk.json("credential", "issue", NAME)
    its_id, device = issued["credential_id"], Authenticator(counter=1, step=1)
    desk.type("passkey", "allow", its_id)
    with ConfigFolder(desk.folder).services() as services:
        factor_id = register(services, issued, device)
        assert consent(services, its_id, device).sad
        (shown,) = desk.json("passkey", "show", its_id)
        assert (shown["factor_id"], shown["name"]) == (factor_id, "Điện thoại")
        desk.type("passkey", "revoke", factor_id)
        assert desk.json("passkey", "show", its_id) == []
        told = desk.type("passkey", "evidence", new_id(1), str(desk.folder / "e"), status=1)
        assert "no passkey has consented" in told
        assert "PasskeyUnknown" in desk.type("passkey", "revoke", factor_id, status=1)
    kinds = desk.kinds(its_id)
    assert kinds[-5:] == [
        *("credential.ordered", "credential.rule_changed"),
        *("credential.factors_added", "credential.ordered", "credential.factor_dropped"),
    ]
