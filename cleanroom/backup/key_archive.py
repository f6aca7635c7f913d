"""The room's key files in one sealed archive: to recipients alone, so that a backup by itself opens nothing."""

import base64
import json
from pathlib import Path

from cleanroom.backup.errors import DamagedBackupError
from cleanroom.canonical import canonical_json
from cleanroom.settings import Settings
from crypto.durable import sync_directory, write_private
from crypto.small_age import open_small, seal_small

MARKER = "room"
SEED_BYTES = 32


def seal_keys(settings: Settings, recipients: tuple[str, ...]) -> bytes:
    """Seal every key file, but not what the room remembers beside them: that must never be older than the database.

    Args:
        settings: of the room.
        recipients: `age1...`; each opens it alone.
    """
    left_out = {settings.head_path, settings.allocations_path}
    files = {
        path.name: base64.b64encode(path.read_bytes()).decode("ascii")
        for path in sorted(settings.keys_dir.iterdir())
        if path.is_file()
        and path not in left_out
        and not path.name.startswith(".")
        and path.suffix != ".lock"
    }
    return seal_small(canonical_json({"v": 1, "files": files}), recipients)


def put_keys_back(sealed: bytes, identity: str, directory: Path) -> None:
    """Write the key files of an archive into an empty directory; the marker of a whole room comes last.

    Raises:
        SmallAgeError: it is sealed to others.
        DamagedBackupError: it holds no key files.
    """
    files = _files_of(sealed, identity)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in sorted(files, key=lambda one: (one == MARKER, one)):
        if Path(name).name != name:
            raise DamagedBackupError("The archive of keys names a file elsewhere.")
        write_private(directory / name, files[name])
    sync_directory(directory.parent)


def log_seed_of(sealed: bytes, identity: str) -> bytes:
    """Return the key of the log out of an archive; raises as `put_keys_back`."""
    seed = _files_of(sealed, identity).get("log.key", b"")
    if len(seed) != SEED_BYTES:
        raise DamagedBackupError("The archive of keys has no key of the log.")
    return seed


def _files_of(sealed: bytes, identity: str) -> dict[str, bytes]:
    plain = open_small(sealed, identity)
    try:
        return {str(name): base64.b64decode(text) for name, text in json.loads(plain)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedBackupError("The archive of keys cannot be read.") from None
