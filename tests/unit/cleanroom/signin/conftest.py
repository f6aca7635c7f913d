"""Rooms for tests of signing in."""

from tests.access_rooms import access_room, make_access_room
from tests.people_rooms import quick_hashes

__all__ = ["access_room", "make_access_room", "quick_hashes"]
