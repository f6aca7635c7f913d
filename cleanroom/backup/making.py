"""Making a backup while the room runs: the database at one instant, and the sealed files that it names."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from cleanroom.backup.errors import BackupBusyError, DamagedBackupError, KeyPolicyError
from cleanroom.backup.key_archive import seal_keys
from cleanroom.backup.repository import Repository, backup_seed, private_file, public_of
from cleanroom.backup.snapshot import Snapshot, head_of, keks_of, live_keks, revision_of, snapshot_of
from cleanroom.backup.types import Manifest, Tell, unheard
from cleanroom.clock import Clock, rfc3339
from cleanroom.ids import new_id
from cleanroom.settings import Settings
from cleanroom.storage import LocalDirectory
from cleanroom.storage.errors import ObjectMissingError
from crypto.errors import CryptoError
from crypto.keys import read_seed
from crypto.sealed import ciphertext_sha256

_TRIES = 3


class _Moved(Exception):  # noqa: N818 - not an error to show: the snapshot is taken anew
    """Keys or files moved since the snapshot was taken."""


def make_backup(
    settings: Settings,
    directory: Path,
    *,
    clock: Clock,
    recipients: tuple[str, ...] = (),
    keys: bool = False,
    tell: Tell = unheard,
) -> Manifest:
    """Back a room up into a repository; it appears whole or not at all, and what is there already is not copied again.

    Args:
        settings: of the room; it may be running.
        directory: the repository, made when it is missing.
        clock: tells the time.
        recipients: to whom the archive of keys is sealed, `age1...`.
        keys: whether to keep the keys too; only sealed.
        tell: how far it is.

    Raises:
        KeyPolicyError: keys without a recipient, or recipients without keys.
        NotARepositoryError: the directory holds something else.
        BackupBusyError: somebody else writes into it, or keys and files moved again and again.
        DamagedBackupError: a sealed file of the room is missing or damaged.
    """
    if keys != bool(recipients):
        raise KeyPolicyError(
            "Keys are kept sealed to a recipient, or not at all.",
            remedy="Use --keys wrapped with --recipient age1..., or --keys none.",
        )
    seed = read_seed(settings.keys_dir / "log.key")
    repository = Repository(directory)
    with repository.writing():
        repository.begin(origin=settings.origin, public=public_of(seed))
        for _ in range(_TRIES):
            try:
                return _try(settings, repository, seed, clock, recipients, tell)
            except _Moved:
                continue
    raise BackupBusyError(
        "Keys were rotated or files went while the backup was made, several times.",
        remedy="Make it again when rotations have ended; if it fails again, look with: cleanroom audit verify.",
    )


def _try(
    settings: Settings,
    repository: Repository,
    seed: bytes,
    clock: Clock,
    recipients: tuple[str, ...],
    tell: Tell,
) -> Manifest:
    earlier = repository.ids()
    made_at = clock.now()
    backup_id = new_id("bk", made_at)
    with (
        repository.adding(backup_id) as partial,
        snapshot_of(settings.database_url, partial) as snapshot,
    ):
        tables = {}
        for name in snapshot.tables():
            tables[name] = repository.put_stream(_counted(snapshot.read(name), name, tell))
        size, head = head_of(snapshot)
        keks = keks_of(snapshot)
        known = repository.files(earlier[-1]) if earlier else iter(())
        digest, files, files_bytes = _files(settings, repository, snapshot, known, partial, tell)
        receipts = repository.put_stream(_counted(_bundled(settings.receipts_dir), "receipts", tell))
        archive = repository.put_stream([seal_keys(settings, recipients)]) if recipients else None
        manifest = Manifest(
            id=backup_id,
            made_at=rfc3339(made_at),
            origin=settings.origin,
            version=version("cleanroom"),
            database=snapshot.kind,
            revision=revision_of(snapshot),
            tables=tables,
            order=tuple(tables),
            columns={name: snapshot.columns(name) for name in tables},
            receipts=receipts,
            keys=archive,
            kek_ids=keks,
            files_sha256=digest,
            files=files,
            files_bytes=files_bytes,
            log_size=size,
            log_head=head,
        )
    # Headers of sealed files are rewritten when a key is rotated: they have to be those of the snapshot.
    if live_keks(settings.database_url) != keks:
        raise _Moved
    repository.finish(partial, manifest, seed=backup_seed(seed))
    return manifest


def _files(
    settings: Settings,
    repository: Repository,
    snapshot: Snapshot,
    known: Iterator[tuple[str, str, int, int]],
    partial: Path,
    tell: Tell,
) -> tuple[str, int, int]:
    """Keep the sealed files of a snapshot; returns the hash of their list, how many, and how many bytes."""
    store, hashed, count, total = LocalDirectory(settings.objects_dir), hashlib.sha256(), 0, 0
    before = next(known, None)
    with private_file(partial / "files.jsonl") as listed:
        for key, ciphertext in snapshot.files():
            # Both lists are in the order of keys: neither is ever held as a whole.
            while before is not None and before[0] < key:
                before = next(known, None)
            same = before if before is not None and before[0] == key else None
            digest, size, changed_ns = _keep(store, repository, key, ciphertext, same)
            line = json.dumps([key, digest, size, changed_ns], separators=(",", ":")).encode() + b"\n"
            hashed.update(line)
            listed.write(line)
            count, total = count + 1, total + size
            tell("files", total, 0)
        listed.flush()
        os.fsync(listed.fileno())
    return hashed.hexdigest(), count, total


def _keep(
    store: LocalDirectory,
    repository: Repository,
    key: str,
    ciphertext: str,
    same: tuple[str, str, int, int] | None,
) -> tuple[str, int, int]:
    try:
        path = store.path(key)
        now = path.stat()
        if same is not None and (now.st_size, now.st_mtime_ns) == same[2:] and repository.holds(*same[1:3]):
            return same[1], same[2], same[3]
        if ciphertext_sha256(path) != ciphertext:
            raise DamagedBackupError(
                f"The sealed file {key} is damaged in the room itself.",
                remedy="Look with: cleanroom audit verify. Put it back from an earlier backup.",
            )
        digest, size = repository.put_file(path)
    except (ObjectMissingError, FileNotFoundError, CryptoError):
        raise _Moved from None
    return digest, size, now.st_mtime_ns


def _bundled(directory: Path) -> Iterator[bytes]:
    """Write a folder of small files as one stream: a line with name and size, then the content."""
    for path in sorted(directory.glob("*.json")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        yield json.dumps([path.name, len(content)]).encode() + b"\n" + content


def _counted(pieces: Iterable[bytes], part: str, tell: Tell) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        tell(part, done, 0)
        yield piece
