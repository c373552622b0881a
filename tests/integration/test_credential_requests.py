"""``credentials/create`` and ``credentials/delete``: asked for here, done by the authority."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from remote_signing.cli.app import main
from remote_signing.rssp import audit, clients, credential_requests, enrolment
from remote_signing.rssp.models import audit_event, credential
from tests.support.csc import DOCUMENT, CscPortal

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.world import World

POLICY = "1.3.6.1.4.1.55555.1.1"
CONFIG = """
[service]
name = "Ký số từ xa"
logo = "https://rssp.example/logo.png"
region = "VN"
description = "Test"
[urls]
issuer = "https://rssp.example"
consent = "https://consent.example"
[database]
{database}
[sam]
socket = "sap.sock"
[policy]
certificate_policies = ["1.3.6.1.4.1.55555.1.1"]
"""
RA_CLIENT = "personnel"
SETTLED = "credential.request_settled"


@pytest.fixture
def portal(world: World) -> CscPortal:
    new = clients.NewClient(
        client_id=RA_CLIENT,
        name="Phần mềm quản lý cán bộ",
        auth_method="client_secret_basic",
        grant_types=("client_credentials",),
        scopes=("service", *clients.RIGHTS),
        agencies=(world.agency_id,),
    )
    clients.register(world.database, world.clock, new)
    return CscPortal.at(world)


def create(portal: CscPortal, token: str = "", policy: object = POLICY, **claims: Any) -> Any:
    request = {"certificatePolicy": policy, "subjectData": claims}
    token = token or portal.user_token(client_id=RA_CLIENT)
    return portal.post("credentials/create", {"credentialCreationRequest": request}, token)


def delete(portal: CscPortal, token: str = "", **changes: Any) -> httpx.Response:
    request = {"credentialID": portal.world.credential_id} | changes
    token = token or portal.user_token(client_id=RA_CLIENT)
    return portal.post("credentials/delete", {"credentialDeletionRequest": request}, token)


def filed(portal: CscPortal) -> list[tuple[str, str]]:
    return [
        (row.kind, row.subscriber_id) for row in credential_requests.filed(portal.world.database)
    ]


def events(portal: CscPortal) -> list[str]:
    query = select(audit_event.c.kind).order_by(audit_event.c.number)
    return [row.kind for row in portal.world.database.all(query)]


def state_of(portal: CscPortal, credential_id: str) -> str:
    query = select(credential.c.state).where(credential.c.id == credential_id)
    row = portal.world.database.one(query)
    assert row is not None
    return str(row.state)


def test_request_for_a_credential_is_filed_and_nothing_is_made(portal: CscPortal) -> None:
    world = portal.world
    before = world.sam.calls["create_credential"]
    answer = create(portal, given_name="An", family_name="Nguyễn", verified=True)
    assert (answer.status_code, answer.json()["error"]) == (202, "accepted_request")
    assert filed(portal) == [("create", world.subscriber_id)]
    (row,) = credential_requests.filed(world.database)
    assert json.loads(row.detail) == {
        "policy": POLICY,
        "subject": {"family_name": "Nguyễn", "given_name": "An"},
    }
    assert world.sam.calls["create_credential"] == before
    listed = portal.post("credentials/list").json()["credentialIDs"]
    assert listed == [world.credential_id]
    assert "credential.requested" in events(portal)


def test_same_request_again_is_the_same_request(portal: CscPortal) -> None:
    for _ in range(3):
        assert create(portal, given_name="An").status_code == 202
    assert len(filed(portal)) == 1
    assert events(portal).count("credential.requested") == 1
    (row,) = credential_requests.filed(portal.world.database)
    services = portal.world.services
    assert credential_requests.settle(services.database, services.clock, row.id)
    assert not credential_requests.settle(services.database, services.clock, row.id)
    assert create(portal, given_name="An").status_code == 202
    assert len(filed(portal)) == 1


def test_a_client_has_no_more_requests_waiting_for_a_signer_than_people_read(
    portal: CscPortal,
) -> None:
    for number in range(credential_requests.MOST_WAITING):
        assert create(portal, number=str(number)).status_code == 202
    assert create(portal, number="0").status_code == 202  # the same as before
    answer = create(portal, number="one more")
    assert answer.json()["error"] == "access_denied"
    services = portal.world.services
    (row, *others) = credential_requests.filed(services.database)
    assert len(others) + 1 == credential_requests.MOST_WAITING
    assert credential_requests.settle(services.database, services.clock, row.id)
    assert create(portal, number="one more").status_code == 202


def test_client_with_the_right_asks_for_signers_of_its_own_agencies(portal: CscPortal) -> None:
    token, signer = portal.client_token(RA_CLIENT), portal.world.subscriber_id
    assert create(portal, token, sub=signer).status_code == 202
    assert filed(portal) == [("create", signer)]
    for claims in ({}, {"sub": "0" * 26}, {"sub": 7}):
        answer = create(portal, token, **claims)
        assert answer.json()["error_description"] == "Invalid parameter subjectData"
    world = portal.world
    new = clients.NewClient(
        "elsewhere",
        "X",
        "client_secret_basic",
        grant_types=("client_credentials",),
        scopes=("service", "credential-creation"),
    )
    clients.register(world.database, world.clock, new)
    refused = create(portal, portal.client_token("elsewhere"), sub=signer)
    assert refused.json()["error_description"] == "Invalid parameter subjectData"


@pytest.mark.parametrize("ask", [create, delete])
def test_client_without_the_right_is_refused(portal: CscPortal, ask: Any) -> None:
    for token in (portal.user_token(), portal.client_token(), portal.credential_token()):
        assert ask(portal, token).json()["error"] == "unauthorized_client"
    assert filed(portal) == []
    assert portal.post("credentials/info", {"credentialID": portal.world.credential_id}).json()


ODD_CLAIMS: list[dict[str, str]] = [
    {"x" * 65: "An"},
    {"given\x9bname": "An"},
    {"given\nname": "An"},
    {"given_name": "An\x9b2J"},
    {"given_name": "\u202enA"},
]


@pytest.mark.parametrize("claims", ODD_CLAIMS)
def test_claims_that_would_deceive_the_authoritys_staff_are_refused(
    portal: CscPortal, claims: dict[str, str]
) -> None:
    answer = create(portal, **claims)
    assert answer.json()["error_description"] == "Invalid parameter subjectData"
    assert filed(portal) == []


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (None, "Missing (or invalid type) object parameter credentialCreationRequest"),
        ([], "Missing (or invalid type) object parameter credentialCreationRequest"),
        ({}, "Missing (or invalid type) string parameter certificatePolicy"),
        ({"certificatePolicy": 7}, "Missing (or invalid type) string parameter certificatePolicy"),
        ({"certificatePolicy": "QCP"}, "Invalid parameter certificatePolicy"),
        ({"certificatePolicy": "0.4.0.194112.1.2"}, "Invalid parameter certificatePolicy"),
        ({"certificatePolicy": POLICY, "subjectData": "x"}, "Invalid parameter subjectData"),
        (
            {"certificatePolicy": POLICY, "subjectData": {"given_name": "x" * 256}},
            "Invalid parameter subjectData",
        ),
        (
            {"certificatePolicy": POLICY, "subjectData": dict.fromkeys(map(str, range(31)), 1)},
            "Invalid parameter subjectData",
        ),
    ],
)
def test_mistake_in_a_creation_request_is_told(
    portal: CscPortal, request_: object, text: str
) -> None:
    token = portal.user_token(client_id=RA_CLIENT)
    body = {"credentialCreationRequest": request_}
    answer = portal.post("credentials/create", body, token)
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)


def test_deleted_credential_is_out_of_use_and_of_sight_at_once(portal: CscPortal) -> None:
    gone = portal.world.credential_id
    sad = portal.sad()
    answer = delete(portal, revoke=True, revocationReason=5)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, body in (
        ("credentials/info", {"credentialID": gone}),
        ("credentials/authorize", portal.authorize_body()),
    ):
        refused = portal.post(method, body)
        assert refused.json()["error_description"] == "Invalid parameter credentialID"
    assert portal.post("credentials/list").json()["credentialIDs"] == []
    assert portal.post("signatures/signHash", portal.sign_body(SAD=sad)).status_code == 400
    assert portal.world.sam.calls["sign"] == 0
    again = delete(portal)
    assert again.json()["error_description"] == "Invalid parameter credentialID"
    (row,) = credential_requests.filed(portal.world.database)
    assert (row.kind, row.credential_id) == ("delete", gone)
    assert json.loads(row.detail) == {"revocation_reason": 5}
    assert "credential.withdrawn" in events(portal)


def test_authority_destroys_what_was_withdrawn_or_gives_it_back(portal: CscPortal) -> None:
    world = portal.world
    services, first = world.services, world.credential_id
    delete(portal)
    enrolment.Enrolment(services, world.authority).destroy(first)
    assert state_of(portal, first) == "destroyed"
    (row,) = credential_requests.filed(world.database)
    assert credential_requests.settle(services.database, services.clock, row.id)
    world.new_credential()
    delete(portal)
    (row,) = credential_requests.filed(world.database)
    state = credential_requests.restore(services.database, services.clock, row.id)
    assert state == "enabled"
    assert portal.sad(DOCUMENT)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (None, "Missing (or invalid type) object parameter credentialDeletionRequest"),
        ({}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "x"}, "Invalid parameter credentialID"),
        ({"credentialID": "0" * 26}, "Invalid parameter credentialID"),
        ({"revoke": "yes"}, "Missing (or invalid type) boolean parameter revoke"),
        ({"revoke": True}, "Invalid parameter revocationReason"),
        ({"revoke": True, "revocationReason": 7}, "Invalid parameter revocationReason"),
        ({"revoke": True, "revocationReason": 11}, "Invalid parameter revocationReason"),
        ({"revoke": True, "revocationReason": True}, "Invalid parameter revocationReason"),
    ],
)
def test_mistake_in_a_deletion_request_is_told(
    portal: CscPortal, request_: dict[str, Any] | None, text: str
) -> None:
    own = {} if text.endswith("credentialID") else {"credentialID": portal.world.credential_id}
    wanted = None if request_ is None else own | request_
    token = portal.user_token(client_id=RA_CLIENT)
    body = {"credentialDeletionRequest": wanted}
    answer = portal.post("credentials/delete", body, token)
    assert (answer.status_code, answer.json()["error_description"]) == (400, text)


def test_operator_lists_and_settles_requests(
    portal: CscPortal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(portal, given_name="An")
    request = command(portal, tmp_path)
    assert main([*request, "list", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["detail"]["subject"]) == ("create", {"given_name": "An"})
    assert main([*request, "settle", told["request_id"], "--restore"]) == 1
    assert "no withdrawn credential" in capsys.readouterr().err
    assert filed(portal), "what restores nothing changes nothing"
    assert main([*request, "settle", told["request_id"]]) == 0
    assert main([*request, "settle", told["request_id"]]) == 1
    assert main([*request, "settle", told["request_id"], "--restore"]) == 1
    assert filed(portal) == []
    (event,) = (each for each in audit.events(portal.world.database) if each.kind == SETTLED)
    assert event.actor == audit.operator()
    assert "credential.restored" not in events(portal)


@pytest.mark.parametrize(
    ("meanwhile", "state"), [(None, "enabled"), ("suspend", "suspended"), ("revoke", "revoked")]
)
def test_what_came_meanwhile_is_not_undone_by_giving_a_credential_back(
    portal: CscPortal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    meanwhile: str | None,
    state: str,
) -> None:
    world = portal.world
    delete(portal)
    if meanwhile is not None:
        desk = enrolment.Enrolment(world.services, world.authority)
        more = ("superseded",) if meanwhile == "revoke" else ()
        getattr(desk, meanwhile)(world.credential_id, *more)
    (row,) = credential_requests.filed(world.database)
    assert main([*command(portal, tmp_path), "settle", row.id, "--restore"]) == 0
    assert state in capsys.readouterr().err
    assert state_of(portal, world.credential_id) == state
    event = list(audit.events(world.database))[-1]
    assert (event.kind, event.actor) == ("credential.restored", audit.operator())
    assert json.loads(event.detail) == {"request_id": row.id, "state": state}


def test_a_destroyed_credential_is_not_given_back(
    portal: CscPortal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = portal.world
    delete(portal)
    enrolment.Enrolment(world.services, world.authority).destroy(world.credential_id)
    (row,) = credential_requests.filed(world.database)
    request = command(portal, tmp_path)
    assert main([*request, "settle", row.id, "--restore"]) == 1
    assert "no withdrawn credential" in capsys.readouterr().err
    assert "credential.restored" not in events(portal)
    assert main([*request, "settle", row.id]) == 0
    assert events(portal)[-1] == SETTLED


def command(portal: CscPortal, folder: Path) -> list[str]:
    """``remote-signing request`` on the portal's database."""
    url = portal.world.database.engine.url
    lines = f'url = "{url.set(password=None).render_as_string()}"'
    if url.password is not None:
        (folder / "password").write_text(str(url.password))
        lines += '\npassword_file = "password"'
    (folder / "rssp.toml").write_text(CONFIG.format(database=lines), "utf-8")
    return ["--config", str(folder), "request"]


def test_reason_does_not_count_without_revocation(portal: CscPortal) -> None:
    assert delete(portal, revocationReason="whatever").status_code == 204


def test_disabled_credential_is_not_withdrawn(portal: CscPortal) -> None:
    world = portal.world
    enrolment.Enrolment(world.services, world.authority).set_state(world.credential_id, "disabled")
    answer = delete(portal)
    text = "The credential identified by credentialID is disabled"
    assert answer.json()["error_description"] == text
