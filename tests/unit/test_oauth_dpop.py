"""DPoP proofs: one test for each thing that a proof can get wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from remote_signing.rssp import dpop, jose
from remote_signing.rssp.dpop import DpopProofInvalid
from tests.support.oauth import b64url, compact, new_key

NOW = 1_800_000_000_000
URL = "https://rssp.example/oauth2/token"
KEY = new_key()
TOKEN = "s.token"


def made(header: dict[str, Any] | None = None, key: Any = KEY, /, **claims: Any) -> str:
    given: dict[str, Any] = {"jti": "1", "htm": "POST", "htu": URL, "iat": NOW // 1000}
    default: dict[str, Any] = {"alg": "ES256", "typ": "dpop+jwt"}
    default["jwk"] = KEY.as_dict(private=False)
    default |= header or {}
    members = {name: value for name, value in (given | claims).items() if value is not None}
    return compact({name: v for name, v in default.items() if v is not None}, members, key)


def check(*headers: str, token: str | None = None) -> dpop.Proof:
    return dpop.check(headers, "POST", URL, NOW, token)


def test_a_good_proof_gives_the_thumbprint_of_its_key() -> None:
    proof = check(made())
    assert proof.jkt == KEY.thumbprint()
    assert dpop.is_thumbprint(proof.jkt)
    assert proof.mark.expires_at_ms > NOW + dpop.OLDEST_MS


@pytest.mark.parametrize("size", [2048, 4096])
def test_an_rsa_key_fits_into_the_header(size: int) -> None:
    key = RSAKey.generate_key(size)
    jwk = key.as_dict(private=False)
    text = made({"alg": "PS256", "jwk": jwk}, key)
    assert len(text) < jose.LONGEST
    assert check(text).jkt == key.thumbprint()


def test_a_header_that_comes_again_is_read_once_and_cannot_be_changed() -> None:
    first, second = (jose.parse(made(jti=jti), key_in_header=True) for jti in "12")
    assert jose.brought_key(first)[0] is jose.brought_key(second)[0]
    assert first.header is second.header
    assert not hasattr(first.header, "update")


def test_the_same_key_gives_the_same_replay_name_only_for_the_same_jti() -> None:
    other = ECKey.generate_key("P-256")
    first, again, second = check(made()), check(made()), check(made(jti="2"))
    others = check(made({"jwk": other.as_dict(private=False)}, other))
    assert first.mark == again.mark
    assert len({each.mark.digest for each in (first, second, others)}) == 3


@pytest.mark.parametrize("headers", [(), (made(), made()), ("",), ("x" * 20_000,)])
def test_there_must_be_exactly_one_readable_header(headers: tuple[str, ...]) -> None:
    with pytest.raises(DpopProofInvalid):
        check(*headers)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"jwk": None},
        {"jwk": KEY.as_dict(private=True)},
        {"jwk": ECKey.generate_key("P-256").as_dict(private=False)},
        {"jku": "https://attacker.example/keys"},
    ],
    ids=["typ", "no-typ", "no-jwk", "private-jwk", "other-jwk", "jku"],
)
def test_a_proof_with_another_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(DpopProofInvalid):
        check(made(header))


def test_a_symmetric_key_in_the_header_is_refused() -> None:
    key = OctKey.generate_key(256)
    with pytest.raises(DpopProofInvalid):
        check(made({"alg": "HS256", "jwk": key.as_dict(private=True)}, key))


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": None},
        {"htu": None},
        {"htu": "https://rssp.example/oauth2/revoke"},
        {"htu": "https://attacker.example/oauth2/token"},
        {"htu": "http://rssp.example/oauth2/token"},
        {"htu": "https://rssp.example:8443/oauth2/token"},
        {"htu": "https://rssp.example@attacker.example/oauth2/token"},
        {"htu": "https://rssp.example:port/oauth2/token"},
        {"htu": ["https://rssp.example/oauth2/token"]},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1e300},
        {"iat": NOW // 1000 - 61},
        {"iat": NOW // 1000 + 31},
    ],
    ids=str,
)
def test_a_proof_for_something_else_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(DpopProofInvalid):
        check(made(**claims))


@pytest.mark.parametrize("shift", [-60, 0, 10, 30])
def test_clocks_may_differ_a_little(shift: int) -> None:
    check(made(iat=NOW // 1000 + shift))


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://RSSP.example/oauth2/token",
        "https://rssp.example:443/oauth2/token",
        "https://rssp.example/oauth2/token?a=1#b",
        "https://rssp.example/oauth2/%74oken",
        "https://rssp.example//oauth2/token",
    ],
)
def test_other_spellings_of_the_same_address_are_accepted(htu: str) -> None:
    check(made(htu=htu))


def test_addresses_of_version_6_keep_their_brackets() -> None:
    assert dpop.normalised("http://[::1]:80/a") == "http://[::1]/a"
    assert dpop.normalised("ftp://host/a") is None
    assert dpop.normalised("https://") is None


def test_a_proof_for_another_token_is_refused() -> None:
    ath = b64url(hashlib.sha256(TOKEN.encode()).digest())
    assert check(made(ath=ath), token=TOKEN).jkt == KEY.thumbprint()
    for wrong in (None, "", 1, b64url(b"\0" * 32), ath + "\u00e9"):
        with pytest.raises(DpopProofInvalid, match="ath"):
            check(made(ath=wrong), token=TOKEN)
