"""What a room answers while its keys are sealed: that it lives, and that it cannot work yet."""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep

from crypto.shares import KeysSealedError

_LOOK_SECONDS = 0.2
_SLOW_SECONDS = 10


class _Sealed(BaseHTTPRequestHandler):
    timeout = _SLOW_SECONDS
    server_version = "Cleanroom"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._say(200, "application/json", {"status": "ok"})
        elif self.path == "/readyz":
            self._say(503, "application/json", {"status": "sealed"})
        else:
            problem = {"type": "about:blank", "title": "The room is sealed", "status": 503}
            self._say(503, "application/problem+json", {**problem, "code": KeysSealedError.code})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - the base's names

    def _say(self, status: int, kind: str, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        # What was sent along is not read: the next request could not be told from it.
        self.send_header("Connection", "close")
        if status == 503:
            self.send_header("Retry-After", "30")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: addresses and queries stay out of logs."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that went away."""


def answer_sealed(listening: socket.socket, *, until: Callable[[], bool]) -> None:
    """Answer at a socket, which stays open, until something is so."""
    server = _Server(("", 0), _Sealed, bind_and_activate=False)
    server.socket.close()
    server.socket = listening.dup()
    answering = Thread(target=server.serve_forever, args=(_LOOK_SECONDS,), name="sealed", daemon=True)
    answering.start()
    try:
        while not until():
            sleep(_LOOK_SECONDS)
    finally:
        server.shutdown()
        answering.join()
        server.server_close()
