"""Runs of a spool as sealed files beside the version's own; a crash leaves nothing readable."""

from collections.abc import Iterator
from itertools import count

from cleanroom.clock import Clock
from cleanroom.datasets.files import Place
from cleanroom.datasets.types import Role
from cleanroom.ids import new_id
from cleanroom.storage import ObjectStore
from crypto.keys import WrapKey
from crypto.sealed import SealedReader, SealedWriter

_CHUNK_BYTES = 1 << 16
"""A bucket's part of a run is small, and a whole chunk is opened for it; with 1 MiB most of it would be in vain."""


class SealedSpill:
    """Makes runs as sealed files of one place."""

    def __init__(self, store: ObjectStore, place: Place, *, kek: WrapKey, clock: Clock) -> None:
        self._store = store
        self._place = place
        self._kek = kek
        self._clock = clock
        # Several threads may write at once.
        self._runs = count(1)

    def write(self, parts: Iterator[memoryview]) -> "SealedRun":
        """Write the parts one after another."""
        context = self._place.context(Role.SPOOL, next(self._runs))
        key = self._place.prefix + new_id("fl", self._clock.now())
        with (
            self._store.create(key, lasting=False) as sink,
            SealedWriter(
                sink, context=context, kek=self._kek, chunk_bytes=_CHUNK_BYTES, hashed=False
            ) as writer,
        ):
            for part in parts:
                writer.write(part)
            info = writer.close()
        reader = SealedReader(self._store.path(key), context=context, kek=self._kek, file_id=info.file_id)
        return SealedRun(self._store, key, reader)


class SealedRun:
    """One sealed run."""

    def __init__(self, store: ObjectStore, key: str, reader: SealedReader) -> None:
        self._store = store
        self._key = key
        self._reader = reader

    def read(self, offset: int, length: int) -> memoryview:
        """Return some of the bytes, verified."""
        return self._reader.read_range(offset, length).data

    def delete(self) -> None:
        """Remove the file."""
        self._reader.close()
        self._store.delete(self._key)
