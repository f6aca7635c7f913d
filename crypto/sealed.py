"""Sealed files: what is about people at rest, encrypted in chunks, bound to its place, read in ranges."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID

import numpy as np
import numpy.typing as npt

from crypto.buffers import Octets, as_octets
from crypto.keys import KeyProvider, UnknownKeyError, UnwrapError, WrapKey
from crypto.limits import CHUNK_BYTES, KEY_BYTES, MAX_CHUNK_BYTES, MAX_CHUNKS, MIN_CHUNK_BYTES, TAG_BYTES
from crypto.sealed_format import (
    FIXED_BYTES,
    HEADER_BYTES,
    SLOT_BYTES,
    ChunkCipher,
    Header,
    SealedChunkError,
    SealedContext,
    SealedContextError,
    SealedFileError,
    SealedHeaderError,
    SealedKeyError,
    SealedTruncatedError,
    decode_header,
    decode_slot,
    encode_slot,
)

__all__ = [
    "SealedChunkError",
    "SealedContext",
    "SealedContextError",
    "SealedFileError",
    "SealedHeaderError",
    "SealedInfo",
    "SealedKeyError",
    "SealedReader",
    "SealedTruncatedError",
    "SealedWriter",
    "ciphertext_sha256",
    "rewrap",
]

_scratch = threading.local()


@dataclass(frozen=True)
class SealedInfo:
    """What a catalogue keeps about a sealed file.

    Attributes:
        file_id: random identity of this write attempt; give it to the reader to refuse an older attempt.
        size: bytes of the whole file.
        plaintext_size: bytes that went in.
        sha256: hex, over the file without the 512 bytes of the wrapped data key, so that rotation keeps it; empty
            when the writer was told not to hash.
    """

    file_id: UUID
    size: int
    plaintext_size: int
    sha256: str


class SealedWriter:
    """Writes one sealed file into a binary sink, chunk by chunk.

    As a context manager it completes the file when its block ends well; a block that raises leaves a file
    without an end, which no reader accepts. It holds at most one chunk, so hundreds can be open at once. The
    sink stays the caller's to close.
    """

    def __init__(
        self,
        sink: BinaryIO,
        *,
        context: SealedContext,
        kek: WrapKey,
        chunk_bytes: int = CHUNK_BYTES,
        hashed: bool = True,
    ) -> None:
        """Begin a file.

        Args:
            sink: where it goes.
            context: what it will be bound to.
            kek: wraps its data key.
            chunk_bytes: of plaintext in every chunk but the last.
            hashed: False for a file that no catalogue will name: the tags of its chunks are enough, and hashing
                takes longer than encrypting.
        """
        if not MIN_CHUNK_BYTES <= chunk_bytes <= MAX_CHUNK_BYTES:
            raise SealedFileError(f"A chunk has {MIN_CHUNK_BYTES} to {MAX_CHUNK_BYTES} bytes.")
        header = Header(
            chunk_bytes=chunk_bytes, file_id=UUID(bytes=os.urandom(16)), context=context.encoded()
        )
        data_key = os.urandom(KEY_BYTES)
        self._cipher = ChunkCipher(data_key, header)
        self._header = header
        self._sink = sink
        self._pending = bytearray()
        self._chunks = 0
        self._plaintext_size = 0
        self._info: SealedInfo | None = None
        fixed = header.encoded()
        self._digest = hashlib.sha256(fixed) if hashed else None
        self._sink.write(fixed + encode_slot(kek.wrap(data_key, context=header.wrap_context())))

    def write(self, data: Octets) -> int:
        """Append plaintext; returns how many bytes were taken, which is all of them."""
        if self._info is not None:
            raise SealedFileError("The sealed file is already complete.")
        view = as_octets(data).data
        taken, size = 0, self._header.chunk_bytes
        # A full chunk waits until more arrives, since the last one is sealed as the last.
        while len(self._pending) + len(view) - taken > size:
            step = size - len(self._pending)
            if self._pending:
                self._pending += view[taken : taken + step]
                self._seal(memoryview(self._pending), last=False)
                self._pending = bytearray()
            else:
                self._seal(view[taken : taken + step], last=False)
            taken += step
        self._pending += view[taken:]
        return len(view)

    def close(self) -> SealedInfo:
        """Seal the last chunk and tell what was written; closing again tells the same."""
        if self._info is None:
            self._seal(memoryview(self._pending), last=True)
            self._pending = bytearray()
            self._info = SealedInfo(
                file_id=self._header.file_id,
                size=HEADER_BYTES + self._plaintext_size + self._chunks * TAG_BYTES,
                plaintext_size=self._plaintext_size,
                sha256=self._digest.hexdigest() if self._digest else "",
            )
        return self._info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _seal(self, plaintext: memoryview, *, last: bool) -> None:
        if self._chunks >= MAX_CHUNKS:
            raise SealedFileError(
                f"A sealed file has at most {MAX_CHUNKS} chunks.", remedy="Use larger chunks."
            )
        room = _scratch_of(self._header.chunk_bytes + TAG_BYTES)
        length = self._cipher.seal(self._chunks, plaintext, room, last=last)
        if self._digest:
            self._digest.update(room[:length])
        self._sink.write(room[:length])
        self._chunks += 1
        self._plaintext_size += len(plaintext)


class SealedReader:
    """Reads one sealed file, whole or in ranges; no byte is returned before its chunk's tag has verified.

    Several threads may read from one reader at once. A read names the first chunk that is damaged.
    """

    def __init__(
        self, source: Path | int, *, context: SealedContext, kek: WrapKey, file_id: UUID | None = None
    ) -> None:
        """Open a file by path, or by a descriptor that stays the caller's.

        Args:
            source: a path, or a descriptor open for reading.
            context: what the file must be.
            kek: opens its data key.
            file_id: the write attempt that the catalogue names; another one at the same place is refused.

        Raises:
            SealedFileError: a subclass names what is wrong.
        """
        self._handle = os.open(source, os.O_RDONLY) if isinstance(source, Path) else os.dup(source)
        try:
            self._header, wrapped = _read_header(self._handle)
            if self._header.context != context.encoded():
                raise SealedContextError("The sealed file belongs to another dataset, version or column.")
            if file_id is not None and self._header.file_id != file_id:
                raise SealedContextError(
                    "The sealed file comes from another write attempt than the catalogue names."
                )
            self._cipher = ChunkCipher(_unwrap(kek, wrapped, self._header), self._header)
            self._chunk_bytes = self._header.chunk_bytes
            self._body = os.fstat(self._handle).st_size - HEADER_BYTES
            self._chunks = -(-self._body // (self._chunk_bytes + TAG_BYTES))
            self._size = self._body - self._chunks * TAG_BYTES
            # A last chunk without a byte of its own exists only in a file without content.
            if self._size < (self._chunks - 1) * self._chunk_bytes + (self._chunks > 1):
                raise SealedTruncatedError(
                    "The sealed file ends inside a chunk's tag, or before its first chunk."
                )
        except BaseException:
            os.close(self._handle)
            raise

    @property
    def plaintext_size(self) -> int:
        """Bytes that can be read."""
        return self._size

    @property
    def chunk_bytes(self) -> int:
        """Plaintext bytes of every chunk but the last; ranges that begin and end between chunks are read fastest."""
        return self._chunk_bytes

    @property
    def file_id(self) -> UUID:
        """Identity of the write attempt that made the file."""
        return self._header.file_id

    def read_all(self, out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """Read the whole plaintext; see `read_range`."""
        return self.read_range(0, self._size, out)

    def read_range(
        self, offset: int, length: int, out: npt.NDArray[np.uint8] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Read plaintext bytes from `offset`; only the chunks that they lie in are opened.

        Args:
            offset: first byte.
            length: how many.
            out: contiguous, at least `length` long; reusing one spares the page faults of fresh memory,
                which cost more than the decryption.

        Returns:
            `length` bytes, in `out` when it was given; `.view(dtype)` makes them a column.

        Raises:
            SealedFileError: the range passes the file's end, or a chunk is damaged; no byte of a damaged
                chunk is left in `out`.
        """
        if offset < 0 or length < 0 or offset + length > self._size:
            raise SealedFileError("The range passes the end of the sealed file.")
        target = np.empty(length, dtype=np.uint8) if out is None else out[:length]
        view = target.data
        done, size = 0, self._chunk_bytes
        # A file without content is verified too: its one empty chunk says that it is complete.
        while done < length or (done == 0 and self._size == 0):
            index, skip = divmod(offset + done, size)
            whole = min(size, self._size - index * size)
            take = min(whole - skip, length - done)
            if take == whole:
                self._open(index, view[done : done + take])
            else:
                self._open(index, part := memoryview(bytearray(whole)))
                view[done : done + take] = part[skip : skip + take]
            done += take
            if not length:
                break
        return target

    def close(self) -> None:
        """Close the file; closing again changes nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, index: int, out: memoryview) -> None:
        last = index == self._chunks - 1
        sealed = _scratch_of(len(out) + TAG_BYTES)[: len(out) + TAG_BYTES]
        if _read_at(self._handle, sealed, HEADER_BYTES + index * (self._chunk_bytes + TAG_BYTES)) < len(
            sealed
        ):
            raise SealedTruncatedError("The sealed file became shorter while it was read.")
        if self._cipher.open(index, sealed, out, last=last):
            return
        # The wrong flag verifies exactly when the file was cut, or continued, at a chunk's border.
        misplaced = self._cipher.open(index, sealed, out, last=not last)
        out[:] = bytes(len(out))
        if misplaced and last:
            raise SealedTruncatedError(f"The sealed file is cut off after chunk {index}.")
        if misplaced:
            raise SealedChunkError(
                f"Chunk {index + 1} and what follows do not belong to the file.", index=index + 1
            )
        where = ", the last one of the file," if last else ""
        raise SealedChunkError(f"Chunk {index}{where} is damaged or not of this file.", index=index)


def ciphertext_sha256(path: Path) -> str:
    """Hash a sealed file as `SealedInfo.sha256` does: without the wrapped data key; no key is needed.

    Returns:
        64 hex digits.

    Raises:
        SealedTruncatedError: the file ends inside its header.
    """
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256(file.read(FIXED_BYTES))
        if len(file.read(SLOT_BYTES)) < SLOT_BYTES:
            raise SealedTruncatedError("The sealed file ends inside its header.")
        room = _scratch_of(CHUNK_BYTES)
        while count := file.readinto(room):
            digest.update(room[:count])
    return digest.hexdigest()


def rewrap(path: Path, *, keys: KeyProvider, old: str, new: str) -> bool:
    """Move a sealed file from one key-encryption key to another; chunks and `sha256` stay as they are.

    Only one aligned sector is rewritten and synced. A rotation that stopped half-way is simply run again.

    Args:
        path: the file.
        keys: holds both keys; destroy the old one only after every file has moved.
        old: id of the key that the file stands under.
        new: id of the key that it shall stand under.

    Returns:
        True when it was moved, False when it already stood under the new key.

    Raises:
        SealedKeyError: it stands under neither key.
        SealedFileError: the header is damaged.
    """
    handle = os.open(path, os.O_RDWR)
    try:
        header, wrapped = _read_header(handle)
        context = header.wrap_context()
        try:
            moved = keys.rewrap(old, new, wrapped, context=context)
        except UnwrapError:
            try:
                keys.unwrap(new, wrapped, context=context)
            except UnwrapError:
                raise SealedKeyError(
                    "The file's data key opens under neither the old nor the new key."
                ) from None
            return False
        os.pwrite(handle, encode_slot(moved), FIXED_BYTES)
        os.fsync(handle)
    finally:
        os.close(handle)
    return True


def _read_header(handle: int) -> tuple[Header, bytes]:
    data = os.pread(handle, HEADER_BYTES, 0)
    return decode_header(data[:FIXED_BYTES]), decode_slot(data[FIXED_BYTES:])


def _unwrap(kek: WrapKey, wrapped: bytes, header: Header) -> bytes:
    try:
        return kek.unwrap(wrapped, context=header.wrap_context())
    except (UnwrapError, UnknownKeyError):
        raise SealedKeyError("The file's data key is damaged or stands under another key.") from None


def _read_at(handle: int, room: memoryview, offset: int) -> int:
    done = 0
    while done < len(room) and (count := os.preadv(handle, [room[done:]], offset + done)):
        done += count
    return done


def _scratch_of(size: int) -> memoryview:
    """Return this thread's reusable buffer for ciphertext; it never holds plaintext."""
    room: memoryview | None = getattr(_scratch, "room", None)
    if room is None or len(room) < size:
        room = _scratch.room = memoryview(bytearray(size))
    return room
