"""Signing in by an identity provider: a real one on loopback, and every answer it must not give."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select, update

from remote_signing.errors import InvalidInput, OpenidNotOffered
from remote_signing.rssp import audit, openid_routes, openid_sign_in, openid_subjects
from remote_signing.rssp.edge import middleware
from remote_signing.rssp.models import openid_sign_in as sign_ins
from remote_signing.rssp.models import openid_subject, subscriber
from remote_signing.rssp.openid_client import LONGEST_ANSWER, OpenidProvider
from remote_signing.rssp.openid_config import OpenidConfig
from tests.support.asgi import call
from tests.support.examples import example
from tests.support.openid_provider import CITIZEN, CLIENT, HIGH, real_provider
from tests.support.passkeys import b64url
from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Databases
    from tests.support.sqlite import SqliteFolder
    from tests.support.world import World

BROWSER, OTHER_BROWSER = "b" * 43, "c" * 43
ISSUER = "https://dinh-danh.example"
KEY = ECKey.generate_key("P-256", {"kid": "rp", "use": "sig"})
CALLBACK = "https://consent.example/sign-in/openid/callback"


def settings(folder: Path, issuer: str, **changes: Any) -> OpenidConfig:
    files = {"rp.pem": KEY.as_pem(private=True), "subjects": b"k" * 32}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    members: dict[str, Any] = {
        "issuer": issuer,
        "client_id": CLIENT,
        "subject_key_file": folder / "subjects",
        "key_file": folder / "rp.pem",
        "claim": "citizen_number",
        "algorithms": ("ES256",),
        "acr_values": (HIGH,),
        **changes,
    }
    return OpenidConfig(**members)


@dataclass
class Door:
    """The consent API of a small world, and its provider."""

    world: World

    def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        app = FastAPI()
        app.state.services = self.world.services
        app.include_router(openid_routes.router)
        middleware.install(app)
        return call(app, "POST", f"/consent/v1/sign-in/openid{path}", headers={}, json=body)

    def begin(self, binding: str = BROWSER) -> httpx.Response:
        return self.ask("", {"binding": binding, "target": "/devices"})

    def address(self, binding: str = BROWSER) -> str:
        answer = self.begin(binding)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["redirect_to"])

    def answer(self, returned: str, binding: str = BROWSER, **changes: Any) -> httpx.Response:
        """What the browser brings back in the address ``returned``."""
        found = dict(parse_qsl(urlsplit(returned).query))
        body = {name: found.get(name) for name in ("state", "code", "iss", "error")}
        return self.ask("/answer", {"binding": binding, **body, **changes})

    def bound(self, value: str = CITIZEN) -> None:
        openid_subjects.bind(self.world.services, self.world.subscriber_id, value)


def at_door(world: World, config: OpenidConfig, transport: Any = None) -> Door:
    provider = OpenidProvider(config, transport)
    world.services = replace(world.services, openid=provider)
    return Door(world)


# ---------------------------------------------------------------------- a real provider's library


def test_an_official_signs_in_by_a_real_provider(databases: Databases, tmp_path: Path) -> None:
    config = settings(tmp_path, ISSUER)
    jwks: Any = OpenidProvider(config).public_keys()
    with new_world(databases) as world, real_provider(tmp_path, jwks, CALLBACK) as real:
        world.clock.advance(_real_now() - world.clock.now_ms() / 1000)
        door = at_door(world, settings(tmp_path, real.issuer, assertion_audience="endpoint"))
        door.bound()
        address = door.address()
        assert "request_uri=" in address
        assert BROWSER not in address
        went = httpx.get(address)
        assert went.status_code == 303, went.text
        returned = went.headers["location"]
        assert returned.startswith(CALLBACK + "?")
        opened = door.answer(returned)
        assert opened.status_code == 201
        assert opened.json()["target"] == "/devices"
        assert opened.json()["subscriber"]["full_name"].startswith("Nguyễn")
        (event,) = [one for one in audit.events(world.database) if one.kind == "session.opened"]
        assert json.loads(event.detail)["by"] == "openid"
        assert [path for path, _ in real.asked] == [
            "pushed_authorization",
            "authorization",
            "token",
        ]
        pushed = real.asked[0][1]
        assert (pushed["code_challenge_method"], pushed["acr_values"]) == ("S256", HIGH)
        # Once: neither the state nor the provider's code opens anything a second time.
        assert door.answer(returned).json()["code"] == "sign_in_refused"
        # Another PKCE verifier, as whoever stole the code has: the provider refuses.
        returned = httpx.get(door.address()).headers["location"]
        code = parse_qs(urlsplit(returned).query)["code"][0]
        mine = httpx.get(door.address(OTHER_BROWSER)).headers["location"]
        assert door.answer(mine, OTHER_BROWSER, code=code).json()["code"] == "sign_in_refused"


def _real_now() -> float:
    import time  # noqa: PLC0415 - for this alone: the provider's clock cannot be held

    return time.time()


# ----------------------------------------------------------------------------- a hostile provider


class Hostile:
    """A provider that answers as it is told. ``token`` makes the ID token of what is expected."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
        self.published: list[Any] = [self.key.as_dict(private=False)]
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "ES256", "kid": "one"}
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }
        self.answers: dict[str, Callable[[], httpx.Response]] = {}
        self.signed: Callable[[dict[str, Any]], str] | None = None
        self.nonce = ""
        self.now = 0
        self.keys_asked = 0
        self.forms: list[dict[str, str]] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path in self.answers:
            return self.answers[path]()
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.metadata)
        if path == "/jwks":
            self.keys_asked += 1
            return httpx.Response(200, json={"keys": self.published})
        self.forms.append(dict(parse_qsl(request.content.decode())))
        self.headers.append(request.headers)
        if path == "/par":
            return httpx.Response(201, json={"request_uri": "urn:x", "expires_in": 60})
        return httpx.Response(200, json={"id_token": self.token(), "access_token": "at"})

    def token(self) -> str:
        claims = {
            "iss": ISSUER,
            "sub": "somebody",
            "aud": CLIENT,
            "exp": self.now + 300,
            "iat": self.now,
            "nonce": self.nonce,
            "acr": HIGH,
            "citizen_number": CITIZEN,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.signed is not None:
            return self.signed(claims)
        return jwt.encode(self.header, claims, self.key, algorithms=["ES256"])


@dataclass
class Scene:
    door: Door
    hostile: Hostile

    def returned(self, binding: str = BROWSER) -> str:
        """The browser goes there and comes back."""
        address = self.door.address(binding)
        given = dict(parse_qsl(urlsplit(address).query))
        self.hostile.nonce = given.get("nonce", "")
        self.hostile.now = self.door.world.clock.now_ms() // 1000
        return f"{CALLBACK}?state={given['state']}&code=abc&iss={ISSUER}"

    def sign_in(self, **changes: Any) -> httpx.Response:
        return self.door.answer(self.returned(), **changes)

    def cause(self) -> str:
        """Why the last one was refused, by the record."""
        found = [
            one for one in audit.events(self.door.world.database) if one.kind == "openid.refused"
        ]
        return str(json.loads(found[-1].detail)["cause"])


def staged(world: World, folder: Path, **changes: Any) -> Scene:
    hostile = Hostile()
    config = settings(folder, ISSUER, **changes)
    door = at_door(world, config, httpx.MockTransport(hostile))
    door.bound()
    return Scene(door, hostile)


@pytest.fixture
def scene(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[Scene]:
    with new_world(sqlite_folder) as world:
        yield staged(world, tmp_path)


def test_what_the_hostile_provider_is_told_otherwise_is_good(scene: Scene) -> None:
    assert example("signed in", scene.sign_in()).status_code == 201
    assert scene.hostile.forms[0]["grant_type"] == "authorization_code"
    assertion = scene.hostile.forms[0]["client_assertion"]
    said = jwt.decode(assertion, KEY, algorithms=["ES256"]).claims
    assert (said["iss"], said["sub"], said["aud"]) == (CLIENT, CLIENT, ISSUER)
    assert said["exp"] - said["iat"] == 60


def test_refusals_of_strangers_do_not_fill_the_audit_table(scene: Scene) -> None:
    def on_record() -> list[Any]:
        told = audit.events(scene.door.world.database)
        return [each for each in told if each.kind == "openid.refused"]

    for _ in range(25):
        assert scene.door.answer(scene.returned(), error="access_denied").status_code == 401
    assert len(on_record()) == 20
    scene.door.world.clock.advance(10)
    assert scene.door.answer(scene.returned(), error="access_denied").status_code == 401
    assert json.loads(on_record()[-1].detail)["passed_over"] == 5


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "a nonce that is no text": {"nonce": 7},
    "another issuer": {"iss": "https://other.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "portal"},
    "a further audience": {"aud": [CLIENT, "portal"], "azp": CLIENT},
    "no audience": {"aud": None},
    "another authorized party": {"azp": "portal"},
    "no expiry": {"exp": None},
    "an expiry that is no number": {"exp": "soon"},
    "no time of issue": {"iat": None},
    "a low level of assurance": {"acr": "urn:example:acr:low"},
    "no level of assurance": {"acr": None},
    "nobody's name": {"citizen_number": None},
    "a name that is no text": {"citizen_number": 1},
    "a name that is too long": {"citizen_number": "1" * 256},
    "no subject": {"sub": None},
    "another access token's hash": {"at_hash": "x"},
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
def test_an_id_token_about_something_else_opens_nothing(scene: Scene, wrong: str) -> None:
    scene.hostile.claims = WRONG_CLAIMS[wrong]
    answer = scene.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
    assert "ID token" in scene.cause()
    assert CITIZEN not in scene.cause()


def test_an_id_token_of_another_time_opens_nothing(scene: Scene) -> None:
    now = scene.door.world.clock.now_ms() // 1000
    for times in (
        {"exp": now - 61, "iat": now - 300},
        {"iat": now - 700},
        {"iat": now + 120},
        {"nbf": now + 120},
        {"exp": now, "iat": now},
    ):
        scene.hostile.claims = times
        assert scene.sign_in().json()["code"] == "sign_in_refused", times


def test_who_was_asked_too_long_ago_is_asked_again(
    sqlite_folder: SqliteFolder, tmp_path: Path
) -> None:
    with new_world(sqlite_folder) as world:
        scene = staged(world, tmp_path, max_age=600)
        now = world.clock.now_ms() // 1000
        assert "max_age=600" in scene.door.address()
        for asked, status in ((None, 401), (now - 700, 401), (now - 30, 201)):
            scene.hostile.claims = {"auth_time": asked}
            assert scene.sign_in().status_code == status, asked


def unsigned(header: dict[str, Any], claims: dict[str, Any], end: str = "") -> str:
    return ".".join([*(b64url(json.dumps(part).encode()) for part in (header, claims)), end])


def under_secret(secret: bytes, claims: dict[str, Any]) -> str:
    """HS256 by hand: no good library makes a secret of a public key."""
    signed = unsigned({"alg": "HS256", "kid": "one"}, claims).rstrip(".")
    return f"{signed}.{b64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


def test_no_algorithm_and_no_secret_made_of_a_public_key_signs_for_the_provider(
    scene: Scene,
) -> None:
    hostile = scene.hostile
    public = hostile.key.as_dict(private=False)
    for end in ("", "AAAA"):
        hostile.signed = partial(unsigned, {"alg": "none"}, end=end)
        assert scene.sign_in().status_code == 401
    for secret in (hostile.key.as_pem(private=False), json.dumps(public).encode()):
        hostile.signed = partial(under_secret, secret)
        assert scene.sign_in().status_code == 401
    assert "algorithm" in scene.cause()


def test_the_key_of_another_or_one_in_the_header_signs_nothing(scene: Scene) -> None:
    hostile = scene.hostile
    mine = ECKey.generate_key("P-256", {"kid": "one"})

    def by(header: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
        return lambda claims: jwt.encode(header, claims, mine, algorithms=["ES256"])

    public = mine.as_dict(private=False)
    for header in (
        {"alg": "ES256", "kid": "one"},
        {"alg": "ES256"},
        {"alg": "ES256", "kid": "one", "jwk": public},
        {"alg": "ES256", "kid": "one", "jku": "https://attacker.example/jwks"},
    ):
        hostile.signed = by(header)
        assert scene.sign_in().status_code == 401, header


def test_a_name_that_two_keys_bear_does_not_confuse_them(scene: Scene) -> None:
    hostile = scene.hostile
    other = RSAKey.generate_key(2048, {"kid": "one"}).as_dict(private=False)
    encrypting = ECKey.generate_key("P-256", {"kid": "one"})
    junk: list[Any] = [7, {"kty": "oct", "k": "AAAA", "kid": "one"}, {"kty": "XX"}]
    hostile.published = [
        *junk,
        other,
        encrypting.as_dict(private=False) | {"use": "enc"},
        *hostile.published,
    ]
    assert scene.sign_in().status_code == 201
    hostile.signed = lambda claims: jwt.encode(
        {"alg": "ES256", "kid": "one"}, claims, encrypting, algorithms=["ES256"]
    )
    assert scene.sign_in().status_code == 401


def test_a_new_key_of_the_provider_is_found_but_not_asked_for_at_every_strangers_wish(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = scene.hostile
    assert scene.sign_in().status_code == 201
    hostile.key = ECKey.generate_key("P-256", {"kid": "two"})
    hostile.published = [hostile.key.as_dict(private=False)]
    hostile.header = {"alg": "ES256", "kid": "two"}
    for _ in range(3):
        assert scene.sign_in().status_code == 401
    assert hostile.keys_asked == 1
    monkeypatch.setattr("remote_signing.rssp.openid_client._ANEW_SECONDS", -1.0)
    assert scene.sign_in().status_code == 201
    assert hostile.keys_asked == 2


# -------------------------------------------------------------------------------- state and browser


def test_a_state_is_for_one_browser_and_once_on_each_database(
    databases: Databases, tmp_path: Path
) -> None:
    with new_world(databases) as world:
        scene = staged(world, tmp_path)
        returned = scene.returned()
        door = scene.door
        assert door.answer(returned, OTHER_BROWSER).json()["code"] == "sign_in_refused"
        assert door.answer(returned, state="x").json()["code"] == "sign_in_refused"
        assert door.answer(returned).status_code == 201, "the other browser used nothing up"
        assert door.answer(returned).json()["code"] == "sign_in_refused"
        late = scene.returned()
        world.clock.advance(601)
        assert door.answer(late).json()["code"] == "sign_in_refused"
        assert openid_sign_in.prune(world.services) == 1
        assert world.database.all(select(sign_ins)) == []


def test_a_code_of_another_session_is_of_no_use(scene: Scene) -> None:
    """The code goes with this browser's verifier, and the token with its nonce."""
    theirs = scene.returned(OTHER_BROWSER)
    nonce = scene.hostile.nonce
    mine = scene.returned()
    scene.hostile.nonce = nonce
    assert theirs
    assert scene.door.answer(mine).status_code == 401
    assert "nonce" in scene.cause()


@pytest.mark.parametrize("iss", ["https://other.example", ISSUER + "/", None])
def test_an_answer_of_another_provider_is_refused_before_its_code_is_used(
    scene: Scene, iss: str | None
) -> None:
    assert scene.sign_in(iss=iss).status_code == 401
    assert scene.hostile.forms == []
    assert "RFC 9207" in scene.cause()


def test_a_provider_that_names_no_issuer_need_not_but_may_not_name_another(scene: Scene) -> None:
    del scene.hostile.metadata["authorization_response_iss_parameter_supported"]
    assert scene.sign_in(iss=None).status_code == 201
    assert scene.sign_in(iss="https://other.example").status_code == 401


def test_a_sign_in_that_was_begun_at_another_provider_ends_there(scene: Scene) -> None:
    returned = scene.returned()
    scene.door.world.database.run(update(sign_ins).values(issuer="https://before.example"))
    assert scene.door.answer(returned).status_code == 401


def test_who_says_no_at_the_provider_is_not_signed_in(scene: Scene) -> None:
    answer = scene.sign_in(code=None, error="access_denied")
    assert answer.json()["code"] == "sign_in_refused"
    assert scene.hostile.forms == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"binding": "x", "target": "/"},
        {"binding": BROWSER, "target": ""},
        {"binding": 7, "target": "/"},
    ],
)
def test_what_is_no_beginning_is_bad_input(scene: Scene, body: dict[str, Any]) -> None:
    assert scene.door.ask("", body).status_code == 400


def test_what_is_no_answer_is_bad_input(scene: Scene) -> None:
    good = {"binding": BROWSER, "state": "s", "code": "c", "iss": None, "error": None}
    for wrong in ({"code": 7}, {"code": "c" * 2049}, {"more": "x"}, {"binding": None}):
        assert scene.door.ask("/answer", good | wrong).status_code == 400, wrong


# --------------------------------------------------------------------------------------- who it is


def test_nobody_is_signed_in_whom_the_registration_has_not_bound(scene: Scene) -> None:
    world = scene.door.world
    scene.hostile.claims = {"citizen_number": "001099054321", "email": "an.nguyen@example.vn"}
    assert scene.sign_in().status_code == 401
    assert "bound" in scene.cause()
    (kept,) = world.database.all(select(openid_subject))
    assert CITIZEN.encode() not in bytes(kept.subject_mac)
    assert openid_subjects.unbind(world.services, world.subscriber_id) == 1
    assert openid_subjects.unbind(world.services, world.subscriber_id) == 0
    scene.hostile.claims = {}
    assert scene.sign_in().status_code == 401


def test_a_citizen_is_one_signer(scene: Scene) -> None:
    for value in (CITIZEN, "", "1" * 256):
        with pytest.raises(InvalidInput):
            scene.door.bound(value)


def test_who_is_suspended_does_not_come_in_by_the_provider_either(scene: Scene) -> None:
    scene.door.world.database.run(update(subscriber).values(state="suspended"))
    assert scene.sign_in().status_code == 401


def test_a_session_by_the_provider_signs_nothing_by_itself(scene: Scene) -> None:
    assert "session" in scene.sign_in().json()
    events = [one.kind for one in audit.events(scene.door.world.database)]
    assert "consent.given" not in events


# -------------------------------------------------------------------------------- a provider away


def test_where_no_provider_is_configured_nobody_comes_in_that_way(scene: Scene) -> None:
    world = scene.door.world
    world.services = replace(world.services, openid=None)
    answer = scene.door.begin()
    assert (answer.status_code, answer.json()["code"]) == (404, "openid_not_offered")
    with pytest.raises(OpenidNotOffered):
        scene.door.bound()


def down() -> httpx.Response:
    raise httpx.ConnectError("nobody there")


ODD_ANSWERS: dict[str, Callable[[], httpx.Response]] = {
    "nobody there": down,
    "out of order": lambda: httpx.Response(502, text="Bad Gateway"),
    "a page": lambda: httpx.Response(200, text="<html>"),
    "a list": lambda: httpx.Response(200, json=[]),
    "double members": lambda: httpx.Response(200, text='{"issuer": "a", "issuer": "b"}'),
    "somewhere else": lambda: httpx.Response(302, headers={"location": "https://a.example"}),
    "too much": lambda: httpx.Response(200, content=b'{"a": "' + b"x" * LONGEST_ANSWER + b'"}'),
    "another issuer": lambda: httpx.Response(200, json={"issuer": "https://other.example"}),
    "nothing to go to": lambda: httpx.Response(200, json={"issuer": ISSUER}),
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
def test_a_provider_that_is_out_of_order_keeps_nobody_from_the_other_ways(
    scene: Scene, odd: str
) -> None:
    scene.hostile.answers["/.well-known/openid-configuration"] = ODD_ANSWERS[odd]
    answer = scene.door.begin()
    assert (answer.status_code, answer.json()["code"]) == (503, "openid_away")
    assert scene.door.world.database.all(select(sign_ins)) == []


@pytest.mark.parametrize(
    "endpoint", ["http://dinh-danh.example/token", "https://u@a.example/", "https://a.example:x/"]
)
def test_discovery_leads_nowhere_without_tls(scene: Scene, endpoint: str) -> None:
    scene.hostile.metadata["token_endpoint"] = endpoint
    assert scene.door.begin().status_code == 503


@pytest.mark.parametrize("path", ["/token", "/jwks"])
def test_a_provider_that_goes_away_in_between_opens_nothing(scene: Scene, path: str) -> None:
    returned = scene.returned()
    for odd in ("out of order", "a page", "too much", "a list"):
        scene.hostile.answers[path] = ODD_ANSWERS[odd]
        assert scene.door.answer(returned).status_code in {401, 503}
        returned = scene.returned()
    del scene.hostile.answers[path]
    assert scene.door.answer(returned).status_code == 201


def test_a_provider_that_drips_is_given_up(sqlite_folder: SqliteFolder, tmp_path: Path) -> None:
    with new_world(sqlite_folder) as world:
        scene = staged(world, tmp_path, timeout=0.000001)
        assert scene.door.begin().status_code == 503


def test_a_request_is_pushed_where_the_provider_takes_that(scene: Scene) -> None:
    scene.hostile.metadata["pushed_authorization_request_endpoint"] = f"{ISSUER}/par"
    address = example("to the provider", scene.door.begin()).json()["redirect_to"]
    asked = dict(parse_qsl(urlsplit(address).query))
    assert asked["request_uri"] == "urn:x"
    assert "code_challenge" not in asked
    assert scene.hostile.forms[0]["code_challenge_method"] == "S256"
    for odd in ({"error": "invalid_request"}, {}):
        scene.hostile.answers["/par"] = partial(httpx.Response, 400, json=odd)
        assert scene.door.begin().status_code == 503


def test_a_client_secret_is_the_second_choice(sqlite_folder: SqliteFolder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("bí mật:1\n", "utf-8")
    with new_world(sqlite_folder) as world:
        changes = {"key_file": None, "client_secret_file": tmp_path / "secret"}
        scene = staged(world, tmp_path, **changes)
        assert scene.sign_in().status_code == 201
        (headers,) = scene.hostile.headers
        assert headers["authorization"].startswith("Basic ")
        assert "client_assertion" not in scene.hostile.forms[0]
