"""A real HTTP server on loopback that keeps what it is sent and answers as a test tells it to."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Message:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What a receiver got, and how it answers: a status, and headers."""

    port: int = 0
    scheme: str = "http"
    status: int = 204
    answered_with: dict[str, str] = field(default_factory=dict)
    # Between the bytes of the answer's head; a receiver that never comes to an end.
    seconds_per_byte: float = 0.0
    messages: list[Message] = field(default_factory=list)
    # Set, messages wait in the server until it is let go.
    gate: threading.Event = field(default_factory=threading.Event)
    _arrivals: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/in"

    @property
    def ids(self) -> list[str]:
        return [message.headers["webhook-id"] for message in self.messages]

    def arrived(self, message: Message) -> None:
        self.messages.append(message)
        self._arrivals.release()

    def await_messages(self, more: int) -> None:
        """Come back when so many have come that were not waited for yet."""
        for _ in range(more):
            assert self._arrivals.acquire(timeout=60), "it did not come"


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(scheme="http" if context is None else "https")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.arrived(Message(self.path, headers, body))
            receiver.gate.wait(30)
            head = f"HTTP/1.1 {receiver.status} x\r\n" + "".join(
                f"{name}: {value}\r\n" for name, value in receiver.answered_with.items()
            )
            self.close_connection = True
            for byte in f"{head}Connection: close\r\n\r\n".encode():
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                if receiver.seconds_per_byte:
                    time.sleep(receiver.seconds_per_byte)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            # A handshake that the sender breaks off is what some tests want.
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
