"""A version's files through the cache: the same values as without it, and never without the file's key."""

import numpy as np
import pytest

from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.kept import KeptReader, Stored, each_chunk
from cleanroom.datasets.types import Role
from cleanroom.storage.errors import ObjectMissingError
from crypto.keys import KeyDestroyedError
from crypto.sealed import SealedChunkError, SealedTruncatedError

ROWS = 300_000  # of 8 bytes: three chunks


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


@pytest.mark.parametrize("limit", [1 << 30, 1000])
@pytest.mark.parametrize("kind", ["<i1", "<i2", "<i4", "<i8"])
def test_numbers_are_given_out_in_the_integers_of_their_file(files, kind, limit):
    values = np.resize(np.array([0, np.iinfo(kind).min, 5, np.iinfo(kind).max], kind), ROWS)
    files.write(values)
    with ColumnCache(limit).scope() as scope:
        column = KeptReader(files.reader, scope).read_numbers(Role.ATTRIBUTE, 0, "<i8", ROWS)
        assert isinstance(column, Stored) == (limit < values.nbytes)
        assert column.dtype == np.dtype(kind)
        assert np.array_equal(column[10:], values[10:])
    assert np.array_equal(files.reader.read_numbers(Role.ATTRIBUTE, 0, "<i8", ROWS), values)


@pytest.mark.parametrize(("items", "wide"), [(ROWS + 1, "<i8"), (ROWS // 3, "<i8"), (ROWS, "<i4")])
def test_a_column_of_other_numbers_than_the_version_has_is_refused(files, items, wide):
    files.write(np.zeros(ROWS, np.int64))
    with ColumnCache(1 << 30).scope() as scope, pytest.raises(SealedColumnError):
        KeptReader(files.reader, scope).read_numbers(Role.ATTRIBUTE, 0, wide, items)


READS = {
    "whole": lambda reader: reader.read(Role.ATTRIBUTE, 0, "<i8"),
    "narrow": lambda reader: reader.read_numbers(Role.ATTRIBUTE, 0, "<i8", ROWS),
    "made": lambda reader: reader.made(Role.ATTRIBUTE, 0, "made", 8, lambda _: (np.ones(1, np.int64),)),
}


KINDS_OF_READING = {
    "whole": lambda reader, _items: reader.read(Role.ATTRIBUTE, 0, "<i8"),
    "numbers": lambda reader, items: reader.read_numbers(Role.ATTRIBUTE, 0, "<i8", items),
}


def keep_everything(cache: ColumnCache, files) -> None:
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
@pytest.mark.parametrize("how", KINDS_OF_READING)
def test_a_damaged_chunk_is_refused_and_nothing_of_its_file_is_kept(files, how, limit):
    files.write(np.ones(ROWS, np.int64))
    data = bytearray(files.path.read_bytes())
    data[2_000_000] ^= 1
    files.path.chmod(0o600)
    files.path.write_bytes(data)
    cache = ColumnCache(limit)
    with cache.scope() as scope, pytest.raises(SealedChunkError):
        KINDS_OF_READING[how](KeptReader(files.reader, scope), ROWS)[:]
    assert cache.used_bytes == 0


@pytest.mark.parametrize("how", KINDS_OF_READING)
def test_an_empty_file_that_was_cut_off_is_noticed(files, how):
    files.write(np.empty(0, np.int64))
    files.path.write_bytes(files.path.read_bytes()[:-16])
    with ColumnCache(1 << 30).scope() as scope, pytest.raises(SealedTruncatedError):
        KINDS_OF_READING[how](KeptReader(files.reader, scope), 0)


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
