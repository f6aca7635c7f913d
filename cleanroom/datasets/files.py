"""The sealed files of one version: written column by column, read whole or in ranges."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Self
from uuid import UUID

import numpy as np
import numpy.typing as npt

from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.numbers import stored_kind
from cleanroom.datasets.types import Role, SealedFile
from cleanroom.ids import new_id, uuid_of
from cleanroom.storage import ObjectStore
from cleanroom.storage.errors import ObjectMissingError
from crypto.buffers import Octets
from crypto.keys import KeyDestroyedError, WrapKey
from crypto.sealed import SealedContext, SealedKeyError, SealedReader, SealedWriter

_SYNC_BYTES = 64 << 20

FILES_MOVED = (ObjectMissingError, SealedKeyError, KeyDestroyedError)
"""What opening a version's files raises when its keys were rotated since they were looked up; look them up anew."""


@dataclass(frozen=True)
class Place:
    """Where files belong; bound into every chunk of them.

    Attributes:
        workspace_id: `ws_...`.
        dataset_id: `ds_...`.
        version_id: `dv_...`, or the `ce_...` of a consent epoch.
    """

    workspace_id: str
    dataset_id: str
    version_id: str

    @property
    def prefix(self) -> str:
        """The store's prefix of all its files."""
        return f"{self.workspace_id}/{self.version_id}/"

    def context(self, role: Role, column: int) -> SealedContext:
        """Return what a file of this place is bound to."""
        return SealedContext(
            kind=int(role),
            workspace=uuid_of(self.workspace_id),
            dataset=uuid_of(self.dataset_id),
            version=uuid_of(self.version_id),
            column=column,
        )


class PlaceWriter:
    """Writes files of one place side by side; they appear in the store when the block ends well."""

    def __init__(self, store: ObjectStore, place: Place, *, kek: WrapKey, clock: Clock) -> None:
        self._store = store
        self._place = place
        self._kek = kek
        self._clock = clock
        self._stack = ExitStack()
        self._open: dict[tuple[Role, int], tuple[str, str, SealedWriter, BinaryIO]] = {}
        self._syncing = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._synced: Future[None] | None = None
        self._unsynced_bytes = 0
        self.files: list[SealedFile] = []

    def write(self, role: Role, column: int, data: Octets) -> None:
        """Append plaintext to a file, which the first call begins."""
        if (role, column) not in self._open:
            file_id = new_id("fl", self._clock.now())
            key = self._place.prefix + file_id
            sink = self._stack.enter_context(self._store.create(key))
            writer = SealedWriter(sink, context=self._place.context(role, column), kek=self._kek)
            self._open[role, column] = (file_id, key, writer, sink)
        self._unsynced_bytes += self._open[role, column][2].write(data)
        if self._unsynced_bytes > _SYNC_BYTES and (self._synced is None or self._synced.done()):
            self._sync_early()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        with self._syncing:
            pass
        try:
            if error[0] is None:
                self._complete()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(*error)

    def _complete(self) -> None:
        if self._synced is not None:
            self._synced.result()
        for (role, column), (file_id, key, writer, _) in self._open.items():
            info = writer.close()
            self.files.append(
                SealedFile(file_id, role, column, info.file_id.hex, info.plaintext_size, info.sha256, key)
            )

    def _sync_early(self) -> None:
        """Let the disk take what there is while more is made; else all would have to wait for it at the end."""
        if self._synced is not None:
            self._synced.result()
        self._unsynced_bytes = 0
        self._synced = self._syncing.submit(_sync, [sink.fileno() for *_, sink in self._open.values()])


def _sync(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.fdatasync(descriptor)


class PlaceReader:
    """Reads the files of one place by what they hold."""

    def __init__(
        self, store: ObjectStore, place: Place, files: Iterable[SealedFile], *, kek: WrapKey
    ) -> None:
        self._store = store
        self._place = place
        self._files = {(file.role, file.column): file for file in files}
        self._kek = kek

    def has(self, role: Role, column: int = 0) -> bool:
        """Tell whether there is such a file."""
        return (role, column) in self._files

    def size(self, role: Role, column: int) -> int:
        """Return a file's bytes of plaintext."""
        with self.opened(role, column) as reader:
            return reader.plaintext_size

    def file_id(self, role: Role, column: int) -> str:
        """Return the identity of the write attempt that made a file, hex."""
        return self._file(role, column).file_id

    def read(self, role: Role, column: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Read a whole file as one flat array."""
        with self.opened(role, column) as reader:
            return reader.read_all().view(dtype)

    def read_rows(
        self, role: Role, column: int, dtype: npt.DTypeLike, start: int, stop: int
    ) -> npt.NDArray[Any]:
        """Read items `start` to `stop`, the end not included; past the file's end there are none."""
        size = np.dtype(dtype).itemsize
        with self.opened(role, column) as reader:
            end = reader.plaintext_size // size
            start, stop = min(start, end), min(stop, end)
            return reader.read_range(start * size, max(stop - start, 0) * size).view(dtype)

    def number_kind(self, role: Role, column: int, dtype: npt.DTypeLike, items: int) -> np.dtype[Any]:
        """Return the type in which a file of so many signed numbers keeps them; see `stored_kind`."""
        return stored_kind(self.size(role, column), items, dtype)

    def read_numbers(self, role: Role, column: int, dtype: npt.DTypeLike, items: int) -> npt.NDArray[Any]:
        """Read a whole file of signed numbers, in the integers that it has."""
        return self.read(role, column, self.number_kind(role, column, dtype, items))

    def read_bytes(self, role: Role, column: int = 0) -> bytes:
        """Read a whole file as bytes."""
        with self.opened(role, column) as reader:
            return reader.read_all().tobytes()

    @contextmanager
    def opened(self, role: Role, column: int) -> Iterator[SealedReader]:
        """Open a file: it is there, belongs here, and its key can be had."""
        file = self._file(role, column)
        reader = SealedReader(
            self._store.path(file.object_key),
            context=self._place.context(role, column),
            kek=self._kek,
            file_id=UUID(hex=file.file_id),
        )
        with reader:
            yield reader

    def _file(self, role: Role, column: int) -> SealedFile:
        file = self._files.get((role, column))
        if file is None:
            raise SealedColumnError(
                f"The version has no file {role.name.lower()} {column}.",
                remedy="Restore the SQL store from a backup.",
            )
        return file


def files_root(files: Sequence[SealedFile]) -> str:
    """Hash the list of a version's files, so that none can be dropped, added or exchanged unnoticed.

    Returns:
        64 hex digits; wrapping the data keys anew does not change it.
    """
    entries = [
        {
            "role": int(file.role),
            "column": file.column,
            "file_id": file.file_id,
            "bytes": file.bytes,
            "ciphertext_sha256": file.ciphertext_sha256,
        }
        for file in sorted(files, key=lambda file: (file.role, file.column))
    ]
    return hashlib.sha256(b"cleanroom/files/v1\n" + canonical_json({"v": 1, "files": entries})).hexdigest()
