from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.grant_rooms import GrantRoom


@pytest.fixture
def room(engine: Engine, tmp_path: Path) -> GrantRoom:
    """On SQLite and on PostgreSQL."""
    return GrantRoom(engine, tmp_path / "keys")
