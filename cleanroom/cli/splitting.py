"""Sealing a room's key file under a root key that people open together, and putting it back in clear."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cleanroom.errors import CleanroomError
from cleanroom.key_stores import open_key_file
from cleanroom.room import Room
from cleanroom.unsealing import tell_root
from crypto.durable import write_private
from crypto.key_file_format import Lock
from crypto.limits import KEY_BYTES
from crypto.shares import Seal, Share, read_share, split_root


class NotConfirmedError(CleanroomError):
    """Somebody did not confirm that the shares are kept."""

    code = "cli.not_confirmed"


class ShareFileError(CleanroomError):
    """A file for a share is there already, or cannot be written."""

    code = "cli.share_file"


@dataclass(frozen=True)
class Sealed:
    """What became of a split.

    Attributes:
        seal: as it stands in the file.
        served: whether a process of the room goes on with it; else the room waits for shares from now on.
    """

    seal: Seal
    served: bool


def split(
    room: Room, *, shares: int, threshold: int, hand_out: Callable[[Seal, tuple[Share, ...]], bool]
) -> Sealed:
    """Encrypt the key file under a new root key, of which people hold shares; shares of an older split open nothing.

    Killed before its end, the file is what it was, and the shares that were handed out open nothing.

    Args:
        room: open.
        shares: how many to make.
        threshold: how many of them open it.
        hand_out: gives them to people; returns whether they have them.

    Returns:
        The seal, and who knows of it.

    Raises:
        ShareError: the numbers do not fit.
        NotConfirmedError: nobody confirmed; nothing was changed.
    """
    keys = open_key_file(room.settings)
    root = os.urandom(KEY_BYTES)
    seal, made = split_root(root, shares=shares, threshold=threshold)
    if not hand_out(seal, made):
        raise NotConfirmedError("Nothing was changed; these shares open nothing.", remedy="Run it again.")
    # As people will: from what they hold, in the form in which they hold it.
    opened = seal.open([read_share(share.text()) for share in made[-threshold:]])
    # First, as every process of the room reads the file anew once it is replaced.
    told = tell_root(room.settings.keys_dir, seal, opened)
    keys.relock(Lock(seal, opened))
    _log(room, "split", seal)
    return Sealed(seal, told)


def unsplit(room: Room) -> None:
    """Write the key file in clear again; shares open nothing from then on."""
    keys = open_key_file(room.settings)
    lock = keys.lock
    if lock is not None:
        keys.relock(None)
        _log(room, "unsplit", lock.seal)


def write_shares(folder: Path, shares: tuple[Share, ...]) -> list[Path]:
    """Write each share into a file of its own, closed to everybody else; raises ShareFileError."""
    written: list[Path] = []
    for share in shares:
        path = folder / f"share-{share.index}.txt"
        try:
            write_private(path, f"{share.text()}\n".encode())
        except OSError as error:
            for earlier in written:
                earlier.unlink(missing_ok=True)
            raise ShareFileError(
                f"The file {path.name} cannot be written ({type(error).__name__}).",
                remedy="Name an empty folder.",
            ) from None
        written.append(path)
    return written


def _log(room: Room, happened: str, seal: Seal) -> None:
    with room.db.transaction() as tx:
        tx.audit(
            f"room.keys_{happened}",
            subject_id=room.settings.origin[:100],
            body={"seal_id": seal.id.hex(), "shares": seal.shares, "threshold": seal.threshold},
        )
