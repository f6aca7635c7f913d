"""Running the application: one process, one listening socket, an end that lets requests finish."""

import gc
import signal
import socket
import sys
from types import FrameType
from typing import Protocol

import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp

from advertiser_api.app import create_app
from advertiser_api.composing import Front
from advertiser_api.telemetry import Telemetry
from cleanroom.bootstrap import Room

GRACE_SECONDS = 30


class MakePages(Protocol):
    """Makes the application that answers where the API does not."""

    def __call__(self, room: Room, *, telemetry: Telemetry) -> ASGIApp:
        """Make it over an open room; it writes its log lines and counts into the API's."""
        ...


def serve(
    room: Room, listening: socket.socket, *, metrics_port: int = 0, pages: MakePages | None = None
) -> None:
    """Answer requests until the process is told to end; then let those under way finish.

    Args:
        room: open; the caller closes it.
        listening: where requests come in.
        metrics_port: of 127.0.0.1, where counts of requests are shown; 0 for nowhere.
        pages: makes what answers beside the API; nothing does when it is not given.
    """
    app = create_app(room)
    whole: ASGIApp = Front(app, pages(room, telemetry=app.state.telemetry)) if pages else app
    room.warm_up()
    # What is there now stays: looking through it for garbage, again and again, would hold up requests.
    gc.collect()
    gc.freeze()
    # The server ends by raising the signal once more: it must unwind here, and not kill the process.
    signal.signal(signal.SIGTERM, _leave)
    metrics = None
    if metrics_port:
        metrics = start_http_server(metrics_port, "127.0.0.1", registry=app.state.telemetry.registry)
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


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
