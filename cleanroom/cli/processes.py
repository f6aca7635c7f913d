"""Several processes that answer for one room: they listen at the same address and count limits and metrics together.

One Python process uses one processor. Those beside the first are started anew when they die, and end when it ends.
"""

import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cleanroom.bootstrap import open_room
from cleanroom.cli.child import Child
from cleanroom.cli.listening import bind_beside
from cleanroom.parent import when_parent_ends
from cleanroom.room import Room
from cleanroom.settings import Settings, load_settings

MOST_BY_DEFAULT = 4
_METRICS = "PROMETHEUS_MULTIPROC_DIR"
_BESIDE = "from cleanroom.cli.processes import beside; beside()"


def usual_processes() -> int:
    """Return how many processes answer when nobody says: one for each processor that this one may use, up to four."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, MOST_BY_DEFAULT)


@contextmanager
def shared_counts(processes: int) -> Iterator[Path | None]:
    """Make a place where processes count together, for as long as they run; None for one that counts alone.

    It comes before the web framework is loaded: prometheus_client looks once whether there is such a place.
    """
    if processes == 1:
        yield None
        return
    with TemporaryDirectory(prefix="cleanroom-") as place:
        try:
            yield _count_in(Path(place))
        finally:
            del os.environ[_METRICS]


@contextmanager
def processes_beside(
    number: int, settings: Settings, listening: socket.socket, counts: Path | None
) -> Iterator[None]:
    """Run processes that answer beside this one.

    Args:
        number: of them.
        settings: of the room, as this process has them.
        listening: where requests come in to this one.
        counts: the place where all count.
    """
    command = [sys.executable, "-c", _BESIDE, str(settings.home), str(listening.fileno()), str(counts)]
    environ = {**os.environ, "CLEANROOM_PUBLIC_URL": settings.public_url}
    children = [Child(command, files=[listening.fileno()], environ=environ) for _ in range(number)]
    for child in children:
        child.__enter__()
    try:
        yield
    finally:
        for child in children:
            child.__exit__()


@dataclass(frozen=True)
class Surfaces:
    """The API and the pages, loaded."""

    serving: Any
    portal: Any

    def answer(
        self, room: Room, listening: socket.socket, counts: Path | None, *, metrics_port: int = 0
    ) -> None:
        """Answer requests in this process until it is told to end."""
        self.serving.serve(
            room,
            listening,
            metrics_port=metrics_port,
            pages=self.portal.create_portal,
            counts_path=None if counts is None else counts / "counts.sqlite3",
        )


def load_surfaces() -> Surfaces:
    """Load what answers, which takes a second or two."""
    # By name: the domain knows no web framework.
    return Surfaces(
        importlib.import_module("advertiser_api.serving"), importlib.import_module("provider_portal.app")
    )


def beside() -> None:
    """Answer beside the process that started this one, as its command line says."""
    home, descriptor, counts = sys.argv[1:]
    when_parent_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))
    place = _count_in(Path(counts))
    room = open_room(load_settings(os.environ, home=Path(home)))
    try:
        load_surfaces().answer(room, bind_beside(socket.socket(fileno=int(descriptor))), place)
    finally:
        room.close()


def _count_in(place: Path) -> Path:
    metrics = place / "metrics"
    metrics.mkdir(exist_ok=True)
    os.environ[_METRICS] = str(metrics)
    return place
