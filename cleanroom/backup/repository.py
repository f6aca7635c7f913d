"""A directory of backups: blocks named by their hash, kept once, and a folder for each backup that appears whole.

repository.json          whose it is, and the public key that signs
blocks/ab/abcd...        sealed files, and pieces of streams
backups/bk_.../          manifest.json, manifest.sig, files.jsonl
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cleanroom.backup.errors import (
    BackupBusyError,
    DamagedBackupError,
    NotARepositoryError,
    UnknownBackupError,
)
from cleanroom.backup.types import Manifest, Stream, manifest_from
from cleanroom.canonical import canonical_json
from crypto.durable import sync_directory, write_private
from crypto.keys import SignatureError, public_key, sign, verify

BLOCK_BYTES = 4 << 20
_PIECE = 1 << 20
_PURPOSE = b"cleanroom/backup-manifest/v1\n"
_PARTIAL = ".partial"


def backup_seed(log_seed: bytes) -> bytes:
    """Return the key that signs backups, from the log's key, which itself signs checkpoints and nothing else."""
    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(log_seed)


class Repository:
    """Blocks and backups in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def begin(self, *, origin: str, public: bytes) -> None:
        """Make the directory if it is missing or empty.

        Raises:
            NotARepositoryError: it holds something else, or another room's backups.
        """
        about = self.directory / "repository.json"
        if not about.exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.name not in ("lock", about.name) for path in self.directory.iterdir()):
                raise NotARepositoryError(
                    "The directory is no repository of backups, and is not empty.",
                    remedy="Name an empty directory, or one that backups were made in.",
                )
            with suppress(FileExistsError):
                write_private(about, canonical_json({"v": 1, "origin": origin, "key": public.hex()}) + b"\n")
        if self.about() != (origin, public):
            raise NotARepositoryError(
                "The repository holds another room's backups.", remedy="Use a directory for each room."
            )
        for name in ("blocks", "backups"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)

    def about(self) -> tuple[str, bytes]:
        """Return whose it is, and the public key that signs; raises NotARepositoryError."""
        try:
            data = json.loads((self.directory / "repository.json").read_bytes())
            return str(data["origin"]), bytes.fromhex(data["key"])
        except (OSError, ValueError, KeyError, TypeError):
            raise NotARepositoryError(
                "The directory is no repository of backups.", remedy="Name the one that backups were made in."
            ) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep others from writing; raises BackupBusyError when somebody does."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupBusyError(
                    "Another process writes into this repository.", remedy="Wait until it has ended."
                ) from None
            yield
        finally:
            os.close(handle)

    def ids(self) -> tuple[str, ...]:
        """Return the backups that are whole, the oldest first."""
        self.about()
        folder = self.directory / "backups"
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
        return tuple(sorted(name for name in names if name.startswith("bk_") and not name.endswith(_PARTIAL)))

    def manifest(self, backup_id: str, *, public: bytes | None = None) -> Manifest:
        """Read what a backup is.

        Args:
            backup_id: which; `latest` for the newest.
            public: the key that must have signed it; the repository's own when not given, which proves only that
                nothing was damaged by accident.

        Raises:
            UnknownBackupError: there is no such backup.
            DamagedBackupError: it was changed, or somebody else has signed it.
        """
        known = self.ids()
        wanted = known[-1] if backup_id == "latest" and known else backup_id
        if wanted not in known:
            raise UnknownBackupError(
                "The repository has no such backup.", remedy="List them: cleanroom backup list"
            )
        folder = self.directory / "backups" / wanted
        try:
            text = (folder / "manifest.json").read_bytes()
            verify(public or self.about()[1], _PURPOSE + text, (folder / "manifest.sig").read_bytes())
            data = json.loads(text)
        except (OSError, ValueError, SignatureError):
            raise DamagedBackupError(
                "The backup's manifest was changed, or is not signed by this room.",
                remedy="Use another backup.",
            ) from None
        manifest = manifest_from(data)
        if manifest.id != wanted or self._files_hash(folder) != manifest.files_sha256:
            raise DamagedBackupError("The backup's list of files was changed.", remedy="Use another backup.")
        return manifest

    def files(self, backup_id: str) -> Iterator[tuple[str, str, int, int]]:
        """Return the sealed files of a backup: key, SHA-256, bytes, and when it was changed last in the room, in ns."""
        return _listed(self.directory / "backups" / backup_id / "files.jsonl")

    @contextmanager
    def adding(self, backup_id: str) -> Iterator[Path]:
        """Prepare the folder of a new backup; what an earlier run left half done goes first."""
        folder = self.directory / "backups"
        for left in folder.glob(f"*{_PARTIAL}"):
            shutil.rmtree(left)
        for left in (self.directory / "blocks").glob(f"*/*{_PARTIAL}"):
            left.unlink(missing_ok=True)
        partial = folder / (backup_id + _PARTIAL)
        partial.mkdir(mode=0o700)
        yield partial

    def finish(self, partial: Path, manifest: Manifest, *, seed: bytes) -> None:
        """Make a backup appear, whole: everything that it names is on the disk by now."""
        text = canonical_json(asdict(manifest))
        write_private(partial / "manifest.json", text)
        write_private(partial / "manifest.sig", sign(seed, _PURPOSE + text))
        sync_directory(partial)
        partial.rename(partial.with_name(manifest.id))
        sync_directory(partial.parent)

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether a block is there with its size; a write that was cut short has another."""
        try:
            return self.place(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, data: bytes) -> str:
        """Keep a block; returns its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        if not self.holds(digest, len(data)):
            with self._new(digest) as file:
                file.write(data)
        return digest

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep a whole file as one block, read once; returns its SHA-256 and size."""
        hashed, size = hashlib.sha256(), 0
        partial = self.directory / "blocks" / f".{os.getpid()}{_PARTIAL}"
        with path.open("rb", buffering=0) as source, private_file(partial) as sink:
            while piece := source.read(_PIECE):
                hashed.update(piece)
                sink.write(piece)
                size += len(piece)
            digest = hashed.hexdigest()
            if self.holds(digest, size):
                partial.unlink()
                return digest, size
            sink.flush()
            os.fsync(sink.fileno())
        self._settle(partial, digest)
        return digest, size

    def put_stream(self, pieces: Iterable[bytes]) -> Stream:
        """Keep a stream in blocks of one size, whatever its pieces."""
        blocks, total, buffer = [], 0, bytearray()
        for piece in pieces:
            buffer += piece
            while len(buffer) >= BLOCK_BYTES:
                blocks.append(self.put(bytes(buffer[:BLOCK_BYTES])))
                total += BLOCK_BYTES
                del buffer[:BLOCK_BYTES]
        if buffer:
            blocks.append(self.put(bytes(buffer)))
            total += len(buffer)
        return Stream(tuple(blocks), total)

    def read_stream(self, stream: Stream) -> Iterator[bytes]:
        """Return the blocks of a stream, each checked before it is handed out; raises DamagedBackupError."""
        for digest in stream.blocks:
            try:
                data = self.place(digest).read_bytes()
            except OSError:
                raise _missing(digest) from None
            if hashlib.sha256(data).hexdigest() != digest:
                raise _changed(digest)
            yield data

    def copy_out(self, digest: str, sink: BinaryIO | None) -> int:
        """Write a block to a file, or nowhere, and check it; returns its size, raises DamagedBackupError."""
        hashed, size = hashlib.sha256(), 0
        try:
            with self.place(digest).open("rb", buffering=0) as source:
                while piece := source.read(_PIECE):
                    hashed.update(piece)
                    size += len(piece)
                    if sink is not None:
                        sink.write(piece)
        except FileNotFoundError:
            raise _missing(digest) from None
        if hashed.hexdigest() != digest:
            raise _changed(digest)
        return size

    def prune(self, keep: int) -> tuple[int, int]:
        """Remove all backups but the newest ones, and the blocks that nobody names any more.

        Args:
            keep: how many stay, at least one.

        Returns:
            How many backups went, and how many bytes.
        """
        ids = self.ids()
        gone, stay = ids[:-keep], ids[-keep:]
        # Read before anything goes: a damaged one that stays must not make its blocks look unused.
        named: set[bytes] = set()
        for backup_id in stay:
            manifest = self.manifest(backup_id)
            named.update(bytes.fromhex(one) for stream in manifest.streams for one in stream.blocks)
            named.update(bytes.fromhex(digest) for _, digest, _, _ in self.files(backup_id))
        for backup_id in gone:
            folder = self.directory / "backups" / backup_id
            hidden = folder.with_name(backup_id + _PARTIAL)
            folder.rename(hidden)
            sync_directory(hidden.parent)
            shutil.rmtree(hidden)
        freed = 0
        for path in (self.directory / "blocks").glob("*/*"):
            if path.name.endswith(_PARTIAL) or bytes.fromhex(path.name) not in named:
                freed += path.stat().st_size
                path.unlink()
        return len(gone), freed

    def place(self, digest: str) -> Path:
        """Return where a block lies."""
        return self.directory / "blocks" / digest[:2] / digest

    @contextmanager
    def _new(self, digest: str) -> Iterator[BinaryIO]:
        partial = self.directory / "blocks" / f".{os.getpid()}{_PARTIAL}"
        with private_file(partial) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        self._settle(partial, digest)

    def _settle(self, partial: Path, digest: str) -> None:
        place = self.place(digest)
        if not place.parent.exists():
            place.parent.mkdir(mode=0o700)
            sync_directory(place.parent.parent)
        partial.replace(place)
        sync_directory(place.parent)

    @staticmethod
    def _files_hash(folder: Path) -> str:
        with (folder / "files.jsonl").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def public_of(log_seed: bytes) -> bytes:
    """Return the public key that verifies backups of the room whose log this key signs."""
    return public_key(backup_seed(log_seed))


def private_file(path: Path) -> BinaryIO:
    """Open a new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _listed(path: Path) -> Iterator[tuple[str, str, int, int]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            key, digest, size, changed_ns = json.loads(line)
            yield str(key), str(digest), int(size), int(changed_ns)


def _missing(digest: str) -> DamagedBackupError:
    return DamagedBackupError(f"The block {digest[:16]} is missing.", remedy="Use another backup.")


def _changed(digest: str) -> DamagedBackupError:
    return DamagedBackupError(f"The block {digest[:16]} was changed.", remedy="Use another backup.")
