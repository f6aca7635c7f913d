"""Whether the process lives, and whether it can do its work; why not is for its operator alone."""

import time
from collections.abc import Callable
from threading import Lock

from fastapi import APIRouter, Request
from pydantic import BaseModel

from advertiser_api.errors import UnavailableError
from advertiser_api.problems import telemetry_of
from cleanroom.errors import CleanroomError
from cleanroom.room import Room
from crypto.checkpoint import open_note

KEPT_SECONDS = 1.0
HEARTBEAT_SECONDS = 60
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A process that answers."""

    status: str = "ok"


class WorkerSilentError(CleanroomError):
    """The worker has not given a sign of life for too long."""

    code = "api.worker_silent"


class Readiness:
    """Looks at what requests need, at most once a second."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._guard = Lock()
        self._looked_at = float("-inf")
        self._failure: Exception | None = None

    def failure(self) -> Exception | None:
        """Return why the room cannot work now; None when it can."""
        with self._guard:
            if time.monotonic() - self._looked_at > KEPT_SECONDS:
                self._failure = self._look()
                self._looked_at = time.monotonic()
            return self._failure

    def _look(self) -> Exception | None:
        checks: tuple[Callable[[], None], ...] = (self._log, self._keys, self._worker)
        for check in checks:
            try:
                check()
            except Exception as error:  # noqa: BLE001 - whatever fails, the room is not ready
                return error
        return None

    def _log(self) -> None:
        """The database answers, and its log's head is signed by the room's own key."""
        with self._room.db.reading() as tx:
            open_note(self._room.audit.head(tx), self._room.audit.verifier_key)

    def _keys(self) -> None:
        self._room.keys.check()

    def _worker(self) -> None:
        """A worker that runs beside the room touches a file; where none ever ran there is nothing to wait for."""
        heartbeat = self._room.settings.heartbeat_path
        if heartbeat.exists() and time.time() - heartbeat.stat().st_mtime > HEARTBEAT_SECONDS:
            raise WorkerSilentError("The worker is silent.", remedy="Start it: cleanroom worker.")


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> Health:
    """Say that the process answers."""
    return Health()


@router.get("/readyz", summary="Whether the room can do its work")
def readyz(request: Request) -> Health:
    """Say whether database, keys, log signer and worker are there."""
    readiness: Readiness = request.app.state.readiness
    failure = readiness.failure()
    if failure is not None:
        telemetry_of(request).failed(request.scope, failure)
        raise UnavailableError("The room cannot do its work now.", remedy="Look into its log.")
    return Health()
