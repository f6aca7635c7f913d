"""A process beside this one: started again when it dies, ended when this one ends."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from threading import Event, Thread
from typing import Self

PAUSE_SECONDS = 1.0
GRACE_SECONDS = 30.0


class Child:
    """Keeps one command running while the block runs.

    The command's standard input is a pipe that nobody writes to: it ends when this process is gone, however it went.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        pause_seconds: float = PAUSE_SECONDS,
        files: Sequence[int] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start the command.

        Args:
            command: with its arguments.
            pause_seconds: before it is started again.
            files: descriptors that it has under the same numbers.
            environ: its variables; they are added to those of this process.
        """
        self._command = list(command)
        self._files = tuple(files)
        self._environ = {**os.environ, **(environ or {})}
        self._pause_seconds = pause_seconds
        self._ending = Event()
        self._process = self._start()
        self._watcher = Thread(target=self._watch, name="child", daemon=True)
        self.starts = 1

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self._process.pid

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self._process.terminate()
        self._watcher.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - a command of this program
            self._command, stdin=subprocess.PIPE, pass_fds=self._files, env=self._environ
        )

    def _watch(self) -> None:
        while True:
            self._wait()
            # Not at once: one that cannot start would take the whole machine.
            if self._ending.wait(self._pause_seconds):
                return
            self._process = self._start()
            self.starts += 1

    def _wait(self) -> None:
        process = self._process
        while process.poll() is None:
            if self._ending.wait(0.1):
                process.terminate()
                try:
                    process.wait(GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if process.stdin is not None:
            process.stdin.close()
