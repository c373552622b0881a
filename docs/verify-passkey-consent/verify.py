"""Checks exported evidence: did this passkey sign for exactly this digest?

    python verify.py evidence.json --digest 2cf24dba… [--key 9f86d081…]

Needs the package cryptography and nothing of the service: it is for whoever does not want to take
the service's word. --key is the SHA-256 of the public key as the event `credential.factors_added`
has it; without it the key is only shown, not judged. The format: docs/passkeys.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

FORMAT = "remote-signing/passkey-evidence/v1"
TOGETHER_FORMAT = "remote-signing/passkey-evidence-together/v1"
DOMAIN = b"remote-signing/challenge/v1\0"
TOGETHER_DOMAIN = b"remote-signing/together/v1"
MOST = 50
REQUEST = {"activation_id", "credential_id", "client_id", "hash_algorithm", "hashes", "count"}
ADDED = {"nonce", "display_sha256", "not_before_ms", "expires_at_ms"}
PRESENT, VERIFIED = 0x01, 0x04


class Wrong(Exception):
    """The evidence does not show what it should; the text says why."""


def demand(holds: object, otherwise: str) -> None:
    """Go on only if it holds."""
    if not holds:
        raise Wrong(otherwise)


def challenge_of(request: dict[str, Any], challenge: dict[str, Any]) -> bytes:
    """What the passkey was asked to sign for: the request and what the service added to it."""
    # Neither may say what is the other's: what was checked above is what is hashed here.
    demand(set(request) == REQUEST and set(challenge) == ADDED, "members that do not belong there")
    text = json.dumps(
        request | challenge, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(DOMAIN + text.encode()).digest()


def asked_of(evidence: dict[str, Any], record: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What the service added to the request, and what the passkey was asked.

    One touch may be for several requests: then the passkey was asked the digest of their
    challenges' digests, of which this request's is one. The others' say nothing of what they cover.
    """
    request = evidence["request"]
    if evidence["format"] == FORMAT:
        demand("together" not in record, "the evidence of several requests as that of one")
        return record["challenge"], challenge_of(request, record["challenge"])
    demand(evidence["format"] == TOGETHER_FORMAT, "evidence of another format")
    members, own = record["together"], challenge_of(request, evidence["challenge"])
    demand(
        isinstance(members, list) and 1 < len(members) <= MOST,
        "not the evidence of several requests",
    )
    demand(own.hex() in members, "the request is not among those that were approved together")
    text = json.dumps(members, separators=(",", ":"))
    return evidence["challenge"], hashlib.sha256(TOGETHER_DOMAIN + text.encode()).digest()


def check_signature(key: object, signature: bytes, signed: bytes) -> None:
    """ES256, EdDSA or RS256, by the kind of the key."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            demand(isinstance(key, Ed25519PublicKey), "a key of another kind")
            key.verify(signature, signed)
    except InvalidSignature:
        raise Wrong("the passkey has not signed this") from None


def check(evidence: dict[str, Any], digest: str, key_sha256: str | None) -> list[str]:
    """What the evidence shows, line by line; ``Wrong`` when it does not show it."""
    request, statement = evidence["request"], json.loads(evidence["statement"])
    records = [factor[2] for factor in statement[1] if factor[1] == "passkey"]
    demand(len(records) == 1, "not the evidence of one passkey")
    record = records[0]
    client_data, data, signature, public_key = (
        base64.b64decode(record[name], validate=True)
        for name in ("client_data", "authenticator_data", "signature", "public_key")
    )
    demand(digest.lower() in request["hashes"], "the digest is not among those that were shown")
    found = hashlib.sha256(public_key).hexdigest()
    demand(key_sha256 in {None, found}, "a passkey of another key")
    said = json.loads(client_data)
    added, challenge = asked_of(evidence, record)
    asked = base64.urlsafe_b64encode(challenge).decode()
    demand(said["type"] == "webauthn.get", "not the answer of a passkey")
    demand(said["challenge"] == asked.rstrip("="), "an answer to another request")
    demand(said.get("crossOrigin", False) is False, "asked inside another site's page")
    site = hashlib.sha256(record["rp_id"].encode()).digest()
    demand(data[:32] == site, "a passkey of another site")
    demand(data[32] & PRESENT and data[32] & VERIFIED, "its user was not there and verified")
    signed = data + hashlib.sha256(client_data).digest()
    check_signature(load_der_public_key(public_key), signature, signed)
    first, last = (
        datetime.fromtimestamp(added[name] / 1000, UTC).isoformat()
        for name in ("not_before_ms", "expires_at_ms")
    )
    return [
        f"key          {found}" + ("" if key_sha256 else " (not checked)"),
        f"site         {record['rp_id']}, asked from {said['origin']}",
        f"activation   {request['activation_id']} of credential {request['credential_id']}",
        f"client       {request['client_id']}",
        f"documents    {request['count']}",
        f"text         SHA-256 {added['display_sha256']}",
        f"asked        {first}, good until {last}",
        f"together     {len(record.get('together', ['']))} request(s) by this touch",
    ]


def main(arguments: list[str]) -> int:
    """0 when the passkey signed for the digest, 1 when not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("evidence", type=Path)
    parser.add_argument("--digest", required=True, help="hex of what the credential's key signed")
    parser.add_argument("--key", help="hex of the SHA-256 of the passkey's public key")
    given = parser.parse_args(arguments)
    try:
        lines = check(json.loads(given.evidence.read_bytes()), given.digest, given.key)
    except Wrong as wrong:
        sys.stderr.write(f"NOT SHOWN: {wrong}\n")
        return 1
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        sys.stderr.write(f"NOT SHOWN: malformed evidence ({type(error).__name__})\n")
        return 1
    sys.stdout.write("\n".join([*lines, "The passkey signed for exactly this digest.", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
