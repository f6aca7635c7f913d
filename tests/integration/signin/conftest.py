"""Rooms for races, on either database."""

from tests.access_rooms import make_access_room
from tests.people_rooms import quick_hashes

__all__ = ["make_access_room", "quick_hashes"]
