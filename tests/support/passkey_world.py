"""A world whose SAM is one worker's real verbs, in this process, over the real wire's bytes.

No HSM and no socket: the node is in software, and its clock is the world's.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from sqlalchemy import update

from remote_signing import strict_json
from remote_signing.errors import from_wire
from remote_signing.rssp import (
    consent,
    consent_account,
    consent_requests,
    passkey_routes,
    phone_routes,
    pin_routes,
    sign_in_routes,
)
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.models import credential
from remote_signing.sam import worker
from remote_signing.sam.config import PasskeyConfig
from remote_signing.sap import SamStatus, SapClient, UnixAddress, encode_line
from tests.support.asgi import call
from tests.support.passkeys import ORIGIN, RP_ID, Authenticator, b64url
from tests.support.verbs import Sam

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from remote_signing.strict_json import JsonValue
    from tests.support.world import World

DAY = 86_400


class InProcessSam(SapClient):
    """The client of the SAP, with a worker's verbs in the place of the socket.

    ``faults`` are raised in the place of an answer, one each.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__(UnixAddress(sam.folder / "no.sock"))
        self.sam = sam
        self.faults: list[Exception] = []

    def _call(self, verb: str, arguments: Mapping[str, object]) -> dict[str, JsonValue]:
        if self.faults:
            raise self.faults.pop()
        line = encode_line({"id": 1, "verb": verb, "args": arguments})
        answer = strict_json.loads_object(worker.answer(self.sam.handlers, line))
        error = cast("dict[str, Any] | None", answer.get("error"))
        if error is not None:
            raise from_wire(error["name"], error["public"])
        return cast("dict[str, JsonValue]", answer["ok"])

    def status(self) -> SamStatus:
        chain = (self.sam.issuer.public_bytes(Encoding.DER),)
        return SamStatus("soft", ({"name": "soft", "healthy": True, "workers": 1},), 0, b"", chain)


@dataclass
class PasskeyWorld:
    """A signer with a credential, its SAM, and a device."""

    world: World
    sap: InProcessSam
    device: Authenticator = field(default_factory=Authenticator)
    origin: str = ORIGIN

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request to the consent API in the signer's name."""
        app = FastAPI()
        app.state.services = self.world.services
        parts = (
            *(consent_requests, consent_account, consent, sign_in_routes),
            *(passkey_routes, phone_routes, pin_routes),
        )
        for part in parts:
            app.include_router(part.router)
        middleware.install(app)
        headers = {"Authorization": f"Bearer {options.get('session', self.world.session)}"}
        return call(app, method, f"/consent/v1{path}", headers=headers, json=body)

    def begin(self) -> dict[str, Any]:
        answer = self.ask("POST", "/passkeys/options", {"credential_id": self.world.credential_id})
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())

    def made(self, begun: dict[str, Any], device: Authenticator | None = None) -> dict[str, Any]:
        """What the browser makes for ``begun``."""
        made = (device or self.device).make(from_b64url(begun["challenge"]), origin=self.origin)
        return {
            "token": begun["token"],
            "client_data": from_b64(made["client_data"]),
            "attestation_object": from_b64(made["attestation_object"]),
            "transports": made["transports"],
        }

    def proof(self, **changes: str) -> dict[str, Any]:
        return {"pin": self.world.pin, "otp": self.world.otp(), **changes}

    def bind(self, made: dict[str, Any], proof: Any = None, **changes: Any) -> httpx.Response:
        body = {
            "credential_id": self.world.credential_id,
            "passkey": made,
            "name": "Điện thoại của tôi",
            "proof": proof or self.proof(),
            **changes,
        }
        return self.ask("POST", "/passkeys", body)

    def register(self) -> str:
        """A passkey that counts; its factor's id."""
        answer = self.bind(self.made(self.begin()))
        assert answer.status_code == 201, answer.text
        self.sap.sam.clock.advance(DAY)
        self.world.session = self.world.new_session()
        return cast("str", answer.json()["factor_id"])

    def answered(self, challenge: str, device: Authenticator | None = None, **changes: Any) -> Any:
        """What the device says to ``challenge``, as a browser tells it."""
        said = {"origin": self.origin, **changes}
        signature, rest = (device or self.device).answer(from_b64url(challenge), **said)
        told = {name: None if text is None else from_b64(text) for name, text in rest.items()}
        return told | {"signature": b64url(signature)}

    def options(self, name: str) -> dict[str, Any]:
        answer = self.ask("POST", f"/requests/{name}/passkey/options", {})
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())

    def approve(self, name: str, **changes: Any) -> httpx.Response:
        told = self.answered(self.options(name)["challenge"], **changes)
        return self.ask("POST", f"/requests/{name}/passkey", told)


def passkey_world(world: World, folder: Path, **changes: Any) -> PasskeyWorld:
    """``world`` goes on with a SAM that takes passkeys, and a credential in it."""
    options: dict[str, Any] = {"rp_id": RP_ID, "origins": (ORIGIN,), **changes}
    authority: Any = SimpleNamespace(pinned={world.authority.key_id: world.authority.public_key})
    sam = Sam(folder, clock=world.clock, ra=authority, passkey=PasskeyConfig(**options))
    sap = InProcessSam(sam)
    world.services = replace(world.services, sam=sap)
    # What was furnished is sealed for another SAM.
    world.database.run(update(credential).values(state="destroyed"))
    world.new_credential()
    device = Authenticator(rp_id=options["rp_id"])
    return PasskeyWorld(world, sap, device, options["origins"][0])


def from_b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def from_b64(text: str) -> str:
    """Base64 in the spelling of browsers."""
    return b64url(base64.b64decode(text))
