"""Every signAlgo, signAlgoParams and hashAlgorithmOID that info offers, by keys in real tokens."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from remote_signing.algorithms import (
    ALGORITHMS,
    DIGESTS,
    EC_PUBLIC_KEY,
    RSA_ENCRYPTION,
    RSASSA_PSS,
    Digest,
    implied_digest,
)
from remote_signing.clock import FixedClock
from remote_signing.rssp import credentials, migrations
from tests.support.csc import CscPortal, b64
from tests.support.sam import POLICY
from tests.support.world import connect, furnish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Databases
    from tests.support.sam import RunningSam

SIGN = "signatures/signHash"
PSS_DIGESTS = [digest for digest in DIGESTS.values() if digest.mgf is not None]


@dataclass
class Case:
    """``salt`` is what the signature must have been made with; ``params`` say so when given."""

    algorithm: str
    sign_algo: str
    digest: Digest
    named: bool = False
    salt: int | None = None
    params: bytes | None = None

    def __str__(self) -> str:
        parts = [self.algorithm, self.sign_algo, self.digest.name]
        parts += ["hashAlgorithmOID"] * self.named + [f"salt {self.salt}"] * (self.salt is not None)
        return " ".join(parts + ["signAlgoParams"] * (self.params is not None))


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes([tag, len(body)]) + body


def oid(dotted: str) -> bytes:
    """The DER of an object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    body = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc >> shift & 0x7F for shift in range(28, -1, -7)]
        while len(groups) > 1 and not groups[0]:
            groups.pop(0)
        body += bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])
    return der(0x06, body)


def pss_params(digest: Digest, salt: int) -> bytes:
    """RSASSA-PSS-params (RFC 4055 cl. 3.1)."""
    hash_algorithm = der(0x30, oid(digest.oid), b"\x05\x00")
    mask = der(0x30, oid("1.2.840.113549.1.1.8"), hash_algorithm)
    length = der(0x02, salt.to_bytes((salt.bit_length() + 8) // 8))
    return der(0x30, der(0xA0, hash_algorithm), der(0xA1, mask), der(0xA2, length))


def cases(name: str) -> Iterator[Case]:
    """All combinations for keys of one type."""
    algorithm = ALGORITHMS[name]
    for sign_algo in algorithm.sign_oids:
        digest = implied_digest(sign_algo)
        if digest is not None:
            yield Case(name, sign_algo, digest)
            yield Case(name, sign_algo, digest, named=True)
        elif sign_algo in {RSA_ENCRYPTION, EC_PUBLIC_KEY}:
            yield from (Case(name, sign_algo, one, named=True) for one in DIGESTS.values())
    for digest in PSS_DIGESTS if algorithm.kind == "rsa" else ():
        longest = algorithm.bits // 8 - digest.length - 2
        yield Case(name, RSASSA_PSS, digest, named=True, salt=digest.length)
        for salt in (digest.length, longest):
            params = pss_params(digest, salt)
            yield Case(name, RSASSA_PSS, digest, salt=salt, params=params)
            yield Case(name, RSASSA_PSS, digest, named=True, salt=salt, params=params)


@pytest.fixture(scope="module")
def portal(databases: Databases, sam_factory: Callable[..., RunningSam]) -> Iterator[CscPortal]:
    """A world whose SAM is a real one, with two nodes."""
    url = databases.fresh(migrations.upgrade)
    world = connect(url, FixedClock(time.time_ns() // 1_000_000))
    authority = world.authority
    sam = sam_factory(pinned={authority.key_id: authority.public_key}).client()
    world.services = replace(world.services, sam=sam)
    try:
        yield CscPortal.at(furnish(world))
    finally:
        world.services.close()
        databases.drop(url)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_combination_that_info_offers_signs(portal: CscPortal, name: str) -> None:
    """One consent at SCAL1, one call for each combination: the codes are typed once a key type."""
    portal.world.clock.advance(time.time() - portal.world.clock.now_ms() / 1000)
    portal.world.new_credential(algorithm=name, scal="1", multisign=100)
    wanted = list(cases(name))
    sad, key = authorised(portal, len(wanted)), public_key(portal)
    for case in wanted:
        value = hashlib.sha512(str(case).encode()).digest()[: case.digest.length]
        body: dict[str, Any] = {
            "credentialID": portal.world.credential_id,
            "SAD": sad,
            "hashes": [b64(value)],
            "signAlgo": case.sign_algo,
            "hashAlgorithmOID": case.digest.oid if case.named else None,
            "signAlgoParams": None if case.params is None else b64(case.params),
        }
        answer = portal.post(SIGN, body)
        assert answer.status_code == 200, (str(case), answer.text)
        verify(key, case, base64.b64decode(answer.json()["signatures"][0]), value)


def authorised(portal: CscPortal, count: int) -> str:
    """A SAD for ``count`` signatures over anything."""
    credential_id = portal.world.credential_id
    asked = {"credentialID": credential_id, "authInfo": True, "certInfo": True}
    shown = portal.post("credentials/info", asked)
    assert shown.json()["cert"]["policy"] == [POLICY["policy_oid"]]
    pin, otp = (item["id"] for item in shown.json()["auth"]["objects"])
    body = {
        "credentialID": credential_id,
        "numSignatures": count,
        "authData": [
            {"id": pin, "value": portal.world.pin},
            {"id": otp, "value": portal.world.otp()},
        ],
    }
    answer = portal.post("credentials/authorize", body)
    assert answer.status_code == 200, answer.text
    sad: str = answer.json()["SAD"]
    return sad


def public_key(portal: CscPortal) -> Any:
    world = portal.world
    found = credentials.visible(
        world.database, world.credential_id, subscriber_id=world.subscriber_id
    )
    assert found is not None
    return serialization.load_der_public_key(found.public_key)


def verify(key: Any, case: Case, signature: bytes, value: bytes) -> None:
    """Raises ``InvalidSignature`` when it is none."""
    algorithm = Prehashed(case.digest.hash)
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, value, ec.ECDSA(algorithm))
        return
    assert isinstance(key, rsa.RSAPublicKey)
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if case.salt is not None:
        scheme = padding.PSS(padding.MGF1(case.digest.hash), case.salt)
    key.verify(signature, value, scheme, algorithm)


@pytest.mark.parametrize(
    ("sign_algo", "params", "text"),
    [
        ("1.2.840.10045.4.3.2", None, "Invalid parameter signAlgo"),
        (
            RSASSA_PSS,
            pss_params(DIGESTS["sha256"], 4096 // 8 - 34),
            "Invalid parameter signAlgoParams",
        ),
    ],
)
def test_what_only_the_key_can_refuse_is_refused_and_consumes_nothing(
    portal: CscPortal, sign_algo: str, params: bytes | None, text: str
) -> None:
    """An algorithm of another kind of key; a salt that only a larger key has room for."""
    portal.world.clock.advance(time.time() - portal.world.clock.now_ms() / 1000)
    portal.world.new_credential(algorithm="rsa2048", scal="1")
    sad = authorised(portal, 1)
    body: dict[str, Any] = {
        "credentialID": portal.world.credential_id,
        "SAD": sad,
        "hashes": [b64(bytes(32))],
        "signAlgo": sign_algo,
        "signAlgoParams": None if params is None else b64(params),
    }
    answer = portal.post(SIGN, body)
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)
    good = {**body, "signAlgo": "1.2.840.113549.1.1.11", "signAlgoParams": None}
    assert portal.post(SIGN, good).status_code == 200
