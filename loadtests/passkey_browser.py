"""A passkey in software, and the browser that speaks with it (WebAuthn Level 3).

Real keys and real signatures, made here in place of the phone's own chip: about 50 µs each, which
are the load generator's. User presence and verification are claimed, as a phone does after a
finger; a counter of 0, as synced passkeys have it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from loadtests import official_browser as browser
from loadtests.portal import b64url

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.place import Place
    from loadtests.recorder import Steps

RP_ID = "localhost"
_UP, _UV, _AT = 0x01, 0x04, 0x40
_ES256 = ec.ECDSA(hashes.SHA256())


def approve(place: Place, official: Official, steps: Steps, name: str) -> str:
    """Look at the request, ask the passkey, send its answer."""
    path = f"/requests/{name}"
    page = browser.look(place, official, steps, "consent_page", path)
    form = {"form_token": _ask_token(page.body.decode("utf-8"))}
    headers = {
        "Accept": "application/json",
        **browser.cookie_of(official.session),
        **browser.sent_from(place),
    }
    asked = steps.send(
        "passkey_options",
        "POST",
        f"{place.consent}{path}/passkey/options",
        headers,
        urlencode(form).encode(),
    )
    answer = {"answer": answer_to(json.loads(asked.body), official.extra["passkey"], place.consent)}
    sent = browser.send(place, official, steps, "consent_approve", page, f"{path}/passkey", answer)
    return browser.location(sent)


def new_passkey() -> dict[str, str]:
    """A key and a name, as the generator's file holds them."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {"id": b64url(secrets.token_bytes(16)), "key": pem.decode("ascii")}


def made(beginning: dict[str, Any], passkey: dict[str, str], origin: str) -> dict[str, Any]:
    """``navigator.credentials.create``, attestation "none"."""
    said = _client_data("webauthn.create", beginning["challenge"], origin)
    numbers = _key(passkey["key"]).public_key().public_numbers()
    # COSE key (RFC 9053): EC2, ES256, P-256; written by hand, as it has one shape.
    key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + numbers.x.to_bytes(32)
    key += b"\x22\x58\x20" + numbers.y.to_bytes(32)
    name = _unb64url(passkey["id"])
    data = _data(_UP | _UV | _AT) + bytes(16) + len(name).to_bytes(2) + name + key
    # {"fmt": "none", "attStmt": {}, "authData": …} in canonical CBOR.
    attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
    return {
        "token": beginning["token"],
        "client_data": b64url(said),
        "attestation_object": b64url(attestation),
        "transports": ["internal"],
    }


def answer_to(question: dict[str, Any], passkey: dict[str, str], origin: str) -> str:
    """``navigator.credentials.get``, as the page's module writes it."""
    said = _client_data("webauthn.get", question["challenge"], origin)
    data = _data(_UP | _UV)
    signature = _key(passkey["key"]).sign(data + hashlib.sha256(said).digest(), _ES256)
    return json.dumps(
        {
            "credential_id": passkey["id"],
            "authenticator_data": b64url(data),
            "client_data": b64url(said),
            "signature": b64url(signature),
            "user_handle": None,
        }
    )


def _data(flags: int) -> bytes:
    """Authenticator data (cl. 6.1)."""
    return hashlib.sha256(RP_ID.encode("ascii")).digest() + bytes([flags]) + bytes(4)


def _client_data(kind: str, challenge: str, origin: str) -> bytes:
    members = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}
    return json.dumps(members, separators=(",", ":")).encode()


def _ask_token(page: str) -> str:
    """The token with which the page's module asks."""
    return page.partition('data-ask-token="')[2].partition('"')[0]


@lru_cache(100_000)
def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode("ascii"), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("no elliptic-curve key")
    return key


def _unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
