"""Reports of the validator as the page gets them."""

from __future__ import annotations

from typing import Any

TIME = "2026-01-05T03:00:05Z"


def certificate(name: str = "Nguyễn Văn An", **changes: Any) -> dict[str, Any]:
    members: dict[str, Any] = {
        "name": name,
        "organisation": "Bộ Nội vụ",
        "unit": None,
        "title": "Chánh Văn phòng",
        "email": None,
        "issuer": "CA thử nghiệm",
        "issuer_organisation": None,
        "serial": "5afe7324332dce301b4aedd936b05f16",
        "not_before": "2026-01-05T02:00:00Z",
        "not_after": "2031-01-04T02:00:00Z",
        "sha256": "00" * 32,
    }
    return members | changes


def signature(**changes: Any) -> dict[str, Any]:
    """A signature that passes."""
    members: dict[str, Any] = {
        "name": "ChuKySo1",
        "format": "PAdES",
        "level": "B-LTA",
        "indication": "TOTAL-PASSED",
        "sub_indication": None,
        "reasons": [],
        "warnings": [],
        "signer": certificate(),
        "integrity": {"intact": True, "covers": [{"name": "", "whole": True}]},
        "path": {
            "trusted": True,
            "certificates": [certificate(), certificate("CA thử nghiệm"), certificate("CA gốc")],
        },
        "revocation": {"state": "good", "revoked_at": None, "reason": None},
        "times": {"claimed": "2026-01-05T03:00:00Z", "proven": TIME},
        "time_stamps": [
            {
                "kind": "signature",
                "time": TIME,
                "authority": certificate("Dấu thời gian"),
                "indication": "PASSED",
                "sub_indication": None,
                "reason": None,
            }
        ],
        "changes": {"level": "archive", "allowed": True},
        "algorithm": {
            "key": "EC secp256r1",
            "scheme": "ecdsa",
            "digest": "sha256",
            "strong": True,
        },
        "stated": {},
        "decree": {
            "certificate_valid_at_signing": True,
            "path_valid": True,
            "content_intact": True,
            "attached": {"certificate": True, "path": True, "status": True, "time_stamp": True},
        },
    }
    return members | changes


def report(*signatures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As the rssp answers."""
    worst = ("TOTAL-FAILED", "INDETERMINATE", "TOTAL-PASSED")
    found = {each["indication"] for each in signatures}
    members: dict[str, Any] = {
        "version": 1,
        "validated_at": "2026-01-06T03:00:00Z",
        "document": {"size": 66123, "sha256": "5f" * 32},
        "format": "PDF",
        "indication": next((each for each in worst if each in found), "NOT-SIGNED"),
        "warnings": [],
        "signatures": list(signatures),
    }
    return members | changes
