"""Whatever is done to a sealed file is noticed, and the error names the place."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.keys import BoundKek, LocalKeyFile
from crypto.sealed import (
    SealedChunkError,
    SealedContext,
    SealedContextError,
    SealedFileError,
    SealedHeaderError,
    SealedInfo,
    SealedKeyError,
    SealedReader,
    SealedTruncatedError,
    SealedWriter,
    ciphertext_sha256,
)
from tests.examples import up_to

CHUNK = 4096
STORED = CHUNK + 16
HEADER = 1024
CONTEXT = SealedContext(kind=1, workspace=UUID(int=1), dataset=UUID(int=2), version=UUID(int=3), column=4)


@pytest.fixture(scope="module")
def kek(tmp_path_factory: pytest.TempPathFactory) -> BoundKek:
    keys = LocalKeyFile.create(tmp_path_factory.mktemp("room") / "keys" / "kek.json")
    return BoundKek(keys, keys.create_kek("test"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed") / "file"


def seal(plaintext: bytes, kek: BoundKek, context: SealedContext = CONTEXT) -> tuple[bytes, SealedInfo]:
    sink = io.BytesIO()
    with SealedWriter(sink, context=context, kek=kek, chunk_bytes=CHUNK) as writer:
        writer.write(plaintext)
    return sink.getvalue(), writer.close()


def read(data: bytes, kek: BoundKek, place: Path, file_id: UUID | None = None) -> bytes:
    place.write_bytes(data)
    with SealedReader(place, context=CONTEXT, kek=kek, file_id=file_id) as reader:
        return reader.read_all().tobytes()


sizes = st.one_of(
    st.integers(0, 3 * CHUNK + 5), st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
)


@given(size=sizes, cuts=st.lists(st.integers(0, 3 * CHUNK), max_size=5))
@settings(deadline=None, max_examples=up_to(80))
def test_what_goes_in_comes_out_however_it_is_written(
    kek: BoundKek, place: Path, size: int, cuts: list[int]
) -> None:
    plaintext = os.urandom(size)
    with place.open("wb") as sink, SealedWriter(sink, context=CONTEXT, kek=kek, chunk_bytes=CHUNK) as writer:
        borders = [0, *sorted(min(cut, size) for cut in cuts), size]
        for start, stop in pairwise(borders):
            assert writer.write(plaintext[start:stop]) == stop - start
    info = writer.close()
    assert (info.size, info.plaintext_size) == (place.stat().st_size, size)
    assert info.sha256 == ciphertext_sha256(place)
    with SealedReader(place, context=CONTEXT, kek=kek, file_id=info.file_id) as reader:
        assert (reader.plaintext_size, reader.file_id) == (size, info.file_id)
        assert reader.read_all().tobytes() == plaintext


@given(data=st.data(), size=sizes)
@settings(deadline=None, max_examples=up_to(80))
def test_any_range_reads_as_the_plaintext_does(
    kek: BoundKek, place: Path, data: st.DataObject, size: int
) -> None:
    plaintext = os.urandom(size)
    place.write_bytes(seal(plaintext, kek)[0])
    offset = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - offset))
    room = np.zeros(length + 3, dtype=np.uint8)
    with SealedReader(place, context=CONTEXT, kek=kek) as reader:
        assert reader.read_range(offset, length).tobytes() == plaintext[offset : offset + length]
        assert reader.read_range(offset, length, room).base is not None
    assert room[:length].tobytes() == plaintext[offset : offset + length]


def test_every_flipped_byte_is_noticed_and_its_place_named(kek: BoundKek, place: Path) -> None:
    data, _ = seal(os.urandom(2 * CHUNK + 100), kek)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(SealedFileError) as caught:
            read(bytes(changed), kek, place)
        if position < 512:
            assert isinstance(caught.value, SealedHeaderError)
        elif position < HEADER:
            assert isinstance(caught.value, SealedHeaderError | SealedKeyError)
        else:
            assert isinstance(caught.value, SealedChunkError)
            assert caught.value.index == (position - HEADER) // STORED
            assert str(caught.value.index) in caught.value.message


def test_every_truncation_is_noticed(kek: BoundKek, place: Path) -> None:
    data, _ = seal(os.urandom(2 * CHUNK + 100), kek)
    for length in [*range(0, HEADER + 40), *range(HEADER + STORED - 40, HEADER + STORED + 40), len(data) - 1]:
        with pytest.raises(SealedFileError):
            read(data[:length], kek, place)
    for chunks in (0, 1, 2):
        with pytest.raises(SealedTruncatedError):
            read(data[: HEADER + chunks * STORED], kek, place)


def swap(chunks: list[bytes]) -> list[bytes]:
    return [chunks[1], chunks[0], *chunks[2:]]


def drop_first(chunks: list[bytes]) -> list[bytes]:
    return chunks[1:]


def drop_middle(chunks: list[bytes]) -> list[bytes]:
    return [chunks[0], *chunks[2:]]


def repeat_first(chunks: list[bytes]) -> list[bytes]:
    return [chunks[0], *chunks]


def repeat_last(chunks: list[bytes]) -> list[bytes]:
    return [*chunks, chunks[-1]]


@pytest.mark.parametrize(
    ("change", "index"), [(swap, 0), (drop_first, 0), (drop_middle, 1), (repeat_first, 1), (repeat_last, 4)]
)
def test_chunks_cannot_be_moved(
    kek: BoundKek, place: Path, change: Callable[[list[bytes]], list[bytes]], index: int
) -> None:
    data, _ = seal(os.urandom(4 * CHUNK), kek)
    body = data[HEADER:]
    chunks = [body[start : start + STORED] for start in range(0, len(body), STORED)]
    with pytest.raises(SealedChunkError) as caught:
        read(data[:HEADER] + b"".join(change(chunks)), kek, place)
    assert caught.value.index == index


def test_a_chunk_of_another_file_is_not_accepted(kek: BoundKek, place: Path) -> None:
    plaintext = os.urandom(2 * CHUNK)
    (one, _), (two, _) = seal(plaintext, kek), seal(plaintext, kek)
    with pytest.raises(SealedChunkError) as caught:
        read(one[: HEADER + STORED] + two[HEADER + STORED :], kek, place)
    assert caught.value.index == 1


def test_a_header_or_a_data_key_of_another_file_is_not_accepted(kek: BoundKek, place: Path) -> None:
    (one, _), (two, _) = seal(b"a" * 10, kek), seal(b"a" * 10, kek)
    with pytest.raises(SealedChunkError):
        read(two[:HEADER] + one[HEADER:], kek, place)
    with pytest.raises(SealedKeyError):
        read(two[:512] + one[512:], kek, place)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, kind=2),
        replace(CONTEXT, workspace=UUID(int=9)),
        replace(CONTEXT, dataset=UUID(int=9)),
        replace(CONTEXT, version=UUID(int=9)),
        replace(CONTEXT, column=5),
        replace(CONTEXT, dataset=CONTEXT.version, version=CONTEXT.dataset),
    ],
)
def test_a_file_replayed_elsewhere_is_named_as_such(kek: BoundKek, place: Path, other: SealedContext) -> None:
    data, _ = seal(b"content", kek, other)
    with pytest.raises(SealedContextError):
        read(data, kek, place)


def test_a_forged_context_does_not_open_the_file(kek: BoundKek, place: Path) -> None:
    # The header's checksum has no key; whoever recomputes it still meets the data key's and the chunks' tags.
    other, _ = seal(b"content", kek, replace(CONTEXT, column=5))
    ours, _ = seal(b"content", kek)
    forged = bytearray(ours)
    forged[512:] = other[512:]
    with pytest.raises(SealedKeyError):
        read(bytes(forged), kek, place)


def test_an_older_write_attempt_at_the_same_place_is_refused(kek: BoundKek, place: Path) -> None:
    (old, _), (_, new) = seal(b"content", kek), seal(b"content", kek)
    assert read(old, kek, place) == b"content"
    with pytest.raises(SealedContextError):
        read(old, kek, place, file_id=new.file_id)
