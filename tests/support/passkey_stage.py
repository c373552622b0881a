"""Portal, consent page and rssp on real sockets, with the SAM's real verbs: passkeys in a browser.

The page is at ``localhost``, because an address in figures can have no passkeys.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from consent_app.app import create_app
from remote_signing.rssp import (
    activation,
    audit,
    consent,
    consent_account,
    consent_requests,
    openid_routes,
    passkey_routes,
    phone_routes,
    pin_routes,
    sign_in_routes,
    sim_routes,
)
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.request_details import RequestDetails
from tests.support.consent_visitor import settings
from tests.support.passkey_world import DAY, PasskeyWorld, passkey_world
from tests.support.served import served
from tests.support.world import PASSWORD, PORTAL, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.conftest import Databases

NAME = "Điện thoại của tôi"


@dataclass
class PasskeyStage:
    """``home`` is where the page is; ``place`` is what stands behind it."""

    home: str
    place: PasskeyWorld

    def sign_in(self, page: Page, path: str = "/") -> None:
        page.goto(self.home + path)
        page.fill("#username", "an.nguyen")
        page.fill("#password", PASSWORD)
        page.click("form[action='/sign-in'] button")
        page.wait_for_url(self.home + path)

    def proof(self, page: Page, pin: str | None = None) -> None:
        self.place.world.next_step()
        page.fill("#pin", pin or self.place.world.pin)
        page.fill("#otp", self.place.world.otp())

    def add(self, page: Page, name: str = NAME) -> None:
        """From the list to a new passkey."""
        page.click("main a.main")
        page.click("[data-passkey=make] [data-start]")
        page.wait_for_selector("#confirm:not([hidden])")
        page.fill("#name", name)
        self.proof(page)
        page.click("[data-confirm] button")
        page.wait_for_selector(".notice.good")

    def asked(self, document: str) -> activation.Requested:
        """A request that came by itself; its code is still to be picked."""
        world = self.place.world
        channel = activation.Channel.DECOUPLED
        # With details, as portals send them: what is shown by its document's name.
        details = RequestDetails(document_name=document)
        new = world.request(document, channel=channel, redirect_uri=None, details=details)
        return activation.request_activation(world.services, new)

    def reviewed(self, document: str) -> activation.Requested:
        """One whose code was picked."""
        found = self.asked(document)
        self.place.world.match(found.activation_id)
        return found

    def signed(self, asked: activation.Requested, document: str) -> int:
        """The portal fetches the SAD and signs with it; how many signatures."""
        world = self.place.world
        issued = activation.check_handle(world.services, asked.ticket, PORTAL)
        assert isinstance(issued, activation.SadIssued)
        token = world.service_token()
        return len(world.sign(issued.ticket, document, service_token=token))

    def given(self) -> int:
        """How many consents are on record."""
        world = self.place.world
        found = audit.events(world.database, credential_id=world.credential_id)
        return sum(each.kind == "consent.given" for each in found)

    def cool_off(self) -> None:
        self.place.world.clock.advance(DAY)
        self.place.world.session = self.place.world.new_session()


@contextmanager
def passkey_stage(databases: Databases, folder: Path, **tables: Any) -> Iterator[PasskeyStage]:
    """Everything in threads of this process; ``tables`` are further ones of the page's settings."""
    rssp = FastAPI()
    first = (sign_in_routes.router, consent_requests.router, consent_account.router)
    others = (passkey_routes.router, phone_routes.router, pin_routes.router, sim_routes.router)
    for router in (*first, consent.router, openid_routes.router, *others):
        rssp.include_router(router)
    middleware.install(rssp)

    def page_at(address: str, back_end: str) -> FastAPI:
        return create_app(settings(local(address), back_end, **tables))

    with (
        new_world(databases) as world,
        served(lambda _: rssp) as back_end,
        served(lambda address: page_at(address, back_end)) as address,
    ):
        place = passkey_world(world, folder, rp_id="localhost", origins=(local(address),))
        # Passkeys that sign in are for the page's address.
        config = world.services.config
        urls = replace(config.urls, consent=local(address))
        world.services = replace(world.services, config=replace(config, urls=urls))
        rssp.state.services = world.services
        yield PasskeyStage(local(address), place)


def local(address: str) -> str:
    return address.replace("127.0.0.1", "localhost")


def plug_in(page: Page, **changes: Any) -> tuple[Any, str]:
    """A virtual authenticator (Chrome DevTools Protocol, domain WebAuthn) and its id.

    By itself a device's own: it verifies its user, and nothing copies its passkeys.
    """
    link = page.context.new_cdp_session(page)
    link.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        **changes,
    }
    added = link.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return link, added["authenticatorId"]
