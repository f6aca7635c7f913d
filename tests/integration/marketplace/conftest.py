import pytest

from tests.market import Market
from tests.rooms import Stage


@pytest.fixture
def market(stage: Stage) -> Market:
    """On SQLite and on PostgreSQL."""
    return Market(stage)


@pytest.fixture
def sqlite_market(make_room) -> Market:
    return Market(make_room())
