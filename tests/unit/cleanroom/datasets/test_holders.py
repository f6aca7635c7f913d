"""The holders of a key's values read as they were written, whether or not the file has content."""

import numpy as np
import pytest

from cleanroom.clock import SystemClock
from cleanroom.datasets import holders
from cleanroom.datasets.files import PlaceReader, PlaceWriter
from cleanroom.datasets.holders import HolderWriter, implied, read_holders
from cleanroom.datasets.types import Role
from crypto.sealed import SealedChunkError

IN_ORDER = np.arange(40, dtype=np.uint32)
SWAPPED = IN_ORDER[[*range(30), 31, 30, *range(32, 40)]]


def written(files, persons: np.ndarray, pieces: int) -> PlaceReader:
    with PlaceWriter(files.store, files.place, kek=files.kek, clock=SystemClock()) as writer:
        writer.write(Role.KEY_HI, 0, np.arange(persons.size, dtype=np.uint64))
        made = HolderWriter(writer, 0)
        for part in np.array_split(persons, pieces):
            made.write(part)
    files.files = writer.files
    return files.reader


@pytest.mark.parametrize("pieces", [1, 3, 9])
@pytest.mark.parametrize(
    ("persons", "empty"),
    [(IN_ORDER, True), (IN_ORDER[:0], True), (SWAPPED, False), (IN_ORDER[1:], False), (IN_ORDER * 0, False)],
)
def test_holders_read_as_they_were_written(files, persons, empty, pieces, monkeypatch):
    monkeypatch.setattr(holders, "_BLOCK", 7)
    reader = written(files, persons, pieces)
    assert implied(reader, 0) == empty
    assert reader.size(Role.KEY_PERSON, 0) == (0 if empty else 4 * persons.size)
    for start, stop in ((0, persons.size), (3, 35), (39, 80), (80, 90)):
        read = read_holders(reader, 0, start, stop)
        assert read.dtype == np.uint32
        assert np.array_equal(read, persons[start:stop])


def test_holders_that_were_cut_off_are_not_taken_for_an_order(files):
    reader = written(files, SWAPPED, 1)
    path = files.store.path(next(file for file in files.files if file.role is Role.KEY_PERSON).object_key)
    sealed = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(sealed[:1024] + sealed[-16:])
    assert reader.size(Role.KEY_PERSON, 0) == 0
    with pytest.raises(SealedChunkError):
        implied(reader, 0)
