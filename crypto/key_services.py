"""Key services outside this process: what they may answer instead of a key, and a memory of keys destroyed there."""

from pathlib import Path

from crypto.durable import locked, write_private
from crypto.errors import CryptoError, KeyDestroyedError, UnknownKeyError
from crypto.key_file import require_private


class KeyServiceMissingError(CryptoError):
    """What talks to the key service is not installed, or is not what it should be."""

    code = "crypto.key_service_missing"


class KeyServiceUnavailableError(CryptoError):
    """The key service does not answer now; the keys are where they were."""

    code = "crypto.key_service_unavailable"


class KeyServiceRefusedError(CryptoError):
    """The key service does not let this room in."""

    code = "crypto.key_service_refused"


class DestroyedKeys:
    """Ids of keys that were destroyed in a service which itself forgets that it ever had them.

    Without it a key that is gone on purpose looks like one of another service, and the other way round: a shredding
    that went to the wrong service would look done. One id a line; nothing in it is secret.
    """

    def __init__(self, path: Path) -> None:
        """Remember in a file.

        Args:
            path: of the file, made with the first id; its directory is there and its owner's alone.
        """
        self._path = path

    def add(self, kek_id: str) -> None:
        """Remember an id, durably, before the key goes."""
        require_private(self._path.parent, "700")
        with locked(self._path.with_name(self._path.name + ".lock")):
            known = self._read()
            if kek_id not in known:
                write_private(
                    self._path, "".join(f"{one}\n" for one in (*known, kek_id)).encode(), replace=True
                )

    def __contains__(self, kek_id: str) -> bool:
        return kek_id in self._read()

    def missing(self, kek_id: str) -> CryptoError:
        """Return the error of a key that the service does not have."""
        if kek_id in self:
            return KeyDestroyedError("The key was destroyed; what it protected cannot be opened again.")
        return UnknownKeyError(
            "The key service holds no key of this id.",
            remedy="Name the service, and the token, that made it.",
        )

    def _read(self) -> list[str]:
        try:
            return self._path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
