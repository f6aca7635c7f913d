"""Worlds for tests of the API: one per test, or one per module for tests that only look."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.world import Template, World, populate, world_of
from tests.rooms import Stage, copied, sqlite_template

__all__ = ["sqlite_template"]

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def api_template(sqlite_template: Stage, tmp_path_factory: pytest.TempPathFactory) -> Template:
    stage = copied(sqlite_template, tmp_path_factory.mktemp("api-template") / "home")
    clients = populate(stage)
    stage.room.close()
    return Template(stage, clients)


@pytest.fixture
def make_world(api_template: Template, tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(**settings: object) -> World:
        stage = copied(api_template.stage, tmp_path / f"world{len(made)}" / "home")
        made.append(world_of(stage, api_template.clients, **settings))
        return made[-1]

    yield make
    for world in made:
        world.http.close()
        world.stage.room.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture(scope="module")
def shared(api_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for the tests of a module; what they change, they change for the others."""
    stage = copied(api_template.stage, tmp_path_factory.mktemp("shared") / "home")
    world = world_of(stage, api_template.clients)
    yield world
    world.http.close()
    world.stage.room.close()
