"""A real HTTP server over the uploads of a room, in this process or, run as a program, in one of its own.

Who calls stands in the token itself: `ORGANISATION SCOPE SCOPE`; the access slice has tests of its own.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from advertiser_api.v1.uploads import STATUSES, uploads_router
from cleanroom.bootstrap import open_room
from cleanroom.errors import CleanroomError
from cleanroom.room import Room
from cleanroom.settings import load_settings
from tests.rooms import MovableClock


@dataclass(frozen=True)
class Tester:
    organisation_id: str
    scopes: frozenset[str]


class NoTokenError(CleanroomError):
    code = "cleanroom.no_token"


def caller(request: Request) -> Tester:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind != "Bearer":
        raise NoTokenError("There is no token.")
    organisation_id, *scopes = token.split(" ")
    return Tester(organisation_id, frozenset(scopes))


def problem(_request: Request, error: Exception) -> JSONResponse:
    code = getattr(error, "code", "")
    status = {"cleanroom.no_token": 401, **STATUSES}.get(code, 400)
    body = {
        "code": code,
        "status": status,
        "detail": getattr(error, "message", ""),
        "remedy": getattr(error, "remedy", ""),
    }
    return JSONResponse(body, status, media_type="application/problem+json")


def app_of(room: Room) -> FastAPI:
    app = FastAPI()
    app.include_router(uploads_router(room, caller=caller, problem=problem), prefix="/v1")
    return app


@contextmanager
def served(room: Room) -> Iterator[str]:
    """Serve a room on a free port of this machine; yields the address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app_of(room), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def main(home: str, database_url: str, port: str) -> None:
    room = open_room(
        load_settings({"CLEANROOM_DATABASE_URL": database_url}, home=Path(home)), clock=MovableClock()
    )
    uvicorn.run(app_of(room), host="127.0.0.1", port=int(port), log_level="critical", lifespan="off")


if __name__ == "__main__":
    main(*sys.argv[1:])
