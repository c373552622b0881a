"""What a node can do in a second: the physical limit that other figures are compared with."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

from remote_signing.algorithms import DIGESTS, SignatureScheme
from remote_signing.errors import InvalidInput
from remote_signing.sam.hsm.faults import faults
from remote_signing.sam.hsm.signing import method_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from remote_signing.algorithms import Algorithm
    from remote_signing.sam.hsm.node import Node

C_SIGN = "C_Sign"
BATCH = "sign and verify, 100 at a time"
SINGLE = "unwrap, sign, verify, destroy"
UNSEAL = "unseal 600 bytes"
HMAC = "HMAC of 300 bytes"
OF_ALGORITHMS: Final = (C_SIGN, BATCH, SINGLE)
OF_NODES: Final = (UNSEAL, HMAC)

_BATCH = 100
_SCHEMES = {
    "rsa": SignatureScheme("pkcs1", DIGESTS["sha256"]),
    "ec": SignatureScheme("ecdsa", DIGESTS["sha256"]),
}


def measure(
    node: Node, operation: str, algorithm: Algorithm | None, seconds: float
) -> tuple[int, float]:
    """How often in about ``seconds`` and how often a second; ``algorithm`` where one is needed."""
    if operation in OF_ALGORITHMS and algorithm is not None:
        return _measure_key(node, operation, algorithm, seconds)
    if operation == UNSEAL:
        sealed = node.seal(b"sad", bytes(600), b"")
        return _rate(lambda: node.unseal(b"sad", sealed, b""), seconds)
    if operation == HMAC:
        return _rate(lambda: node.mac(b"bench", bytes(300)), seconds)
    raise InvalidInput(f"no such measurement: {operation}")


def _measure_key(
    node: Node, operation: str, algorithm: Algorithm, seconds: float
) -> tuple[int, float]:
    key = node.generate(algorithm)
    scheme = _SCHEMES[algorithm.kind]
    digests = [secrets.token_bytes(scheme.digest.length) for _ in range(_BATCH)]

    def single() -> None:
        with node.activate(key.wrapped, algorithm, key.public_key) as active:
            active.sign(scheme, digests[0])

    if operation == SINGLE:
        return _rate(single, seconds)
    if operation == BATCH:
        with node.activate(key.wrapped, algorithm, key.public_key) as active:
            return _rate(lambda: active.sign_many(scheme, digests), seconds, _BATCH)
    method = method_for(scheme, algorithm)
    data = method.prefix + digests[0]
    with node.unwrapped(key.wrapped, algorithm) as private, faults("C_Sign"):
        return _rate(
            lambda: private.sign(data, mechanism=method.mechanism, buffer_size=method.size), seconds
        )


def _rate(work: Callable[[], object], seconds: float, at_once: int = 1) -> tuple[int, float]:
    start = time.perf_counter()
    end = start + seconds
    count = 0
    while (now := time.perf_counter()) < end or not count:
        work()
        count += at_once
    return count, count / (now - start)
