"""Service tokens: rotation, reuse, revocation; and what a bearer check says of each token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from starlette.requests import Request

from remote_signing.errors import (
    AccessRefused,
    ActivationConflict,
    ActivationDenied,
    ActivationExpired,
    ActivationUnknown,
    SessionInvalid,
)
from remote_signing.identifiers import Ticket, new_id
from remote_signing.rssp import activation, bearer, service_authorization, service_tokens
from remote_signing.rssp.bearer import BearerRefused, Presented
from remote_signing.rssp.client_certificate import ClientCertificate
from remote_signing.rssp.models import audit_event, replay, subscriber
from remote_signing.rssp.service_tokens import Holder
from tests.support.oauth import OAuthPortal, new_key
from tests.support.world import configuration, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases
    from tests.support.world import World

PATH = "/csc/v2/credentials/list"


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    with new_world(databases) as world:
        yield world


@pytest.fixture(scope="module")
def portal(world: World) -> OAuthPortal:
    return OAuthPortal.at(world)


@pytest.fixture(scope="module")
def other(world: World) -> OAuthPortal:
    return OAuthPortal.at(world, "other-portal")


@pytest.fixture(autouse=True)
def session(world: World) -> Ticket:
    """Of the signer, and fresh: tests move the clock."""
    world.session = world.new_session()
    return world.session


@pytest.fixture
def tokens(portal: OAuthPortal) -> dict[str, Any]:
    return portal.service_tokens()


def presented(token: str, **changes: Any) -> Presented:
    given: dict[str, Any] = {
        "scheme": "Bearer",
        "token": token,
        "proofs": (),
        "certificate": None,
        "method": "POST",
        "path": PATH,
    }
    return Presented(**(given | changes))


def identify(world: World, token: str, **changes: Any) -> bearer.Caller:
    return bearer.identify(
        world.services, bearer.prove(world.services, presented(token, **changes))
    )


def reason(world: World, token: str, **changes: Any) -> str | None:
    """Why the token is refused; None when it is good."""
    try:
        identify(world, token, **changes)
    except BearerRefused as refused:
        return refused.reason
    return None


def events(world: World, kind: str) -> int:
    return len(world.database.all(select(audit_event.c.number).where(audit_event.c.kind == kind)))


# --- refresh


def test_a_refresh_token_is_rotated(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    fresh = portal.refresh(tokens["refresh_token"]).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert fresh["access_token"] != tokens["access_token"]
    for token in (tokens["access_token"], fresh["access_token"]):
        assert identify(world, token).subscriber_id == world.subscriber_id


def test_the_spelling_of_the_standards_sample_is_accepted(
    portal: OAuthPortal, tokens: dict[str, Any]
) -> None:
    form = {"grant_type": "refresh_token", "refreshToken": tokens["refresh_token"]}
    both = form | {"refresh_token": tokens["refresh_token"]}
    assert portal.token(both).json()["error"] == "invalid_request"
    assert portal.token(form).status_code == 200


def test_a_reused_refresh_token_ends_its_family(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    before = events(world, "token.reused")
    fresh = portal.refresh(tokens["refresh_token"]).json()
    reused = portal.refresh(tokens["refresh_token"])
    assert reused.status_code == 400
    assert reused.json()["error"] == "invalid_grant"
    assert portal.refresh(fresh["refresh_token"]).json()["error"] == "invalid_grant"
    for token in (tokens["access_token"], fresh["access_token"]):
        assert reason(world, token) == "expired_token"
    assert events(world, "token.reused") == before + 1


def test_a_reused_refresh_token_leaves_other_families_alone(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    others = portal.service_tokens()
    portal.refresh(tokens["refresh_token"])
    portal.refresh(tokens["refresh_token"])
    assert reason(world, others["access_token"]) is None
    assert portal.refresh(others["refresh_token"]).status_code == 200


def test_another_clients_refresh_token_is_refused_and_stays_good(
    portal: OAuthPortal, other: OAuthPortal, tokens: dict[str, Any]
) -> None:
    stolen = other.refresh(tokens["refresh_token"])
    assert stolen.json() == {
        "error": "invalid_grant",
        "error_description": "Invalid parameter refresh_token",
    }
    assert portal.refresh(tokens["refresh_token"]).status_code == 200


def test_a_refresh_token_bound_by_dpop_is_no_bearer_token(portal: OAuthPortal) -> None:
    code = portal.consent()["code"]
    token = portal.token(portal.redemption(code), headers=portal.proof()).json()["refresh_token"]
    thief = OAuthPortal(portal.world, portal.app, portal.client_id, portal.key, new_key())
    assert portal.refresh(token).status_code == 400
    assert portal.refresh(token, headers=thief.proof()).status_code == 400
    fresh = portal.refresh(token, headers=portal.proof())
    assert fresh.json()["token_type"] == "DPoP"


def test_an_unbound_refresh_token_cannot_be_taken_over_with_a_key(
    portal: OAuthPortal, tokens: dict[str, Any]
) -> None:
    assert portal.refresh(tokens["refresh_token"], headers=portal.proof()).status_code == 400
    assert portal.refresh(tokens["refresh_token"]).status_code == 200


def test_a_family_ends_however_often_it_is_renewed(world: World) -> None:
    lifetimes = {"refresh_token": 100, "refresh_family": 150}
    url = world.database.engine.url.render_as_string(hide_password=False)
    services = replace(world.services, config=configuration(url, lifetimes=lifetimes))
    holder, family = Holder("portal", world.subscriber_id), new_id(world.clock.now_ms())
    with world.database.transaction() as connection:
        first = service_tokens.issue_family(services, connection, holder, family, refresh=True)
    world.clock.advance(90)
    second = service_tokens.rotate(services, first.refresh or "", holder)
    world.clock.advance(59)
    third = service_tokens.rotate(services, second.refresh or "", holder)
    world.clock.advance(2)
    with pytest.raises(AccessRefused) as refusal:
        service_tokens.rotate(services, third.refresh or "", holder)
    assert refusal.value.public == {"reason": "expired"}


def test_a_renewed_certificate_may_refresh_and_binds_the_next_token(world: World) -> None:
    services, now = world.services, world.clock.now_ms()
    first, renewed = (
        Holder("portal", world.subscriber_id, x5t=letter * 43) for letter in ("A", "B")
    )
    with world.database.transaction() as connection:
        tokens = service_tokens.issue_family(services, connection, first, new_id(now), refresh=True)
    fresh = service_tokens.rotate(services, tokens.refresh or "", renewed)
    assert reason(world, fresh.access) == "invalid_token"
    assert reason(world, fresh.access, certificate=ClientCertificate("B" * 43, "CN=A")) is None


def test_a_refresh_may_not_ask_for_more(portal: OAuthPortal, tokens: dict[str, Any]) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert portal.token(form | {"scope": "credential"}).json()["error"] == "invalid_scope"
    assert portal.token(form | {"scope": "service"}).status_code == 200


@pytest.mark.parametrize("kind", ["access", "bare", "made up"])
def test_what_is_no_refresh_token_is_refused(
    portal: OAuthPortal, tokens: dict[str, Any], kind: str
) -> None:
    text = {
        "access": tokens["access_token"],
        "bare": tokens["refresh_token"].removeprefix("r."),
        "made up": "r." + "0" * 26 + "." + "A" * 43,
    }[kind]
    assert portal.refresh(text).json()["error_description"] == "Invalid parameter refresh_token"


def test_an_old_refresh_token_is_told_so(portal: OAuthPortal, tokens: dict[str, Any]) -> None:
    portal.world.clock.advance(30 * 86400 + 1)
    assert portal.refresh(tokens["refresh_token"]).json() == {
        "error": "invalid_grant",
        "error_description": "Refresh token expired",
    }


def test_a_suspended_signer_ends_his_tokens(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    def put(state: str) -> None:
        where = subscriber.c.id == world.subscriber_id
        world.database.run(update(subscriber).where(where).values(state=state))

    put("suspended")
    assert reason(world, tokens["access_token"]) == "invalid_token"
    assert portal.refresh(tokens["refresh_token"]).status_code == 400
    put("active")
    assert portal.refresh(tokens["refresh_token"]).status_code == 200


# --- revocation


def test_revoking_an_access_token_leaves_the_refresh_token(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    gone = portal.revoke(tokens["access_token"], token_type_hint="access_token")
    assert gone.status_code == 204
    assert gone.content == b""
    assert reason(world, tokens["access_token"]) == "expired_token"
    assert portal.refresh(tokens["refresh_token"]).status_code == 200


def test_revoking_a_refresh_token_ends_the_family(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    # A wrong hint does not matter: the token shows what it is.
    assert portal.revoke(tokens["refresh_token"], token_type_hint="access_token").status_code == 204
    assert reason(world, tokens["access_token"]) == "expired_token"
    assert portal.refresh(tokens["refresh_token"]).status_code == 400


def test_revoking_a_credential_token_ends_the_activation(portal: OAuthPortal, world: World) -> None:
    code = portal.consent(portal.credential_request())["code"]
    token = portal.token(portal.redemption(code)).json()["access_token"]
    assert portal.revoke(token).status_code == 204
    assert reason(world, token) == "expired_token", "as a service token that was revoked"


def test_a_token_is_revoked_once(portal: OAuthPortal, tokens: dict[str, Any]) -> None:
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert portal.revoke(token).status_code == 204
        again = portal.revoke(token)
        assert again.status_code == 400
        assert again.json()["error_description"] == "Invalid string parameter token"


def test_another_clients_tokens_cannot_be_revoked(
    portal: OAuthPortal, other: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert other.revoke(token).status_code == 400
    assert reason(world, tokens["access_token"]) is None
    assert portal.refresh(tokens["refresh_token"]).status_code == 200


def test_the_address_where_a_known_client_looks_revokes_too(
    portal: OAuthPortal, tokens: dict[str, Any]
) -> None:
    response = portal.post("../revoke", {"token": tokens["access_token"]} | portal.auth())
    assert response.status_code == 204


# --- bearer


def test_a_token_ends_after_an_hour(world: World, tokens: dict[str, Any]) -> None:
    assert tokens["expires_in"] == 3600
    world.clock.advance(3601)
    assert reason(world, tokens["access_token"]) == "expired_token"


def test_a_credential_token_ends_with_its_activation(portal: OAuthPortal, world: World) -> None:
    code = portal.consent(portal.credential_request())["code"]
    token = portal.token(portal.redemption(code)).json()
    assert reason(world, token["access_token"]) is None
    world.clock.advance(token["expires_in"] + 1)
    assert reason(world, token["access_token"]) == "expired_token"


@pytest.mark.parametrize(
    "token", ["x", "s.x", "s." + "0" * 26 + "." + "A" * 43, "0" * 26 + "." + "A" * 43]
)
def test_a_made_up_token_is_invalid(world: World, token: str) -> None:
    assert reason(world, token) == "invalid_token"


def test_a_refresh_token_is_no_access_token(world: World, tokens: dict[str, Any]) -> None:
    assert reason(world, tokens["refresh_token"]) == "invalid_token"
    assert reason(world, tokens["refresh_token"].removeprefix("r.")) == "invalid_token"
    assert reason(world, tokens["access_token"].removeprefix("s.")) == "invalid_token"


def test_a_sad_is_no_bearer_token(world: World) -> None:
    world.next_step()
    asked = activation.request_activation(
        world.services, world.request(channel=activation.Channel.DECOUPLED)
    )
    world.approve(asked.activation_id)
    issued = activation.check_handle(world.services, asked.ticket, "portal")
    assert isinstance(issued, activation.SadIssued)
    assert reason(world, str(issued.ticket)) == "invalid_token"


def bound(portal: OAuthPortal) -> str:
    """An access token bound to the portal's DPoP key."""
    code = portal.consent()["code"]
    answer = portal.token(portal.redemption(code), headers=portal.proof())
    return str(answer.json()["access_token"])


def test_a_bound_token_is_refused_as_bearer(portal: OAuthPortal, world: World) -> None:
    token = bound(portal)
    proof = portal.proof("POST", PATH, token=token)["DPoP"]
    assert reason(world, token) == "invalid_token"
    assert reason(world, token, proofs=(proof,)) == "invalid_token", "the scheme is Bearer"
    assert reason(world, token, scheme="DPoP", proofs=(proof,)) is None


def rows_of_replay(world: World) -> int:
    return len(world.database.all(select(replay.c.digest)))


@pytest.mark.parametrize("kind", ["made up", "made up credential", "unbound", "stolen"])
def test_a_proof_for_a_token_that_is_not_its_own_leaves_no_row(
    portal: OAuthPortal, world: World, tokens: dict[str, Any], kind: str
) -> None:
    """Anybody can make proofs; only whoever holds a token may have them written down."""
    made_up = f"{new_id(0)}.{'A' * 43}"
    token = {
        "made up": f"s.{made_up}",
        "made up credential": made_up,
        "unbound": tokens["access_token"],
        "stolen": bound(portal),
    }[kind]
    thief = OAuthPortal(world, portal.app, portal.client_id, portal.key, new_key())
    proof = thief.proof("POST", PATH, token=token)["DPoP"]
    before = rows_of_replay(world)
    for _ in range(2):
        assert reason(world, token, scheme="DPoP", proofs=(proof,)) == "invalid_token"
    assert rows_of_replay(world) == before


@pytest.mark.parametrize("scope", ["service", "credential"])
def test_a_proof_of_a_tokens_own_key_costs_one_statement_and_is_good_once(
    portal: OAuthPortal, world: World, scope: str
) -> None:
    asked = portal.request() if scope == "service" else portal.credential_request()
    form = portal.redemption(portal.consent(asked)["code"])
    token = portal.token(form, headers=portal.proof()).json()["access_token"]
    proof = portal.proof("POST", PATH, token=token)["DPoP"]
    with world.counted() as statements:
        bearer.prove(world.services, presented(token, scheme="DPoP", proofs=(proof,)))
    assert len(statements) == 1
    assert reason(world, token, scheme="DPoP", proofs=(proof,)) == "invalid_dpop_proof"


def test_an_unbound_token_is_refused_as_dpop(
    portal: OAuthPortal, world: World, tokens: dict[str, Any]
) -> None:
    token = tokens["access_token"]
    proof = portal.proof("POST", PATH, token=token)["DPoP"]
    assert reason(world, token, scheme="DPoP", proofs=(proof,)) == "invalid_token"


def test_a_proof_of_a_resource_request_is_good_once_and_for_one_token(
    portal: OAuthPortal, world: World
) -> None:
    token, second = bound(portal), bound(portal)
    good = portal.proof("POST", PATH, token=token)["DPoP"]
    assert reason(world, token, scheme="DPoP", proofs=(good,)) is None
    for headers in (
        (good,),
        (),
        (portal.proof("POST", PATH, token=token)["DPoP"],) * 2,
        (portal.proof("POST", PATH, token=second)["DPoP"],),
        (portal.proof("POST", PATH)["DPoP"],),
        (portal.proof("GET", PATH, token=token)["DPoP"],),
        (portal.proof("POST", "/csc/v2/info", token=token)["DPoP"],),
    ):
        assert reason(world, token, scheme="DPoP", proofs=headers) == "invalid_dpop_proof"


def test_a_proof_by_another_key_is_refused(portal: OAuthPortal, world: World) -> None:
    token = bound(portal)
    thief = OAuthPortal(world, portal.app, portal.client_id, portal.key, new_key())
    proof = thief.proof("POST", PATH, token=token)["DPoP"]
    assert reason(world, token, scheme="DPoP", proofs=(proof,)) == "invalid_token"


def test_a_token_bound_to_a_certificate_needs_it(world: World) -> None:
    holder = Holder("portal", x5t="A" * 43)
    token = service_tokens.issue_to_client(world.services, holder).access
    same, another = ClientCertificate("A" * 43, "CN=A"), ClientCertificate("B" * 43, "CN=A")
    assert reason(world, token) == "invalid_token"
    assert reason(world, token, certificate=another) == "invalid_token"
    assert reason(world, token, certificate=same) is None


def request_with(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "scheme": "https",
        "server": ("rssp.example", 443),
        "headers": raw,
        "client": ("127.0.0.1", 1),
    }
    return Request(scope)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic YTpi"),),
        (("authorization", "Bearer a b"),),
        (("authorization", "Bearer a,b"),),
        (("authorization", "Bearer é"),),
        (("authorization", f"Bearer {'x' * 513}"),),
        (("authorization", "Bearer a"), ("authorization", "Bearer a")),
    ],
    ids=lambda headers: ascii(headers)[:60],
)
def test_a_header_that_is_no_bearer_token_is_malformed(
    world: World, headers: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(BearerRefused) as refused:
        bearer.read(world.services, request_with(*headers))
    assert refused.value.reason == "malformed"
    assert refused.value.challenge is None


def test_a_proxy_that_reports_nonsense_is_not_believed(world: World) -> None:
    config = configuration("sqlite://", proxy={"trusted": ["127.0.0.1"]})
    request = request_with(("authorization", "Bearer a"), ("x-client-certificate", "nonsense"))
    with pytest.raises(BearerRefused) as refused:
        bearer.read(replace(world.services, config=config), request)
    assert refused.value.reason == "malformed"


def test_the_header_is_read_with_its_proofs(world: World) -> None:
    request = request_with(("authorization", "dpop abc"), ("dpop", "1"), ("dpop", "2"))
    found = bearer.read(world.services, request)
    assert (found.scheme, found.token, found.proofs) == ("DPoP", "abc", ("1", "2"))
    assert (found.method, found.path) == ("POST", PATH)
    assert bearer.read(world.services, request_with(("authorization", "bearer a"))).scheme == (
        "Bearer"
    )
    assert "abc" not in repr(found)


def test_the_challenge_names_the_scheme(world: World) -> None:
    with pytest.raises(BearerRefused) as refused:
        identify(world, "x", scheme="DPoP")
    assert refused.value.challenge is not None
    assert refused.value.challenge.startswith('DPoP error="invalid_token", algs="ES256 ')
    proved = bearer.Proved("service", Ticket("a", "b"), "Bearer", None, None)
    again = bearer.refused("expired_token", proved)
    assert again.challenge == 'Bearer error="invalid_token"'


# --- consent to scope service


def opened(portal: OAuthPortal) -> str:
    pushed = portal.push(portal.request(description="Xem chứng thư", lang="en")).json()
    page = portal.visit(client_id=portal.client_id, request_uri=pushed["request_uri"])
    return page.headers["location"].rpartition("/")[2]


def test_the_signer_sees_who_asks(portal: OAuthPortal, world: World) -> None:
    found = service_authorization.details(world.services, opened(portal))
    assert found.state == "PENDING"
    assert found.client_name == "Cổng thử nghiệm"
    assert found.description == "Xem chứng thư"
    assert found.lang == "en"
    assert found.redirect_origin == "https://portal.example"


def test_what_no_browser_has_opened_cannot_be_answered(
    portal: OAuthPortal, world: World, session: Ticket
) -> None:
    name = portal.push().json()["request_uri"].rpartition("s.")[2].partition(".")[0]
    with pytest.raises(ActivationUnknown):
        service_authorization.details(world.services, name)
    with pytest.raises(ActivationUnknown):
        service_authorization.approve(world.services, session, name)


def test_consent_needs_a_live_session(portal: OAuthPortal, world: World, session: Ticket) -> None:
    name = opened(portal)
    for bad in (Ticket(session.row_id, "A" * 43), Ticket("0" * 26, session.secret)):
        with pytest.raises(SessionInvalid):
            service_authorization.approve(world.services, bad, name)
    world.clock.advance(31 * 60)
    with pytest.raises(SessionInvalid):
        service_authorization.approve(world.services, session, name)


def test_consent_is_given_or_refused_once(
    portal: OAuthPortal, world: World, session: Ticket
) -> None:
    granted, refused = opened(portal), opened(portal)
    before = events(world, "service.granted"), events(world, "service.denied")
    service_authorization.approve(world.services, session, granted)
    service_authorization.deny(world.services, session, refused)
    for again in (service_authorization.approve, service_authorization.deny):
        with pytest.raises(ActivationConflict):
            again(world.services, session, granted)
        with pytest.raises(ActivationDenied):
            again(world.services, session, refused)
    after = events(world, "service.granted"), events(world, "service.denied")
    assert after == (before[0] + 1, before[1] + 1)


def test_consent_comes_too_late_after_five_minutes(portal: OAuthPortal, world: World) -> None:
    name = opened(portal)
    world.clock.advance(301)
    with pytest.raises(ActivationExpired):
        service_authorization.approve(world.services, world.new_session(), name)
    with pytest.raises(ActivationUnknown):
        service_authorization.approve(world.services, world.new_session(), "0" * 26)
