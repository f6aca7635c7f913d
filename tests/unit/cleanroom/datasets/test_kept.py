"""A version's files through the cache: the same values as without it, and never without the file's key."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cleanroom.clock import SystemClock
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.kept import KeptReader, Narrowed, Stored, each_chunk
from cleanroom.datasets.types import Role
from cleanroom.ids import new_id
from cleanroom.storage import LocalDirectory
from cleanroom.storage.errors import ObjectMissingError
from crypto.keys import BoundKek, KeyDestroyedError, LocalKeyFile
from crypto.sealed import SealedChunkError, SealedTruncatedError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROWS = 300_000  # of 8 bytes: three chunks


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


@pytest.mark.parametrize("limit", [1 << 30, 0])
@pytest.mark.parametrize("rows", [0, 1, ROWS])
def test_a_column_reads_the_same_from_memory_and_in_slices(files, limit, rows):
    values = np.random.default_rng(1).integers(0, 2**64, rows, np.uint64)
    files.write(values)
    with ColumnCache(limit).scope() as scope:
        column = KeptReader(files.reader, scope).read(Role.ATTRIBUTE, 0, "<u8")
        assert isinstance(column, Stored) == (limit < values.nbytes)
        assert column.size == rows
        for start, stop in ((0, rows), (rows // 3, rows // 2), (rows, rows + 5), (0, 0)):
            assert np.array_equal(column[start:stop], values[start:stop])


def test_a_set_keeps_its_words_together(files):
    words = np.arange(600, dtype=np.uint64).reshape(-1, 2)
    files.write(words)
    with ColumnCache(0).scope() as scope:
        column = KeptReader(files.reader, scope).read(Role.ATTRIBUTE, 0, "<u8").reshape(words.shape)
        assert column.size == 300
        assert np.array_equal(column[100:200], words[100:200])


@pytest.mark.parametrize("wide", [np.dtype("<i8"), np.dtype("<i4")])
@pytest.mark.parametrize(
    ("low", "high", "kept"),
    [(-32_767, 32_767, 2), (-32_768, 0, 4), (0, 32_768, 4), (-(2**31) + 1, 2**31 - 1, 4)],
)
def test_numbers_are_kept_in_the_fewest_bytes_that_hold_them_all(files, wide, low, high, kept):
    values = np.resize(np.array([0, np.iinfo(wide).min, 5, low, high], wide), ROWS)
    files.write(values)
    with ColumnCache(1 << 30).scope() as scope:
        reader = KeptReader(files.reader, scope)
        for _ in range(2):
            column = reader.read_numbers(Role.ATTRIBUTE, 0, wide)
            if isinstance(column, Narrowed):
                assert column.values.itemsize == kept
                assert column.reshape((ROWS,)) is column
                column = column.widened(column.values)
            else:
                assert kept == wide.itemsize
            assert column.dtype == wide
            assert np.array_equal(column, values)


@pytest.mark.parametrize("outlier", [2**31, -(2**31), -(2**63) + 1])
def test_one_number_that_does_not_fit_anywhere_keeps_the_column_wide(files, outlier):
    values = np.zeros(ROWS, np.int64)
    values[-1] = outlier
    files.write(values)
    with ColumnCache(1 << 30).scope() as scope:
        assert np.array_equal(KeptReader(files.reader, scope).read_numbers(Role.ATTRIBUTE, 0, "<i8"), values)


def test_numbers_without_room_stay_in_their_file(files):
    values = np.arange(ROWS, dtype=np.int64)
    files.write(values)
    with ColumnCache(1000).scope() as scope:
        column = KeptReader(files.reader, scope).read_numbers(Role.ATTRIBUTE, 0, "<i8")
        assert isinstance(column, Stored)
        assert np.array_equal(column[10:20], values[10:20])


def test_what_does_not_have_the_shape_of_numbers_is_no_narrow_column():
    with pytest.raises(ValueError, match="shape"):
        Narrowed(np.zeros(4, np.int16), np.dtype("<i8")).reshape((2, 2))


READS = {
    "whole": lambda reader: reader.read(Role.ATTRIBUTE, 0, "<i8"),
    "narrow": lambda reader: reader.read_numbers(Role.ATTRIBUTE, 0, "<i8"),
    "made": lambda reader: reader.made(Role.ATTRIBUTE, 0, "made", 8, lambda _: (np.ones(1, np.int64),)),
}


def keep_everything(cache: ColumnCache, files: Files) -> None:
    with cache.scope() as scope:
        for read in READS.values():
            read(KeptReader(files.reader, scope))


@pytest.mark.parametrize("loss", ["the key is destroyed", "the file is gone"])
@pytest.mark.parametrize("how", READS)
def test_what_is_cached_cannot_be_had_without_the_file_and_its_key(files, loss, how):
    files.write(np.ones(ROWS, np.int64))
    cache = ColumnCache(1 << 30)
    keep_everything(cache, files)
    assert cache.used_bytes > 0
    if loss == "the key is destroyed":
        files.keys.destroy(files.kek.kek_id)
    else:
        files.path.unlink()
    with cache.scope() as scope, pytest.raises((KeyDestroyedError, ObjectMissingError)):
        READS[how](KeptReader(files.reader, scope))
    assert cache.used_bytes == 0, "what cannot be had any more is overwritten at once"


@pytest.mark.parametrize("limit", [1 << 30, 0])
@pytest.mark.parametrize("how", ["read", "read_numbers"])
def test_a_damaged_chunk_is_refused_and_nothing_of_its_file_is_kept(files, how, limit):
    files.write(np.ones(ROWS, np.int64))
    data = bytearray(files.path.read_bytes())
    data[2_000_000] ^= 1
    files.path.chmod(0o600)
    files.path.write_bytes(data)
    cache = ColumnCache(limit)
    with cache.scope() as scope, pytest.raises(SealedChunkError):
        getattr(KeptReader(files.reader, scope), how)(Role.ATTRIBUTE, 0, "<i8")[:]
    assert cache.used_bytes == 0


@pytest.mark.parametrize("how", ["read", "read_numbers"])
def test_an_empty_file_that_was_cut_off_is_noticed(files, how):
    files.write(np.empty(0, np.int64))
    files.path.write_bytes(files.path.read_bytes()[:-16])
    with ColumnCache(1 << 30).scope() as scope, pytest.raises(SealedTruncatedError):
        getattr(KeptReader(files.reader, scope), how)(Role.ATTRIBUTE, 0, "<i8")


def test_every_chunk_is_shown_once_with_its_offset(files):
    values = np.arange(ROWS, dtype=np.int64)
    files.write(values)
    seen = {}

    def use(start: int, data: np.ndarray) -> bool:
        seen[start] = data.view(np.int64).copy()
        return True

    with files.reader.opened(Role.ATTRIBUTE, 0) as sealed:
        assert each_chunk(sealed, use)
        assert not each_chunk(sealed, lambda start, _data: start == 0)
    assert np.array_equal(np.concatenate([seen[start] for start in sorted(seen)]), values)


def test_what_the_place_has_is_told_as_without_the_cache(files):
    files.write(np.ones(1, np.uint8))
    with ColumnCache(0).scope() as scope:
        reader = KeptReader(files.reader, scope)
        assert reader.has(Role.ATTRIBUTE)
        assert not reader.has(Role.LABEL)
