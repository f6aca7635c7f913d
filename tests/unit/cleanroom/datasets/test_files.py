"""Files of a version are on their way to the disk while more is written, and all or none appear."""

import os
from pathlib import Path

import numpy as np
import pytest

from cleanroom.clock import SystemClock
from cleanroom.datasets import files
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.types import Role
from cleanroom.ids import new_id
from cleanroom.storage import LocalDirectory
from crypto.keys import BoundKek, LocalKeyFile


@pytest.fixture
def writer(tmp_path: Path) -> PlaceWriter:
    keys = LocalKeyFile.create(tmp_path / "keys" / "kek.json")
    clock = SystemClock()
    place = Place(*(new_id(prefix, clock.now()) for prefix in ("ws", "ds", "dv")))
    store = LocalDirectory(tmp_path / "objects")
    return PlaceWriter(store, place, kek=BoundKek(keys, keys.create_kek("test")), clock=clock)


def everything(writer: PlaceWriter, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(files, "_SYNC_BYTES", 1 << 20)
    data = np.arange(500_000)
    for part in np.array_split(data, 10):
        for column in (0, 1):
            writer.write(Role.ATTRIBUTE, column, part)
    return data


def left(writer: PlaceWriter) -> list[Path]:
    return [path for path in writer._store.root.rglob("*") if path.is_file()]


def test_what_was_synced_early_reads_back(
    writer: PlaceWriter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced: list[int] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    with writer:
        data = everything(writer, monkeypatch)
    assert len(set(synced)) == 2
    reader = PlaceReader(writer._store, writer._place, writer.files, kek=writer._kek)
    for column in (0, 1):
        assert (reader.read(Role.ATTRIBUTE, column, np.int64) == data).all()


def test_a_disk_that_cannot_take_it_fails_the_load_and_leaves_nothing(
    writer: PlaceWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space"), writer:
        everything(writer, monkeypatch)
    assert left(writer) == []
    assert writer.files == []


def test_a_block_that_raises_leaves_nothing(writer: PlaceWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError), writer:  # noqa: PT012 - the block is the files
        everything(writer, monkeypatch)
        raise ZeroDivisionError
    assert left(writer) == []
