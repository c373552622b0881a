"""The registration authority's desk: its key file, its orders, and the secrets it opens."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from remote_signing.errors import OrderExpired, OrderInvalid, SealBroken
from remote_signing.identifiers import new_id
from remote_signing.rssp import registration
from remote_signing.rssp.registration import Recipient, RegistrationAuthority
from remote_signing.sam.orders import OrderBook

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000_000
CREDENTIAL = new_id(NOW)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def authority(tmp_path: Path) -> RegistrationAuthority:
    return RegistrationAuthority.create(tmp_path / "ra.key")


def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    made = RegistrationAuthority.create(tmp_path / "ra.key")
    assert stat.S_IMODE((tmp_path / "ra.key").stat().st_mode) == 0o600
    read = RegistrationAuthority.load(tmp_path / "ra.key")
    assert (read.key_id, read.public_key) == (made.key_id, made.public_key)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    RegistrationAuthority.create(tmp_path / "ra.key")
    with pytest.raises(FileExistsError):
        RegistrationAuthority.create(tmp_path / "ra.key")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    RegistrationAuthority.create(tmp_path / "ra.key")
    (tmp_path / "ra.key").chmod(0o640)
    with pytest.raises(OrderInvalid, match="chmod 600"):
        RegistrationAuthority.load(tmp_path / "ra.key")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ra.key"
    key = ec.generate_private_key(ec.SECP256R1())
    for data in (
        b"no key",
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(OrderInvalid):
            RegistrationAuthority.load(path)


def test_the_sam_accepts_an_order_for_five_minutes(authority: RegistrationAuthority) -> None:
    book = OrderBook({authority.key_id: authority.public_key})
    order = authority.order("destroy", CREDENTIAL, NOW, {"extra": "x"})
    members = book.verified(order, "destroy", NOW + 299_999)
    assert (members["credential_id"], members["extra"]) == (CREDENTIAL, "x")
    with pytest.raises(OrderExpired):
        book.verified(order, "destroy", NOW + 300_000)
    with pytest.raises(OrderInvalid):
        book.verified(order, "unlock", NOW)


def test_no_member_can_replace_what_the_desk_writes(authority: RegistrationAuthority) -> None:
    order = authority.order("destroy", CREDENTIAL, NOW, {"kind": "x", "expires_at_ms": NOW * 2})
    members = json.loads(base64.b64decode(order["payload"]))
    assert (members["kind"], members["expires_at_ms"]) == ("destroy", NOW + 300_000)


def test_a_changed_order_does_not_verify(authority: RegistrationAuthority) -> None:
    order = authority.order("destroy", CREDENTIAL, NOW, {})
    payload = base64.b64decode(order["payload"]).replace(b"destroy", b"unlocks")
    key = Ed25519PublicKey.from_public_bytes(authority.public_key)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(order["signature"]), payload)


def test_secrets_open_for_their_recipient_and_credential_only() -> None:
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    recipient, other = Recipient(), Recipient()
    key = X25519PublicKey.from_public_bytes(base64.b64decode(recipient.public_key))
    info = b"remote-signing/factor-secrets/v1|" + CREDENTIAL.encode()
    secrets = suite.encrypt(b'{"pins":{"a":"13572468"},"totp":{"b":"JBSWY3DP"}}', key, info=info)
    opened = recipient.open(secrets, CREDENTIAL)
    assert (opened.pins, opened.totp) == ({"a": "13572468"}, {"b": "JBSWY3DP"})
    assert "13572468" not in repr(opened)
    with pytest.raises(SealBroken):
        other.open(secrets, CREDENTIAL)
    with pytest.raises(SealBroken):
        recipient.open(secrets, new_id(NOW))


def test_an_authenticator_app_reads_the_uri() -> None:
    uri = registration.otpauth_uri("Ký số từ xa", "an.nguyen", SECRET)
    read = pyotp.parse_uri(uri)
    assert (read.issuer, read.name) == ("Ký số từ xa", "an.nguyen")
    assert read.secret == SECRET
    assert parse_qs(urlsplit(uri).query)["issuer"] == ["Ký số từ xa"]


def test_a_pinned_key_is_spelled_in_base64() -> None:
    assert registration.public_key_text(b"\x00" * 32) == "A" * 43 + "="
