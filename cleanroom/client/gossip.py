"""Comparing checkpoints of one log from several sources: whether it is one log, or was forked."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cleanroom.errors import CleanroomError
from crypto.checkpoint import Checkpoint, CheckpointError, open_note
from crypto.merkle import ProofError, verify_consistency

FORMAT = "cleanroom-fork/v1"
MAX_SOURCE_BYTES = 64 << 20
Prove = Callable[[int, int], Sequence[bytes]]
"""Asks the room to prove that the log at one size is the beginning of the log at another."""


class GossipError(CleanroomError):
    """A source is no checkpoint of this log, or the room gives no proof."""

    code = "client.gossip"


@dataclass(frozen=True)
class Seen:
    """A checkpoint that somebody holds.

    Attributes:
        source: where it comes from, for people.
        note: as signed.
        checkpoint: what it says.
    """

    source: str
    note: str
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Fork:
    """Two checkpoints, both signed by the room, that cannot be of one log.

    Attributes:
        first: the one of the smaller log, or the one that was seen first.
        second: the other.
        proves: whether the two alone prove it: they are of one size. Else the room could not connect them.
    """

    first: Seen
    second: Seen
    proves: bool

    def evidence(self) -> bytes:
        """Write it as a file that anyone can check with the room's key."""
        content = {
            "v": 1,
            "format": FORMAT,
            "origin": self.first.checkpoint.origin,
            "first": self.first.note,
            "second": self.second.note,
        }
        return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        forks: pairs that exclude each other.
        ahead: checkpoints of larger logs than the newest that the room shows: it was rolled back, or publishes later.
        connected: how many were proven to be of one log.
    """

    forks: tuple[Fork, ...]
    ahead: tuple[Seen, ...]
    connected: int


def see(source: str, data: bytes, verifier_key: str) -> Seen:
    """Read a checkpoint, or the one in a receipt.

    Args:
        source: where it comes from.
        data: a signed note, with or without lines of witnesses; or a receipt.
        verifier_key: the room's.

    Raises:
        GossipError: it is neither, or not signed by the room's key.
    """
    if len(data) > MAX_SOURCE_BYTES:
        raise GossipError(f"{source}: a source has at most {MAX_SOURCE_BYTES} bytes.")
    try:
        text = data.decode("utf-8")
        if text.lstrip().startswith("{"):
            text = str(json.loads(text)["checkpoint"])
        return Seen(source, text, open_note(text, verifier_key))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GossipError(
            f"{source}: neither a checkpoint nor a receipt.", remedy="Name the file as the room gave it."
        ) from None
    except CheckpointError as error:
        raise GossipError(
            f"{source}: {error.message}", remedy="Check which key signs this room's log."
        ) from None


def compare(seen: Iterable[Seen], newest: Seen, prove: Prove) -> Compared:
    """Compare checkpoints with each other and with the newest one that the room shows.

    All that are connected with the newest are connected with each other: so a proof for each size suffices.

    Args:
        seen: from wherever.
        newest: the room's own.
        prove: asks the room; what it raises as GossipError or ProofError counts as no proof.
    """
    forks, by_size = list[Fork](), dict[int, Seen]()
    for one in [newest, *seen]:
        other = by_size.setdefault(one.checkpoint.size, one)
        if other.checkpoint.root != one.checkpoint.root:
            forks.append(Fork(other, one, proves=True))
    ahead = [one for size, one in by_size.items() if size > newest.checkpoint.size]
    # Of an empty log every log is the continuation.
    older = [one for size, one in sorted(by_size.items()) if 0 < size < newest.checkpoint.size]
    for one in older:
        try:
            connect(one.checkpoint, newest.checkpoint, prove)
        except (GossipError, ProofError):
            forks.append(Fork(one, newest, proves=False))
    unconnected = sum(not fork.proves for fork in forks)
    return Compared(tuple(forks), tuple(ahead), len(by_size) - len(ahead) - unconnected)


def connect(old: Checkpoint, new: Checkpoint, prove: Prove) -> None:
    """Have it proven that one checkpoint's log is the beginning of another's; raises ProofError or GossipError."""
    if old.size == new.size:
        if old.root != new.root:
            raise ProofError("Two logs of one size differ.")
        return
    if old.size:
        verify_consistency(old.size, old.root, new.size, new.root, prove(old.size, new.size))


def read_fork(data: bytes, verifier_key: str) -> Fork:
    """Read evidence of a fork and check both signatures; raises GossipError when it shows none."""
    try:
        content = json.loads(data)
        first, second = str(content["first"]), str(content["second"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GossipError(
            "The file is no evidence of a fork.", remedy=f"It has the format {FORMAT}."
        ) from None
    pair = [see(name, note.encode(), verifier_key) for name, note in (("first", first), ("second", second))]
    one, other = (each.checkpoint for each in pair)
    if one.root == other.root:
        raise GossipError("Both checkpoints are of the same log.")
    return Fork(pair[0], pair[1], proves=one.size == other.size)
