"""The status of a SIM's certificate, fetched here and stapled; the SAM judges it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.x509 import ocsp

from remote_signing.rssp.config_sim import SimConfig
from remote_signing.rssp.sim import status
from tests.support.sim_card import Issuer, SimCard

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://ocsp.example"


class Responder:
    """Answers for one authority, or as it is told."""

    def __init__(self, issuer: Issuer, card: SimCard) -> None:
        self._issuer, self._card = issuer, card
        self.asked = 0
        self.content: bytes | None = None
        self.status = 200

    def post(self, url: str, *, content: bytes, **_options: Any) -> httpx.Response:
        self.asked += 1
        assert url == URL
        request = ocsp.load_der_ocsp_request(content)
        assert request.serial_number == self._card.certificate.serial_number
        told = self.content or self._issuer.ocsp(self._card.certificate)
        answer = httpx.Response(self.status, content=told)
        answer.request = httpx.Request("POST", url)
        return answer


@pytest.fixture
def card() -> SimCard:
    return SimCard(Issuer())


@pytest.fixture
def responder(card: SimCard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Responder]:
    made = Responder(card.issuer, card)
    monkeypatch.setattr(httpx, "post", made.post)
    status.kept.clear()
    yield made
    status.kept.clear()


def services(now: int = 0, **changes: Any) -> Any:
    usual = SimConfig("http://127.0.0.1:1", Path("x"), "Bộ Nội vụ", ocsp_url=URL)
    return SimpleNamespace(
        config=SimpleNamespace(sim=replace(usual, **changes)), now_ms=lambda: now
    )


def row(card: SimCard, *, chained: bool = True) -> Any:
    chain = [base64.b64encode(card.issuer.der).decode()] if chained else []
    return SimpleNamespace(factor_id="f", certificate=card.der, chain=json.dumps(chain))


def test_one_response_serves_the_next_minute(card: SimCard, responder: Responder) -> None:
    (first,) = status.staples(services(), row(card)).ocsp
    assert ocsp.load_der_ocsp_response(base64.b64decode(first)).serial_number
    status.staples(services(30_000), row(card))
    assert responder.asked == 1
    status.staples(services(90_000), row(card))
    assert responder.asked == 2


@pytest.mark.parametrize("flaw", ["status", "length"])
def test_a_responder_that_is_away_leaves_the_older_response(
    card: SimCard, responder: Responder, flaw: str
) -> None:
    before = status.staples(services(), row(card)).ocsp
    responder.status = 500 if flaw == "status" else 200
    responder.content = bytes(17 * 1024) if flaw == "length" else None
    assert status.staples(services(90_000), row(card)).ocsp == before
    status.kept.clear()
    assert status.staples(services(), row(card)).ocsp == []


def test_a_certificate_of_the_embedded_authority_needs_none(
    card: SimCard, responder: Responder
) -> None:
    assert status.staples(services(), row(card, chained=False)).ocsp == []
    assert status.staples(services(ocsp_url=None), row(card)).ocsp == []
    assert responder.asked == 0
    nothing: Any = SimpleNamespace(config=SimpleNamespace(sim=None))
    assert status.staples(nothing, row(card)) == status.Staples([], [])


def test_revocation_lists_are_read_anew_each_time(card: SimCard, tmp_path: Path) -> None:
    file = tmp_path / "a.crl"
    given = services(ocsp_url=None, crl_files=(file,))
    assert status.staples(given, row(card)).crls == []
    file.write_bytes(b"one")
    assert status.staples(given, row(card)).crls == [base64.b64encode(b"one").decode()]
