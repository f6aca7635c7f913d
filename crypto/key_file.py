"""The local key file: the embedded default for key-encryption keys."""

import base64
import binascii
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.durable import locked, replace_erasing, write_private
from crypto.errors import CryptoError, KeyDestroyedError, UnknownKeyError, UnwrapError
from crypto.limits import KEY_BYTES, MAX_KEY_FILE_BYTES, MAX_LABEL_BYTES, MAX_WRAP_PLAINTEXT_BYTES, TAG_BYTES

_PURPOSE = b"cleanroom/kek-wrap/v1\n"
_FORMAT = b"\x01"
_NONCE_BYTES = 12
FileStamp = tuple[int, int, int]


class KeyFileExposedError(CryptoError):
    """Others than the owner can reach the key file."""

    code = "crypto.key_file_exposed"


class KeyFileError(CryptoError):
    """The key file is missing, already there, or damaged."""

    code = "crypto.key_file"


@dataclass(frozen=True)
class _Entry:
    label: str
    key: bytes | None


class LocalKeyFile:
    """A `KeyProvider` over one JSON file that only its owner can read.

    Several processes may share it: changes take a lock and replace the file atomically, and every use notices
    a replaced file, so a key that one process destroys is gone for all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = Lock()
        self._stamp: FileStamp | None = None
        self._entries: dict[str, _Entry] = {}
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
            write_private(path, _encode({}))
        except FileExistsError:
            raise KeyFileError(
                "The key file is already there.", remedy="Open it instead of creating it."
            ) from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a key file.

        Raises:
            KeyFileError: it is missing or damaged.
            KeyFileExposedError: it or its directory can be reached by others.
        """
        return cls(path)

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        if len(label.encode()) > MAX_LABEL_BYTES:
            raise KeyFileError(f"A key's label has at most {MAX_LABEL_BYTES} bytes.")
        kek_id = f"kek_{os.urandom(16).hex()}"
        with self._changing() as entries:
            entries[kek_id] = _Entry(label=label, key=os.urandom(KEY_BYTES))
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
        if not 1 <= len(key) <= MAX_WRAP_PLAINTEXT_BYTES:
            raise KeyFileError(f"A key to wrap has 1 to {MAX_WRAP_PLAINTEXT_BYTES} bytes.")
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + AESGCM(self._key(kek_id)).encrypt(nonce, key, _associated(kek_id, context))

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        key = self._key(kek_id)
        if wrapped[:1] != _FORMAT or len(wrapped) < len(_FORMAT) + _NONCE_BYTES + TAG_BYTES:
            raise UnwrapError("The wrapped key does not have the local key file's format.")
        nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, sealed, _associated(kek_id, context))
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
            entries[kek_id] = _Entry(label=entries[kek_id].label, key=None)

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, oldest first."""
        with self._guard:
            self._load()
            return tuple(kek_id for kek_id, entry in self._entries.items() if entry.key is not None)

    def _key(self, kek_id: str) -> bytes:
        with self._guard:
            self._load()
            entry = self._entries.get(kek_id)
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
        with self._path.open("rb") as file:
            stamp = file_stamp(os.fstat(file.fileno()))
            if stamp == self._stamp:
                return
            self._entries = _decode(file.read(MAX_KEY_FILE_BYTES + 1))
        self._stamp = stamp

    @contextmanager
    def _changing(self) -> Iterator[dict[str, _Entry]]:
        with self._guard, locked(self._path.with_name(self._path.name + ".lock")):
            self._load()
            entries = dict(self._entries)
            yield entries
            replace_erasing(self._path, _encode(entries))
            self._load()


def _associated(kek_id: str, context: bytes) -> bytes:
    named = kek_id.encode()
    return _PURPOSE + len(named).to_bytes(2) + named + context


def _check(kek_id: str, key: bytes) -> str:
    """Tell a damaged key from a good one; a short hash of 256 random bits gives nothing away."""
    return hashlib.sha256(b"cleanroom/kek-check/v1\n" + kek_id.encode() + key).hexdigest()[:16]


def _encode(entries: dict[str, _Entry]) -> bytes:
    keys: dict[str, dict[str, str | None]] = {}
    for kek_id, entry in entries.items():
        if entry.key is None:
            keys[kek_id] = {"label": entry.label, "key": None, "check": None}
        else:
            key = base64.b64encode(entry.key).decode()
            keys[kek_id] = {"label": entry.label, "key": key, "check": _check(kek_id, entry.key)}
    return json.dumps({"v": 1, "keys": keys}, indent=1).encode()


def _decode(data: bytes) -> dict[str, _Entry]:
    damaged = KeyFileError("The key file is damaged.", remedy="Restore it from its backup.")
    try:
        document: Any = json.loads(data)
        if document["v"] != 1:
            raise KeyFileError(
                "The key file has a version that this release does not know.", remedy="Upgrade first."
            )
        entries = {}
        for kek_id, stored in document["keys"].items():
            if stored["key"] is None:
                entries[kek_id] = _Entry(label=stored["label"], key=None)
                continue
            key = base64.b64decode(stored["key"], validate=True)
            if len(key) != KEY_BYTES or stored["check"] != _check(kek_id, key):
                raise damaged
            entries[kek_id] = _Entry(label=stored["label"], key=key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise damaged from None
    return entries


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
