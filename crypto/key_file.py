"""The local key file: the embedded default for key-encryption keys."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.durable import locked, replace_erasing, write_private
from crypto.errors import CryptoError, KeyDestroyedError, UnknownKeyError, UnwrapError
from crypto.key_file_format import Entry, KeyFileError, KeyRing, RootOf, decode_ring, encode_ring, seal_of
from crypto.key_file_format import Lock as RootLock
from crypto.limits import KEY_BYTES, MAX_KEY_FILE_BYTES, MAX_LABEL_BYTES, MAX_WRAP_PLAINTEXT_BYTES, TAG_BYTES
from crypto.shares import Seal

PREFIX = "kek_"
"""What the ids of these keys begin with."""
_PURPOSE = b"cleanroom/kek-wrap/v1\n"
_FORMAT = b"\x01"
_NONCE_BYTES = 12
FileStamp = tuple[int, int, int]
_Read = TypeVar("_Read")


class KeyFileExposedError(CryptoError):
    """Others than the owner can reach the key file."""

    code = "crypto.key_file_exposed"


class LocalKeyFile:
    """A `KeyProvider` over one JSON file that only its owner can read.

    Several processes may share it: changes take a lock and replace the file atomically, and every use notices
    a replaced file, so a key that one process destroys is gone for all. Its keys lie there in clear, or under a root
    key that is never written anywhere: people open it together with their shares.
    """

    def __init__(self, path: Path, root_of: RootOf = lambda _seal: None) -> None:
        self._path = path
        self._root_of = root_of
        self._guard = Lock()
        self._stamp: FileStamp | None = None
        self._ring = KeyRing({})
        self._load()

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty key file, and its directory when that is missing.

        Raises:
            KeyFileError: the file is already there.
            KeyFileExposedError: the directory can be reached by others.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(path.parent, "700")
        try:
            write_private(path, encode_ring(KeyRing({})))
        except FileExistsError:
            raise KeyFileError(
                "The key file is already there.", remedy="Open it instead of creating it."
            ) from None
        return cls(path)

    @classmethod
    def open(cls, path: Path, *, root_of: RootOf = lambda _seal: None) -> Self:
        """Open a key file.

        Args:
            path: of the file.
            root_of: knows the root key of a file that is sealed, from the moment on that somebody opened it.

        Raises:
            KeyFileError: it is missing or damaged.
            KeyFileExposedError: it or its directory can be reached by others.
            KeysSealedError: it is sealed, and its root key is not known.
        """
        return cls(path, root_of)

    @property
    def lock(self) -> RootLock | None:
        """What the keys are encrypted under; None for a file in clear."""
        with self._guard:
            self._load()
            return self._ring.lock

    def relock(self, lock: RootLock | None) -> None:
        """Encrypt the keys under another root key, or write them in clear; the old content is overwritten."""
        with self._changing(lock, keep=False):
            pass

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        require_label(label)
        kek_id = f"{PREFIX}{os.urandom(16).hex()}"
        with self._changing() as entries:
            entries[kek_id] = Entry(label=label, key=os.urandom(KEY_BYTES))
        return kek_id

    def wrap(self, kek_id: str, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key with AES-256-GCM under a random nonce, bound to the key's id and the context.

        Args:
            kek_id: which key-encryption key.
            key: what to encrypt, 1 to 4096 bytes.
            context: public bytes that must be given again to unwrap.

        Returns:
            `key` plus 29 bytes.
        """
        require_wrappable(key)
        nonce = os.urandom(_NONCE_BYTES)
        return (
            _FORMAT
            + nonce
            + AESGCM(self._key(kek_id)).encrypt(nonce, key, bound_to(_PURPOSE, kek_id, context))
        )

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        key = self._key(kek_id)
        if wrapped[:1] != _FORMAT or len(wrapped) < len(_FORMAT) + _NONCE_BYTES + TAG_BYTES:
            raise UnwrapError("The wrapped key does not have the local key file's format.")
        nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, bound_to(_PURPOSE, kek_id, context))
        except InvalidTag:
            raise UnwrapError("The wrapped key is damaged, or belongs to another key or context.") from None

    def rewrap(self, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Move a wrapped key from one key-encryption key to another, same context."""
        return self.wrap(new, self.unwrap(old, wrapped, context=context), context=context)

    def destroy(self, kek_id: str) -> None:
        """Destroy a key: its bytes are overwritten on disk and only its id and label stay."""
        with self._changing() as entries:
            if kek_id not in entries:
                raise UnknownKeyError("The key file holds no key of this id.")
            entries[kek_id] = Entry(label=entries[kek_id].label, key=None)

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, oldest first."""
        with self._guard:
            self._load()
            return tuple(kek_id for kek_id, entry in self._ring.entries.items() if entry.key is not None)

    def check(self) -> None:
        """Raise when the file is missing, damaged or within reach of others."""
        with self._guard:
            self._load()

    def _key(self, kek_id: str) -> bytes:
        with self._guard:
            self._load()
            entry = self._ring.entries.get(kek_id)
        if entry is None:
            raise UnknownKeyError(
                "The key file holds no key of this id.", remedy="Restore the room's own key file."
            )
        if entry.key is None:
            raise KeyDestroyedError("The key was destroyed; what it protected cannot be opened again.")
        return entry.key

    def _load(self) -> None:
        """Read the file again when it was replaced since the last time."""
        require_private(self._path.parent, "700")
        require_private(self._path, "600")
        found = read_whole(self._path, lambda data: decode_ring(data, self._root), known=self._stamp)
        if found is not None:
            self._stamp, self._ring = found

    def _root(self, seal: Seal) -> bytes | None:
        known = self._ring.lock
        return known.root if known is not None and known.seal.id == seal.id else self._root_of(seal)

    @contextmanager
    def _changing(self, lock: RootLock | None = None, *, keep: bool = True) -> Iterator[dict[str, Entry]]:
        with self._guard, locked(self._path.with_name(self._path.name + ".lock")):
            self._load()
            entries = dict(self._ring.entries)
            yield entries
            changed = KeyRing(entries, self._ring.lock if keep else lock)
            replace_erasing(self._path, encode_ring(changed))
            # What this process has just written it need not be told how to open.
            self._ring = changed
            self._load()


def read_seal(path: Path) -> Seal | None:
    """Read what seals a key file, without any key; None for one in clear; raises KeyFileError."""
    require_private(path, "600")
    found = read_whole(path, seal_of)
    return found[1] if found is not None else None


def read_whole(
    path: Path,
    decode: Callable[[bytes], _Read],
    *,
    known: FileStamp | None = None,
    limit: int = MAX_KEY_FILE_BYTES,
    damaged: type[Exception] = KeyFileError,
) -> tuple[FileStamp, _Read] | None:
    """Read a file of keys that others may replace, which overwrites the one before, perhaps while it is read here.

    Args:
        path: of the file.
        decode: reads its bytes.
        known: the stamp of the file that was read before.
        limit: how many bytes it may have; one more is read, for `decode` to refuse.
        damaged: what `decode` raises when the bytes are no such file.

    Returns:
        The file's stamp and what it says; None when it is the one that is known.

    Raises:
        `damaged`: it is, and not because another has taken its place.
    """
    while True:
        with path.open("rb") as file:
            stamp = file_stamp(os.fstat(file.fileno()))
            if stamp == known:
                return None
            data = file.read(limit + 1)
        try:
            return stamp, decode(data)
        except damaged:
            if file_stamp(path.stat()) == stamp:
                raise


def bound_to(purpose: bytes, kek_id: str, context: bytes) -> bytes:
    """Return what a wrapped key is bound to: purpose, key and context, so that no two share their bytes."""
    named = kek_id.encode()
    return purpose + len(named).to_bytes(2) + named + context


def require_label(label: str) -> None:
    """Refuse a key's label that is too long; raises KeyFileError."""
    if len(label.encode()) > MAX_LABEL_BYTES:
        raise KeyFileError(f"A key's label has at most {MAX_LABEL_BYTES} bytes.")


def require_wrappable(key: bytes) -> None:
    """Refuse what is too short or too long to be a key; raises KeyFileError."""
    if not 1 <= len(key) <= MAX_WRAP_PLAINTEXT_BYTES:
        raise KeyFileError(f"A key to wrap has 1 to {MAX_WRAP_PLAINTEXT_BYTES} bytes.")


def file_stamp(status: os.stat_result) -> FileStamp:
    """Return what changes whenever a file is replaced by another."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def require_private(path: Path, mode: str) -> os.stat_result:
    """Refuse a file or directory of keys that others can reach.

    Args:
        path: of the file or directory.
        mode: what it should have, for the remedy.

    Returns:
        Its status.

    Raises:
        KeyFileError: it is missing.
        KeyFileExposedError: others than the owner can reach it.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise KeyFileError(
            "The key file is missing.", remedy="Restore it from its backup, or create one."
        ) from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyFileExposedError(
            f"Others than the owner can reach the key {'directory' if path.is_dir() else 'file'}.",
            remedy=f"Run: chmod {mode} {path.name}, and consider its keys known to those others.",
        )
    return status


def read_seed(path: Path) -> bytes:
    """Read the seed of a signing key that a file of its own holds.

    Args:
        path: of the file, which is nothing but the seed.

    Returns:
        32 bytes.

    Raises:
        KeyFileError: it is missing, or not of this length.
        KeyFileExposedError: others than the owner can reach it.
    """
    require_private(path, "600")
    seed = path.read_bytes()
    if len(seed) != KEY_BYTES:
        raise KeyFileError(
            f"The key file {path.name} is damaged.", remedy="Restore it from the backup of the keys."
        )
    return seed
