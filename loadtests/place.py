"""What a ceremony is done with: the addresses, the portal, and what it is told to do."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loadtests.people import Official
    from loadtests.portal import Portal
    from loadtests.recorder import Steps

SHA256 = "2.16.840.1.101.3.4.2.1"
_RSA = "1.2.840.113549.1.1.11"
USUAL = "p256"
SIGN_ALGO = {USUAL: "1.2.840.10045.4.3.2", "rsa2048": _RSA, "rsa3072": _RSA}
_STEP = 30


@dataclass(frozen=True, slots=True)
class Place:
    """``hashes``: of one ceremony of batch and seal."""

    issuer: str
    consent: str
    portal: Portal
    algorithm: str
    has_consent_page: bool
    hashes: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What a scenario needs beside rssp and SAM. ``people``: kind of its signers."""

    consent_page: bool = False
    sim: bool = False
    passkey: bool = False
    people: str = "person"
    scal: str = "2"
    codes: int = 1  # one-time codes that a ceremony uses up


class Ceremony(Protocol):
    """From beginning to end for one official; the number of signatures made."""

    def __call__(self, place: Place, official: Official, steps: Steps) -> int:
        """Errors: ``CeremonyFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """``told``: in a line what a ceremony is."""

    name: str
    told: str
    needs: Needs
    ceremony: Ceremony


def digests(count: int) -> list[str]:
    """So many fresh SHA-256 values, base64: no two ceremonies sign the same."""
    return [base64.b64encode(os.urandom(32)).decode("ascii") for _ in range(count)]


def details(official: Official, values: list[str]) -> dict[str, object]:
    """The member of ``authorization_details`` for these values (CSC API v2 cl. 8.3.3)."""
    return {
        "type": "credential",
        "credentialID": official.credential_id,
        "documentDigests": [
            {"hash": value, "label": f"Quyết định {number}"} for number, value in enumerate(values)
        ],
        "hashAlgorithmOID": SHA256,
        "numSignatures": len(values),
    }
