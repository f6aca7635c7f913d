"""Running the application in one process: a listening socket, an end that lets requests finish."""

import gc
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Protocol, cast

import uvicorn
from fastapi import APIRouter
from prometheus_client import start_http_server
from starlette.types import ASGIApp

from advertiser_api.app import create_app
from advertiser_api.composing import Front, uploads_for_pages
from advertiser_api.telemetry import Telemetry
from cleanroom.counts import Counts
from cleanroom.room import Room

GRACE_SECONDS = 30


class MakePages(Protocol):
    """Makes the application that answers where the API does not."""

    def __call__(
        self, room: Room, *, telemetry: Telemetry, counts: Counts, uploads: Callable[..., APIRouter]
    ) -> ASGIApp:
        """Make it over an open room; it logs and counts where the API does, and takes the API's uploads."""
        ...


def serve(
    room: Room,
    listening: socket.socket,
    *,
    metrics_port: int = 0,
    pages: MakePages | None = None,
    counts_path: Path | None = None,
) -> None:
    """Answer requests until the process is told to end; then let those under way finish.

    Args:
        room: open; the caller closes it.
        listening: where requests come in; other processes may listen there too.
        metrics_port: of 127.0.0.1, where counts of requests are shown; 0 for nowhere.
        pages: makes what answers beside the API; nothing does when it is not given.
        counts_path: a file in which this process and others count what comes, for limits on its pace.
    """
    counts = Counts(counts_path)
    app = create_app(room, counts=counts)
    telemetry, whole = app.state.telemetry, cast(ASGIApp, app)
    if pages:
        made = pages(room, telemetry=telemetry, counts=counts, uploads=uploads_for_pages(room))
        whole = Front(app, made)
    room.warm_up()
    # What is there now stays: looking through it for garbage, again and again, would hold up requests.
    gc.collect()
    gc.freeze()
    # The server ends by raising the signal once more: it must unwind here, and not kill the process.
    signal.signal(signal.SIGTERM, _leave)
    metrics = None
    if metrics_port:
        metrics = start_http_server(metrics_port, "127.0.0.1", registry=telemetry.registry)
    config = uvicorn.Config(
        whole,
        log_level="warning",
        # Its lines hold addresses with their queries; the application writes its own.
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        if metrics is not None:
            server, thread = metrics
            server.shutdown()
            server.server_close()
            thread.join()
        counts.close()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
