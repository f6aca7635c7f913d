"""The text of a local key file: keys in clear, or each encrypted under a root key that people open together."""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.errors import CryptoError
from crypto.limits import KEY_BYTES
from crypto.shares import KeysSealedError, Seal, ShareError

_PURPOSE = b"cleanroom/keyring/v2\n"
_NONCE_BYTES = 12
RootOf = Callable[[Seal], bytes | None]
"""Knows the root key of a seal; None while nobody has opened it."""


class KeyFileError(CryptoError):
    """The key file is missing, already there, or damaged."""

    code = "crypto.key_file"


@dataclass(frozen=True)
class Entry:
    """A key-encryption key.

    Attributes:
        label: for people.
        key: 32 bytes; None for one that was destroyed.
    """

    label: str
    key: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Lock:
    """What the keys in the file are encrypted under.

    Attributes:
        seal: as it stands in the file.
        root: the key that is sealed.
    """

    seal: Seal
    root: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRing:
    """What a key file holds.

    Attributes:
        entries: by id, oldest first.
        lock: None for a file of keys in clear.
    """

    entries: Mapping[str, Entry]
    lock: Lock | None = None


def encode_ring(ring: KeyRing) -> bytes:
    """Write a key file: version 1 in clear, version 2 under a root key."""
    keys: dict[str, dict[str, str | None]] = {}
    for kek_id, entry in ring.entries.items():
        stored: dict[str, str | None] = {"label": entry.label, "key": None}
        if ring.lock is None:
            stored["check"] = None if entry.key is None else _check(kek_id, entry.key)
        if entry.key is not None:
            plain = entry.key if ring.lock is None else _encrypt(ring.lock, kek_id, entry.key)
            stored["key"] = base64.b64encode(plain).decode()
        keys[kek_id] = stored
    if ring.lock is None:
        return json.dumps({"v": 1, "keys": keys}, indent=1).encode()
    return json.dumps({"v": 2, "root": ring.lock.seal.as_dict(), "keys": keys}, indent=1).encode()


def decode_ring(data: bytes, root_of: RootOf) -> KeyRing:
    """Read a key file.

    Args:
        data: the file.
        root_of: knows root keys, if the file is sealed.

    Raises:
        KeyFileError: it is damaged, or of a later version.
        KeysSealedError: it is sealed, and its root is not known.
    """
    document = _document(data)
    seal = _seal(document)
    if seal is None:
        return KeyRing(_entries(document, None))
    root = root_of(seal)
    if root is None:
        raise KeysSealedError
    lock = Lock(seal, root)
    return KeyRing(_entries(document, lock), lock)


def seal_of(data: bytes) -> Seal | None:
    """Read what seals a key file, without any key; None for one in clear; raises KeyFileError."""
    return _seal(_document(data))


def _document(data: bytes) -> Any:
    try:
        document = json.loads(data)
        version = document["v"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged() from None
    if version not in (1, 2):
        raise KeyFileError(
            "The key file has a version that this release does not know.", remedy="Upgrade first."
        )
    return document


def _seal(document: Any) -> Seal | None:
    if document["v"] == 1:
        return None
    try:
        return Seal.from_dict(document["root"])
    except (ValueError, KeyError, TypeError, AttributeError, ShareError, binascii.Error):
        raise _damaged() from None


def _entries(document: Any, lock: Lock | None) -> dict[str, Entry]:
    entries = {}
    try:
        for kek_id, stored in document["keys"].items():
            if stored["key"] is None:
                entries[kek_id] = Entry(label=stored["label"], key=None)
                continue
            key = base64.b64decode(stored["key"], validate=True)
            if lock is not None:
                key = _decrypt(lock, kek_id, key)
            elif stored["check"] != _check(kek_id, key):
                raise _damaged()
            if len(key) != KEY_BYTES:
                raise _damaged()
            entries[kek_id] = Entry(label=stored["label"], key=key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error, InvalidTag):
        raise _damaged() from None
    return entries


def _damaged() -> KeyFileError:
    return KeyFileError("The key file is damaged.", remedy="Restore it from its backup.")


def _check(kek_id: str, key: bytes) -> str:
    """Tell a damaged key from a good one; a short hash of 256 random bits gives nothing away."""
    return hashlib.sha256(b"cleanroom/kek-check/v1\n" + kek_id.encode() + key).hexdigest()[:16]


def _encrypt(lock: Lock, kek_id: str, key: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(lock.root).encrypt(nonce, key, _bound(lock, kek_id))


def _decrypt(lock: Lock, kek_id: str, data: bytes) -> bytes:
    return AESGCM(lock.root).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(lock, kek_id))


def _bound(lock: Lock, kek_id: str) -> bytes:
    return _PURPOSE + lock.seal.id + kek_id.encode()
