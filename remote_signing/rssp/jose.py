"""JSON Web Signatures in compact form (RFC 7515), read as strictly as RFC 8725 advises.

The signature is checked by joserfc's algorithms; the text around it is read here, because who may
choose the key must never be the sender: a header that brings or points to a key is refused, except
where a caller says that it wants exactly that (DPoP). Duplicate members, loose base64 and long
texts are refused before any cryptography runs.
"""

from __future__ import annotations

import base64
import functools
import hmac
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from remote_signing import strict_json
from remote_signing.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remote_signing.strict_json import JsonValue

PublicKey: TypeAlias = ECKey | RSAKey | OKPKey

ALGORITHMS: Final = (
    *("ES256", "ES384", "ES512"),
    *("PS256", "PS384", "PS512"),
    *("EdDSA", "Ed25519"),  # RFC 8037's name and RFC 9864's for the same thing
)
"""No ``none``, nothing symmetric, no PKCS#1 v1.5 (FAPI 2.0 cl. 5.4)."""

LONGEST: Final = 8192
"""Characters. A proof with an RSA-4096 key in its header takes 2,400."""

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_CHOOSES_THE_KEY = frozenset({"jku", "x5u", "x5c", "jwk"})
_CHANGES_THE_MEANING = frozenset({"crit", "b64", "zip"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS = ("EC", "RSA", "OKP")  # no set: a stranger's member may be a list
_KTY = {"E": "EC", "P": "RSA", "R": "RSA"}
_RSA_BITS = range(2048, 8193)
_LONGEST_EXPONENT = 6  # characters: 32 bits
_MOST_KEYS = 20
_MOST_HEADERS = 256  # 8 kB each at the most
_LATEST = 253_402_300_799  # seconds until the year 10000


@dataclass(frozen=True, slots=True)
class Jws:
    """A signed text whose signature nobody has checked yet: believe nothing in it.

    ``algorithm`` is one of :data:`ALGORITHMS`.
    """

    header: Mapping[str, JsonValue]
    claims: dict[str, JsonValue]
    algorithm: str
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the owner of ``key`` has signed it; False also when the key does not fit."""
        model = JWSRegistry.algorithms[self.algorithm]
        try:
            model.check_key(key)
            return model.verify(self.signed, self.signature, key)
        except (JoseError, ValueError):
            return False


def parse(text: str, *, key_in_header: bool = False, algorithms: Sequence[str] = ALGORITHMS) -> Jws:
    """The three parts of ``text``; ``InvalidInput`` when it is not a JWS that we could accept.

    ``key_in_header`` allows (not: requires) the header member ``jwk``. ``algorithms`` is never to
    hold one that is symmetric.
    """
    match = _SEGMENTS.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise InvalidInput("not a compact JWS, or too long")
    header = _header(match[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidInput(f"JWS algorithm {str(algorithm)[:20]!r}")
    forbidden = _CHOOSES_THE_KEY | _CHANGES_THE_MEANING
    if key_in_header:
        forbidden -= {"jwk"}
    if found := forbidden & header.keys():
        raise InvalidInput(f"JWS header member {min(found)}")
    return Jws(
        header=header,
        claims=strict_json.loads_object(_decode(match[2])),
        algorithm=algorithm,
        signed=text.rpartition(".")[0].encode("ascii"),
        signature=_decode(match[3]),
    )


def brought_key(jws: Jws) -> tuple[PublicKey, str]:
    """The public key in the header of ``jws``, and its RFC 7638 thumbprint; ``InvalidInput``."""
    return _brought_key(jws.signed.partition(b".")[0].decode("ascii"))


# A sender writes the same header each time. Strangers can fill these caches; they hold little, and
# who has lost his place is read again.
@functools.lru_cache(maxsize=_MOST_HEADERS)
def _header(segment: str) -> Mapping[str, JsonValue]:
    return MappingProxyType(strict_json.loads_object(_decode(segment)))


@functools.lru_cache(maxsize=_MOST_HEADERS)
def _brought_key(segment: str) -> tuple[PublicKey, str]:
    key = public_key(_header(segment).get("jwk"))
    return key, key.thumbprint()


def symmetric_claims(text: str, key: bytes) -> dict[str, JsonValue]:
    """The claims of a JWT under HS256 and that key alone; ``InvalidInput`` for anything else.

    For CSC's ``account_token`` only: :func:`parse` never takes a symmetric algorithm, so that
    nobody can make a public key into a secret (RFC 8725 cl. 2.1).
    """
    match = _SEGMENTS.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise InvalidInput("not a compact JWS, or too long")
    header = strict_json.loads_object(_decode(match[1]))
    kind = header.get("typ", "JWT")
    known = header.keys() <= {"alg", "typ"} and isinstance(kind, str) and kind.upper() == "JWT"
    if header.get("alg") != "HS256" or not known:
        raise InvalidInput("not a JWT under HS256 with a plain header")
    expected = hmac.digest(key, text.rpartition(".")[0].encode("ascii"), "sha256")
    if not hmac.compare_digest(expected, _decode(match[3])):
        raise InvalidInput("signed with another key")
    return strict_json.loads_object(_decode(match[2]))


def public_key(jwk: JsonValue) -> PublicKey:
    """The public key that ``jwk`` spells; ``InvalidInput`` for a private, symmetric or weak one."""
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise InvalidInput("not a public JWK")
    if jwk.get("kty") not in _KINDS:
        raise InvalidInput(f"JWK of type {str(jwk.get('kty'))[:20]!r}")
    if jwk["kty"] == "RSA":
        _check_rsa(jwk)
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise InvalidInput("a JWK that is not for verifying")
    try:
        key = import_key({name: value for name, value in jwk.items() if isinstance(value, str)})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"JWK: {error}") from None
    if not isinstance(key, PublicKey):
        raise InvalidInput("not an asymmetric JWK")
    return key


def _check_rsa(jwk: dict[str, JsonValue]) -> None:
    """Sizes first: a long modulus or exponent makes each check as slow as its sender likes."""
    modulus, exponent = jwk.get("n"), jwk.get("e")
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        raise InvalidInput("not an RSA JWK")
    bits = int.from_bytes(_decode(modulus)).bit_length()
    if bits not in _RSA_BITS or len(exponent) > _LONGEST_EXPONENT:
        raise InvalidInput("RSA key too short or too long")


def time_claim(claims: Mapping[str, JsonValue], name: str) -> int | None:
    """A NumericDate (RFC 7519 cl. 2) in milliseconds, None when absent; else ``InvalidInput``."""
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LATEST:
        raise InvalidInput(f"{name} is not a time")
    return int(value * 1000)


def find_signer(jws: Jws, jwks: Mapping[str, JsonValue]) -> PublicKey | None:
    """The key of a registered key set that has signed ``jws``, or None.

    A ``kid`` in the header must be the key's; without one every key that fits is tried.
    """
    keys = _key_set(strict_json.canonical(jwks))
    kid = jws.header.get("kid")
    fitting = (key for key in keys if (kid is None or key.kid == kid) and _fits(key, jws.algorithm))
    return next((key for key in fitting if jws.is_signed_by(key)), None)


def check_key_set(jwks: JsonValue) -> None:
    """Refuse, at a client's registration, a key set that holds anything but good public keys."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MOST_KEYS:
        raise InvalidInput(f"not a JWK set of 1 to {_MOST_KEYS} keys", parameter="jwks")
    for key in keys:
        public_key(key)


def thumbprints(jwks: Mapping[str, JsonValue]) -> list[JsonValue]:
    """The RFC 7638 thumbprints of a checked key set, in its order."""
    return [key.thumbprint() for key in _key_set(strict_json.canonical(jwks))]


@functools.lru_cache(maxsize=1000)
def _key_set(canonical: bytes) -> Sequence[PublicKey]:
    members = strict_json.loads_object(canonical).get("keys")
    keys = members[:_MOST_KEYS] if isinstance(members, list) else []
    return tuple(public_key(key) for key in keys)


def _fits(key: PublicKey, algorithm: str) -> bool:
    declared = key.as_dict(private=False)
    if declared.get("use", "sig") != "sig" or declared.get("alg", algorithm) != algorithm:
        return False
    kind = "OKP" if algorithm.startswith("Ed") else _KTY[algorithm[0]]
    return key.key_type == kind


def _decode(segment: str) -> bytes:
    """Base64url that has one spelling only: no padding, no spare bits (RFC 7515 cl. 2)."""
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise InvalidInput("not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != segment:
        raise InvalidInput("base64url with spare bits")
    return data
