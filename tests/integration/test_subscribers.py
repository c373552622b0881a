"""Subscribers: registered, signed in with a password, locked for a while, suspended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from remote_signing.errors import InvalidInput, SessionInvalid, SignInRefused
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, sessions, subscribers
from remote_signing.rssp.models import subscriber
from tests.support.world import PASSWORD

if TYPE_CHECKING:
    from tests.support.world import Field, World

NAME = "an.nguyen"


def new(world: World, **changes: Field) -> subscribers.NewSubscriber:
    members: dict[str, Field] = {
        "agency_id": world.agency_id,
        "full_name": "Trần Thị Bình",
        "username": "binh.tran",
        "password": PASSWORD,
    }
    return subscribers.NewSubscriber(**(members | changes))


def sign_in(world: World, password: str = PASSWORD, username: str = NAME) -> subscribers.Subscriber:
    return subscribers.sign_in(world.services, username, password)


def test_the_password_signs_in(world: World) -> None:
    found = sign_in(world)
    assert (found.id, found.full_name) == (world.subscriber_id, "Nguyễn Văn An")
    assert (found.position, found.agency_name) == ("Chánh Văn phòng", "Bộ Nội vụ")


def test_the_same_letters_typed_another_way_sign_in(world: World) -> None:
    import unicodedata  # noqa: PLC0415 - for this test alone

    other = unicodedata.normalize("NFD", PASSWORD)
    assert other != PASSWORD
    assert sign_in(world, other).id == world.subscriber_id


@pytest.mark.parametrize(
    ("username", "password"), [(NAME, "another password"), ("nobody", PASSWORD), (NAME, "")]
)
def test_every_refusal_is_the_same(world: World, username: str, password: str) -> None:
    with pytest.raises(SignInRefused) as refusal:
        sign_in(world, password, username)
    assert refusal.value.public == {}


def test_a_sign_in_costs_three_statements(world: World) -> None:
    with world.counted() as statements:
        sign_in(world)
    assert len(statements) == 3


def test_ten_wrong_passwords_pause_sign_in_for_a_quarter_of_an_hour(world: World) -> None:
    for _ in range(10):
        with pytest.raises(SignInRefused):
            sign_in(world, "wrong password")
    with pytest.raises(SignInRefused):
        sign_in(world)
    world.clock.advance(15 * 60)
    assert sign_in(world).id == world.subscriber_id


def test_nine_wrong_passwords_and_the_right_one_start_anew(world: World) -> None:
    for _ in range(2):
        for _ in range(9):
            with pytest.raises(SignInRefused):
                sign_in(world, "wrong password")
        assert sign_in(world).id == world.subscriber_id


def test_guessing_in_parallel_gains_nothing(world: World) -> None:
    checked: list[str] = []
    real = subscribers.password_matches

    def spy(password: str, stored: str) -> bool:
        checked.append(stored)
        return real(password, stored)

    def guess(_number: int) -> None:
        with pytest.raises(SignInRefused):
            sign_in(world, "wrong password")

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr(subscribers, "password_matches", spy)
        list(pool.map(guess, range(24)))
    row = world.database.one(select(subscriber.c.password_hash))
    assert row is not None
    assert checked.count(row.password_hash) == 10, "the others were checked against nobody's"


def test_a_suspended_subscriber_does_not_sign_in(world: World) -> None:
    assert subscribers.set_state(world.database, world.clock, world.subscriber_id, "suspended")
    with pytest.raises(SignInRefused):
        sign_in(world)
    assert subscribers.set_state(world.database, world.clock, world.subscriber_id, "active")
    assert sign_in(world).state == "active"
    kinds = [event.kind for event in audit.events(world.database)][-2:]
    assert kinds == ["subscriber.suspended", "subscriber.active"]


def test_a_suspension_ends_what_was_open_before_it(world: World) -> None:
    assert sessions.use(world.services, world.session).subscriber_id == world.subscriber_id
    for state in ("suspended", "active"):
        assert subscribers.set_state(world.database, world.clock, world.subscriber_id, state)
        with pytest.raises(SessionInvalid):
            sessions.use(world.services, world.session)
    fresh = sessions.use(world.services, world.new_session())
    assert fresh.subscriber_id == world.subscriber_id


def test_a_state_or_a_subscriber_that_does_not_exist(world: World) -> None:
    assert not subscribers.set_state(world.database, world.clock, new_id(0), "suspended")
    with pytest.raises(InvalidInput):
        subscribers.set_state(world.database, world.clock, world.subscriber_id, "asleep")
    assert subscribers.get(world.database, new_id(0)) is None
    assert subscribers.find(world.database, username="nobody") is None


@pytest.mark.parametrize(
    "changes",
    [{"kind": "robot"}, {"password": "short"}, {"password": "x" * 257}, {"username": NAME}],
)
def test_a_registration_that_cannot_be_is_refused(world: World, changes: dict[str, Field]) -> None:
    with pytest.raises(InvalidInput):
        subscribers.add_subscriber(world.database, world.clock, new(world, **changes))


def test_a_registered_subscriber_is_found(world: World) -> None:
    made = subscribers.add_subscriber(world.database, world.clock, new(world, kind="organisation"))
    found = subscribers.find(world.database, username="binh.tran")
    assert found is not None
    assert (found.id, found.kind) == (made, "organisation")
    assert found == subscribers.get(world.database, made)


@pytest.mark.parametrize("kind", ["session.opened", "account.activated", "login.password"])
def test_a_first_password_is_for_who_never_came_in(world: World, kind: str) -> None:
    made = subscribers.add_subscriber(world.database, world.clock, new(world))

    def set_first(password: str) -> bool:
        return subscribers.set_first_password(world.database, world.clock, made, password)

    assert set_first("a first password")
    assert [event.kind for event in audit.events(world.database)][-1] == "subscriber.password_set"
    audit.write(world.database, audit.Event(kind, "signer", subscriber_id=made), "{}", 1)
    assert not set_first("another password")
    assert sign_in(world, "a first password", "binh.tran").id == made


def test_a_first_password_needs_a_registration_on_record(world: World) -> None:
    row = world.database.one(select(subscriber))
    assert row is not None
    old = row._asdict() | {"id": new_id(0), "username": "binh.tran"}
    world.database.run(insert(subscriber), old)
    assert not subscribers.set_first_password(world.database, world.clock, old["id"], PASSWORD)


def test_a_password_is_kept_as_argon2id_only(world: World) -> None:
    row = world.database.one(select(subscriber.c.password_hash))
    assert row is not None
    assert row.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in repr(new(world))
