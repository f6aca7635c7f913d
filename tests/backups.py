"""Putting an old backup of a room's database back."""

import shutil

from cleanroom.bootstrap import open_room
from tests.rooms import Stage


class Backup:
    """A copy of the database alone, as a backup of SQL makes it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.room.db.engine.dispose()
        self._copy = shutil.copytree(stage.home, stage.home.parent / "backup")

    def put_back(self, *, keys: bool = False) -> None:
        """Put the copy in place of what the room has become, as if the disk had been lost."""
        stage = self._stage
        stage.room.close()
        for path in stage.home.glob("room.sqlite3*"):
            path.unlink()
        for path in self._copy.glob("room.sqlite3*"):
            shutil.copy2(path, stage.home / path.name)
        if keys:
            shutil.rmtree(stage.home / "keys")
            shutil.copytree(self._copy / "keys", stage.home / "keys")
        stage.room = open_room(stage.room.settings, clock=stage.clock)
