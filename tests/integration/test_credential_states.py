"""What each act makes of a credential's state: the table in docs/operations.md, and in turns."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from sqlalchemy import select, text

from remote_signing.errors import (
    ActivationConflict,
    CredentialDisabled,
    CredentialUnknown,
    InvalidInput,
    RemoteSigningError,
    SamUnavailable,
)
from remote_signing.rssp import (
    account_view,
    audit,
    credential_requests,
    freezing,
    issued_certificates,
)
from remote_signing.rssp.certificate_status import Status
from remote_signing.rssp.credential_requests import NewRequest
from remote_signing.rssp.enrolment import Enrolment, NewCredential
from remote_signing.rssp.models import credential, issued_certificate
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.world import Field, World

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def desk(world: World) -> Enrolment:
    return Enrolment(world.services, world.authority)


def withdraw(world: World) -> None:
    new = NewRequest(PORTAL, world.subscriber_id)
    if not credential_requests.ask_for_deletion(world.services, new, world.credential_id):
        raise CredentialDisabled("not in use")


def restore(world: World) -> None:
    for row in credential_requests.filed(world.database):
        if row.credential_id == world.credential_id:
            credential_requests.restore(world.database, world.clock, row.id)
            return
    raise CredentialUnknown("no request is open")


def install(world: World) -> None:
    certificate = _row(world).certificate
    desk(world).install_certificate(world.credential_id, certificate, (b"issuer",))


ACTS: dict[str, Callable[[World], object]] = {
    "certify": lambda world: desk(world).certify(world.credential_id, 30),
    "install-certificate": install,
    "suspend": lambda world: desk(world).suspend(world.credential_id),
    "resume": lambda world: desk(world).resume(world.credential_id),
    "freeze": lambda world: freezing.freeze(world.services, world.session),
    "unfreeze": lambda world: freezing.unfreeze(
        world.services, world.authority, world.credential_id
    ),
    "disable": lambda world: desk(world).set_state(world.credential_id, "disabled"),
    "enable": lambda world: desk(world).set_state(world.credential_id, "enabled"),
    "credentials/delete": withdraw,
    "settle --restore": restore,
    "revoke": lambda world: desk(world).revoke(world.credential_id, "keyCompromise"),
    "destroy": lambda world: desk(world).destroy(world.credential_id),
}
LEADS_TO = {
    "enabled": None,
    "suspended": "suspend",
    "frozen": "freeze",
    "disabled": "disable",
    "withdrawn": "credentials/delete",
    "revoked": "revoke",
    "destroyed": "destroy",
}


def _row(world: World) -> Field:
    row = world.database.one(select(credential).where(credential.c.id == world.credential_id))
    assert row is not None
    return row


def state(world: World) -> str:
    return str(_row(world).state)


def act(world: World, *names: str) -> None:
    for name in names:
        ACTS[name](world)


def of_certificates(world: World) -> set[str]:
    query = select(issued_certificate.c.state)
    mine = issued_certificate.c.credential_id == world.credential_id
    return {row.state for row in world.database.all(query.where(mine))}


def seen_by_its_owner(world: World) -> str | None:
    held = account_view.holdings(world.services, world.subscriber_id)
    return next((one.state for one in held if one.credential.id == world.credential_id), None)


def table() -> dict[str, dict[str, str]]:
    """Act → state before → what docs/operations.md says of it."""
    lines = iter(OPERATIONS.read_text("utf-8").splitlines())
    header = next(line for line in lines if line.startswith("| act "))
    before = _cells(header)[1:]
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip("`") for cell in _cells(line))
        rows[name] = dict(zip(before, cells, strict=True))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_the_table_has_every_act_and_every_state() -> None:
    assert set(table()) == set(ACTS)
    assert {state for row in table().values() for state in row} == set(LEADS_TO)


@pytest.mark.parametrize("before", LEADS_TO)
def test_each_act_leads_where_the_table_says(world: World, before: str) -> None:
    for name, row in table().items():
        world.new_credential()
        act(world, *filter(None, [LEADS_TO[before]]))
        assert state(world) == before
        cell = row[before]
        result = before if cell in {"–", "refused"} else cell
        certificates = of_certificates(world)
        if cell == "refused":
            with pytest.raises(RemoteSigningError):
                act(world, name)
            assert of_certificates(world) == certificates
        else:
            act(world, name)
        assert state(world) == result, f"{name} of {before}"


@pytest.mark.parametrize(
    ("acts", "result"),
    [
        ("freeze suspend unfreeze", "suspended"),
        ("freeze suspend unfreeze resume", "enabled"),
        ("suspend freeze resume", "frozen"),
        ("suspend freeze unfreeze", "suspended"),
        ("suspend freeze resume unfreeze", "enabled"),
        ("suspend freeze revoke", "revoked"),
        ("disable freeze enable", "frozen"),
        ("disable freeze enable unfreeze", "enabled"),
        ("disable freeze unfreeze", "disabled"),
        ("disable suspend enable", "suspended"),
        ("disable certify enable", "enabled"),
        ("credentials/delete freeze settle --restore", "frozen"),
        ("credentials/delete freeze settle --restore unfreeze", "enabled"),
        ("credentials/delete suspend settle --restore", "suspended"),
        ("credentials/delete revoke settle --restore", "revoked"),
        ("freeze certify unfreeze", "enabled"),
        ("suspend resume", "enabled"),
    ],
)
def test_no_act_ends_what_another_has_ordered(world: World, acts: str, result: str) -> None:
    names = acts.replace("settle --restore", "settle").split()
    act(world, *("settle --restore" if name == "settle" else name for name in names))
    assert state(world) == result
    if result == "enabled":
        assert seen_by_its_owner(world) == "valid"
        assert world.opened()
        return
    # An owner's freeze is what he can see to; it is told whatever else there is.
    shown = "frozen" if _row(world).frozen and result != "revoked" else result
    assert seen_by_its_owner(world) == shown
    with pytest.raises(CredentialDisabled):
        world.opened()


@pytest.mark.parametrize("acts", ["freeze suspend", "disable suspend"])
def test_no_certificate_comes_while_the_key_is_on_hold(world: World, acts: str) -> None:
    act(world, *acts.split())
    for name in ("certify", "install-certificate"):
        with pytest.raises(InvalidInput):
            act(world, name)
    assert of_certificates(world) == {"suspended"}
    assert world.sam.calls["certify"] == world.sam.calls["install_certificate"] == 0


def test_a_certificate_that_was_put_on_hold_meanwhile_gets_no_successor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(world, "disable")
    real = world.sam.certify

    def slow(*arguments: Field) -> Field:
        made = real(*arguments)
        act(world, "suspend")
        return made

    monkeypatch.setattr(world.sam, "certify", slow)
    with pytest.raises(ActivationConflict):
        act(world, "certify")
    assert of_certificates(world) == {"suspended"}


def test_the_first_certificate_of_a_frozen_key_does_not_end_the_freeze(world: World) -> None:
    created = desk(world).create(NewCredential(world.subscriber_id))
    certificate = _row(world).certificate
    world.credential_id = created.credential_id
    act(world, "freeze")
    assert (state(world), seen_by_its_owner(world)) == ("disabled", "frozen")
    desk(world).install_certificate(world.credential_id, certificate, ())
    assert state(world) == "frozen"
    act(world, "unfreeze")
    assert state(world) == "enabled"


def test_a_freeze_is_counted_as_the_owner_sees_it(world: World) -> None:
    act(world, "credentials/delete")
    for name in ("disable", "suspend", "revoke", "destroy"):
        world.new_credential()
        act(world, name)
    world.new_credential()
    session = world.session
    assert freezing.freeze(world.services, session) == 3, "enabled, disabled and suspended"
    shown = [one.state for one in account_view.holdings(world.services, world.subscriber_id)]
    assert sorted(shown) == ["frozen", "frozen", "frozen", "revoked"]
    assert freezing.frozen(world.services, world.subscriber_id) == 3
    kinds = [event.kind for event in audit.events(world.database)]
    assert kinds.count("credential.frozen") == 4, "also the one that was withdrawn"
    assert freezing.freeze(world.services, session) == 3


def test_what_the_release_before_froze_is_frozen(world: World) -> None:
    """It knew the word alone."""
    mine = credential.c.id == world.credential_id
    world.database.run(credential.update().where(mine).values(state="frozen"))
    desk(world).unlock(world.credential_id)
    assert state(world) == "frozen"
    assert freezing.frozen(world.services, world.subscriber_id) == 1
    act(world, "unfreeze")
    assert state(world) == "enabled"


def test_a_hold_that_comes_beside_the_end_of_a_freeze_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unfreezing waits for the row; what it finds then is what the suspension has made."""
    act(world, "freeze")
    racers: list[threading.Thread] = []
    watcher = world.database.apart()
    real = issued_certificates.change

    def change(*arguments: Any) -> None:
        racers.append(threading.Thread(target=act, args=(world, "unfreeze")))
        racers[0].start()
        deadline = time.monotonic() + 30
        while world.database.dialect == "postgresql" and not watcher.all(_WAITING)[0][0]:
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)
        real(*arguments)

    monkeypatch.setattr(issued_certificates, "change", change)
    act(world, "suspend")
    racers[0].join()
    assert (state(world), of_certificates(world)) == ("suspended", {"suspended"})


# ------------------------------------------------------- all certificates of a key


def named(world: World) -> set[int]:
    crl = x509.load_der_x509_crl(Status(world.services).crl())
    return {entry.serial_number for entry in crl}


def serials(world: World) -> set[int]:
    query = select(issued_certificate.c.serial)
    mine = issued_certificate.c.credential_id == world.credential_id
    return {int(row.serial, 16) for row in world.database.all(query.where(mine))}


@pytest.mark.parametrize("renewal", ["certify", "install-certificate"])
def test_a_former_certificate_shares_the_fate_of_its_key(world: World, renewal: str) -> None:
    act(world, renewal)
    assert len(serials(world)) == (2 if renewal == "certify" else 1)
    act(world, "suspend")
    assert named(world) == serials(world)
    act(world, "resume")
    assert (named(world), state(world)) == (set(), "enabled")
    act(world, "revoke")
    assert (named(world), state(world)) == (serials(world), "revoked")
    assert world.sam.calls["revoke"] == len(serials(world))
    (event,) = audit.events(world.database, after=_last(world))
    assert event.kind == "credential.revoked"
    assert all(f'"{serial:X}"' in event.detail for serial in serials(world))


def _last(world: World) -> int:
    return int([event.number for event in audit.events(world.database)][-2])


def test_a_revocation_that_was_cut_off_between_two_certificates_is_made_up_for(
    world: World,
) -> None:
    act(world, "certify")

    def cut_off() -> None:
        world.sam.before_answer["revoke"] = lose

    def lose() -> None:
        world.sam.before_answer.clear()
        raise SamUnavailable("the answer was lost")

    world.sam.before_answer["revoke"] = cut_off
    with pytest.raises(SamUnavailable):
        act(world, "revoke")
    assert of_certificates(world) == {"good"}
    act(world, "revoke")
    assert (of_certificates(world), named(world)) == ({"revoked"}, serials(world))


def test_a_certificate_that_came_while_others_were_revoked_is_not_forgotten(world: World) -> None:
    """What the SAM was told of and what is stored is the same, or nothing is stored."""
    beside = replace(world)

    def certify() -> None:
        world.sam.before_answer.clear()
        world.sam.revoked.clear()  # at a SAM host that has not heard of it
        act(beside, "certify")

    world.sam.before_answer["revoke"] = certify
    with pytest.raises(ActivationConflict):
        act(world, "revoke")
    act(world, "revoke")
    assert named(world) == serials(world)
