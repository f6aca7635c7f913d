"""Rooms for tests of who may call."""

from tests.access_rooms import access_room, make_access_room

__all__ = ["access_room", "make_access_room"]
