"""Sealed files of one place, without a room around them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cleanroom.clock import SystemClock
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.types import Role
from cleanroom.ids import new_id
from cleanroom.storage import LocalDirectory
from crypto.keys import BoundKek, LocalKeyFile

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Files:
    """A place with files, its key and its store."""

    def __init__(self, home: Path) -> None:
        (home / "keys").mkdir(mode=0o700)
        self.keys = LocalKeyFile.create(home / "keys" / "keys.json")
        self.kek = BoundKek(self.keys, self.keys.create_kek("test"))
        self.store = LocalDirectory(home / "objects")
        self.place = Place(*(new_id(kind, NOW) for kind in ("ws", "ds", "dv")))
        self.files: list = []

    def write(self, data: np.ndarray, role: Role = Role.ATTRIBUTE) -> None:
        with PlaceWriter(self.store, self.place, kek=self.kek, clock=SystemClock()) as writer:
            writer.write(role, 0, data)
        self.files += writer.files

    @property
    def reader(self) -> PlaceReader:
        return PlaceReader(self.store, self.place, self.files, kek=self.kek)

    @property
    def path(self) -> Path:
        return self.store.path(self.files[0].object_key)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)
