"""The same room a month later: the application over real HTTP, with a clock that is ahead."""

import os
import socket
import sys
from datetime import UTC, datetime, timedelta

from advertiser_api.serving import serve
from cleanroom.bootstrap import open_room
from cleanroom.settings import load_settings


class Ahead:
    """Thirty-one days ahead: in another month, whichever it is."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=31)

    def wait_until(self, instant: datetime) -> None:
        raise AssertionError(f"No worker runs, so nothing waits until {instant}.")


def main(port: int) -> None:
    room = open_room(load_settings(os.environ), clock=Ahead())
    with socket.create_server(("127.0.0.1", port)) as listening:
        sys.stdout.write("Answering\n")
        sys.stdout.flush()
        serve(room, listening)
    room.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
