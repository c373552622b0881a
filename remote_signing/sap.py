"""The signature activation protocol (SAP): what the rssp asks of the SAM, and how it is framed.

One JSON object a line, over a Unix socket or over TLS 1.3 with certificates on both sides:

    → {"id": 7, "verb": "sign", "args": {...}}
    ← {"id": 7, "ok": {...}}   or   {"id": 7, "error": {"name": "SadExpired", "public": {...}}}

Bytes travel as standard base64. Errors are the classes of :mod:`remote_signing.errors`, by name.
This module knows no key and takes no decision: each verb checks everything inside the SAM.
"""

from __future__ import annotations

import itertools
import queue
import time
from typing import TYPE_CHECKING, TypeAlias, cast

from remote_signing import strict_json
from remote_signing.errors import InvalidInput, SamUnavailable, SamUnreachable, from_wire
from remote_signing.sap_messages import (
    Activated,
    Challenge,
    ChallengeRequest,
    CreatedCredential,
    Evidence,
    NodeReport,
    Order,
    Presentation,
    Resealed,
    RevokedCertificate,
    SamStatus,
    ServiceCertificates,
    Signed,
    SignedCrl,
    SignRequest,
    SimEvidence,
    SimPossession,
    StatusClaim,
    TimestampRequest,
)
from remote_signing.sap_passkeys import PASSKEY_VERBS, PasskeyVerbs
from remote_signing.sap_pins import PinVerbs
from remote_signing.sap_transport import (
    MAX_LINE,
    Connection,
    TlsAddress,
    UnixAddress,
    b64,
    encode_line,
    unb64,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remote_signing.errors import PublicValue
    from remote_signing.strict_json import JsonValue

__all__ = [
    "MAX_LINE",
    "Activated",
    "Challenge",
    "ChallengeRequest",
    "CreatedCredential",
    "Evidence",
    "NodeReport",
    "Order",
    "Presentation",
    "Resealed",
    "RevokedCertificate",
    "SamStatus",
    "SapClient",
    "ServiceCertificates",
    "SignRequest",
    "Signed",
    "SignedCrl",
    "SimEvidence",
    "SimPossession",
    "StatusClaim",
    "TimestampRequest",
    "TlsAddress",
    "UnixAddress",
    "b64",
    "encode_line",
    "sim_evidence",
    "unb64",
]

Arguments: TypeAlias = "Mapping[str, object]"

QUICK_VERBS = PASSKEY_VERBS | {
    *("challenge", "present", "activate", "activate_all", "sign", "status"),
    *("sign_ocsp", "timestamp", "service_certificates"),
}
EACH_KILOBYTE = 0.1  # seconds: a thousand hashes (130 kB) with RSA-4096 take 10 s of a token
_PIECE = 1024 * 1024


def sim_evidence(factor_id: str, signature: bytes, sim: SimEvidence) -> Evidence:
    """Evidence of kind ``sim`` with ``signature`` as the operator or the SIM wrote it."""
    return {"factor_id": factor_id, "kind": "sim", "value": b64(signature), "sim": sim}


def _activated(ok: Mapping[str, object], token: object, added: object = None) -> Activated:
    return Activated(
        unb64(token, "sad"),
        cast("int", ok["expires_at_ms"]),
        unb64(ok["evidence_digest"], "evidence_digest"),
        cast("str | None", ok["totp_factor_id"]),
        cast("int | None", ok["totp_step"]),
        unb64(ok["evidence_statement"], "evidence_statement"),
        cast("dict[str, JsonValue] | None", added),
    )


class SapClient(PasskeyVerbs, PinVerbs):
    """Calls the SAM. Thread-safe: each call has a connection of its own from a pool.

    ``timeout`` (seconds) bounds a whole call, ``enrolment_timeout`` one of a verb that changes what
    a credential is; a long request has more. They must exceed what the supervisor may take: twice
    a deadline and twice the wait for a worker (``deadlines`` in ``sam.toml``), or the client gives
    up what the SAM still does.
    Every method raises the domain error the SAM names, or ``SamUnavailable`` (``SamUnreachable``
    when it was not asked).
    """

    def __init__(
        self,
        address: UnixAddress | TlsAddress,
        timeout: float = 25.0,
        enrolment_timeout: float = 260.0,
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._enrolment_timeout = enrolment_timeout
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._numbers = itertools.count(1)

    def create_credential(self, order: Order) -> CreatedCredential:
        """A new key, made in the HSM, sealed with the factors that the order names."""
        ok = self._call("create_credential", {"order": order})
        return CreatedCredential(
            sealed=unb64(ok["sealed"], "sealed"),
            version=cast("int", ok["version"]),
            public_key=unb64(ok["public_key"], "public_key"),
            csr=unb64(ok["csr"], "csr"),
            secrets=unb64(ok["secrets"], "secrets"),
        )

    def certify(self, sealed: bytes, order: Order) -> Resealed:
        """A certificate of the embedded CA for the sealed key, bound to it."""
        return self._reseal("certify", {"sealed": b64(sealed), "order": order})

    def certify_sim(self, public_key: bytes, possession: SimPossession, order: Order) -> bytes:
        """A certificate (DER) of the embedded CA for a SIM's key (SPKI DER), by its proof."""
        arguments = {"public_key": b64(public_key), "possession": possession, "order": order}
        return unb64(self._call("certify_sim", arguments)["certificate"], "certificate")

    def install_certificate(self, sealed: bytes, certificate: bytes, order: Order) -> Resealed:
        """Bind a certificate (DER) that another CA issued for the sealed key."""
        arguments = {"sealed": b64(sealed), "certificate": b64(certificate), "order": order}
        return self._reseal("install_certificate", arguments)

    def bind_factor(self, sealed: bytes, *, order: Order) -> Resealed:
        """Add the factors that the order names."""
        return self._reseal("bind_factor", {"sealed": b64(sealed), "order": order})

    def drop_factor(self, sealed: bytes, order: Order) -> Resealed:
        """Remove the factor that the order names, for ever."""
        return self._reseal("drop_factor", {"sealed": b64(sealed), "order": order})

    def challenge(self, request: ChallengeRequest) -> Challenge:
        """The challenge over exactly what will be signed and shown."""
        ok = self._call(
            "challenge",
            {
                "credential_id": request.credential_id,
                "activation_id": request.activation_id,
                "client_id": request.client_id,
                "hash_algorithm": request.hash_algorithm,
                "hashes": [b64(value) for value in request.hashes],
                "count": request.count,
                "display_text": request.display_text,
                "expires_at_ms": request.expires_at_ms,
            },
        )
        return Challenge(
            token=unb64(ok["challenge"], "challenge"),
            digest=unb64(ok["digest"], "digest"),
            verification_code=cast("str", ok["verification_code"]),
        )

    def present(
        self,
        sealed: bytes,
        challenge: bytes,
        factor_id: str,
        *,
        display_text: str,
        labels: Sequence[str],
    ) -> Presentation:
        """What the SIM factor is asked to sign for ``challenge``, one label for each hash."""
        arguments = {
            "sealed": b64(sealed),
            "challenge": b64(challenge),
            "factor_id": factor_id,
            "display_text": display_text,
            "labels": list(labels),
        }
        ok = self._call("present", arguments)
        return Presentation(
            mode=cast("str", ok["mode"]),
            structure=unb64(ok["structure"], "structure"),
            digest=unb64(ok["digest"], "digest"),
            message=cast("str", ok["message"]),
            verification_code=cast("str", ok["verification_code"]),
            certificate=unb64(ok["certificate"], "certificate"),
            is_enough=ok.get("is_enough") is not False,  # an older SAM does not say
        )

    def activate(self, sealed: bytes, challenge: bytes, evidence: Sequence[Evidence]) -> Activated:
        """The SAD, when the evidence satisfies the sealed credential's factors."""
        given = {"sealed": b64(sealed), "challenge": b64(challenge), "evidence": list(evidence)}
        ok = self._call("activate", given)
        return _activated(ok, ok["sad"])

    def activate_all(
        self, sealed: bytes, challenges: Sequence[bytes], evidence: Sequence[Evidence]
    ) -> tuple[Activated, ...]:
        """A SAD for each challenge, by one evidence for all; they differ in SAD and ``added``."""
        asked: dict[str, object] = {"sealed": b64(sealed), "challenges": [*map(b64, challenges)]}
        ok = self._call("activate_all", asked | {"evidence": list(evidence)})
        sads, added = (cast("list[object]", ok[name]) for name in ("sads", "challenges"))
        return tuple(_activated(ok, *each) for each in zip(sads, added, strict=True))

    def sign(self, request: SignRequest) -> Signed:
        """Signatures over ``request.hashes``, each checked by the SAM before it answers."""
        params = request.sign_algo_params
        ok = self._call(
            "sign",
            {
                "sealed": b64(request.sealed),
                "sad": b64(request.sad),
                "activation_id": request.activation_id,
                "client_id": request.client_id,
                "hashes": [b64(value) for value in request.hashes],
                "sign_algo": request.sign_algo,
                "hash_algorithm_oid": request.hash_algorithm_oid,
                "sign_algo_params": None if params is None else b64(params),
            },
        )
        values = cast("list[str]", ok["signatures"])
        signatures = tuple(unb64(value, "signatures") for value in values)
        return Signed(signatures, cast("str", ok["node"]))

    def destroy(self, sealed: bytes, order: Order) -> int:
        """Make the credential unusable for ever; the number of the new revocation list."""
        return cast("int", self._call("destroy", {"sealed": b64(sealed), "order": order})["number"])

    def unlock(self, sealed: bytes, order: Order) -> Resealed:
        """Forget the failed attempts: every SAM host counts anew for the record that is given."""
        return self._reseal("unlock", {"sealed": b64(sealed), "order": order})

    def merge_revocations(self, ids: bytes, head: bytes) -> int:
        """Hand over another SAM host's list, piece by piece; the number of the list that results.

        ``ids`` and ``head`` are its files ``revoked.ids`` and ``revoked.head``.
        """
        at = 0
        while len(ids) - at > _PIECE:
            piece = b64(ids[at : at + _PIECE])
            self._call("merge_revocations", {"at": at, "ids": piece, "head": None})
            at += _PIECE
        arguments = {"at": at, "ids": b64(ids[at:]), "head": b64(head)}
        return cast("int", self._call("merge_revocations", arguments)["number"])

    def revoke(self, order: Order) -> int:
        """Make a revoked certificate's credential unusable; the number of the revocation list."""
        return cast("int", self._call("revoke", {"order": order})["number"])

    def sign_crl(self, revoked: Sequence[RevokedCertificate]) -> SignedCrl:
        """The issuing authority's CRL with these entries; time and number are the SAM's."""
        entries = [[f"{each.serial:x}", each.at_ms, each.reason] for each in revoked]
        ok = self._call("sign_crl", {"revoked": entries})
        return SignedCrl(unb64(ok["crl"], "crl"), cast("int", ok["number"]))

    def sign_ocsp(self, claim: StatusClaim) -> bytes:
        """A successful OCSP answer (DER) that says so, by the delegated responder."""
        arguments = {
            "state": claim.state,
            "certificate": None if claim.certificate is None else b64(claim.certificate),
            "serial": None if claim.serial is None else f"{claim.serial:x}",
            "at_ms": claim.at_ms,
            "reason": claim.reason,
            "digest": claim.digest,
            "nonce": None if claim.nonce is None else b64(claim.nonce),
        }
        return unb64(self._call("sign_ocsp", arguments)["response"], "response")

    def timestamp(self, request: TimestampRequest) -> bytes:
        """A TimeStampToken (DER) over the digest, with the SAM's time."""
        arguments = {
            "hash_algorithm_oid": request.hash_algorithm_oid,
            "digest": b64(request.digest),
            "nonce": None if request.nonce is None else f"{request.nonce:x}",
            "policy_oid": request.policy_oid,
            "certificates": request.certificates,
        }
        return unb64(self._call("timestamp", arguments)["token"], "token")

    def service_certificates(self) -> ServiceCertificates:
        """Certificates of OCSP responder and time stamps, and the root's CRL."""
        ok = self._call("service_certificates", {})
        names = ("responder", "timestamps", "root_crl")
        return ServiceCertificates(**{name: unb64(ok[name], name) for name in names})

    def status(self) -> SamStatus:
        """Health of the nodes, number and digest of the revocation list, the CA's chain."""
        ok = self._call("status", {})
        return SamStatus(
            cluster_id=cast("str", ok["cluster_id"]),
            nodes=tuple(cast("list[NodeReport]", ok["nodes"])),
            revocation_number=cast("int", ok["revocation_number"]),
            revocation_digest=bytes.fromhex(cast("str", ok["revocation_digest"])),
            chain=tuple(unb64(value, "chain") for value in cast("list[str]", ok["chain"])),
        )

    def close(self) -> None:
        """Close the idle connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _reseal(self, verb: str, arguments: Arguments) -> Resealed:
        ok = self._call(verb, arguments)
        certificate, secrets = ok.get("certificate"), ok.get("secrets")
        return Resealed(
            sealed=unb64(ok["sealed"], "sealed"),
            version=cast("int", ok["version"]),
            certificate=None if certificate is None else unb64(certificate, "certificate"),
            secrets=None if secrets is None else unb64(secrets, "secrets"),
            factor_ids=tuple(cast("list[str]", ok.get("factor_ids", []))),
        )

    def _call(self, verb: str, arguments: Arguments) -> dict[str, JsonValue]:
        number = next(self._numbers)
        line = encode_line({"id": number, "verb": verb, "args": arguments})
        timeout = self._timeout if verb in QUICK_VERBS else self._enrolment_timeout
        seconds = timeout + 2 * EACH_KILOBYTE * len(line) / 1024
        answer = self._exchange(line, time.monotonic() + seconds)
        if answer.get("id") != number:
            raise SamUnavailable("the SAM answered another request")
        error = answer.get("error")
        if isinstance(error, dict):
            public = cast("dict[str, PublicValue]", error.get("public") or {})
            raise from_wire(str(error.get("name")), public)
        return cast("dict[str, JsonValue]", answer["ok"])

    def _exchange(self, line: bytes, deadline: float) -> dict[str, JsonValue]:
        """Send and receive. A pooled connection may be dead (the SAM restarted): then once more.

        Sending twice is safe, and behind one name for several hosts also when another host gets
        the second: a verb changes nothing in the SAM, or does at a second host what it should have
        done there too (lists that only grow), or makes the same again (docs/sap.md).
        """
        sent = False
        while True:
            connection: Connection | None = None
            try:
                connection = self._take(deadline)
                sent = True
                answer = strict_json.loads_object(connection.exchange(line, deadline))
            except (OSError, InvalidInput) as error:
                stale = connection is not None and connection.used
                if connection is not None:
                    connection.close()
                if stale and isinstance(error, ConnectionError):
                    continue
                kind = SamUnavailable if sent else SamUnreachable
                raise kind(f"SAP: {error}") from error
            self._idle.put(connection)
            return answer

    def _take(self, deadline: float) -> Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return Connection(self._address.connect(max(deadline - time.monotonic(), 0.001)))
