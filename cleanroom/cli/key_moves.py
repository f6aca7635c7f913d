"""Moving every key-encryption key of a room into the store in which new ones are made, while the room works."""

from collections.abc import Callable
from dataclasses import dataclass

from cleanroom.rekeying.service import OPERATOR
from cleanroom.rekeying.shelf import open_rotation, workspaces_outside
from cleanroom.rekeying.types import KeyRotation, What
from cleanroom.room import Room
from cleanroom.signin.secret import SignInSecret
from cleanroom.webhooks.sealing import Sealing

Run = Callable[[Room, KeyRotation], KeyRotation | None]


@dataclass(frozen=True)
class Moved:
    """What became of a move.

    Attributes:
        workspaces: ids of those that were moved now.
        waiting: ids of those that could not be moved yet.
        secrets: names of the room's own wrapped secrets that were moved now.
        unused: ids of keys in other stores that nothing of the room stands under, as a crash leaves them.
    """

    workspaces: tuple[str, ...]
    waiting: tuple[str, ...]
    secrets: tuple[str, ...]
    unused: tuple[str, ...]


def move_keys(room: Room, run: Run) -> Moved:
    """Move what stands under keys of other stores; each piece is the rotation that the room knows anyway.

    Args:
        room: open, with the settings of the stores that keys move from and to.
        run: does one rotation.

    Returns:
        What was moved, and what was not.
    """
    prefix = room.keys.prefix
    with room.db.reading() as tx:
        begun = workspaces_outside(tx, prefix)
    for workspace_id in begun:
        # More than once where a rotation was asked for before: it may be of tokens, and it may end in the old store.
        for _ in range(3):
            if _outside(room, workspace_id):
                run(room, _rotation(room, workspace_id))
    secrets = _move_secrets(room, prefix)
    with room.db.reading() as tx:
        waiting = workspaces_outside(tx, prefix)
    unused = tuple(kek_id for kek_id in room.keys.kek_ids() if not kek_id.startswith(prefix))
    return Moved(
        workspaces=tuple(one for one in begun if one not in waiting),
        waiting=waiting,
        secrets=secrets,
        unused=() if waiting else unused,
    )


def _outside(room: Room, workspace_id: str) -> bool:
    with room.db.reading() as tx:
        return workspace_id in workspaces_outside(tx, room.keys.prefix)


def _rotation(room: Room, workspace_id: str) -> KeyRotation:
    """Ask for a rotation, or take the one that was asked for before."""
    with room.db.transaction() as tx:
        found = open_rotation(tx, workspace_id)
        return found or room.rekeying.ask(tx, workspace_id, What.WRAPPING, by=OPERATOR)


def _move_secrets(room: Room, prefix: str) -> tuple[str, ...]:
    secrets: dict[str, SignInSecret | Sealing] = {
        "sign_ins": room.signin.secret,
        "webhooks": room.webhooks.endpoints.sealing,
    }
    moved = []
    for name, secret in secrets.items():
        with room.db.transaction() as tx:
            kek_id = secret.kek_id(tx)
            if kek_id is not None and not kek_id.startswith(prefix):
                secret.rotate(tx, room.clock.now())
                moved.append(name)
    return tuple(moved)
