"""Rooms to attack; and lets the attacks share plain modules."""

import sys
from pathlib import Path

from tests.rooms import make_room, sqlite_template

__all__ = ["make_room", "sqlite_template"]

sys.path.insert(0, str(Path(__file__).parent))
