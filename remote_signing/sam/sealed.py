"""Sealed credentials: a wrapped key with what may activate it, unreadable outside the HSM cluster.

The rssp stores the sealed bytes and can neither read nor alter them. Layout:

    b"RSC1" | credential id (26 ASCII) | version (4, big-endian) | Node.seal(JSON)

The first three are the associated data of the seal, so that a record put into another row, or
beside another version number, does not open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, cast

from remote_signing import strict_json
from remote_signing.errors import SealBroken
from remote_signing.identifiers import is_id
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from remote_signing.sam.hsm import Node
    from remote_signing.strict_json import JsonValue

SimMode = Literal["structure", "digest", "text"]
SIM_MODES: Final[tuple[SimMode, ...]] = ("structure", "digest", "text")

_MAGIC = b"RSC1"
_ID = slice(4, 30)
_VERSION = slice(30, 34)
_HEADER = slice(0, 34)
_DOMAIN = b"credential"


@dataclass(frozen=True, slots=True)
class PinFactor:
    """A signing PIN; ``verifier`` is an HMAC under a key of the HSM (32 bytes).

    ``replaces`` are the PINs that this one took the place of, and that may not be revoked yet.
    """

    id: str
    verifier: bytes
    replaces: tuple[str, ...] = ()
    kind: str = "pin"


@dataclass(frozen=True, slots=True)
class TotpFactor:
    """A time-based one-time code (RFC 6238); ``secret`` is base32 of 160 bits."""

    id: str
    secret: str
    kind: str = "totp"


@dataclass(frozen=True, slots=True)
class SimFactor:
    """The key in a phone's SIM: the pinned certificate and its issuers, all DER.

    ``mode`` says what this SIM signs (docs/sim-consent.md). Number and operator
    are not here: they say where to ask, and prove nothing.
    """

    id: str
    certificate: bytes
    chain: tuple[bytes, ...]
    mode: SimMode
    kind: str = "sim"


@dataclass(frozen=True, slots=True)
class PasskeyFactor:
    """A passkey (docs/passkeys.md): its id and COSE key as they were registered.

    ``rp_id`` and ``origins`` are where it may be asked; ``counter`` is what it said when it was
    registered; ``is_eligible``: its provider may copy it (BE). It counts from ``usable_from_ms``
    on, by the SAM's clock.
    """

    id: str
    credential_id: bytes
    public_key: bytes
    rp_id: str
    origins: tuple[str, ...]
    counter: int
    aaguid: bytes
    transports: tuple[str, ...]
    is_eligible: bool
    registered_at_ms: int
    usable_from_ms: int
    kind: str = "passkey"


Factor = PinFactor | TotpFactor | SimFactor | PasskeyFactor
Consent = tuple[tuple[str, ...], ...]

# Which kinds of factors together are enough, where the registration authority said nothing else.
# A SIM is two: it is there, and it asked for its own PIN. So is a passkey that verified its user.
USUAL_CONSENT: dict[str, Consent] = {
    "1": (("pin",), ("totp",), ("sim",), ("passkey",)),
    "2": (("pin", "totp"), ("sim",), ("passkey",)),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as only the SAM sees it.

    ``wrapped_key`` opens in any HSM node of the cluster; ``public_key`` is SPKI DER; ``scal`` is
    "1" or "2"; ``multisign`` the most signatures of one authorisation; ``consent`` the sets of
    kinds of factors of which one must be presented in full, ``rule_since_ms`` when the order that
    said so was issued (0: the one that made the credential); ``unlocked_by`` the order (its
    fingerprint) by which the registration authority last let its owner guess again.
    """

    credential_id: str
    version: int
    owner: str
    algorithm: str
    wrapped_key: bytes
    public_key: bytes
    certificate_sha256: str | None
    scal: str
    multisign: int
    factors: tuple[Factor, ...]
    consent: Consent
    rule_since_ms: int = 0
    unlocked_by: str | None = None

    @property
    def guessed_as(self) -> str:
        """What the journal of every host counts guesses under: anew after each unlocking.

        The record brings the news to hosts that the order itself never reaches. Putting an older
        record back brings back what was counted under it, and no more.
        """
        order = self.unlocked_by
        return self.credential_id if order is None else f"{self.credential_id}.{order}"

    def seal(self, node: Node) -> bytes:
        """The sealed record of this version."""
        header = _MAGIC + self.credential_id.encode("ascii") + self.version.to_bytes(4)
        members = {
            "owner": self.owner,
            "algorithm": self.algorithm,
            "wrapped_key": b64(self.wrapped_key),
            "public_key": b64(self.public_key),
            "certificate_sha256": self.certificate_sha256,
            "scal": self.scal,
            "multisign": self.multisign,
            "factors": [_written(factor) for factor in self.factors],
            "consent": [list(kinds) for kinds in self.consent],
        }
        if self.rule_since_ms:
            members["rule_since_ms"] = self.rule_since_ms
        if self.unlocked_by is not None:
            members["unlocked_by"] = self.unlocked_by
        return header + node.seal(_DOMAIN, strict_json.canonical(members), header)

    def successor(
        self,
        *,
        factors: tuple[Factor, ...] | None = None,
        certificate_sha256: str | None = None,
        consent: Consent | None = None,
        rule_since_ms: int | None = None,
        unlocked_by: str | None = None,
    ) -> Credential:
        """The next version, with what is given; everything else as it is."""
        return replace(
            self,
            version=self.version + 1,
            factors=self.factors if factors is None else factors,
            certificate_sha256=certificate_sha256 or self.certificate_sha256,
            consent=self.consent if consent is None else consent,
            rule_since_ms=self.rule_since_ms if rule_since_ms is None else rule_since_ms,
            unlocked_by=unlocked_by or self.unlocked_by,
        )

    def factor(self, factor_id: object) -> Factor | None:
        """The factor with that id."""
        return next((factor for factor in self.factors if factor.id == factor_id), None)


def open_sealed(node: Node, sealed: bytes) -> Credential:
    """The credential in ``sealed``; ``SealBroken`` when any bit is not as the SAM wrote it."""
    header = sealed[_HEADER]
    identifier = header[_ID].decode("ascii", "replace")
    if header[: len(_MAGIC)] != _MAGIC or not is_id(identifier):
        raise SealBroken("not a sealed credential")
    plaintext = node.unseal(_DOMAIN, sealed[_HEADER.stop :], header)
    members = strict_json.loads_object(plaintext)
    scal = cast("str", members["scal"])
    # A record from before there was a choice says nothing.
    consent = cast("list[list[str]]", members.get("consent", USUAL_CONSENT[scal]))
    return Credential(
        credential_id=identifier,
        version=int.from_bytes(header[_VERSION]),
        owner=cast("str", members["owner"]),
        algorithm=cast("str", members["algorithm"]),
        wrapped_key=unb64(members["wrapped_key"], "wrapped_key"),
        public_key=unb64(members["public_key"], "public_key"),
        certificate_sha256=cast("str | None", members["certificate_sha256"]),
        scal=scal,
        multisign=cast("int", members["multisign"]),
        factors=tuple(_read(factor) for factor in cast("list[JsonValue]", members["factors"])),
        consent=tuple(map(tuple, consent)),
        rule_since_ms=cast("int", members.get("rule_since_ms", 0)),
        unlocked_by=cast("str | None", members.get("unlocked_by")),
    )


def _written(factor: Factor) -> dict[str, object]:
    members: dict[str, object] = {"id": factor.id, "kind": factor.kind}
    if isinstance(factor, PinFactor):
        replaces = {"replaces": list(factor.replaces)} if factor.replaces else {}
        return members | {"verifier": b64(factor.verifier), **replaces}
    if isinstance(factor, TotpFactor):
        return members | {"secret": factor.secret}
    if isinstance(factor, PasskeyFactor):
        return members | _written_passkey(factor)
    chain = [b64(certificate) for certificate in factor.chain]
    return members | {
        "certificate": b64(factor.certificate),
        "chain": chain,
        "mode": factor.mode,
    }


def _read(value: JsonValue) -> Factor:
    members = cast("dict[str, str]", value)
    if members["kind"] == "pin":
        verifier = unb64(members["verifier"], "verifier")
        return PinFactor(members["id"], verifier, tuple(members.get("replaces", ())))
    if members["kind"] == "totp":
        return TotpFactor(members["id"], members["secret"])
    if members["kind"] == "passkey":
        return _read_passkey(cast("dict[str, JsonValue]", value))
    return SimFactor(
        id=members["id"],
        certificate=unb64(members["certificate"], "certificate"),
        chain=tuple(unb64(certificate, "chain") for certificate in members["chain"]),
        mode=cast("SimMode", members["mode"]),
    )


def _written_passkey(factor: PasskeyFactor) -> dict[str, object]:
    return {
        "credential_id": b64(factor.credential_id),
        "public_key": b64(factor.public_key),
        "rp_id": factor.rp_id,
        "origins": list(factor.origins),
        "counter": factor.counter,
        "aaguid": factor.aaguid.hex(),
        "transports": list(factor.transports),
        "is_eligible": factor.is_eligible,
        "registered_at_ms": factor.registered_at_ms,
        "usable_from_ms": factor.usable_from_ms,
    }


def _read_passkey(members: dict[str, JsonValue]) -> PasskeyFactor:
    return PasskeyFactor(
        id=cast("str", members["id"]),
        credential_id=unb64(members["credential_id"], "credential_id"),
        public_key=unb64(members["public_key"], "public_key"),
        rp_id=cast("str", members["rp_id"]),
        origins=tuple(cast("list[str]", members["origins"])),
        counter=cast("int", members["counter"]),
        aaguid=bytes.fromhex(cast("str", members["aaguid"])),
        transports=tuple(cast("list[str]", members["transports"])),
        is_eligible=cast("bool", members["is_eligible"]),
        registered_at_ms=cast("int", members["registered_at_ms"]),
        usable_from_ms=cast("int", members["usable_from_ms"]),
    )
