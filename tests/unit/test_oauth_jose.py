"""Signed texts from strangers: what is refused before, and by, the check of the signature."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from remote_signing.errors import InvalidInput
from remote_signing.rssp import jose
from tests.support.oauth import b64url, compact, new_key

if TYPE_CHECKING:
    from remote_signing.rssp.jose import PublicKey

KEY = new_key()
RSA = RSAKey.generate_key(2048)
KEYS: dict[str, Any] = {
    "ES256": KEY,
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "Ed25519": OKPKey.generate_key("Ed25519"),
}


def public(key: Any) -> PublicKey:
    return jose.public_key(key.as_dict(private=False))


def spelled(header: object, claims: object = None, signature: bytes = b"x" * 64) -> str:
    """A JWS with whatever header, signed by nobody."""
    parts = [json.dumps(part).encode() for part in (header, claims or {})]
    return ".".join([*(b64url(part) for part in parts), b64url(signature)])


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_allowed_algorithm_verifies(algorithm: str) -> None:
    key = KEYS[algorithm]
    parsed = jose.parse(compact({"alg": algorithm}, {"iss": "a"}, key))
    assert parsed.claims == {"iss": "a"}
    assert parsed.is_signed_by(public(key))
    assert not parsed.is_signed_by(public(KEYS["ES384" if algorithm == "ES256" else "ES256"]))


def test_the_older_name_of_eddsa_verifies_without_a_warning() -> None:
    key = KEYS["Ed25519"]
    signed = f"{b64url(json.dumps({'alg': 'EdDSA'}).encode())}.{b64url(b'{}')}"
    signature = key.private_key.sign(signed.encode())
    assert jose.parse(f"{signed}.{b64url(signature)}").is_signed_by(public(key))


@pytest.mark.parametrize(
    "algorithm", ["none", "NONE", "nOnE", "HS256", "RS256", "ES256K", "", None, 1, ["ES256"]]
)
def test_an_algorithm_outside_the_list_is_refused(algorithm: object) -> None:
    with pytest.raises(InvalidInput):
        jose.parse(spelled({"alg": algorithm}))


def test_alg_none_with_an_empty_signature_is_refused() -> None:
    unsigned = f"{b64url(json.dumps({'alg': 'none'}).encode())}.{b64url(b'{}')}."
    with pytest.raises(InvalidInput):
        jose.parse(unsigned)


def test_a_public_key_used_as_an_hmac_secret_is_refused() -> None:
    secret = OctKey.import_key(KEY.as_pem(private=False).decode().encode().replace(b"-", b"+"))
    forged = compact({"alg": "HS256"}, {"iss": "a"}, secret)
    with pytest.raises(InvalidInput):
        jose.parse(forged)


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": KEY.as_dict(private=False)},
        {"jku": "https://attacker.example/keys"},
        {"x5u": "https://attacker.example/certificate"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 1},
        {"b64": False},
        {"zip": "DEF"},
    ],
    ids=lambda member: next(iter(member)),
)
def test_a_header_that_chooses_the_key_or_changes_the_meaning_is_refused(
    member: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput, match=next(iter(member))):
        jose.parse(spelled({"alg": "ES256", **member}))


def test_an_oversized_text_is_refused_before_anything_is_decoded() -> None:
    text = spelled({"alg": "ES256"}, {"padding": "x" * jose.LONGEST})
    with pytest.raises(InvalidInput, match="too long"):
        jose.parse(text)


def test_a_member_named_twice_is_refused() -> None:
    header = b64url(b'{"alg":"ES256","alg":"ES256"}')
    with pytest.raises(InvalidInput, match="twice"):
        jose.parse(f"{header}.{b64url(b'{}')}.{b64url(b'x' * 64)}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "e30.e30.",
        " e30.e30.e30",
        "e30=.e30.e30",
        "e.e30.e30",
        "e30.e3+.e30",
        "e31.e30.e30",  # spare bits: a second spelling of "{}"
        "W10.e30.e30",
        "bnVsbA.e30.e30",
    ],
)
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        jose.parse(text)


def test_another_spelling_of_the_same_signature_is_refused() -> None:
    text = compact({"alg": "ES256"}, {}, KEY)
    last = base64.urlsafe_b64decode(text[-1:] + "AAA")[0] >> 2
    other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last | 1]
    with pytest.raises(InvalidInput, match="spare bits"):
        jose.parse(text[:-1] + other)


def test_a_changed_payload_or_signature_does_not_verify() -> None:
    header, _, signature = compact({"alg": "ES256"}, {"a": 1}, KEY).split(".")
    assert not jose.parse(f"{header}.{b64url(b'{}')}.{signature}").is_signed_by(public(KEY))
    forged = jose.parse(spelled({"alg": "ES256"}, signature=b"\0" * 64))
    assert not forged.is_signed_by(public(KEY))


@pytest.mark.parametrize(
    "jwk",
    [
        KEY.as_dict(private=True),
        {"kty": "oct", "k": "AAAA"},
        {"kty": "oct"},
        {"kty": "RSA", "e": "AQAB", "n": b64url(b"\xff" * 128)},
        {"kty": "RSA", "e": "AQAB", "n": b64url(b"\xff" * 1025)},
        {"kty": "RSA", "e": "AQABAQAB", "n": b64url(b"\xff" * 256)},
        {"kty": "RSA", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        {"kty": ["EC"]},
        KEY.as_dict(private=False) | {"key_ops": ["encrypt"]},
        KEY.as_dict(private=False) | {"key_ops": "verify"},
        {},
        None,
        "key",
    ],
)
def test_what_is_no_good_public_key_is_refused(jwk: Any) -> None:
    with pytest.raises(InvalidInput):
        jose.public_key(jwk)


def test_the_signer_is_found_by_key_id_and_only_by_it() -> None:
    other = new_key()
    keys: Any = {"keys": [other.as_dict(private=False), KEY.as_dict(private=False)]}
    named = jose.parse(compact({"alg": "ES256", "kid": KEY.kid}, {}, KEY))
    unnamed = jose.parse(compact({"alg": "ES256"}, {}, KEY))
    misnamed = jose.parse(compact({"alg": "ES256", "kid": other.kid}, {}, KEY))
    assert jose.find_signer(named, keys) is not None
    assert jose.find_signer(unnamed, keys) is not None
    assert jose.find_signer(misnamed, keys) is None
    assert jose.find_signer(named, {"keys": []}) is None


@pytest.mark.parametrize("member", [{"use": "enc"}, {"alg": "ES384"}])
def test_a_key_declared_for_something_else_does_not_verify(member: dict[str, str]) -> None:
    keys: Any = {"keys": [KEY.as_dict(private=False) | member]}
    assert jose.find_signer(jose.parse(compact({"alg": "ES256"}, {}, KEY)), keys) is None


def test_a_key_of_another_type_is_not_even_tried() -> None:
    keys: Any = {"keys": [RSA.as_dict(private=False)]}
    assert jose.find_signer(jose.parse(compact({"alg": "ES256"}, {}, KEY)), keys) is None


def test_a_key_set_with_a_private_key_cannot_be_registered() -> None:
    good: Any = {"keys": [KEY.as_dict(private=False)]}
    jose.check_key_set(good)
    private = KEY.as_dict(private=True)
    bads: list[Any] = [{"keys": [private]}, {"keys": []}, {"keys": {}}, [], {"keys": [{}] * 21}]
    for bad in bads:
        with pytest.raises(InvalidInput):
            jose.check_key_set(bad)


@pytest.mark.parametrize("value", ["1", True, 1e300, -1e300, 10**15, [], {}])
def test_a_time_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        jose.time_claim({"iat": value}, "iat")


def test_times_are_read_as_milliseconds() -> None:
    assert jose.time_claim({"iat": 1.5}, "iat") == 1500
    assert jose.time_claim({}, "iat") is None
    assert jose.time_claim({"iat": None}, "iat") is None


SEGMENT = st.text("ABCabc019-_=", max_size=8) | st.builds(
    lambda value: b64url(json.dumps(value).encode()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["alg", "typ", "jwk", "kty", "n", "e", "kid"]), inner)
        ),
        max_leaves=8,
    ),
)
JWK: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "key_ops"]),
    st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "AQAB", "AAAA", "", "=", None, 1, []]),
)


@given(st.lists(SEGMENT, min_size=2, max_size=4))
def test_whatever_is_sent_is_either_read_or_refused(segments: list[str]) -> None:
    with suppress(InvalidInput):
        jose.parse(".".join(segments), key_in_header=True)


@given(JWK)
def test_whatever_key_is_sent_is_either_read_or_refused(jwk: Any) -> None:
    with suppress(InvalidInput):
        jose.public_key(jwk)


def test_joserfc_still_has_every_algorithm_of_the_list() -> None:
    assert set(jose.ALGORITHMS) <= set(jws.JWSRegistry.algorithms)
