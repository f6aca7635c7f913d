"""What a witness keeps: its key, the logs that it knows, and the last checkpoint that it cosigned of each."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cleanroom.client.gossip import FORMAT
from cleanroom.witness.errors import WitnessHomeError
from crypto.checkpoint import Checkpoint, CheckpointError, open_note, parse_verifier_key, signed_alone
from crypto.cosignature import WitnessKey
from crypto.durable import locked, write_private
from crypto.keys import generate_signing_key, public_key, read_seed

MAX_FORKS = 64
"""Proofs of forks that are kept of one log: each proves the same, and a log's key can sign any number."""
_NAME, _KEY, _LOGS = "name", "witness.key", "logs.json"


@dataclass(frozen=True)
class KnownLog:
    """A log that the witness vouches for.

    Attributes:
        origin: its name in checkpoints.
        verifier_key: whose signature is believed.
        url: where its room answers, for a witness that looks by itself; None for one that is only told.
    """

    origin: str
    verifier_key: str
    url: str | None


class WitnessHome:
    """The directory of a witness; nothing of a room is in it."""

    def __init__(self, directory: Path) -> None:
        """Open the home; raises WitnessHomeError when there is no witness in it."""
        self._directory = directory
        try:
            self.name = (directory / _NAME).read_text(encoding="utf-8").strip()
            self.seed = read_seed(directory / _KEY)
        except FileNotFoundError:
            raise WitnessHomeError(
                "This home has no witness.", remedy="Make one: cleanroom witness init."
            ) from None

    @classmethod
    def make(cls, directory: Path, name: str) -> "WitnessHome":
        """Make a witness in an empty home; the key first, so that a crash in between can be repeated.

        Raises:
            WitnessHomeError: there is one already, or the name cannot stand in a signature line.
        """
        if not name or any(one.isspace() or one == "+" or not one.isprintable() for one in name):
            raise WitnessHomeError(
                "A witness's name is empty, or holds a space or a plus sign.",
                remedy="Use such as witness.example.org/w1.",
            )
        if (directory / _NAME).exists():
            raise WitnessHomeError("This home has a witness already.", remedy="Use another directory.")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / _KEY).exists():
            write_private(directory / _KEY, generate_signing_key())
        write_private(directory / _NAME, name.encode() + b"\n")
        return cls(directory)

    @property
    def key(self) -> WitnessKey:
        """The public key that others believe."""
        return WitnessKey(self.name, public_key(self.seed))

    def logs(self) -> dict[str, KnownLog]:
        """Return the logs that the witness knows, by origin."""
        try:
            stored = json.loads((self._directory / _LOGS).read_text(encoding="utf-8"))
            return {one["origin"]: KnownLog(one["origin"], one["verifier_key"], one["url"]) for one in stored}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            raise WitnessHomeError(
                "The witness's list of logs cannot be read.",
                remedy="Restore logs.json, or add the logs anew.",
            ) from None

    def trust(self, verifier_key: str, url: str | None) -> KnownLog:
        """Add a log, or give one another address; a log's key never changes.

        Raises:
            CheckpointError: the verifier key is malformed.
            WitnessHomeError: the log is known under another key.
        """
        log = KnownLog(parse_verifier_key(verifier_key).name, verifier_key.strip(), url)
        with locked(self._directory / ".logs.lock"):
            known = self.logs()
            if log.origin in known and known[log.origin].verifier_key != log.verifier_key:
                raise WitnessHomeError(
                    "This log is known under another key.",
                    remedy="A log whose key was replaced is another log: use a home of its own for it.",
                )
            known[log.origin] = log
            stored = [vars(one) for one in known.values()]
            write_private(self._directory / _LOGS, json.dumps(stored, indent=1).encode(), replace=True)
        return log

    @contextmanager
    def holding(self, log: KnownLog) -> Iterator[None]:
        """Hold a log against every other thread and process of the witness, between comparing and keeping."""
        with locked(self._path(log).with_suffix(".lock")):
            yield

    def last(self, log: KnownLog) -> tuple[Checkpoint, str] | None:
        """Return the last checkpoint that was cosigned, and its note with the log's line alone; None for none.

        Raises:
            WitnessHomeError: what is kept is damaged; vouching from the beginning again could vouch for a fork.
        """
        try:
            note = self._path(log).read_text(encoding="utf-8")
            return open_note(note, log.verifier_key), signed_alone(note, log.verifier_key)
        except FileNotFoundError:
            return None
        except (CheckpointError, UnicodeDecodeError):
            raise WitnessHomeError(
                "The last checkpoint that was cosigned is damaged.", remedy="Restore it from a copy."
            ) from None

    def keep(self, log: KnownLog, note: str) -> None:
        """Keep the checkpoint that is about to be cosigned, durably."""
        write_private(self._path(log), note.encode("utf-8"), replace=True)

    def keep_fork(self, log: KnownLog, first: str, second: str) -> None:
        """Keep two signed checkpoints that exclude each other, unless they are kept, or `MAX_FORKS` others are."""
        content = {
            "v": 1,
            "format": FORMAT,
            "origin": log.origin,
            "first": first,
            "second": second,
        }
        data = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
        of_log = f"fork-{hashlib.sha256(log.origin.encode()).hexdigest()[:16]}"
        path = self._directory / f"{of_log}-{hashlib.sha256(data).hexdigest()[:32]}.json"
        if not path.exists() and len(list(self._directory.glob(f"{of_log}-*.json"))) < MAX_FORKS:
            write_private(path, data, replace=True)

    def _path(self, log: KnownLog) -> Path:
        return self._directory / f"last-{hashlib.sha256(log.origin.encode()).hexdigest()}.note"
