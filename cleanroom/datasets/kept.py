"""A version's files read through the cache: decrypted once, and by two threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cleanroom.datasets.cache import Arrays, Scope
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.numbers import stored_kind
from cleanroom.datasets.types import Role
from crypto.sealed import SealedReader

_THREADS = 2
_POOL = ThreadPoolExecutor(_THREADS, thread_name_prefix="open")
Values = npt.NDArray[Any]


class Sliced(Protocol):
    """A column that may lie in memory or in a sealed file; either gives arrays by slices."""

    @property
    def size(self) -> int:
        """Return how many items there are."""
        ...

    def __getitem__(self, part: slice, /) -> Values:
        """Return the items of a slice without a step."""
        ...


@dataclass(frozen=True)
class Stored:
    """A column that stays in its sealed file; a slice of it is decrypted when it is asked for.

    Attributes:
        reader: of the version's files.
        role: what the file holds.
        column: which one.
        dtype: of an item.
        shape: items, and words of each where it has several.
    """

    reader: PlaceReader
    role: Role
    column: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return how many items there are."""
        return self.shape[0]

    def reshape(self, shape: tuple[int, ...]) -> "Stored":
        """Return the same column in items of several words."""
        return Stored(self.reader, self.role, self.column, self.dtype, shape)

    def blocks(self, parts: Iterable[range]) -> Iterator[Values]:
        """Read items part by part; each part is overwritten by the next one.

        Args:
            parts: items; whole chunks are read fastest.
        """
        room = np.empty((0, *self.shape[1:]), self.dtype)
        words = int(np.prod(self.shape[1:]))
        try:
            with self.reader.opened(self.role, self.column) as sealed:
                for part in parts:
                    if len(part) > len(room):
                        room.fill(0)
                        room = np.empty((len(part), *self.shape[1:]), self.dtype)
                    read = room[: len(part)]
                    octets = read.reshape(-1).view(np.uint8)
                    sealed.read_range(part.start * words * room.itemsize, octets.size, octets)
                    yield read
        finally:
            room.fill(0)

    def __getitem__(self, part: slice) -> Values:
        """Read the items of a slice without a step."""
        start, stop, _ = part.indices(self.size)
        words = int(np.prod(self.shape[1:]))
        found = self.reader.read_rows(self.role, self.column, self.dtype, start * words, stop * words)
        return found.reshape(-1, *self.shape[1:])


class KeptReader:
    """Reads the files of one place while a scope of the cache lasts.

    Every use opens the file's header and its data key first, cached or not: what is gone from the disk, or whose key
    was destroyed, cannot be had from the cache either.
    """

    def __init__(self, reader: PlaceReader, scope: Scope) -> None:
        self.plain = reader
        self._scope = scope

    def has(self, role: Role, column: int = 0) -> bool:
        """Tell whether there is such a file."""
        return self.plain.has(role, column)

    def size(self, role: Role, column: int) -> int:
        """Return a file's bytes of plaintext."""
        with self._opened(role, column) as sealed:
            return sealed.plaintext_size

    def read_bytes(self, role: Role, column: int = 0) -> bytes:
        """Read a small file as bytes, past the cache."""
        with self._opened(role, column) as sealed:
            return sealed.read_all().tobytes()

    def read(self, role: Role, column: int, dtype: npt.DTypeLike, *, at_once: bool = True) -> Values | Stored:
        """Return a whole file as one flat array that must not be changed, or in slices where there is no room.

        Args:
            role: what the file holds.
            column: which one.
            dtype: of an item.
            at_once: False keeps a file only from the second time on that it is asked for: for what is as fast to read
                in slices, once, as it is to keep.
        """
        with self._opened(role, column) as sealed:
            key = (self.plain.file_id(role, column), "whole")
            if not at_once and not self._scope.is_wanted_again(key):
                return self._stored(role, column, dtype, sealed)
            kept = self._scope.get(key, sealed.plaintext_size, lambda: (read_whole(sealed),))
            if kept is not None:
                return kept[0].view(dtype)
            return self._stored(role, column, dtype, sealed)

    def read_numbers(
        self, role: Role, column: int, dtype: npt.DTypeLike, items: int, *, at_once: bool = True
    ) -> Values | Stored:
        """Like `read`, of so many signed numbers, in the integers that the file has."""
        kind = stored_kind(self.size(role, column), items, dtype)
        return self.read(role, column, kind, at_once=at_once)

    def made(
        self, role: Role, column: int, what: str, size: int, make: Callable[[SealedReader], Arrays]
    ) -> Arrays | None:
        """Return what is made of a file, at most `size` bytes; None where there is no room."""
        with self._opened(role, column) as sealed:
            return self._scope.get((self.plain.file_id(role, column), what), size, lambda: make(sealed))

    @contextmanager
    def _opened(self, role: Role, column: int) -> Iterator[SealedReader]:
        try:
            with self.plain.opened(role, column) as sealed:
                yield sealed
        except Exception:
            # Whatever stands in the way: what cannot be opened now must not be had from memory later.
            self._scope.drop(self.plain.file_id(role, column))
            raise

    def _stored(self, role: Role, column: int, dtype: npt.DTypeLike, sealed: SealedReader) -> Stored:
        kind = np.dtype(dtype)
        return Stored(self.plain, role, column, kind, (sealed.plaintext_size // kind.itemsize,))


def blocks_of(column: Sliced, start: int, stop: int, size: int) -> Iterator[Values]:
    """Give items of a column block by block; a block may be overwritten once the next one is asked for."""
    return parts_of(column, (range(at, min(at + size, stop)) for at in range(start, stop, size)))


def parts_of(column: Sliced, parts: Iterable[range]) -> Iterator[Values]:
    """Give parts of a column; each may be overwritten once the next one is asked for."""
    if isinstance(column, Stored):
        yield from column.blocks(parts)
        return
    for part in parts:
        yield column[part.start : part.stop]


def stretches(sealed: SealedReader) -> list[range]:
    """Split a file into one range of whole chunks for each thread."""
    chunks = -(-sealed.plaintext_size // sealed.chunk_bytes)
    step = max(-(-chunks // _THREADS), 1) * sealed.chunk_bytes
    size = sealed.plaintext_size
    return [range(start, min(start + step, size)) for start in range(0, max(size, 1), step)]


def read_whole(sealed: SealedReader) -> Values:
    """Read a file by two threads; nothing is given out before every chunk has verified."""
    out = np.empty(sealed.plaintext_size, np.uint8)
    list(
        _POOL.map(lambda part: sealed.read_range(part.start, len(part), out[part.start :]), stretches(sealed))
    )
    return out


def each_chunk(sealed: SealedReader, use: Callable[[int, npt.NDArray[np.uint8]], bool]) -> bool:
    """Show a file chunk by chunk to a function, by two threads, until it says no to one.

    Args:
        sealed: the file.
        use: takes the offset and the bytes, which are overwritten after it; called by several threads.

    Returns:
        Whether it never said no.
    """

    def go(part: range) -> bool:
        room = np.empty(sealed.chunk_bytes, np.uint8)
        try:
            # A file without content has one chunk too, which says that it is complete.
            return all(
                use(start, sealed.read_range(start, min(sealed.chunk_bytes, part.stop - start), room))
                for start in part[:: sealed.chunk_bytes] or (0,)
            )
        finally:
            room.fill(0)

    return all(list(_POOL.map(go, stretches(sealed))))
