"""Time stamps (RFC 3161, RFC 5816): the SAM's time over somebody's digest.

Only the digest comes from outside; the TSTInfo and every signed attribute are built here, so the
key signs nothing but time stamps.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from remote_signing.algorithms import DIGESTS, SignatureScheme, check_digests, digest_by_oid
from remote_signing.errors import InvalidInput, PolicyUnaccepted
from remote_signing.sam.arguments import binary, optional_text, text
from remote_signing.sam.timestamp_token import InfoForm, Stamp, TokenForm
from remote_signing.sap import b64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remote_signing.sam.arguments import Answer, Arguments
    from remote_signing.sam.config import AuthorityConfig
    from remote_signing.sam.service_keys import ServiceKeys
    from remote_signing.sam.steady_clock import SteadyClock

_NONCE = re.compile(r"[0-9a-f]{1,64}")
_DIGEST = DIGESTS["sha256"]
_SCHEMES = {"ec": SignatureScheme("ecdsa", _DIGEST), "rsa": SignatureScheme("pkcs1", _DIGEST)}
_form = lru_cache(maxsize=4)(TokenForm)  # of a key, and of the one that replaces it


class Timestamps:
    """The verb ``timestamp`` of one worker."""

    def __init__(
        self, config: AuthorityConfig, keys: ServiceKeys, issuer: bytes, clock: SteadyClock
    ) -> None:
        self._policy = config.timestamp_policy_oid
        self._infos = InfoForm(config.timestamp_policy_oid, config.timestamp_accuracy_ms)
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self.verbs: Mapping[str, Callable[[Arguments], Answer]] = {"timestamp": self._timestamp}

    def _timestamp(self, arguments: Arguments) -> Answer:
        digest = digest_by_oid(text(arguments, "hash_algorithm_oid"))
        imprint = binary(arguments, "digest")
        check_digests(digest, (imprint,))
        policy = optional_text(arguments, "policy_oid")
        if policy not in {None, self._policy}:
            raise PolicyUnaccepted(f"policy {policy!r}")
        nonce = _nonce(optional_text(arguments, "nonce"))
        now_ms = self._clock.now_ms()
        key = self._keys.key("timestamps", now_ms)
        # Unique over all hosts without asking them: the time, then 64 random bits.
        serial = now_ms << 64 | secrets.randbits(64)
        info = self._infos.info(Stamp(digest, imprint, serial, now_ms, nonce))
        form = _form(key.algorithm.kind, key.der, self._issuer)
        attributes = form.attributes(info)
        scheme = _SCHEMES[key.algorithm.kind]
        signature = key.key.sign(scheme, hashlib.sha256(attributes).digest())
        with_certificates = arguments.get("certificates") is True
        token = form.token(info, attributes, signature, with_certificates=with_certificates)
        return {"token": b64(token)}


def _nonce(value: str | None) -> int | None:
    if value is None:
        return None
    if _NONCE.fullmatch(value) is None:
        raise InvalidInput("a nonce has at most 256 bits", parameter="nonce")
    return int(value, 16)
