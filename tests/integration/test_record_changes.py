"""The registration's records are mended, on record and on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from remote_signing.errors import InvalidInput
from remote_signing.identifiers import new_id
from remote_signing.rssp import audit, record_changes, subscribers

if TYPE_CHECKING:
    from tests.support.world import Field, World


def changed(world: World, **changes: str | None) -> list[str]:
    return record_changes.change_subscriber(
        world.database, world.clock, world.subscriber_id, changes
    )


def agency_changed(world: World, agency_id: str, **changes: str | None) -> list[str]:
    return record_changes.change_agency(world.database, world.clock, agency_id, changes, "ra:1")


def last_event(world: World) -> Field:
    return list(audit.events(world.database))[-1]


def test_a_signer_who_moves_is_changed_with_old_and_new_on_record(world: World) -> None:
    new = subscribers.NewAgency(name="Bộ Y tế", code="G10")
    there = subscribers.add_agency(world.database, world.clock, new)
    was = subscribers.get(world.database, world.subscriber_id)
    assert was is not None
    values = {"agency_id": there, "position": None, "full_name": was.full_name}
    assert changed(world, **values) == ["agency_id", "position"], "the name is the same"
    found = subscribers.get(world.database, world.subscriber_id)
    assert found is not None
    assert (found.agency_name, found.position, found.full_name) == ("Bộ Y tế", None, was.full_name)
    event = last_event(world)
    assert (event.kind, event.subscriber_id) == ("subscriber.changed", world.subscriber_id)
    assert event.actor.startswith("operator:")
    assert json.loads(event.detail) == {
        "old": {"agency_id": was.agency_id, "position": was.position},
        "new": {"agency_id": there, "position": None},
    }


def test_a_renamed_agency_is_on_record(world: World) -> None:
    assert agency_changed(world, world.agency_id, name="Bộ Nội vụ mới") == ["name"]
    names = [each.name for each in subscribers.agencies(world.database)]
    assert names == ["Bộ Nội vụ mới"]
    event = last_event(world)
    assert (event.kind, event.actor) == ("agency.changed", "ra:1")
    assert json.loads(event.detail) == {
        "agency_id": world.agency_id,
        "old": {"name": "Bộ Nội vụ"},
        "new": {"name": "Bộ Nội vụ mới"},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"full_name": "Nguyễn Văn An"},
        {"full_name": None},
        {"full_name": "  "},
        {"full_name": "An\u202enA"},
        {"agency_id": None},
        {"state": "suspended"},
    ],
    ids=["none", "the same", "no name", "blank", "turned around", "no agency", "not a record"],
)
def test_a_change_that_is_none_or_cannot_be_is_refused(
    world: World, changes: dict[str, str | None]
) -> None:
    before = last_event(world).number
    with pytest.raises(InvalidInput):
        changed(world, **changes)
    assert last_event(world).number == before


def test_an_agency_does_not_take_the_code_of_another(world: World) -> None:
    new = subscribers.NewAgency(name="Bộ Y tế", code="G10")
    other = subscribers.add_agency(world.database, world.clock, new)
    agency_changed(world, world.agency_id, code="G09")
    with pytest.raises(InvalidInput):
        agency_changed(world, other, code="G09")
    with pytest.raises(InvalidInput, match="no agency"):
        agency_changed(world, new_id(0), code="G11")
