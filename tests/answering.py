"""A witness that answers at an address."""

import socket
import threading
import time

import uvicorn

from cleanroom.witness.service import Witness
from cleanroom.witness.serving import witness_application


class Answering:
    """A witness behind a real socket."""

    def __init__(self, witness: Witness) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(witness_application(witness), lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
