"""Looking at rooms by itself: a witness fetches what they publish, and the proof that it continues what it saw."""

import base64

import httpx

from cleanroom.client.room_log import RoomLog
from cleanroom.witness.home import KnownLog
from cleanroom.witness.service import Reply, Witness


def pull(witness: Witness, log: KnownLog, *, client: httpx.Client) -> Reply:
    """Fetch a room's newest published checkpoint and cosign it, if it continues what the witness saw.

    Args:
        witness: whose.
        log: a known log with an address.
        client: sends requests.

    Returns:
        The witness's own reply, as if the room had come to it; of an unchanged log too.

    Raises:
        GossipError: the room does not answer as it must, or its checkpoint is not signed by the log's key.
    """
    room = RoomLog(log.url or "", client)
    newest = room.newest(log.verifier_key)
    kept = witness.home.last(log)
    old, size = kept[0].size if kept else 0, newest.checkpoint.size
    proof = room.prove(old, size) if 0 < old < size else []
    # Of a log that shrank the witness itself says no, with the size that it saw.
    lines = [f"old {min(old, size)}", *(base64.b64encode(node).decode() for node in proof), "", newest.note]
    return witness.add_checkpoint("\n".join(lines).encode())
