"""A worker in a process of its own that kills itself; started by a test."""

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from cleanroom.bootstrap import open_room
from cleanroom.room import Room
from cleanroom.settings import load_settings
from cleanroom.uploads import appending as appending_module
from tests.rooms import MovableClock

OPERATIONS = ("fsync", "fdatasync", "pwrite", "replace", "rename", "unlink")


class Countdown:
    """Ends the process at a number."""

    def __init__(self, left: int) -> None:
        self.left = left

    def tick(self, *_arguments: object) -> None:
        """Come one nearer."""
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(home: str, database_url: str, job: str, upload_id: str, number: str, *rest: str) -> None:
    """Do one job on an upload; killed before, or after, an operation that lasts."""
    settings = load_settings({"CLEANROOM_DATABASE_URL": database_url}, home=Path(home))
    room = open_room(settings, clock=MovableClock())
    countdown = Countdown(int(number))
    if job == "ingest-commits":
        transaction = room.db.transaction
        from contextlib import contextmanager

        @contextmanager
        def committed():
            with transaction() as tx:
                yield tx
            countdown.tick()

        object.__setattr__(room.db, "transaction", committed)
    else:
        event.listen(room.db.engine, "commit", countdown.tick)
        for name in OPERATIONS:
            setattr(os, name, watched(getattr(os, name), countdown))
    if job == "append":
        append(room, upload_id, *rest)
    else:
        room.uploads.ingest(upload_id)


def watched(function, countdown: Countdown):
    def call(*arguments, **options):
        countdown.tick()
        return function(*arguments, **options)

    return call


def append(room: Room, upload_id: str, organisation_id: str, source: str) -> None:
    """Resume, in pieces that are counted one by one."""
    appending_module.ADVANCE_BYTES = 30_000
    with room.db.reading() as tx:
        at = room.uploads.upload(tx, upload_id, organisation_id=organisation_id).offset
    data = Path(source).read_bytes()
    with room.uploads.append(upload_id, organisation_id=organisation_id, offset=at) as appending:
        for begin in range(at, len(data), 30_000):
            appending.write(data[begin : begin + 30_000])
        appending.finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
