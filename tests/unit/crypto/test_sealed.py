"""Sealed files: limits, states, threads, rotation; damage is in tests/properties."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from crypto import sealed, sealed_format
from crypto.keys import BoundKek, KeyDestroyedError, LocalKeyFile, UnwrapError
from crypto.sealed import (
    SealedContext,
    SealedFileError,
    SealedHeaderError,
    SealedKeyError,
    SealedReader,
    SealedTruncatedError,
    SealedWriter,
    ciphertext_sha256,
    rewrap,
)

CONTEXT = SealedContext(kind=1, workspace=UUID(int=1), dataset=UUID(int=2), version=UUID(int=3), column=4)


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeyFile:
    return LocalKeyFile.create(tmp_path / "keys" / "kek.json")


@pytest.fixture
def kek(keys: LocalKeyFile) -> BoundKek:
    return BoundKek(keys, keys.create_kek("test"))


def write(path: Path, plaintext: bytes, kek: BoundKek, chunk_bytes: int = 4096) -> sealed.SealedInfo:
    with (
        path.open("wb") as sink,
        SealedWriter(sink, context=CONTEXT, kek=kek, chunk_bytes=chunk_bytes) as writer,
    ):
        writer.write(plaintext)
    return writer.close()


@pytest.mark.parametrize("chunk_bytes", [4095, (1 << 24) + 1])
def test_chunk_sizes_out_of_range_are_refused(kek: BoundKek, chunk_bytes: int) -> None:
    with pytest.raises(SealedFileError, match="4096 to 16777216"):
        SealedWriter(io.BytesIO(), context=CONTEXT, kek=kek, chunk_bytes=chunk_bytes)


def test_nothing_can_be_added_after_the_end(kek: BoundKek) -> None:
    writer = SealedWriter(io.BytesIO(), context=CONTEXT, kek=kek)
    assert writer.close() == writer.close()
    with pytest.raises(SealedFileError, match="complete"):
        writer.write(b"more")


def test_a_block_that_raises_leaves_a_file_that_no_reader_accepts(tmp_path: Path, kek: BoundKek) -> None:
    path = tmp_path / "file"
    with (  # noqa: PT012 - the block is the subject
        pytest.raises(ZeroDivisionError),
        path.open("wb") as sink,
        SealedWriter(sink, context=CONTEXT, kek=kek, chunk_bytes=4096) as writer,
    ):
        writer.write(bytes(10_000))
        raise ZeroDivisionError
    with (
        SealedReader(path, context=CONTEXT, kek=kek) as reader,
        pytest.raises(SealedTruncatedError, match="cut off"),
    ):
        reader.read_all()


def test_two_writers_of_one_place_share_no_key_and_no_bytes(tmp_path: Path, kek: BoundKek) -> None:
    one, two = (write(tmp_path / name, bytes(9000), kek) for name in "ab")
    assert one.file_id != two.file_id
    first, second = (tmp_path / "a").read_bytes()[1024:], (tmp_path / "b").read_bytes()[1024:]
    assert not {first[i : i + 16] for i in range(len(first))} & {
        second[i : i + 16] for i in range(len(second))
    }


def test_a_writer_refuses_more_chunks_than_one_key_may_seal(
    kek: BoundKek, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "MAX_CHUNKS", 2)
    writer = SealedWriter(io.BytesIO(), context=CONTEXT, kek=kek, chunk_bytes=4096)
    with pytest.raises(SealedFileError, match="at most 2 chunks"):
        writer.write(bytes(4096 * 4))


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, 101), (100, 1), (101, 0)])
def test_a_range_past_the_end_is_refused(tmp_path: Path, kek: BoundKek, offset: int, length: int) -> None:
    write(tmp_path / "file", bytes(100), kek)
    with SealedReader(tmp_path / "file", context=CONTEXT, kek=kek) as reader, pytest.raises(SealedFileError):
        reader.read_range(offset, length)


def test_a_column_is_read_as_its_type(tmp_path: Path, kek: BoundKek) -> None:
    column = np.arange(3000, dtype="<u8")
    with (tmp_path / "file").open("wb") as sink, SealedWriter(sink, context=CONTEXT, kek=kek) as writer:
        assert writer.write(column) == 24_000
    with SealedReader(tmp_path / "file", context=CONTEXT, kek=kek) as reader:
        assert np.array_equal(reader.read_all().view("<u8"), column)
        assert np.array_equal(reader.read_range(8 * 100, 8 * 50).view("<u8"), column[100:150])


def test_unverified_plaintext_is_never_left_in_the_callers_buffer(tmp_path: Path, kek: BoundKek) -> None:
    path = tmp_path / "file"
    write(path, b"\xaa" * 8192, kek)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    room = np.full(8192, 0xEE, dtype=np.uint8)
    with (
        SealedReader(path, context=CONTEXT, kek=kek) as reader,
        pytest.raises(SealedFileError, match="Chunk 1"),
    ):
        reader.read_all(room)
    assert not room[4096:].any()


def test_threads_read_one_file_at_once(tmp_path: Path, kek: BoundKek) -> None:
    plaintext = os.urandom(40 * 4096)
    write(tmp_path / "file", plaintext, kek)
    with SealedReader(tmp_path / "file", context=CONTEXT, kek=kek) as reader, ThreadPoolExecutor(4) as pool:
        parts = list(
            pool.map(lambda offset: reader.read_range(offset, 4000).tobytes(), range(0, 150_000, 1000))
        )
    assert parts == [plaintext[offset : offset + 4000] for offset in range(0, 150_000, 1000)]


def test_a_descriptor_stays_the_callers(tmp_path: Path, kek: BoundKek) -> None:
    info = write(tmp_path / "file", b"content", kek)
    with (tmp_path / "file").open("rb") as file:
        reader = SealedReader(file.fileno(), context=CONTEXT, kek=kek, file_id=info.file_id)
        reader.close()
        reader.close()
        assert file.read(8) == b"CLNRSEAL"


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path, kek: BoundKek) -> None:
    path = tmp_path / "file"
    write(path, bytes(100), kek)
    with SealedReader(path, context=CONTEXT, kek=kek) as reader:
        os.truncate(path, 1050)
        with pytest.raises(SealedTruncatedError, match="shorter"):
            reader.read_all()


def test_refused_files_leave_no_descriptor_open(tmp_path: Path, kek: BoundKek) -> None:
    (tmp_path / "file").write_bytes(b"short")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(5):
        with pytest.raises(SealedTruncatedError):
            SealedReader(tmp_path / "file", context=CONTEXT, kek=kek)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_rotation_changes_the_key_and_neither_content_nor_hash(
    tmp_path: Path, keys: LocalKeyFile, kek: BoundKek
) -> None:
    path, new = tmp_path / "file", keys.create_kek("new")
    info = write(path, b"content", kek)
    assert rewrap(path, keys=keys, old=kek.kek_id, new=new) is True
    assert rewrap(path, keys=keys, old=kek.kek_id, new=new) is False
    keys.destroy(kek.kek_id)
    assert ciphertext_sha256(path) == info.sha256
    with SealedReader(path, context=CONTEXT, kek=BoundKek(keys, new), file_id=info.file_id) as reader:
        assert reader.read_all().tobytes() == b"content"
    with pytest.raises(KeyDestroyedError):
        SealedReader(path, context=CONTEXT, kek=kek)


def test_rotation_refuses_a_file_of_a_third_key(tmp_path: Path, keys: LocalKeyFile, kek: BoundKek) -> None:
    write(tmp_path / "file", b"content", kek)
    with pytest.raises(SealedKeyError, match="neither"):
        rewrap(tmp_path / "file", keys=keys, old=keys.create_kek("b"), new=keys.create_kek("c"))


def test_a_file_under_another_or_unknown_key_is_named_as_such(
    tmp_path: Path, keys: LocalKeyFile, kek: BoundKek
) -> None:
    write(tmp_path / "file", b"content", kek)
    for kek_id in (keys.create_kek("other"), "kek_unknown"):
        with pytest.raises(SealedKeyError):
            SealedReader(tmp_path / "file", context=CONTEXT, kek=BoundKek(keys, kek_id))


def test_hashing_needs_a_whole_header(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(700))
    with pytest.raises(SealedTruncatedError):
        ciphertext_sha256(tmp_path / "file")


class RoomyKek:
    """A key service whose wrapped keys are as long as one asks."""

    def __init__(self, size: int) -> None:
        self._size = size

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        return (key + context).ljust(self._size, b"w")

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        if wrapped[32 : 32 + len(context)] != context:
            raise UnwrapError("Another context.")
        return wrapped[:32]


def test_a_wrapped_key_fits_up_to_its_limit_and_not_beyond(tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("wb") as sink,
        SealedWriter(sink, context=CONTEXT, kek=RoomyKek(510)) as writer,
    ):
        writer.write(b"content")
    with SealedReader(tmp_path / "file", context=CONTEXT, kek=RoomyKek(510)) as reader:
        assert reader.read_all().tobytes() == b"content"
    with pytest.raises(SealedKeyError, match="510"):
        SealedWriter(io.BytesIO(), context=CONTEXT, kek=RoomyKek(511))


def header(**changes: int) -> bytes:
    fields = {"chunk_bytes": 4096} | changes
    return sealed_format.Header(file_id=UUID(int=1), context=CONTEXT.encoded(), **fields).encoded()


def test_a_format_from_the_future_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_format, "FORMAT_VERSION", 2)
    data = header()
    monkeypatch.undo()
    with pytest.raises(SealedHeaderError, match="format 2; this release reads 1"):
        sealed_format.decode_header(data)


@pytest.mark.parametrize("chunk_bytes", [0, 4095, (1 << 24) + 1])
def test_a_header_that_no_writer_makes_is_refused(chunk_bytes: int) -> None:
    with pytest.raises(SealedHeaderError, match="no writer"):
        sealed_format.decode_header(header(chunk_bytes=chunk_bytes))


def test_equal_chunks_of_one_file_do_not_look_equal(tmp_path: Path, kek: BoundKek) -> None:
    write(tmp_path / "file", bytes(2 * 4096), kek)
    body = (tmp_path / "file").read_bytes()[1024:]
    assert body[:4096] != body[4112 : 4112 + 4096]


def test_a_file_that_no_catalogue_names_has_no_hash_and_reads_back(tmp_path: Path, kek: BoundKek) -> None:
    path = tmp_path / "spool"
    with path.open("wb") as sink, SealedWriter(sink, context=CONTEXT, kek=kek, hashed=False) as writer:
        writer.write(b"content")
    assert writer.close().sha256 == ""
    with SealedReader(path, context=CONTEXT, kek=kek) as reader:
        assert reader.read_all().tobytes() == b"content"
