"""What the state machine itself refuses, whichever door a request came in by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remote_signing.errors import AccessRefused, InvalidInput
from remote_signing.rssp import activation, clients
from tests.support.world import PORTAL

if TYPE_CHECKING:
    from tests.support.world import World


@pytest.mark.parametrize("text", ["Quyết định\nđã duyệt", "abc\u202efdp.txt", "\x07"])
def test_a_text_that_could_look_like_another_is_refused_at_every_door(
    world: World, text: str
) -> None:
    for new in (
        world.request(description=text),
        world.request("quyết định.pdf", labels=(text,), channel=activation.Channel.DECOUPLED),
    ):
        with pytest.raises(InvalidInput):
            activation.request_activation(world.services, new)


def test_a_disabled_client_signs_nothing_even_with_a_living_token(world: World) -> None:
    token = world.token()
    clients.set_state(world.database, world.clock, PORTAL, "suspended")
    with pytest.raises(AccessRefused):
        world.sign(token)
    clients.set_state(world.database, world.clock, PORTAL, "active")
    assert world.sign(token)
