"""Rooms for races, on either database."""

import pytest

from tests.access_rooms import AccessRoom, MakeAccessRoom, make_access_room

__all__ = ["make_access_room"]


@pytest.fixture
def room(make_access_room: MakeAccessRoom, database_url: str) -> AccessRoom:
    return make_access_room(database_url=database_url)
