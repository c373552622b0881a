"""Time stamps (RFC 3161, RFC 5816): the SAM's time over somebody's digest.

Only the digest comes from outside; the TSTInfo and every signed attribute are built here, so the
key signs nothing but time stamps.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

from asn1crypto import algos, cms, core, tsp, x509

from remote_signing.algorithms import DIGESTS, SignatureScheme, check_digests, digest_by_oid
from remote_signing.clock import as_datetime
from remote_signing.errors import InvalidInput, PolicyUnaccepted
from remote_signing.sam.arguments import binary, optional_text, text
from remote_signing.sap import b64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.algorithms import Digest
    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import AuthorityConfig
    from remote_signing.sam.service_keys import ServiceKey, ServiceKeys
    from remote_signing.sam.steady_clock import SteadyClock

_NONCE = re.compile(r"[0-9a-f]{1,64}")
_DIGEST = DIGESTS["sha256"]
_SIGNATURES = {"ec": ("ecdsa", "sha256_ecdsa"), "rsa": ("pkcs1", "sha256_rsa")}


class Timestamps:
    """The verb ``timestamp`` of one worker."""

    def __init__(
        self, config: AuthorityConfig, keys: ServiceKeys, issuer: bytes, clock: SteadyClock
    ) -> None:
        self._policy = config.timestamp_policy_oid
        self._accuracy_ms = config.timestamp_accuracy_ms
        self._keys = keys
        self._issuer = x509.Certificate.load(issuer)
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {"timestamp": self._timestamp}

    def _timestamp(self, arguments: Arguments) -> Answer:
        digest = digest_by_oid(text(arguments, "hash_algorithm_oid"))
        imprint = binary(arguments, "digest")
        check_digests(digest, (imprint,))
        policy = optional_text(arguments, "policy_oid")
        if policy not in {None, self._policy}:
            raise PolicyUnaccepted(f"policy {policy!r}")
        nonce = optional_text(arguments, "nonce")
        if nonce is not None and _NONCE.fullmatch(nonce) is None:
            raise InvalidInput("a nonce has at most 256 bits", parameter="nonce")
        now_ms = self._clock.now_ms()
        key = self._keys.key("timestamps", now_ms)
        info = self._info(digest, imprint, nonce, now_ms)
        with_certificates = arguments.get("certificates") is True
        return {"token": b64(self._token(info, key, with_certificates=with_certificates))}

    def _info(self, digest: Digest, imprint: bytes, nonce: str | None, now_ms: int) -> bytes:
        """TSTInfo. Without ``ordering``: several workers and hosts do not wait for each other."""
        members = {
            "version": "v1",
            "policy": self._policy,
            "message_imprint": {
                "hash_algorithm": {"algorithm": digest.oid},
                "hashed_message": imprint,
            },
            # Unique over all hosts without asking them: the time, then 64 random bits.
            "serial_number": now_ms << 64 | secrets.randbits(64),
            "gen_time": as_datetime(now_ms).replace(microsecond=0),
            "accuracy": _accuracy(self._accuracy_ms),
        }
        if nonce is not None:
            members["nonce"] = int(nonce, 16)
        encoded: bytes = tsp.TSTInfo(members).dump()
        return encoded

    def _token(self, info: bytes, key: ServiceKey, *, with_certificates: bool) -> bytes:
        """CMS SignedData (RFC 5652) over ``info``."""
        certificate = x509.Certificate.load(key.der)
        attributes = _attributes(info, certificate)
        padding, name = _SIGNATURES[key.algorithm.kind]
        digest = hashlib.sha256(attributes.dump()).digest()
        scheme = SignatureScheme("ecdsa" if padding == "ecdsa" else "pkcs1", _DIGEST)
        signer = {
            "version": "v1",
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            },
            "digest_algorithm": {"algorithm": _DIGEST.name},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": name},
            "signature": key.key.sign(scheme, digest),
        }
        signed = {
            "version": "v3",
            "digest_algorithms": [{"algorithm": _DIGEST.name}],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(info),
            },
            "signer_infos": [signer],
        }
        if with_certificates:
            signed["certificates"] = [certificate, self._issuer]
        token = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
        encoded: bytes = token.dump()
        return encoded


def _accuracy(milliseconds: int) -> dict[str, int]:
    """Without members that are nought (RFC 3161 cl. 2.4.2: a millis of 1 to 999)."""
    seconds, rest = divmod(milliseconds, 1000)
    parts = {"seconds": seconds, "millis": rest}
    return {name: value for name, value in parts.items() if value}


def _attributes(info: bytes, certificate: x509.Certificate) -> cms.CMSAttributes:
    """The signed attributes that RFC 3161 cl. 2.4.2 and RFC 5816 ask for."""
    issuer = x509.GeneralName("directory_name", certificate.issuer)
    identifier = tsp.ESSCertIDv2(
        {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "cert_hash": hashlib.sha256(certificate.dump()).digest(),
            "issuer_serial": {"issuer": [issuer], "serial_number": certificate.serial_number},
        }
    )
    attributes = [
        {"type": "content_type", "values": ["tst_info"]},
        {"type": "message_digest", "values": [hashlib.sha256(info).digest()]},
        {
            "type": "signing_certificate_v2",
            "values": [tsp.SigningCertificateV2({"certs": [identifier]})],
        },
    ]
    return cms.CMSAttributes(attributes)
