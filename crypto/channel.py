"""A bounded stream of bytes between two threads, for libraries that pull or push on their own."""

import io
from collections import deque
from threading import Condition
from typing import Any

_MOST_WAITING = 4
Part = bytes | memoryview


class Abandoned(Exception):  # noqa: N818 - a signal between two threads, not an error to show
    """The other side has stopped."""


class Channel:
    """Passes chunks from one thread to another; few wait at a time, so memory stays flat."""

    def __init__(self) -> None:
        self._chunks: deque[Part] = deque()
        self._changed = Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._abandoned = False

    def put(self, chunk: Part) -> None:
        """Pass a chunk on, waiting while too many wait; raises Abandoned when nobody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._chunks) < _MOST_WAITING)
            if self._abandoned:
                raise Abandoned
            if chunk:
                self._chunks.append(chunk)
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """Say that nothing follows, or that a failure does."""
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify_all()

    def get(self) -> Part:
        """Take the next chunk; empty at the end; raises the failure that the other side met."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended or self._abandoned)
            if self._chunks:
                chunk = self._chunks.popleft()
                self._changed.notify_all()
                return chunk
            if self._failure is not None:
                raise self._failure
            return b""

    def abandon(self) -> None:
        """Say that nothing more will be taken."""
        with self._changed:
            self._abandoned = True
            self._chunks.clear()
            self._changed.notify_all()


class ChannelReader(io.RawIOBase):
    """The taking end as a raw binary stream, to be wrapped in `io.BufferedReader`."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill as much of the buffer as one chunk does; 0 at the end."""
        if not self._chunk:
            self._chunk = memoryview(self._channel.get())
        count = min(len(buffer), len(self._chunk))
        buffer[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count
