"""A SIM's consent as anybody can check it: the format of docs/sim-consent.md."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from remote_signing.algorithms import digest_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from remote_signing.sap import Evidence

FORMAT = "remote-signing/sim-evidence/v1"


def export(row: Row[Any], card: Row[Any], evidence: Evidence, statement: bytes) -> dict[str, Any]:
    """The whole of it. ``row`` is the question with the activation's ``request``."""
    request, sim = json.loads(row.request), evidence["sim"]
    return {
        "format": FORMAT,
        "structure": _base64(row.structure),
        "mode": row.mode,
        "signature": {"format": sim["format"], "value": evidence["value"]},
        "certificate": _base64(card.certificate),
        "chain": json.loads(card.chain),
        "documents": _documents(json.loads(row.labels), request),
        "ocsp": sim["ocsp"],
        "crls": sim["crls"],
        "statement": _base64(statement),
    }


def _documents(labels: Sequence[str], request: dict[str, Any]) -> list[dict[str, str]]:
    algorithm = digest_named(request["hash_algorithm"]).oid
    return [
        {"label": label, "algorithm": algorithm, "digest": base64.b64decode(value).hex()}
        for label, value in zip(labels, request["hashes"], strict=True)
    ]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
