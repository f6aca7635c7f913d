"""One address for several processes, and for nobody else."""

import select
import socket
import sys
from contextlib import ExitStack

import pytest

from cleanroom.cli.listening import PortTakenError, bind_beside, listen

CONNECTIONS = 200


def shares(*listening: socket.socket) -> list[int]:
    """How many of many connections wait at each."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(listening[0].getsockname()[:2], timeout=5))
        return [waiting(each) for each in listening]


def waiting(listening: socket.socket) -> int:
    taken = 0
    while select.select([listening], [], [], 0)[0]:
        listening.accept()[0].close()
        taken += 1
    return taken


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes share one socket")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_shared_out_once_the_second_listens(host: str) -> None:
    with listen(host, 0) as first, bind_beside(first.dup()) as beside:
        # While it still loads, nobody waits for it.
        assert shares(first) == [CONNECTIONS]
        beside.listen()
        taken = shares(first, beside)
        assert sum(taken) == CONNECTIONS
        # Fewer, where both are as likely, are seven standard deviations away.
        assert min(taken) > CONNECTIONS // 4


def test_nobody_else_listens_there() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            listen("127.0.0.1", port)
        with bind_beside(first.dup()), pytest.raises(PortTakenError):
            listen("127.0.0.1", port)
    listen("127.0.0.1", port).close()
