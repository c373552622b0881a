"""What an operator knows of its numbers: the card, the key that was made in it, its certificate."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sim_adapter.mss import codes
from sim_adapter.mss.model import MssFault

if TYPE_CHECKING:
    from pathlib import Path

    from sim_adapter.ota.keysets import CardIssuer, CardRecord


@dataclass(slots=True)
class Subscriber:
    """One number. ``public_key`` is DER, of the key that the card made last."""

    card: CardRecord
    issue: int = 0  # which SIM of the number this is
    public_key: bytes | None = None
    certificate: bytes | None = None
    is_revoked: bool = False
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """Whose SIMs these are."""

    name: str = "Test Mobile"
    mcc: str = "452"
    mnc: str = "99"


class Subscribers:
    """All numbers with ``prefix``; a record is made when a number is first asked for.

    ``file`` keeps them over a restart (JSON).
    """

    def __init__(
        self,
        issuer: CardIssuer,
        prefix: str = "849000",
        network: Network | None = None,
        file: Path | None = None,
    ) -> None:
        self._issuer = issuer
        self._prefix = prefix
        self.network = network or Network()
        self._file = file
        self._by_number: dict[str, Subscriber] = {}
        if file is not None and file.exists():
            for number, members in json.loads(file.read_text(encoding="utf-8")).items():
                self._by_number[number] = self._restored(number, members)

    def find(self, msisdn: str) -> Subscriber:
        """The subscriber; code 105 for a number of somebody else, 403 for a suspended one."""
        if not msisdn.startswith(self._prefix):
            raise MssFault(codes.UNKNOWN_CLIENT, "not a number of this operator")
        found = self._by_number.get(msisdn)
        if found is None:
            found = self._by_number[msisdn] = Subscriber(self._issuer.card(msisdn))
        if found.is_suspended:
            raise MssFault(codes.CARD_BLOCKED, "the subscriber is suspended")
        return found

    def replace_sim(self, msisdn: str) -> Subscriber:
        """Give the number its next SIM, as a shop would: no key, no certificate."""
        issue = self.find(msisdn).issue + 1
        found = Subscriber(self._issuer.card(msisdn, issue), issue)
        self._by_number[msisdn] = found
        self.save()
        return found

    def take_key(self, subscriber: Subscriber, public_key: bytes) -> None:
        """The card has made a new key; a certificate of an older one is worth nothing now."""
        subscriber.public_key, subscriber.certificate = public_key, None
        self.save()

    def take_certificate(self, subscriber: Subscriber, der: bytes) -> None:
        """Keep the certificate of the card's key; code 407 for another key's."""
        try:
            key = x509.load_der_x509_certificate(der).public_key()
        except ValueError as error:
            raise MssFault(codes.REGISTRATION_NOK, f"no certificate: {error}") from None
        spki = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if spki != subscriber.public_key:
            raise MssFault(codes.REGISTRATION_NOK, "the certificate of another key")
        subscriber.certificate = der
        self.save()

    def save(self) -> None:
        """Write the file, if there is one: a new one beside it first."""
        if self._file is None:
            return
        members = {number: _members(item) for number, item in self._by_number.items()}
        fresh = self._file.with_name(f"{self._file.name}.new")
        fresh.write_text(json.dumps(members), encoding="utf-8")
        fresh.replace(self._file)

    def _restored(self, number: str, members: dict[str, Any]) -> Subscriber:
        return Subscriber(
            card=self._issuer.card(number, members["issue"]),
            issue=members["issue"],
            public_key=_bytes(members["public_key"]),
            certificate=_bytes(members["certificate"]),
            is_revoked=members["is_revoked"],
            is_suspended=members["is_suspended"],
        )


def _members(item: Subscriber) -> dict[str, Any]:
    return {
        "issue": item.issue,
        "public_key": _text(item.public_key),
        "certificate": _text(item.certificate),
        "is_revoked": item.is_revoked,
        "is_suspended": item.is_suspended,
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
