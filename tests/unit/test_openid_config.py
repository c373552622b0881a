from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from remote_signing.rssp.config_tables import ConfigInvalid
from remote_signing.rssp.openid_client import OpenidProvider
from remote_signing.rssp.openid_config import OpenidConfig

if TYPE_CHECKING:
    from pathlib import Path

PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def settings(folder: Path, **changes: Any) -> OpenidConfig:
    (folder / "subjects").write_bytes(b"k" * 32)
    members: dict[str, Any] = {
        "issuer": "https://dinh-danh.example",
        "client_id": "ky-so",
        "subject_key_file": folder / "subjects",
        "key_file": folder / "key.pem",
        **changes,
    }
    return OpenidConfig(**members)


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://dinh-danh.example"},
        {"issuer": "https://dinh-danh.example/?a=b"},
        {"issuer": "https://"},
        {"issuer": "https://[::1"},
        {"key_file": None},
        {"client_secret_file": "both"},
        {"scopes": ("profile",)},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("ES256", "HS256")},
        {"timeout": 0.0},
        {"max_age": -1},
        {"claim": ""},
        {"assertion_audience": "anybody"},
    ],
)
def test_what_would_not_be_safe_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        settings(tmp_path, **wrong)


def test_keys_are_long_enough_and_of_a_kind_that_signs(tmp_path: Path) -> None:
    config = settings(tmp_path)
    key = tmp_path / "key.pem"
    for wrong in (ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey.generate()):
        key.write_bytes(wrong.private_bytes(*PKCS8))
        with pytest.raises(ConfigInvalid):
            OpenidProvider(config)
    key.write_text("no key", "utf-8")
    with pytest.raises(ConfigInvalid):
        OpenidProvider(config)
    key.write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    (known,) = _keys(OpenidProvider(config))
    assert (known["alg"], known["use"], "d" in known) == ("PS256", "sig", False)
    (tmp_path / "subjects").write_bytes(b"short")
    with pytest.raises(ConfigInvalid):
        OpenidProvider(config)


def test_who_has_a_secret_has_no_key_to_show(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s\n", "utf-8")
    changes = {"key_file": None, "client_secret_file": tmp_path / "secret"}
    assert _keys(OpenidProvider(settings(tmp_path, **changes))) == []


def _keys(provider: OpenidProvider) -> list[dict[str, Any]]:
    found: Any = provider.public_keys()["keys"]
    return list(found)
