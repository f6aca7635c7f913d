"""The keys that sign access tokens: one file that only its owner can read, shared by the room's processes."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from cleanroom.access.errors import TokenKeysError
from cleanroom.clock import rfc3339
from crypto.durable import locked, replace_erasing, write_private
from crypto.key_file import FileStamp, file_stamp, read_whole, require_private

CURVE = "P-256"
# Longer than any token may live, so that what the old key signed ends before the key does.
DEFAULT_OVERLAP = timedelta(hours=2)
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class _TokenKey:
    key: ECKey
    created_at: datetime
    # None for the one that signs.
    retires_at: datetime | None

    @cached_property
    def kid(self) -> str:
        return self.key.thumbprint()

    def valid(self, at: datetime) -> bool:
        return self.retires_at is None or at < self.retires_at


class TokenKeys:
    """ES256 keys: one signs, those before it verify until they retire.

    Every use notices a file that another process replaced, so a rotation needs no restart.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys.

        Raises:
            TokenKeysError: the file is damaged.
            KeyFileError: it is missing.
            KeyFileExposedError: it or its directory can be reached by others.
        """
        self._path = path
        self._guard = Lock()
        self._stamp: FileStamp | None = None
        self._keys: tuple[_TokenKey, ...] = ()
        self._load()

    @classmethod
    def open_or_create(cls, path: Path, now: datetime) -> Self:
        """Read the keys, made when there are none: nothing is lost with them but tokens of minutes.

        Raises:
            TokenKeysError, KeyFileExposedError: as for reading.
        """
        if not path.exists():
            with suppress(FileExistsError):
                return cls.create(path, now)
        return cls(path)

    @classmethod
    def create(cls, path: Path, now: datetime) -> Self:
        """Make a file with one key; raises FileExistsError when there is a file."""
        write_private(path, _encode((_new_key(now),)))
        return cls(path)

    def signing_key(self) -> tuple[str, ECKey]:
        """Return the key that signs now, with its id."""
        newest = self._current()[-1]
        return newest.kid, newest.key

    def verifying_key(self, kid: str, now: datetime) -> ECKey | None:
        """Return a key that verifies now; None when no such key does."""
        return next((key.key for key in self._current() if key.kid == kid and key.valid(now)), None)

    def verifies(self, key: ECKey, now: datetime) -> bool:
        """Tell whether a key that was returned before still verifies; not after the file was read anew."""
        return any(known.key is key and known.valid(now) for known in self._current())

    def public_set(self, now: datetime) -> dict[str, Any]:
        """Return the JWKS of all keys that verify now, the one that signs first (RFC 7517)."""
        valid = [key for key in reversed(self._current()) if key.valid(now)]
        return {
            "keys": [
                dict(key.key.as_dict(private=False, kid=key.kid, use="sig", alg="ES256")) for key in valid
            ]
        }

    def rotate(self, now: datetime, *, overlap: timedelta = DEFAULT_OVERLAP) -> str:
        """Sign with a new key from now on; what the old one signed stays good for the overlap.

        Args:
            now: the instant.
            overlap: how long older keys still verify; zero ends every token at once.

        Returns:
            The new key's id.
        """
        with self._guard, locked(self._path.with_name(self._path.name + ".lock")):
            self._load()
            kept = tuple(
                _TokenKey(key.key, key.created_at, min(key.retires_at or now + overlap, now + overlap))
                for key in self._keys
                if key.valid(now)
            )
            added = _new_key(now)
            replace_erasing(self._path, _encode((*(key for key in kept if key.valid(now)), added)))
            self._load()
        return added.kid

    def _current(self) -> tuple[_TokenKey, ...]:
        with self._guard:
            self._load()
            return self._keys

    def _load(self) -> None:
        require_private(self._path.parent, "700")
        if file_stamp(require_private(self._path, "600")) == self._stamp:
            return
        found = read_whole(
            self._path, _decode, known=self._stamp, limit=_MAX_FILE_BYTES, damaged=TokenKeysError
        )
        if found is not None:
            self._stamp, self._keys = found


def _new_key(now: datetime) -> _TokenKey:
    return _TokenKey(ECKey.generate_key(CURVE), now, None)


def _encode(keys: tuple[_TokenKey, ...]) -> bytes:
    stored = [
        {
            "created_at": rfc3339(key.created_at),
            "retires_at": rfc3339(key.retires_at) if key.retires_at else None,
            "jwk": key.key.as_dict(private=True),
        }
        for key in keys
    ]
    return json.dumps({"v": 1, "keys": stored}, indent=1).encode()


def _decode(data: bytes) -> tuple[_TokenKey, ...]:
    damaged = TokenKeysError(
        "The file keys/tokens.json is damaged.",
        remedy="Restore it from its backup, or remove it: tokens end.",
    )
    try:
        document: Any = json.loads(data)
        if document["v"] != 1:
            raise TokenKeysError(
                "The file keys/tokens.json has a version that this release does not know.",
                remedy="Upgrade first.",
            )
        keys = tuple(
            _TokenKey(
                ECKey.import_key(stored["jwk"]),
                _instant(stored["created_at"]),
                _instant(stored["retires_at"]) if stored["retires_at"] else None,
            )
            for stored in document["keys"]
        )
    except (ValueError, KeyError, TypeError, JoseError):
        raise damaged from None
    if not keys or keys[-1].retires_at is not None or not all(_usable(key.key) for key in keys):
        raise damaged
    return keys


def _usable(key: ECKey) -> bool:
    return key.is_private and key.curve_name == CURVE


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
