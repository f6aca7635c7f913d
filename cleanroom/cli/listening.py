"""Where requests come in: one address, at which each process that answers has a socket of its own."""

import socket
import sys

from cleanroom.errors import CleanroomError

_BACKLOG = 1024
_SHARES_OUT = sys.platform == "linux"
"""Elsewhere SO_REUSEPORT means something else, or nothing; see socket(7)."""


class PortTakenError(CleanroomError):
    """Nobody can listen at the address."""

    code = "cli.port_taken"


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address where nobody does.

    Args:
        host: a name or an address of this machine.
        port: 0 for any that is free.

    Raises:
        PortTakenError: somebody listens there, or nobody may.
    """
    listening = _made(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.bind((host, port))
        if _SHARES_OUT:
            # Not before it is bound: another server must not come to listen here, only processes beside this one.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise PortTakenError(
            f"Port {port} of {host} cannot be used ({error.strerror}).", remedy="Choose another with --port."
        ) from None
    return listening


def bind_beside(first: socket.socket) -> socket.socket:
    """Return a socket at which this process may listen beside another; it gets its share of connections once it does.

    At one socket whoever wakes first takes all that wait, and keeps them for as long as their clients do: of sixteen
    connections, one of two processes had fourteen.

    Args:
        first: the other process's, from `listen`; this process's hold on it is given up.
    """
    if not _SHARES_OUT:
        return first
    with first:
        beside = _made(first.family)
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        beside.bind(first.getsockname())
    return beside


def _made(family: int) -> socket.socket:
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
