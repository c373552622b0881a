"""What an operator knows of its numbers: the card, the key that was made in it, its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sim_adapter.mss import codes
from sim_adapter.mss.model import MssFault

if TYPE_CHECKING:
    from sim_adapter.ota.keysets import CardIssuer, CardRecord


@dataclass(slots=True)
class Subscriber:
    """One number. ``public_key`` is DER, of the key that the card made last."""

    card: CardRecord
    public_key: bytes | None = None
    certificate: bytes | None = None
    is_revoked: bool = False
    is_suspended: bool = False

    def take_certificate(self, der: bytes) -> None:
        """Keep the certificate of the card's key; code 407 for another key's."""
        try:
            key = x509.load_der_x509_certificate(der).public_key()
        except ValueError as error:
            raise MssFault(codes.REGISTRATION_NOK, f"no certificate: {error}") from None
        spki = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if spki != self.public_key:
            raise MssFault(codes.REGISTRATION_NOK, "the certificate of another key")
        self.certificate = der


@dataclass(frozen=True, slots=True)
class Network:
    """Whose SIMs these are."""

    name: str = "Test Mobile"
    mcc: str = "452"
    mnc: str = "99"


class Subscribers:
    """All numbers with ``prefix``; a record is made when a number is first asked for."""

    def __init__(
        self, issuer: CardIssuer, prefix: str = "849000", network: Network | None = None
    ) -> None:
        self._issuer = issuer
        self._prefix = prefix
        self.network = network or Network()
        self._by_number: dict[str, Subscriber] = {}

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

    def replace_sim(self, msisdn: str, issue: int = 1) -> Subscriber:
        """Give the number its next SIM, as a shop would: no key, no certificate."""
        found = self._by_number[msisdn] = Subscriber(self._issuer.card(msisdn, issue))
        return found
