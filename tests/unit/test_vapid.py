"""Who we are to a push service; the key's file, and the table of the configuration."""

from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import ECKey
from py_vapid import Vapid02

from remote_signing import cli
from remote_signing.rssp import vapid
from remote_signing.rssp.config_push import PushConfig
from remote_signing.rssp.config_tables import ConfigInvalid, table

if TYPE_CHECKING:
    from pathlib import Path

CONTACT = "mailto:admin@example.gov.vn"
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA"
NOW = 1_795_773_600_000
MEMBERS: dict[str, Any] = {"key_file": "k", "contact": CONTACT, "hosts": ["fcm.googleapis.com"]}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    vapid.make_key(tmp_path / "vapid.pem")
    return tmp_path / "vapid.pem"


def test_the_token_is_good_at_one_push_service_for_half_a_day(key: Path) -> None:
    identity = vapid.load(key, CONTACT)
    header = identity.authorization(ENDPOINT, NOW)
    assert Vapid02.verify(header)  # the public package py-vapid
    token = header.partition("t=")[2].partition(",")[0]
    point = base64.urlsafe_b64decode(identity.public + "=")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(token, ECKey.import_key(public), algorithms=["ES256"]).claims
    assert claims == {
        "aud": "https://updates.push.services.mozilla.com",
        "exp": NOW // 1000 + 12 * 3600,
        "sub": CONTACT,
    }


def test_a_changed_token_is_no_token(key: Path) -> None:
    header = vapid.load(key, CONTACT).authorization(ENDPOINT, NOW)
    start, claims, rest = header.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["aud"] = "https://elsewhere.example"
    other = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    assert not Vapid02.verify(f"{start}.{other}.{rest}")


def test_the_keys_file_is_its_owners_alone_and_made_once(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        vapid.make_key(key)
    key.chmod(0o640)
    vapid.load(key, CONTACT)
    key.chmod(0o604)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        vapid.load(key, CONTACT)


def test_the_command_makes_a_key_and_prints_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vapid.pem"
    assert cli.main(["push", "new-key", str(file)]) == 0
    told = "".join(capsys.readouterr())
    assert str(file) in told
    assert not any(line in told for line in file.read_text().splitlines())
    assert cli.main(["push", "new-key", str(file)]) == 2


@pytest.mark.parametrize("kind", ["missing", "no key", "another curve", "rsa", "encrypted"])
def test_a_file_that_is_no_key_of_ours_is_refused_without_a_word_of_it(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "vapid.pem"
    made: dict[str, Any] = {
        "another curve": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "encrypted": lambda: ec.generate_private_key(ec.SECP256R1()),
    }
    closed = serialization.BestAvailableEncryption(b"x")
    if kind in made:
        content = made[kind]().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            closed if kind == "encrypted" else serialization.NoEncryption(),
        )
    else:
        content = b"secret words"
    if kind != "missing":
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(ConfigInvalid) as caught:
        vapid.load(file, CONTACT)
    assert "secret words" not in str(caught.value)
    assert "push.key_file" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": []},
        {"hosts": ["https://fcm.googleapis.com"]},
        {"hosts": ["com"]},
        {"hosts": ["*.googleapis.com"]},
        {"hosts": ["FCM.googleapis.com"]},
        {"contact": "admin@example.gov.vn"},
        {"contact": "mailto:nobody"},
        {"threads": 0},
        {"lifetime": 60},
        {"patience": -1},
    ],
    ids=str,
)
def test_a_table_that_would_reach_too_far_or_nobody_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigInvalid, match="push"):
        table(PushConfig, MEMBERS | changes, tmp_path, "push.")


def test_a_table_needs_key_contact_and_hosts(tmp_path: Path) -> None:
    found = table(PushConfig, MEMBERS, tmp_path, "push.")
    assert isinstance(found, PushConfig)
    assert replace(found, hosts=("a.example",)).allows("https://x.a.example/y")
    for name in MEMBERS:
        left = {key: value for key, value in MEMBERS.items() if key != name}
        with pytest.raises(ConfigInvalid, match=f"push.{name}: is missing"):
            table(PushConfig, left, tmp_path, "push.")
