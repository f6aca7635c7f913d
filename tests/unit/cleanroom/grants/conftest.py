from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.grant_rooms import GrantRoom


@pytest.fixture
def room(sqlite_engine: Engine, tmp_path: Path) -> GrantRoom:
    return GrantRoom(sqlite_engine, tmp_path / "keys")
