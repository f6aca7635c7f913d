"""Taking the bytes of one request: written at the offset, synced, and only then counted."""

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from cleanroom.uploads.errors import ChecksumError, UploadTooLargeError
from cleanroom.uploads.files import write_at
from cleanroom.uploads.types import Checksum, Upload

ADVANCE_BYTES = 8 << 20
"""How much may arrive before it is synced and counted: what a killed process loses, at most."""
Advance = Callable[[int, int], Upload]


class Appending:
    """One request's bytes on their way to disk; it holds the upload's lease until it is closed.

    Without a checksum, what arrived stays, however the request ends. With one, nothing counts before all of it was
    checked.

    Attributes:
        upload: as it stands in SQL.
    """

    def __init__(
        self,
        upload: Upload,
        descriptor: int,
        *,
        checksum: Checksum | None,
        advance: Advance,
        resources: ExitStack,
    ) -> None:
        """Prepare.

        Args:
            upload: which is receiving.
            descriptor: of its file, cut back to its offset.
            checksum: what the bytes must hash to, if the client told.
            advance: moves the offset in SQL, from one figure to another.
            resources: let go of when this is closed: the file and the lease.
        """
        self.upload = upload
        self._descriptor = descriptor
        self._checksum = checksum
        self._hasher = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self._position = upload.offset
        self._advance = advance
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Write what came next.

        Raises:
            UploadTooLargeError: it would pass the length that was signed; none of this piece is taken.
            NoSpaceError: the disk is full.
        """
        room = self.upload.length - self._position
        if len(piece) > room:
            raise UploadTooLargeError(
                f"The upload lacks {room} bytes, and more were sent.",
                remedy="Send the very file that the manifest was made with.",
            )
        write_at(self._descriptor, piece, self._position)
        self._position += len(piece)
        if self._hasher is not None:
            self._hasher.update(piece)
        elif self._position - self.upload.offset >= ADVANCE_BYTES:
            self._count()

    def finish(self) -> Upload:
        """Count everything: the request has ended as it should.

        Returns:
            The upload; it is received when this was the rest of it.

        Raises:
            ChecksumError: these are not the bytes of the checksum; the offset stays where it was.
        """
        if self._checksum is not None and self._hasher is not None:
            if self._hasher.digest() != self._checksum.digest:
                self._position = self.upload.offset
                os.ftruncate(self._descriptor, self._position)
                raise ChecksumError(
                    "The bytes are not those that the checksum was made of.",
                    remedy="Send them again from the same offset.",
                )
            self._checksum = None
        self._count()
        return self.upload

    def close(self) -> None:
        """Count what arrived, unless a checksum was announced that nobody could check; closing again does nothing."""
        with self._resources:
            try:
                if self._checksum is None:
                    self._count()
            finally:
                self._checksum, self._position = None, self.upload.offset

    def _count(self) -> None:
        if self._position == self.upload.offset:
            return
        # SQL must never know of bytes that a power cut could take back.
        os.fdatasync(self._descriptor)
        self.upload = self._advance(self.upload.offset, self._position)
