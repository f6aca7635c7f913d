"""The newest checkpoint of each log that this machine has seen, so that the next one has to continue it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cleanroom.client.gossip import Fork, GossipError, Prove, Seen, compare, see
from crypto.durable import write_private

MAX_PENDING = 100
"""Checkpoints that wait to be compared; of more, the oldest are kept, and the newest."""


@dataclass(frozen=True)
class Outcome:
    """What came of a new checkpoint.

    Attributes:
        forks: pairs that exclude each other; empty when all is well.
        pending: checkpoints that could not be compared yet.
    """

    forks: tuple[Fork, ...]
    pending: int


class SeenCheckpoints:
    """A directory with one small file for each log."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def remember(self, new: Seen, verifier_key: str) -> Outcome:
        """Keep a checkpoint for the next comparison; one of a size that is known is compared at once."""
        path = self._path(verifier_key)
        known = self._read(path, verifier_key)
        same = [one for one in known if one.checkpoint.size == new.checkpoint.size]
        forks = tuple(
            Fork(one, new, proves=True) for one in same if one.checkpoint.root != new.checkpoint.root
        )
        if not same:
            known.append(new)
            self._write(path, known)
        return Outcome(forks, len(known) - 1)

    def connect(self, newest: Seen, verifier_key: str, prove: Prove) -> Outcome:
        """Compare all that is kept with the newest that the room shows; then the newest stands for all of them."""
        path = self._path(verifier_key)
        found = compare(self._read(path, verifier_key), newest, prove)
        if not found.forks:
            self._write(path, [newest, *found.ahead])
        return Outcome(found.forks, len(found.ahead))

    def _path(self, verifier_key: str) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._directory / f"{hashlib.sha256(verifier_key.strip().encode()).hexdigest()[:32]}.json"

    def _read(self, path: Path, verifier_key: str) -> list[Seen]:
        try:
            notes = json.loads(path.read_text(encoding="utf-8"))["notes"]
            return [see("seen before", str(note).encode(), verifier_key) for note in notes]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            raise GossipError(
                "What was seen of this log before cannot be read.",
                remedy=f"Look at {path.name}, or remove it.",
            ) from None

    def _write(self, path: Path, seen: list[Seen]) -> None:
        ordered = sorted(seen, key=lambda one: one.checkpoint.size)
        kept = ordered if len(ordered) <= MAX_PENDING else [*ordered[: MAX_PENDING - 1], ordered[-1]]
        data = json.dumps({"v": 1, "notes": [one.note for one in kept]}, ensure_ascii=False).encode()
        write_private(path, data, replace=True)
