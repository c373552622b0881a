"""``info``: what this service is and can do. Every member is true of what the methods do."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from remote_signing.algorithms import ALGORITHMS, RSASSA_PSS
from remote_signing.rssp.documents.model import ENVELOPES, LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote_signing.rssp.config import RsspConfig

SPECS = "2.2.0.0"

# RSASSA-PSS-params (RFC 4055 cl. 3.1): SHA-256, MGF1 with SHA-256, salt of 32 bytes. What PSS
# without signAlgoParams and with hashAlgorithmOID SHA-256 means here too.
_SHA256 = "300d06096086480165030402010500"
_PSS_SHA256 = base64.b64encode(
    bytes.fromhex(
        f"3034a00f{_SHA256}a11c301a06092a864886f70d010108{_SHA256}a203020120",
    )
).decode("ascii")


def about(config: RsspConfig, methods: Sequence[str], base: str) -> dict[str, object]:
    """The members that both versions have. ``base`` is where the authorization server's paths are.

    The standard joins ``oauth2`` and "oauth2/token" literally, hence its final slash.
    """
    login = ["basic"] if "auth/login" in methods else []
    return {
        "name": config.service.name,
        "logo": config.service.logo,
        "region": config.service.region,
        "lang": config.service.lang,
        "description": config.service.description,
        "authType": [*login, "oauth2code", "oauth2client"],
        "oauth2": f"{config.urls.issuer}{base}",
        "methods": list(methods),
    }


def info(config: RsspConfig, methods: Sequence[str]) -> dict[str, object]:
    """The answer of CSC API v2.2 cl. 11.1.

    Texts come from the configuration in one language, whatever ``lang`` asks for; ``lang`` of the
    answer says which.
    """
    algos = _sign_algorithms()
    return {
        "specs": SPECS,
        **about(config, methods, "/"),
        "supportsRar": True,
        "asynchronousOperationMode": "signatures/signPolling" in methods,
        "validationInfo": True,
        "supportedHashTypes": ["dtbsr"],
        "signAlgorithms": {
            "algos": algos,
            "algoParams": [_PSS_SHA256 if oid == RSASSA_PSS else None for oid in algos],
        },
        "signature_formats": {
            "formats": list(ENVELOPES),
            "envelope_properties": [list(each) for each in ENVELOPES.values()],
            "allowMix": True,
        },
        "conformance_levels": [f"Ades-{level}" for level in LEVELS],
    }


def _sign_algorithms() -> list[str]:
    """Every ``signAlgo`` that some key type takes, in a stable order."""
    return list(dict.fromkeys(oid for a in ALGORITHMS.values() for oid in a.sign_oids))
