"""Credentials and their factors: made, certified, changed and destroyed by order only.

The orders are the registration authority's (:mod:`.orders`); what officials change by themselves
is in :mod:`.passkey_enrolment` and :mod:`.pin_choice`. What is removed goes on the revocation list
before the new record is handed out: a crash in between leaves a record whose factor is refused,
never a factor that lives on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from remote_signing import strict_json
from remote_signing.algorithms import algorithm_named
from remote_signing.errors import InvalidInput, OrderInvalid, RecordRevoked
from remote_signing.identifiers import is_id
from remote_signing.sam import authority, orders
from remote_signing.sam.activation import open_live
from remote_signing.sam.arguments import MOST_HASHES, binary, serial_number
from remote_signing.sam.factors import new_pin, new_totp_secret, pin_factor
from remote_signing.sam.passkeys import Place, read_made
from remote_signing.sam.revocation import certificate_entry
from remote_signing.sam.sealed import (
    USUAL_CONSENT,
    Credential,
    Factor,
    TotpFactor,
    open_sealed,
)
from remote_signing.sam.sim_enrolment import check_possession, consent_rule, sim_factor
from remote_signing.sap import b64, unb64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.clock import Clock
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import SamConfig
    from remote_signing.sam.factors import EvidenceCheck
    from remote_signing.sam.orders import Members

_SECRETS_INFO = b"remote-signing/factor-secrets/v1|"
_SECRETS_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SPKI = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
_MOST_FACTORS = 4


class Enrolment:
    """The verbs of one worker that change what a credential is."""

    def __init__(
        self, config: SamConfig, evidence: EvidenceCheck, issuer: x509.Certificate, clock: Clock
    ) -> None:
        self._authority = config.authority
        self._orders = orders.OrderBook(config.registration_keys)
        self._evidence = evidence
        self._node = evidence.node
        self._journal = evidence.journal
        self._revoked = evidence.revoked
        self._issuer = issuer
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {
            "create_credential": self._create_credential,
            "certify": self._certify,
            "certify_sim": self._certify_sim,
            "install_certificate": self._install_certificate,
            "bind_factor": self._bind_factor,
            "drop_factor": self._drop_factor,
            "destroy": self._destroy,
            "revoke": self._revoke,
            "unlock": self._unlock,
            "merge_revocations": self._merge_revocations,
        }

    def _create_credential(self, arguments: Arguments) -> Answer:
        order = self._order(arguments, "create_credential")
        credential_id = orders.text(order, "credential_id")
        if credential_id in self._revoked:
            raise RecordRevoked("a destroyed credential's id is not used again")
        algorithm = algorithm_named(orders.text(order, "algorithm"))
        scal = orders.text(order, "scal")
        if scal not in {"1", "2"}:
            raise OrderInvalid("scal is neither 1 nor 2")
        multisign = orders.integer(order, "multisign", 1, MOST_HASHES)
        factors, secrets = self._new_factors(order, credential_id, scal)
        key = self._node.generate(algorithm)
        credential = Credential(
            credential_id=credential_id,
            version=1,
            owner=orders.text(order, "owner"),
            algorithm=algorithm.name,
            wrapped_key=key.wrapped,
            public_key=key.public_key,
            certificate_sha256=None,
            scal=scal,
            multisign=multisign,
            factors=factors,
            consent=consent_rule(order, scal) or USUAL_CONSENT[scal],
        )
        return {
            "sealed": b64(credential.seal(self._node)),
            "version": credential.version,
            "public_key": b64(key.public_key),
            "csr": b64(self._certification_request(credential)),
            "secrets": b64(secrets),
        }

    def _certification_request(self, credential: Credential) -> bytes:
        """PKCS#10: proof that the key is here. The subject is the certificate order's matter."""
        algorithm = algorithm_named(credential.algorithm)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, credential.credential_id)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        wrapped, public_key = credential.wrapped_key, credential.public_key
        with self._node.activate(wrapped, algorithm, public_key) as key:
            request = builder.sign(key.private_key_for_csr(), hashes.SHA256())
        return request.public_bytes(serialization.Encoding.DER)

    def _certify(self, arguments: Arguments) -> Answer:
        credential, order = self._ordered(arguments, "certify")
        self._check_key(order, credential)
        # One order, one certificate: a repeat is answered with the one that was issued.
        name = orders.fingerprint(arguments["order"])
        issued = self._journal.answer(name)
        if issued is None:
            certificate = authority.issue(
                self._node, self._authority, self._issuer, order, credential.public_key
            )
            issued = self._journal.keep_answer(name, b64(certificate), _end(order))
        return self._certified(credential, unb64(issued, "certificate"))

    def _certify_sim(self, arguments: Arguments) -> Answer:
        """A certificate for the key in a SIM, which has signed for it. No record changes."""
        order = self._order(arguments, "certify_sim")
        public_key = binary(arguments, "public_key")
        check_possession(order, public_key, arguments.get("possession"))
        name = orders.fingerprint(arguments["order"])  # one order, one certificate
        issued = self._journal.answer(name)
        if issued is None:
            certificate = authority.issue(
                self._node, self._authority, self._issuer, order, public_key
            )
            issued = self._journal.keep_answer(name, b64(certificate), _end(order))
        return {"certificate": issued}

    def _install_certificate(self, arguments: Arguments) -> Answer:
        credential, order = self._ordered(arguments, "install_certificate")
        certificate = binary(arguments, "certificate")
        if order.get("certificate_sha256") != hashlib.sha256(certificate).hexdigest():
            raise OrderInvalid("the order is for another certificate")
        try:
            public_key = x509.load_der_x509_certificate(certificate).public_key()
        except ValueError:
            raise InvalidInput("certificate is not DER", parameter="certificate") from None
        if public_key.public_bytes(*_SPKI) != credential.public_key:
            raise OrderInvalid("the certificate is for another key")
        return self._certified(credential, certificate)

    def _certified(self, credential: Credential, certificate: bytes) -> Answer:
        fingerprint = hashlib.sha256(certificate).hexdigest()
        successor = credential.successor(certificate_sha256=fingerprint)
        return self._resealed(successor) | {"certificate": b64(certificate)}

    def _bind_factor(self, arguments: Arguments) -> Answer:
        credential, order = self._ordered(arguments, "bind_factor")
        if order.get("if_version") != credential.version:
            raise OrderInvalid("the order is for another version of the record")
        rule = consent_rule(order, credential.scal)
        since_ms = None if rule is None else _rule_since(order, credential)
        # An order may be about the rule of consent alone.
        least = 1 if rule is None else 0
        factors, secrets = self._new_factors(
            order, credential.credential_id, credential.scal, least
        )
        if any(credential.factor(factor.id) for factor in factors):
            raise OrderInvalid("a factor with this id exists")
        successor = credential.successor(
            factors=credential.factors + factors, consent=rule, rule_since_ms=since_ms
        )
        return self._resealed(successor, factors) | {"secrets": b64(secrets)}

    def _drop_factor(self, arguments: Arguments) -> Answer:
        credential, order = self._ordered(arguments, "drop_factor")
        gone = orders.text(order, "factor_id")
        if credential.factor(gone) is None:
            raise OrderInvalid("no such factor")
        kept = tuple(factor for factor in credential.factors if factor.id != gone)
        # On the list first: a crash in between leaves a record whose factor is refused.
        self._revoked.add([gone])
        self._evidence.passkeys.counters.forget(gone)
        return self._resealed(credential.successor(factors=kept))

    def _destroy(self, arguments: Arguments) -> Answer:
        """Also of one that is destroyed already: the first answer may have been lost."""
        order = self._order(arguments, "destroy")
        credential = open_sealed(self._node, binary(arguments, "sealed"))
        _check_subject(order, credential)
        return self._ended(credential.credential_id)

    def _revoke(self, arguments: Arguments) -> Answer:
        """From here on the credential signs nothing, and its certificate is never good again."""
        order = self._order(arguments, "revoke")
        serial = serial_number(orders.text(order, "serial"))
        not_after_ms = orders.integer(order, "not_after_ms", 0, 2**52)
        certificate = certificate_entry(serial, not_after_ms)
        return self._ended(orders.text(order, "credential_id"), certificate)

    def _ended(self, credential_id: str, *more: str) -> Answer:
        number = self._revoked.add([credential_id, *more])
        self._journal.forget(credential_id)
        return {"number": number}

    def _unlock(self, arguments: Arguments) -> Answer:
        """From the new record on every host counts anew; the same order gives the same again."""
        name = orders.fingerprint(arguments["order"])
        if "sealed" in arguments:
            credential, _ = self._ordered(arguments, "unlock")
            return self._resealed(credential.successor(unlocked_by=name))
        # An rssp of the release before keeps no record of it: this host alone forgets.
        order = self._order(arguments, "unlock")
        self._journal.unlock(orders.text(order, "credential_id"), name, _end(order))
        return {}

    def _merge_revocations(self, arguments: Arguments) -> Answer:
        at, head = arguments.get("at"), arguments.get("head")
        if type(at) is not int or at < 0:
            raise InvalidInput("at is not a place in a file", parameter="at")
        ids = binary(arguments, "ids")
        signed = None if head is None else binary(arguments, "head")
        return {"number": self._revoked.merge(at, ids, signed)}

    def _order(self, arguments: Arguments, kind: str) -> Members:
        return self._orders.verified(arguments.get("order"), kind, self._clock.now_ms())

    def _ordered(self, arguments: Arguments, kind: str) -> tuple[Credential, Members]:
        order = self._order(arguments, kind)
        credential = open_live(self._node, self._revoked, arguments)
        _check_subject(order, credential)
        return credential, order

    def _check_key(self, order: Members, credential: Credential) -> None:
        if order.get("public_key_sha256") != hashlib.sha256(credential.public_key).hexdigest():
            raise OrderInvalid("the order is for another key")

    def _new_factors(
        self, order: Members, credential_id: str, scal: str, least: int = 1
    ) -> tuple[tuple[Factor, ...], bytes]:
        """Factors that ``order`` names, with fresh secrets only its ``recipient`` can read."""
        named = order.get("factors")
        if not isinstance(named, list) or not least <= len(named) <= _MOST_FACTORS:
            raise OrderInvalid("factors is not a short list")
        factors: list[Factor] = []
        secrets: dict[str, dict[str, str]] = {"pins": {}, "totp": {}}
        for item in named:
            factor_id, kind, members = _named_factor(item)
            if factor_id in self._revoked or any(factor_id == known.id for known in factors):
                raise OrderInvalid("this factor id was used")
            if kind == "pin":
                secrets["pins"][factor_id] = new_pin()
                pin = secrets["pins"][factor_id]
                factors.append(pin_factor(self._node, credential_id, factor_id, pin))
            elif kind == "totp":
                secrets["totp"][factor_id] = new_totp_secret()
                factors.append(TotpFactor(factor_id, secrets["totp"][factor_id]))
            else:
                factors.append(self._described(kind, members, factor_id, scal))
        recipient = orders.binary(order, "recipient")
        if len(recipient) != 32:  # noqa: PLR2004 - an X25519 public key
            raise OrderInvalid("recipient is not an X25519 public key")
        info = _SECRETS_INFO + credential_id.encode("ascii")
        key = X25519PublicKey.from_public_bytes(recipient)
        return tuple(factors), _SECRETS_SUITE.encrypt(
            strict_json.canonical(secrets), key, info=info
        )

    def _described(self, kind: str, members: Members, factor_id: str, scal: str) -> Factor:
        """A factor whose public part the order brings: nothing of it is a secret."""
        now_ms = self._clock.now_ms()
        if kind == "sim":
            return sim_factor(members, factor_id, self._evidence.sim.trust, now_ms)
        challenge = orders.binary(members, "challenge")
        # An officer of the registration authority has seen the person: no cool-off.
        place = Place(factor_id, challenge, scal, now_ms, has_cool_off=False)
        return self._evidence.passkeys.take(read_made(members), place)

    def _resealed(self, credential: Credential, new: tuple[Factor, ...] = ()) -> Answer:
        return {
            "sealed": b64(credential.seal(self._node)),
            "version": credential.version,
            "factor_ids": [factor.id for factor in new],
        }


def _end(order: Members) -> int:
    return orders.integer(order, "expires_at_ms", 0, 2**52)


def _rule_since(order: Members, credential: Credential) -> int:
    """What the rule of ``order`` is told from older ones by, also from those in other records."""
    since_ms = orders.integer(order, "issued_at_ms", 0, 2**52)
    if since_ms <= credential.rule_since_ms:
        raise OrderInvalid("a later order made the rule of consent that is there")
    return since_ms


def _check_subject(order: Members, credential: Credential) -> None:
    if order["credential_id"] != credential.credential_id:
        raise OrderInvalid("the order is for another credential")


def _named_factor(item: strict_json.JsonValue) -> tuple[str, str, Members]:
    if not isinstance(item, dict):
        raise OrderInvalid("a factor is not an object")
    factor_id, kind = orders.text(item, "id"), orders.text(item, "kind")
    if not is_id(factor_id) or kind not in {"pin", "totp", "sim", "passkey"}:
        raise OrderInvalid("no such kind of factor")
    return factor_id, kind, item
