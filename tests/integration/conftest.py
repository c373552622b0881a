"""What several integration tests stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Databases
    from tests.support.world import World


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    """A ministry, an official, a portal and a credential, on each database; a SAM in software."""
    with new_world(databases) as made:
        yield made
