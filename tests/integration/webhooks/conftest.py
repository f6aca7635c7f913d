"""A room whose webhooks may be on loopback, on SQLite and on PostgreSQL, and a real receiver."""

from collections.abc import Iterator

import pytest

from tests.integration.webhooks.receiver import Receiver, receiving
from tests.integration.webhooks.scene import Scene
from tests.rooms import Stage


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def scene(stage: Stage, receiver: Receiver) -> Scene:
    return Scene(stage, receiver)


@pytest.fixture
def sqlite_scene(make_room, receiver: Receiver) -> Scene:
    return Scene(make_room(), receiver)
