"""Assertions and proofs of the client, judged by joserfc and cryptography."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from remote_signing.client import (
    AnswerUnusable,
    ClientSecret,
    Denied,
    MutualTls,
    PrivateKeyJwt,
    Refused,
    Retry,
    Service,
    SigningClient,
)
from remote_signing.client.caller import Caller, Token
from remote_signing.client.identity import proof
from remote_signing.client.keys import EcKey, RsaKey, read_key
from remote_signing.client.oauth import Pushed, redeem
from remote_signing.client.oids import digest, sign_algorithm
from remote_signing.rssp import jose

if TYPE_CHECKING:
    from pathlib import Path

    from joserfc.jwt import Token as Jwt

ISSUER = "https://rssp.example"
CURVES = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
KEYS: dict[str, EcKey | RsaKey] = {
    **{curve.name: EcKey(ec.generate_private_key(curve)) for curve in CURVES},
    "rsa": RsaKey(rsa.generate_private_key(65537, 2048)),
}


def judged(text: str, key: EcKey | RsaKey) -> Jwt:
    kind = RSAKey if isinstance(key, RsaKey) else ECKey
    registry = jws.JWSRegistry(algorithms=[key.algorithm])
    registry.max_header_length = 4096  # an RSA key in a header is longer than joserfc likes
    return jwt.decode(text, kind.import_key(dict(key.public_jwk)), registry=registry)


@pytest.mark.parametrize("name", KEYS)
def test_an_assertion_is_signed_by_the_registered_key(name: str) -> None:
    key = KEYS[name]
    one, other = (PrivateKeyJwt("portal", key, "k1").authenticate(ISSUER) for _ in range(2))
    assert (one.headers, one.form["client_id"]) == ({}, "portal")
    assert one.form["client_assertion_type"].endswith(":jwt-bearer")
    token = judged(one.form["client_assertion"], key)
    assert token.header == {"alg": key.algorithm, "kid": "k1"}
    claims = token.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("portal", "portal", ISSUER)
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["exp"] - claims["iat"] == 60
    assert claims["jti"] != judged(other.form["client_assertion"], key).claims["jti"]
    assert "client_assertion" not in repr(one)


@pytest.mark.parametrize("name", KEYS)
def test_a_proof_binds_address_key_and_token(name: str) -> None:
    key, url = KEYS[name], f"{ISSUER}/oauth2/token"
    found = judged(proof(key, url), key)
    assert found.header == {"alg": key.algorithm, "typ": "dpop+jwt", "jwk": dict(key.public_jwk)}
    assert found.claims.keys() == {"htm", "htu", "iat", "jti"}
    assert (found.claims["htm"], found.claims["htu"]) == ("POST", url)
    bound = judged(proof(key, url, "secret"), key)
    expected = base64.urlsafe_b64encode(hashlib.sha256(b"secret").digest()).rstrip(b"=").decode()
    assert bound.claims["ath"] == expected


def test_a_secret_is_form_encoded_before_it_is_joined() -> None:
    secret = ClientSecret("cổng:1", "a b+c%é:")
    header = secret.authenticate(ISSUER).headers["Authorization"]
    pair = base64.b64decode(header.removeprefix("Basic ")).decode()
    assert list(map(unquote_plus, pair.split(":"))) == ["cổng:1", "a b+c%é:"]
    posted = ClientSecret("portal", "s", in_form=True).authenticate(ISSUER)
    assert (posted.form, posted.headers) == ({"client_id": "portal", "client_secret": "s"}, {})
    assert MutualTls("portal").authenticate(ISSUER).form == {"client_id": "portal"}
    assert "a b+c" not in repr(secret)
    assert "abc" not in repr(Token("abc", refresh="abc"))


def test_keys_are_read_from_pem_files(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    for key in KEYS.values():
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem)
        assert read_key(path).public_jwk == key.public_jwk
    for wrong in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        pem = wrong.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem)
        with pytest.raises(ValueError, match="neither"):
            read_key(path)


def test_the_operator_is_given_the_public_half_alone(tmp_path: Path) -> None:
    key, path = KEYS["secp256r1"], tmp_path / "portal.pem"
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
    command = [sys.executable, "-m", "remote_signing.client.keys", str(path)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told == {"keys": [{**key.public_jwk, "use": "sig", "alg": "ES256"}]}
    jose.check_key_set(told)


PUSHED = Pushed("https://x", "1234", 60, "https://portal.example/back", "state1", "verifier")


@pytest.mark.parametrize(
    ("came_back", "kind"),
    [
        ("code=c&state=other", AnswerUnusable),
        ("code=c", AnswerUnusable),
        ("code=c&state=state1&iss=https://evil.example", AnswerUnusable),
        ("error=access_denied&state=state1", Denied),
        ("error=server_error&state=state1", Refused),
    ],
)
def test_what_the_browser_brings_is_looked_at_before_it_is_used(
    came_back: str, kind: type[Exception]
) -> None:
    flow = redeem(Caller(Service(ISSUER)), PUSHED, f"https://portal.example/back?{came_back}")
    with pytest.raises(kind) as raised:
        next(flow)
    assert type(raised.value) is kind


def test_a_client_without_an_identity_gets_no_tokens() -> None:
    with (
        SigningClient(Service(ISSUER), retry=Retry(tries=1)) as client,
        pytest.raises(ValueError, match="no identity"),
    ):
        client.service_token()


def test_addresses_come_from_the_issuer_unless_they_are_told() -> None:
    here = Service(ISSUER)
    assert here.method("info") == f"{ISSUER}/csc/v2/info"
    assert here.endpoint("token") == f"{ISSUER}/oauth2/token"
    there = Service(ISSUER, csc="https://a/csc/v2", oauth="https://b/oauth2")
    assert there.method("info") == "https://a/csc/v2/info"
    assert there.endpoint("token") == "https://b/oauth2/token"


def test_the_algorithm_is_one_that_the_key_has() -> None:
    ec_key: Any = ["1.2.840.10045.2.1", "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3"]
    assert sign_algorithm(ec_key, "sha384") == "1.2.840.10045.4.3.3"
    assert sign_algorithm(["1.2.840.113549.1.1.11"], "sha256") == "1.2.840.113549.1.1.11"
    assert digest("sha512", b"x") == hashlib.sha512(b"x").digest()
    for wrong in ("sha512", "md5"):
        with pytest.raises(ValueError, match="signs no digests"):
            sign_algorithm(ec_key, wrong)
    with pytest.raises(ValueError, match="md5"):
        digest("md5", b"x")


def test_json_of_a_jws_is_what_was_meant() -> None:
    header = proof(KEYS["secp256r1"], ISSUER).partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["typ"] == "dpop+jwt"
