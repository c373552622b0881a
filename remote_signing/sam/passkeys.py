"""The passkey as a factor: what it is asked, whether its answer is the consent, whom to let in.

The WebAuthn challenge is the SAM's own: the digest of a challenge over exact hashes, credential and
display text, with the SAM's nonce and end. So an assertion is good for that one activation and for
nothing else, and nothing has to be remembered but the counters of authenticators that count. A
signature cannot be guessed, so nothing here is counted against the official.

Checked, each by its own line (WebAuthn Level 3 cl. 7.2): the passkey is the pinned one, its owner
is the credential's, ``webauthn.get``, the challenge, an origin of the record, not inside another
site's page, the site's hash, user present and verified, what it says of copies is what it said when
it was registered, the signature, the counter; and that its cool-off is over.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remote_signing import webauthn
from remote_signing.errors import (
    EvidenceInsufficient,
    EvidenceInvalid,
    InvalidInput,
    PasskeyRefused,
    PasskeyTooNew,
)
from remote_signing.sam.sad import Bound
from remote_signing.sam.sealed import PasskeyFactor
from remote_signing.sap import b64, unb64
from remote_signing.webauthn import WebauthnInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.sam.config import PasskeyConfig
    from remote_signing.sam.counters import PasskeyCounters
    from remote_signing.strict_json import JsonValue
    from remote_signing.webauthn import Attestation, AuthenticatorData

LONGEST_VALUE: Final = 4 * webauthn.LONGEST_SIGNATURE // 3 + 4  # a signature in base64
TRANSPORTS: Final = ("ble", "hybrid", "internal", "nfc", "smart-card", "usb")
_GET, _CREATE = "webauthn.get", "webauthn.create"
_MEMBERS = frozenset({"credential_id", "authenticator_data", "client_data", "user_handle"})
_NO_MODEL = bytes(16)


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """The evidence of a passkey as it came, within its bounds."""

    credential_id: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes
    user_handle: bytes | None


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey as a browser brings it, within its bounds."""

    client_data: bytes
    attestation_object: bytes
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What a new passkey is for: ``challenge`` is what its making must answer."""

    factor_id: str
    challenge: bytes
    scal: str
    now_ms: int
    has_cool_off: bool = True


class Passkeys:
    """Asks, checks and takes passkeys. Without ``config`` this SAM takes none."""

    def __init__(self, config: PasskeyConfig | None, counters: PasskeyCounters) -> None:
        self.config = config
        self.counters = counters

    def check(
        self,
        factor: PasskeyFactor,
        answer: PasskeyAnswer,
        owner: str,
        digest: bytes,
        now_ms: int,
    ) -> AuthenticatorData:
        """What the authenticator says of its consent to ``digest``; ``EvidenceInvalid``.

        ``owner`` is the id of the credential whose factor it is.
        """
        if self.config is None:
            raise EvidenceInsufficient("this SAM is not configured for passkeys")
        if now_ms < factor.usable_from_ms:
            raise PasskeyTooNew(f"counts from {factor.usable_from_ms} on")
        if answer.credential_id != factor.credential_id:
            raise EvidenceInvalid("an answer of another passkey")
        if answer.user_handle not in {None, user_handle(owner)}:
            raise EvidenceInvalid("a passkey of another owner")
        try:
            _check_client_data(answer.client_data, _GET, digest, factor.origins)
            data = webauthn.read_authenticator_data(answer.authenticator_data)
        except WebauthnInvalid as error:
            raise EvidenceInvalid(str(error)) from None
        if flaw := _flaw(data, factor.rp_id) or _change(data, factor):
            raise EvidenceInvalid(flaw)
        signed = (answer.signature, answer.authenticator_data, answer.client_data)
        if not webauthn.verifies(factor.public_key, *signed):
            raise EvidenceInvalid("the passkey has not signed this")
        self.counters.rise(factor.id, data.counter, factor.counter, digest)
        return data

    def take(self, made: Made, place: Place) -> PasskeyFactor:
        """The factor for a new passkey (WebAuthn cl. 7.1); ``PasskeyRefused`` for any flaw.

        Public ``reason`` is "synced" where the credential takes none that can be copied.
        """
        config = self.config
        if config is None:
            raise PasskeyRefused("this SAM is not configured for passkeys")
        try:
            _check_client_data(made.client_data, _CREATE, place.challenge, config.origins)
            attestation = webauthn.read_attestation(made.attestation_object)
            data = webauthn.read_authenticator_data(attestation.authenticator_data)
            key = _attested(attestation, data, made.client_data)
        except WebauthnInvalid as error:
            raise PasskeyRefused(str(error)) from None
        if flaw := _flaw(data, config.rp_id):
            raise PasskeyRefused(flaw)
        if data.is_eligible and place.scal != "1" and not config.synced_at_scal2:
            raise PasskeyRefused("may be copied to other devices", reason="synced")
        cool_off = config.cool_off_seconds * 1000 if place.has_cool_off else 0
        return PasskeyFactor(
            id=place.factor_id,
            credential_id=key.credential_id,
            public_key=key.public_key,
            rp_id=config.rp_id,
            origins=config.origins,
            counter=data.counter,
            aaguid=key.aaguid,
            transports=made.transports,
            is_eligible=data.is_eligible,
            registered_at_ms=place.now_ms,
            usable_from_ms=place.now_ms + cool_off,
        )


def user_handle(credential_id: str) -> bytes:
    """What an authenticator knows the owner by (WebAuthn cl. 5.4.3): nothing of the person."""
    return credential_id.encode("ascii")


def _check_client_data(
    encoded: bytes, kind: str, challenge: bytes, origins: tuple[str, ...]
) -> None:
    client_data = webauthn.read_client_data(encoded)
    if client_data.kind != kind:
        raise WebauthnInvalid("client data of another ceremony")
    if not hmac.compare_digest(client_data.challenge, challenge):
        raise WebauthnInvalid("an answer to another challenge")
    if client_data.origin not in origins:
        raise WebauthnInvalid("asked from another origin")
    if client_data.is_framed:
        raise WebauthnInvalid("asked from inside another site's page")


def _flaw(data: AuthenticatorData, rp_id: str) -> str | None:
    if data.rp_id_hash != hashlib.sha256(rp_id.encode("ascii")).digest():
        return "made for another site"
    if not data.is_present:
        return "nobody was there"
    return None if data.is_verified else "its user was not verified"


def _change(data: AuthenticatorData, factor: PasskeyFactor) -> str | None:
    if data.attested is not None:
        return "a new passkey in the place of an answer"
    same = data.is_eligible == factor.is_eligible
    return None if same else "says otherwise of copies than when it was registered"


def _attested(
    attestation: Attestation, data: AuthenticatorData, client_data: bytes
) -> webauthn.Attested:
    """The new passkey. No attestation is asked for; ``packed`` by itself proves possession."""
    new = data.attested
    if new is None:
        raise WebauthnInvalid("no new passkey")
    statement = attestation.statement
    if attestation.form == "none" and not statement:
        return new
    signature = statement.get("sig")
    is_own = attestation.form == "packed" and statement.keys() == {"alg", "sig"}
    if not is_own or not isinstance(signature, bytes) or new.aaguid != _NO_MODEL:
        raise WebauthnInvalid("an attestation that was not asked for")
    algorithm, _ = webauthn.load_key(new.public_key)
    signed = (signature, attestation.authenticator_data, client_data)
    if statement["alg"] != algorithm or not webauthn.verifies(new.public_key, *signed):
        raise WebauthnInvalid("an attestation that does not verify")
    return new


def record(
    factor: PasskeyFactor,
    answer: PasskeyAnswer,
    data: AuthenticatorData,
    asked: Bound | Sequence[str] | None,
) -> dict[str, object]:
    """What the evidence's statement says: all that is needed to check it again (docs/passkeys.md).

    The rest of the challenge (hashes, client, text) stands in the request that it was made for. Of
    several requests, ``asked`` has the challenges' digests, which tell nothing of what they cover.
    """
    told: dict[str, object] = {
        "rp_id": factor.rp_id,
        "public_key": b64(webauthn.spki(factor.public_key)),
        "authenticator_data": b64(answer.authenticator_data),
        "client_data": b64(answer.client_data),
        "signature": b64(answer.signature),
        "counter": data.counter,
        "synced": data.is_backed_up,
    }
    if isinstance(asked, Bound):
        told["challenge"] = asked.added()
    elif asked:
        told["together"] = list(asked)
    return told


def read_answer(value: JsonValue, passkey: JsonValue) -> PasskeyAnswer:
    """The passkey's evidence from the wire; ``InvalidInput`` when it is not of that shape."""
    if not isinstance(passkey, dict) or passkey.keys() != _MEMBERS:
        raise InvalidInput("evidence of a passkey", parameter="evidence")
    handle = passkey["user_handle"]
    return PasskeyAnswer(
        credential_id=_octets(passkey["credential_id"], webauthn.LONGEST_ID),
        authenticator_data=_octets(
            passkey["authenticator_data"], webauthn.LONGEST_AUTHENTICATOR_DATA
        ),
        client_data=_octets(passkey["client_data"], webauthn.LONGEST_CLIENT_DATA),
        signature=_octets(value, webauthn.LONGEST_SIGNATURE),
        user_handle=None if handle is None else _octets(handle, webauthn.LONGEST_USER_HANDLE),
    )


def read_made(members: dict[str, JsonValue]) -> Made:
    """A new passkey from the wire or an order; ``InvalidInput`` when it is not of that shape."""
    transports = members.get("transports")
    if not isinstance(transports, list) or len(transports) > len(TRANSPORTS):
        raise InvalidInput("transports is not a short list", parameter="passkey")
    # Unknown ones are of a later day and must be passed over (WebAuthn cl. 5.8.4).
    known = tuple(each for each in TRANSPORTS if each in transports)
    return Made(
        client_data=_octets(members.get("client_data"), webauthn.LONGEST_CLIENT_DATA, "passkey"),
        attestation_object=_octets(
            members.get("attestation_object"), webauthn.LONGEST_ATTESTATION, "passkey"
        ),
        transports=known,
    )


def name_of(factor: PasskeyFactor) -> dict[str, object]:
    """The passkey as browsers are asked for it."""
    return {"id": b64(factor.credential_id), "transports": list(factor.transports)}


def _octets(value: JsonValue, longest: int, parameter: str = "evidence") -> bytes:
    octets = unb64(value, parameter)
    if len(octets) > longest:
        raise InvalidInput("what a passkey says is too long", parameter=parameter)
    return octets
