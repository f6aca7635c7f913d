"""What holds people back, written down outside the database before it is answered: no restored backup forgets it.

A batch is kept as it was submitted, encrypted to the workspaces that it concerns: it is taken again whatever version
of the data, and of the token key, a backup has. A note says that a version was published: the consents in it are lost
with it. What a batch says is in `mirrored`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cleanroom.canonical import canonical_json
from cleanroom.clock import rfc3339
from cleanroom.consent.errors import MirrorError
from crypto.durable import locked, sync_directory, write_private
from crypto.limits import DIGEST_BYTES
from crypto.small_age import SmallAgeError, open_small, seal_small

_VERSION = 1
_ABOUT = "mirror.json"
_BATCH, _VERSION_NOTE = ".age", ".version"
_ID = re.compile(r"[a-z]{2,4}_[0-9a-f]{32}")


@dataclass(frozen=True)
class Sheet:
    """What is written down of a batch.

    Attributes:
        says: plain data.
        digests: n x 32 bytes each, in an order that `says` explains.
    """

    says: Mapping[str, Any]
    digests: tuple[bytes, ...]


class Mirror:
    """A directory with a folder for each dataset and each organisation; all processes of a room share it."""

    def __init__(self, directory: Path, origin: str) -> None:
        self._directory = directory
        self._origin = origin

    def begin(self, now: datetime) -> None:
        """Make the directory, and note since when it is complete; one that is there stays as it is."""
        if (self._directory / _ABOUT).exists():
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            write_private(
                self._directory / _ABOUT,
                canonical_json({"v": _VERSION, "origin": self._origin, "since": rfc3339(now)}) + b"\n",
            )

    def since(self) -> datetime:
        """Return since when everything that holds people of the room back was written down here, and is.

        Raises:
            MirrorError: this is no mirror, or another room's.
        """
        return self._about()[0]

    def thinned(self) -> str | None:
        """Return the signed head of the log whose events' batches were removed; None when none was.

        Raises:
            MirrorError: this is no mirror, or another room's.
        """
        return self._about()[1]

    @contextmanager
    def thinning(self) -> Iterator[None]:
        """Keep others from removing batches meanwhile; taking new ones goes on."""
        with locked(self._directory / "lock"):
            yield

    def note_thinned(self, head: str, since: datetime) -> None:
        """Note, durably, that the mirror is whole only for what continues a head of the log; before anything goes.

        Args:
            head: the signed head.
            since: when the last event under it was recorded, for rooms that know of no heads here.
        """
        about = {
            "v": _VERSION,
            "origin": self._origin,
            "since": rfc3339(max(self.since(), since)),
            "thinned": head,
        }
        write_private(self._directory / _ABOUT, canonical_json(about) + b"\n", replace=True)

    def files(self) -> Iterator[tuple[str, str]]:
        """Return all batches and noted versions: the folder's id, and the file's name, which begins with its own id."""
        for folder in self._folders():
            for path in sorted(folder.iterdir()):
                if path.suffix in (_BATCH, _VERSION_NOTE) and _ID.fullmatch(path.stem):
                    yield folder.name, path.name

    def remove(self, owner_id: str, name: str) -> int:
        """Remove a batch or a noted version, after `note_thinned`; returns how many bytes it had."""
        path = self._directory / owner_id / name
        size = path.stat().st_size
        path.unlink()
        return size

    def keep(self, owner_id: str, batch_id: str, sheet: Sheet, *, recipients: Sequence[str]) -> None:
        """Write a batch down, durably; one that is there already stays.

        Args:
            owner_id: the dataset, or the organisation, that it is for.
            batch_id: names it.
            sheet: what it says.
            recipients: of the workspaces that it concerns, `age1...`.
        """
        head = {
            "v": _VERSION,
            "owner_id": owner_id,
            "batch_id": batch_id,
            "says": sheet.says,
            "counts": [len(one) // DIGEST_BYTES for one in sheet.digests],
        }
        # Texts come back as they were: canonical JSON would bring them to one form of Unicode.
        plain = json.dumps(head, sort_keys=True).encode() + b"\n" + b"".join(sheet.digests)
        self._write(owner_id, batch_id + _BATCH, seal_small(plain, recipients))

    def note_version(self, dataset_id: str, version_id: str) -> None:
        """Note that a version is about to be published."""
        self._write(dataset_id, version_id + _VERSION_NOTE, b"")

    def batches(self, owner_id: str) -> Iterator[str]:
        """Return the ids of the batches of a dataset or an organisation, of each kind in the order of arrival."""
        yield from self._ids(owner_id, _BATCH)

    def versions(self, dataset_id: str) -> frozenset[str]:
        """Return the versions of a dataset that were about to be published."""
        return frozenset(self._ids(dataset_id, _VERSION_NOTE))

    def sheet(self, owner_id: str, batch_id: str, *, identities: Sequence[str]) -> Sheet:
        """Open a batch with an identity of any workspace that it concerns.

        Raises:
            MirrorError: it is damaged, another one stands under its name, or another version of the room wrote it.
            SmallAgeError: none of the identities opens it, or it was changed.
        """
        try:
            plain = _opened((self._directory / owner_id / (batch_id + _BATCH)).read_bytes(), identities)
            first, _, digests = plain.partition(b"\n")
            head, place, parts = json.loads(first), 0, []
            if head["v"] != _VERSION:
                raise _of_another_version(batch_id)
            for count in head["counts"]:
                end = place + int(count) * DIGEST_BYTES
                parts.append(digests[place:end])
                place = end
            says = head["says"]
            whole = place == len(digests) and (head["owner_id"], head["batch_id"]) == (owner_id, batch_id)
        except (ValueError, KeyError, TypeError, OSError):
            whole = False
        if not whole:
            raise MirrorError(
                f"The mirrored batch {batch_id} is damaged.",
                remedy="Take it from another copy of the mirror, or reconcile without it.",
            )
        return Sheet(says, tuple(parts))

    def _folders(self) -> list[Path]:
        return [
            path for path in sorted(self._directory.iterdir()) if path.is_dir() and _ID.fullmatch(path.name)
        ]

    def _about(self) -> tuple[datetime, str | None]:
        try:
            about = json.loads((self._directory / _ABOUT).read_bytes())
            known = (about["v"], about["origin"]) == (_VERSION, self._origin)
            since, head = datetime.fromisoformat(about["since"]), about.get("thinned")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise MirrorError(
                "This directory is no mirror of this room's withdrawals.",
                remedy="Name the directory that CLEANROOM_MIRROR_DIR named before the loss.",
            )
        return since, None if head is None else str(head)

    def _ids(self, owner_id: str, ending: str) -> Iterator[str]:
        folder = self._directory / owner_id
        for path in sorted(folder.glob(f"*{ending}")):
            if _ID.fullmatch(path.stem):
                yield path.stem

    def _write(self, owner_id: str, name: str, content: bytes) -> None:
        folder = self._directory / owner_id
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._directory)
        with suppress(FileExistsError):
            write_private(folder / name, content)


def _of_another_version(batch_id: str) -> MirrorError:
    return MirrorError(
        f"The mirrored batch {batch_id} is of another version.",
        remedy="Reconcile with the version of the room that wrote it.",
    )


def _opened(sealed: bytes, identities: Sequence[str]) -> bytes:
    for identity in identities[:-1]:
        with suppress(SmallAgeError):
            return open_small(sealed, identity)
    return open_small(sealed, identities[-1])
