"""pyHanko's own CSC client against our URL, over real HTTP: a PAdES that it accepts in the end.

It writes v1's members to whatever version it is pointed at, and reads v1's answers.
"""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx
import pytest
from asn1crypto import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import csc_signer
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from remote_signing import demo
from remote_signing.clock import FixedClock
from remote_signing.rssp import activation, clients, migrations
from tests.support.csc import CscPortal
from tests.support.served import served
from tests.support.world import VERIFIER, connect, furnish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sam import RunningSam
    from tests.support.sqlite import SqliteFolder

BACK = "https://portal.example/back"
PDF = Path(demo.__file__).parent / "decision.pdf"
CLIENT = "old-portal"


@dataclass
class Desk:
    """A portal's programmer: the URL, a client registered as unable to use PAR, an official."""

    portal: CscPortal
    url: str
    secret: str

    def sad_by_consent(self, credential_id: str, hashes: list[str]) -> str:
        """v1: the browser carries the hashes, the official consents, a token is the SAD."""
        query = {
            "response_type": "code",
            "client_id": CLIENT,
            "scope": "credential",
            "state": "s",
            "credentialID": credential_id,
            "numSignatures": str(len(hashes)),
            "hash": ",".join(hashes).replace("+", "-").replace("/", "_"),
            "code_challenge": activation.s256(VERIFIER),
            "code_challenge_method": "S256",
            "lang": "vi",
            "clientData": "x",
        }
        base = f"{self.url}/csc/v1/oauth2"
        page = httpx.get(f"{base}/authorize", params=query, trust_env=False)
        world = self.portal.world
        to = world.approve(page.headers["location"].rpartition("/")[2]).redirect_to or ""
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT,
            "client_secret": self.secret,
            "code": parse_qs(urlsplit(to).query)["code"][0],
            "code_verifier": VERIFIER,
        }
        token = httpx.post(f"{base}/token", data=form, trust_env=False).json()
        assert token["token_type"] == "SAD"
        return str(token["access_token"])


class Codes(csc_signer.CSCAuthorizationManager):
    """``credentials/authorize`` with the official's PIN and code, as pyHanko words it."""

    desk: Desk

    async def authorize_signature(self, hash_b64s: list[str]) -> Any:
        world = self.desk.portal.world
        body = self.format_csc_auth_request(
            num_signatures=len(hash_b64s), pin=world.pin, otp=world.otp(), hash_b64s=hash_b64s
        )
        url = self.csc_session_info.endpoint_url("credentials/authorize")  # type: ignore[no-untyped-call]  # pyHanko leaves the type out
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, headers=self.auth_headers) as answer,
        ):
            return self.parse_csc_auth_response(await answer.json())


class Consent(csc_signer.CSCAuthorizationManager):
    """A token of scope ``credential`` is the SAD."""

    desk: Desk

    async def authorize_signature(self, hash_b64s: list[str]) -> Any:
        credential_id = self.csc_session_info.credential_id
        sad = await asyncio.to_thread(self.desk.sad_by_consent, credential_id, hash_b64s)
        return csc_signer.CSCAuthorizationInfo(sad=sad)


@pytest.fixture(scope="module")
def desk(sqlite_folder: SqliteFolder, sam_factory: Callable[..., RunningSam]) -> Iterator[Desk]:
    world = connect(sqlite_folder.fresh(migrations.upgrade), FixedClock(time.time_ns() // 10**6))
    authority = world.authority
    sam = sam_factory(pinned={authority.key_id: authority.public_key}).client()
    world.services = replace(world.services, sam=sam)
    portal = CscPortal.at(furnish(world))
    secret = clients.register(
        world.database,
        world.clock,
        clients.NewClient(
            CLIENT, "Cổng cũ", "client_secret_post", redirect_uris=(BACK,), par_required=False
        ),
    )
    assert secret is not None
    with served(lambda _address: portal.app) as url:
        yield Desk(portal, url, secret)
    world.services.close()


async def signed(desk: Desk, version: str, kind: type[Any], **options: Any) -> bytes:
    """The demo's PDF with a signature that pyHanko made of ours."""
    session_info = csc_signer.CSCServiceSessionInfo(
        service_url=desk.url,
        credential_id=desk.portal.world.credential_id,
        oauth_token=desk.portal.user_token(client_id=CLIENT),
        api_ver=version,
    )
    async with aiohttp.ClientSession() as session:
        info = await csc_signer.fetch_certs_in_csc_credential(session, session_info)
        manager = kind(session_info, info)
        manager.desk = desk
        signer = csc_signer.CSCSigner(session, auth_manager=manager, **options)
        metadata = signers.PdfSignatureMetadata(
            field_name="Signature", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES
        )
        writer = IncrementalPdfFileWriter(io.BytesIO(PDF.read_bytes()))
        out = await signers.PdfSigner(metadata, signer).async_sign_pdf(writer)
        return bytes(out.getvalue())


async def is_accepted(desk: Desk, pdf: bytes) -> bool:
    """PyHanko's own verdict, with the root alone trusted and nothing fetched."""
    root = desk.portal.world.services.sam.status().chain[-1]
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(root)], allow_fetching=False, revocation_mode="soft-fail"
    )
    signature = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[-1]
    status = await async_validate_pdf_signature(signature, context)
    assert signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    return bool(status.bottom_line and status.intact and status.trusted)


def ready(desk: Desk, **credential: Any) -> None:
    """At the machine's time, with a new credential."""
    world = desk.portal.world
    world.clock.advance(time.time() - world.clock.now_ms() / 1000)
    world.session = world.new_session()
    world.new_credential(**credential)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("algorithm", ["p256", "rsa2048"])
def test_pdf_is_signed_with_pin_and_code_at_scal1(desk: Desk, version: str, algorithm: str) -> None:
    ready(desk, scal="1", algorithm=algorithm)
    pdf = asyncio.run(signed(desk, version, Codes))
    assert asyncio.run(is_accepted(desk, pdf))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_pdf_is_signed_with_the_officials_consent_at_scal2(desk: Desk, version: str) -> None:
    ready(desk)
    pdf = asyncio.run(signed(desk, version, Consent))
    assert asyncio.run(is_accepted(desk, pdf))


def test_pdf_is_signed_with_pss(desk: Desk) -> None:
    """PyHanko takes the longest salt that the key has room for, and tells it as signAlgoParams."""
    ready(desk, scal="1", algorithm="rsa2048")
    pdf = asyncio.run(signed(desk, "v1", Codes, prefer_pss=True))
    assert asyncio.run(is_accepted(desk, pdf))


def test_pyhanko_is_refused_what_the_official_did_not_see(desk: Desk) -> None:
    ready(desk)

    class Stale(Consent):
        async def authorize_signature(self, hash_b64s: list[str]) -> Any:
            other = [f"{'A' * 43}=" for _ in hash_b64s]
            return await super().authorize_signature(other)

    with pytest.raises(SigningError):
        asyncio.run(signed(desk, "v1", Stale))
