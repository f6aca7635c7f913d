"""Whoever started this process, and may be gone."""

import os
import stat
from collections.abc import Callable
from threading import Thread


def when_parent_ends(do: Callable[[], None]) -> None:
    """Do something when the process that started this one is gone, if it keeps a pipe to it open for that."""
    try:
        piped = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        return
    if not piped:
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        do()

    Thread(target=watch, name="parent", daemon=True).start()
