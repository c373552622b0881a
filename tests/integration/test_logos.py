"""Logos of portals on both databases: what an operator hands in, and what a signer gets of it."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from PIL import Image

from remote_signing.errors import InvalidInput
from remote_signing.rssp import (
    activation,
    audit,
    consent,
    consent_account,
    consent_requests,
    logo_routes,
    logos,
)
from remote_signing.rssp.edge import middleware
from tests.support.asgi import call
from tests.support.examples import example
from tests.support.world import PORTAL, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Databases

API = "/consent/v1"
RED = (200, 0, 0)


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as furnished:
        yield furnished


def picture(
    width: int, height: int, kind: str = "PNG", colour: tuple[int, ...] = RED, mode: str = "RGB"
) -> bytes:
    target = io.BytesIO()
    Image.new(mode, (width, height), colour).save(target, kind)
    return target.getvalue()


def ask(world: World, path: str, session: str | None = None) -> httpx.Response:
    app = FastAPI()
    app.state.services = world.services
    for module in (consent_requests, consent_account, consent, logo_routes):
        app.include_router(module.router)
    middleware.install(app)
    headers = {"Authorization": f"Bearer {session or world.session}"}
    return call(app, "GET", API + path, headers=headers)


def put(world: World, data: bytes | None, client_id: str = PORTAL) -> bool:
    return logos.put(world.services.database, world.services.clock, client_id, data)


def test_a_portal_has_its_logo_wherever_its_name_is(world: World) -> None:
    name = world.opened()
    assert ask(world, "/requests").json()["requests"][0]["client_logo"] is None
    assert put(world, picture(300, 200))
    digest = ask(world, "/requests").json()["requests"][0]["client_logo"]
    assert ask(world, f"/requests/{name}").json()["client_logo"] == digest
    answer = example("a logo", ask(world, f"/logos/{digest}"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert hashlib.sha256(answer.content).hexdigest() == digest
    activation.deny(world.services, world.session, name)
    (past,) = ask(world, "/history").json()["requests"]
    assert past["client_logo"] == digest


def test_a_new_logo_has_a_new_address_and_the_old_one_is_gone(world: World) -> None:
    put(world, picture(96, 96))
    world.opened()
    old = ask(world, "/requests").json()["requests"][0]["client_logo"]
    put(world, picture(96, 96, colour=(0, 0, 200)))
    new = ask(world, "/requests").json()["requests"][0]["client_logo"]
    assert new != old
    assert ask(world, f"/logos/{old}").status_code == 404
    assert ask(world, f"/logos/{old}").json()["code"] == "logo_unknown"
    put(world, None)
    assert ask(world, f"/logos/{new}").status_code == 404
    assert ask(world, "/requests").json()["requests"][0]["client_logo"] is None


def test_a_logo_needs_a_session_and_a_digest(world: World) -> None:
    put(world, picture(96, 96))
    world.opened()
    digest = ask(world, "/requests").json()["requests"][0]["client_logo"]
    assert ask(world, f"/logos/{digest}", session="nobody").status_code == 401
    assert ask(world, "/logos/..%2Fpasswd").status_code in {400, 404}
    assert ask(world, f"/logos/{digest.upper()}").status_code == 400


def test_a_change_of_logo_is_on_record_and_strangers_get_none(world: World) -> None:
    assert not put(world, picture(96, 96), client_id="nobody")
    put(world, picture(96, 96))
    events = [each for each in audit.events(world.services.database) if each.client_id == PORTAL]
    assert events[-1].kind == "client.changed"
    assert len(json.loads(events[-1].detail)["logo"]) == 64


def test_what_is_drawn_is_a_square_without_the_files_own_bytes() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    target = io.BytesIO()
    Image.new("RGB", (640, 320), RED).save(target, "JPEG", exif=exif)
    drawn = logos.drawn(target.getvalue())
    with Image.open(io.BytesIO(drawn)) as found:
        assert (found.size, found.mode) == ((logos.SIDE, logos.SIDE), "RGBA")
        assert found.getpixel((48, 4)) == (0, 0, 0, 0)  # beside the wide picture: nothing
        assert found.split()[3].getpixel((48, 48)) == 255
    assert b"where it was taken" not in drawn


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture(96, 96)[:60],
        picture(2, 2) + b"\0" * logos.LARGEST,
        picture(2100, 2000, mode="1", colour=(1,)),
        picture(96, 96, "GIF"),
    ],
    ids=["nothing", "svg", "cut", "large", "many_pixels", "gif"],
)
def test_what_is_no_small_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        logos.drawn(data)
