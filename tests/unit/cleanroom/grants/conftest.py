from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cleanroom.db.base import Base
from cleanroom.db.database import open_engine
from tests.grant_rooms import GrantRoom

MakeWindowRoom = Callable[[], tuple[GrantRoom, list[tuple[datetime, int]]]]


@pytest.fixture
def room(sqlite_engine: Engine, tmp_path: Path) -> GrantRoom:
    return GrantRoom(sqlite_engine, tmp_path / "keys")


@pytest.fixture(scope="module")
def window_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWindowRoom]:
    """A fresh room with a window of 30 days for every example, and a list for what is released in it."""
    engines: list[Engine] = []

    def make() -> tuple[GrantRoom, list[tuple[datetime, int]]]:
        home = tmp_path_factory.mktemp("window")
        engines.append(open_engine(f"sqlite:///{home / 'room.sqlite3'}"))
        Base.metadata.create_all(engines[-1])
        room = GrantRoom(engines[-1], home / "keys")
        room.budget(window_days=30)
        return room, []

    yield make
    for engine in engines:
        engine.dispose()
