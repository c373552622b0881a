"""An official at a real SAM: enrolled by order, holding PIN and phone."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyotp

from remote_signing.clock import SystemClock
from remote_signing.identifiers import new_id
from remote_signing.sap import ChallengeRequest, SignRequest

if TYPE_CHECKING:
    from remote_signing.sap import Activated, Challenge, Evidence, SapClient
    from tests.support.registration import TestAuthority

CLOCK = SystemClock()
SIGN_ALGO = {"ec": "1.2.840.10045.2.1", "rsa": "1.2.840.113549.1.1.1"}


@dataclass
class Official:
    """``otp`` gives each time step once, waiting for the next when it must."""

    credential_id: str
    sealed: bytes
    public_key: bytes
    pin_id: str
    totp_id: str
    pin: str
    totp_secret: str
    certificate: bytes | None = None
    used_steps: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def evidence(self, pin: str | None = None, otp: str | None = None) -> list[Evidence]:
        return [
            {"factor_id": self.pin_id, "kind": "pin", "value": pin or self.pin},
            {"factor_id": self.totp_id, "kind": "totp", "value": otp or self.otp()},
        ]

    def otp(self) -> str:
        """A code of a step that was not given out: current, next or previous one."""
        with self._lock:
            while True:
                current = int(time.time()) // 30
                for step in (current, current + 1, current - 1):
                    if step not in self.used_steps:
                        self.used_steps.add(step)
                        return pyotp.TOTP(self.totp_secret).generate_otp(step)
                time.sleep(0.5)


def enrol(
    sam: SapClient, ra: TestAuthority, algorithm: str = "p256", multisign: int = 100
) -> Official:
    """A new credential with certificate."""
    now_ms = CLOCK.now_ms()
    credential_id, pin_id, totp_id = (new_id(now_ms) for _ in range(3))
    order = ra.order(
        "create_credential",
        credential_id,
        now_ms,
        owner="subscriber",
        algorithm=algorithm,
        scal="2",
        multisign=multisign,
        factors=[{"id": pin_id, "kind": "pin"}, {"id": totp_id, "kind": "totp"}],
    )
    made = sam.create_credential(order)
    secrets = ra.open(made.secrets, credential_id)
    subject = {
        "common_name": "Nguyễn Văn An",
        "organization": "Bộ Nội vụ",
        "serial_number": credential_id,
    }
    fingerprint = hashlib.sha256(made.public_key).hexdigest()
    order = ra.order(
        "certify",
        credential_id,
        now_ms,
        profile="official",
        subject=subject,
        validity_days=365,
        public_key_sha256=fingerprint,
    )
    certified = sam.certify(made.sealed, order)
    return Official(
        credential_id,
        certified.sealed,
        made.public_key,
        pin_id,
        totp_id,
        secrets["pins"][pin_id],
        secrets["totp"][totp_id],
        certified.certificate,
    )


@dataclass
class Asked:
    activation_id: str
    hashes: tuple[bytes, ...]
    challenge: Challenge


def ask(sam: SapClient, official: Official, hashes: tuple[bytes, ...]) -> Asked:
    """A portal's request, as the SAM sees it."""
    activation_id = new_id(CLOCK.now_ms())
    expires = CLOCK.now_ms() + 300_000
    request = ChallengeRequest(
        official.credential_id,
        activation_id,
        "portal",
        "sha256",
        hashes,
        len(hashes),
        "Quyết định",
        expires,
    )
    return Asked(activation_id, hashes, sam.challenge(request))


def consent(sam: SapClient, official: Official, asked: Asked) -> Activated:
    """The official approves."""
    return sam.activate(official.sealed, asked.challenge.token, official.evidence())


def sign_request(official: Official, asked: Asked, sad: bytes, kind: str = "ec") -> SignRequest:
    """The use of everything that was authorised."""
    return SignRequest(
        official.sealed,
        sad,
        asked.activation_id,
        "portal",
        asked.hashes,
        SIGN_ALGO[kind],
        "2.16.840.1.101.3.4.2.1",
    )
