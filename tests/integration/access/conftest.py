"""Rooms for races, on either database."""

from tests.access_rooms import make_access_room

__all__ = ["make_access_room"]
