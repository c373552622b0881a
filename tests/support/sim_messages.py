"""Consent structures and applet messages for tests, written apart from the product's reader."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from asn1crypto import core

TRANSACTION = bytes(range(16))
TEXT = "Ký Quyết định 12/QĐ-UBND"
CODE = "4711"


class Display(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    _fields: ClassVar[list[Any]] = [("coding", core.Integer), ("text", core.OctetString)]


class Document(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    _fields: ClassVar[list[Any]] = [
        ("label", core.UTF8String),
        ("algorithm", core.ObjectIdentifier),
        ("digest", core.OctetString),
    ]


class Documents(core.SequenceOf):  # type: ignore[misc]  # asn1crypto has no types
    _child_spec = Document


class Listed(core.Choice):  # type: ignore[misc]  # asn1crypto has no types
    _alternatives: ClassVar[list[Any]] = [
        ("list", Documents),
        ("digest", core.OctetString, {"implicit": 0}),
    ]


class SimConsent(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """docs/sim-consent.md, read by a DER library that nobody here wrote."""

    _fields: ClassVar[list[Any]] = [
        ("domain", core.IA5String),
        ("version", core.Integer),
        ("service_id", core.UTF8String),
        ("activation_id", core.IA5String),
        ("credential_id", core.IA5String),
        ("documents", Listed),
        ("count", core.Integer),
        ("display", Display),
        ("code", core.IA5String),
        ("nonce", core.OctetString),
        ("not_before", core.Integer),
        ("expires", core.Integer),
        ("certificate", core.OctetString),
    ]


def document(label: str = "Quyết định 12") -> dict[str, Any]:
    digest = hashlib.sha256(label.encode()).digest()
    return {"label": label, "algorithm": "2.16.840.1.101.3.4.2.1", "digest": digest}


def consent(shown: str = TEXT, *, coding: int = 8, expires: int = 10**13, **other: Any) -> bytes:
    """A consent structure; ``other`` replaces fields."""
    octets = shown.encode("ascii") if coding == 4 else shown.encode("utf-16-be")
    fields = {
        "domain": "remote-signing/sim-consent",
        "version": 1,
        "service_id": "ký số",
        "activation_id": "A" * 26,
        "credential_id": "C" * 26,
        "documents": Listed({"list": [document()]}),
        "count": 1,
        "display": {"coding": coding, "text": octets},
        "code": CODE,
        "nonce": bytes(32),
        "not_before": 1,
        "expires": expires,
        "certificate": bytes(32),
    }
    encoded: bytes = SimConsent(fields | other).dump()
    return encoded
