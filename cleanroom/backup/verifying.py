"""Reading every block of a backup again and comparing it with its hash; no key is needed."""

from cleanroom.backup.errors import DamagedBackupError
from cleanroom.backup.repository import Repository
from cleanroom.backup.types import Manifest, Tell, unheard


def verify_backup(repository: Repository, manifest: Manifest, *, tell: Tell = unheard) -> None:
    """Check that nothing of a backup is missing or changed.

    Args:
        repository: where it lies.
        manifest: what it is, read with its signature checked.
        tell: how far it is.

    Raises:
        DamagedBackupError: a block is missing, was changed, or has another size.
    """
    done, files, files_bytes = 0, 0, 0
    for stream in manifest.streams:
        size = 0
        for block in repository.read_stream(stream):
            size += len(block)
            tell("verify", done + size, manifest.bytes)
        if size != stream.bytes:
            raise DamagedBackupError("A part of the backup has another size.", remedy="Use another backup.")
        done += size
    for _, digest, size, _ in repository.files(manifest.id):
        if repository.copy_out(digest, None) != size:
            raise DamagedBackupError("A sealed file has another size.", remedy="Use another backup.")
        files, files_bytes, done = files + 1, files_bytes + size, done + size
        tell("verify", done, manifest.bytes)
    if (files, files_bytes) != (manifest.files, manifest.files_bytes):
        raise DamagedBackupError("The list of files is not the manifest's.", remedy="Use another backup.")
