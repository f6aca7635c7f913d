"""The bytes of uploads: one private file each, in a directory that all processes of a room share."""

import errno
import os
import re
import shutil
from pathlib import Path

from cleanroom.uploads.errors import NoSpaceError
from crypto.durable import sync_directory

RESERVE_BYTES = 256 << 20
"""Stays free: a database whose disk is full cannot even tell that it is."""
_NAME = re.compile(r"(up_[0-9a-f]{32})\.part")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UploadFiles:
    """The directory; whoever writes or removes a file holds the upload's lease."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, upload_id: str) -> Path:
        """Return where the bytes of an upload lie, or would lie."""
        return self._directory / f"{upload_id}.part"

    def open(self, upload_id: str, offset: int) -> int | None:
        """Open the file of an upload for writing, cut back to what is known to be safe.

        Args:
            upload_id: whose; at offset 0 its file is made.
            offset: how many bytes are safe.

        Returns:
            A descriptor, to be closed by the caller; None when bytes that were safe are gone.
        """
        path = self.path(upload_id)
        if offset == 0:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            sync_directory(self._directory)
        else:
            try:
                descriptor = os.open(path, os.O_WRONLY)
            except FileNotFoundError:
                return None
        if os.fstat(descriptor).st_size < offset:
            os.close(descriptor)
            return None
        # A crash may have left bytes of a write whose offset was never told to anybody.
        os.ftruncate(descriptor, offset)
        return descriptor

    def remove(self, upload_id: str) -> bool:
        """Remove the bytes of an upload; returns whether there were any."""
        try:
            self.path(upload_id).unlink()
        except FileNotFoundError:
            return False
        sync_directory(self._directory)
        return True

    def ids(self) -> list[str]:
        """List the uploads that have a file; whatever else lies in the directory is not ours."""
        try:
            names = sorted(path.name for path in self._directory.iterdir())
        except FileNotFoundError:
            return []
        return [found[1] for name in names if (found := _NAME.fullmatch(name))]

    def require_space(self, needed: int) -> None:
        """Check that so many bytes fit on the disk beside the reserve; raises NoSpaceError."""
        place = self._directory
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free - RESERVE_BYTES
        if needed > free:
            raise no_space(needed, max(free, 0))


def write_at(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of the data at an offset; raises NoSpaceError when the disk is full."""
    rest = memoryview(data)
    try:
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise no_space(len(rest), 0) from None


def no_space(needed: int, free: int) -> NoSpaceError:
    """Make the error of a full disk; both figures in bytes."""
    return NoSpaceError(
        f"The room's disk has {free} bytes left for uploads, and {needed} are needed.",
        remedy="Ask the operator to free disk space or to move CLEANROOM_UPLOADS_DIR, then resume: nothing is lost.",
    )
