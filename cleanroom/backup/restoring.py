"""Putting a backup back into an empty database; what comes of it answers nothing until it is reconciled."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, inspect

from cleanroom.audit.reading import sqlite_path
from cleanroom.audit.verify import verify_log
from cleanroom.backup.errors import DamagedBackupError, KeyPolicyError, NotEmptyError
from cleanroom.backup.key_archive import MARKER, log_seed_of, put_keys_back
from cleanroom.backup.repository import Repository, public_of
from cleanroom.backup.snapshot import quoted
from cleanroom.backup.types import Manifest, Tell, unheard
from cleanroom.backup.verifying import verify_backup
from cleanroom.db.migrate import upgrade_within
from cleanroom.settings import Settings
from cleanroom.storage import LocalDirectory
from cleanroom.storage.errors import ObjectMissingError
from crypto.checkpoint import verifier_key
from crypto.durable import sync_directory, write_private
from crypto.errors import CryptoError
from crypto.keys import LocalKeyFile, public_key, read_seed
from crypto.sealed import ciphertext_sha256


def restore_backup(
    settings: Settings,
    directory: Path,
    backup_id: str,
    *,
    identity: str | None = None,
    tell: Tell = unheard,
) -> Manifest:
    """Put a backup back: everything of it is checked before anything is written.

    The database has to be empty. Keys, sealed files and receipts that have outlived the loss stay as they are. The mark
    of a restored room is set first and the keys come last, so that a crash anywhere leaves no room that works.

    Args:
        settings: of the home and the database to put it back into.
        directory: the repository.
        backup_id: which; `latest` for the newest.
        identity: opens the archive of keys, `AGE-SECRET-KEY-1...`; not needed where the home has its keys.
        tell: how far it is.

    Raises:
        UnknownBackupError: there is no such backup.
        DamagedBackupError: a part of it is missing or was changed, or this room has not signed it.
        KeyPolicyError: the home has no keys, or not those that open the files, and the backup's are not opened.
        NotEmptyError: there is a room in the database, or the backup is of the other kind of database.
    """
    repository = Repository(directory)
    sealed, seed = _keys(settings, repository, repository.manifest(backup_id), identity)
    manifest = repository.manifest(backup_id, public=public_of(seed))
    _require_empty(settings, manifest)
    verify_backup(repository, manifest, tell=tell)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(settings.restored_path, b"1\n", replace=True)
    _put_files(settings, repository, manifest, tell)
    _put_receipts(settings, repository, manifest)
    path = sqlite_path(settings.database_url)
    if path is not None:
        _put_sqlite(path, repository, manifest, tell)
    else:
        _put_postgresql(settings.database_url, repository, manifest, tell)
    report = verify_log(settings.database_url, verifier_key=verifier_key(settings.origin, public_key(seed)))
    if not report.ok or report.events != manifest.log_size:
        raise DamagedBackupError(
            "The log of the database that was put back does not verify.",
            remedy="Look with: cleanroom audit verify. Put another backup back into an empty database.",
        )
    if sealed is not None and identity is not None:
        put_keys_back(sealed, identity, settings.keys_dir)
    return manifest


def _keys(
    settings: Settings, repository: Repository, manifest: Manifest, identity: str | None
) -> tuple[bytes | None, bytes]:
    """Return the archive to put back, None where the home has its keys, and the log's key."""
    seed_file, key_file = settings.keys_dir / "log.key", settings.keys_dir / "keyring.json"
    if seed_file.exists():
        if key_file.exists() and not set(manifest.kek_ids) <= set(LocalKeyFile.open(key_file).kek_ids()):
            raise KeyPolicyError(
                "The home's keys do not open this backup: a key was rotated or destroyed since.",
                remedy="Put the keys back that belong to this backup, or use a newer backup.",
            )
        return None, read_seed(seed_file)
    if manifest.keys is None or identity is None:
        raise KeyPolicyError(
            "The home has no keys, and no archive of keys can be opened.",
            remedy="Put the room's keys into the home first, or give --identity for a backup made with its keys.",
        )
    sealed = b"".join(repository.read_stream(manifest.keys))
    if (settings.keys_dir / MARKER).exists() or key_file.exists():
        raise NotEmptyError("The home has some keys already.", remedy="Move them away first.")
    return sealed, log_seed_of(sealed, identity)


def _require_empty(settings: Settings, manifest: Manifest) -> None:
    path = sqlite_path(settings.database_url)
    kind = "postgresql" if path is None else "sqlite"
    if kind != manifest.database:
        raise NotEmptyError(
            f"The backup is of {manifest.database}, and the database is {kind}.",
            remedy="Name a database of the same kind in CLEANROOM_DATABASE_URL.",
        )
    if path is not None:
        taken = path.exists() and path.stat().st_size > 0
    else:
        engine = create_engine(settings.database_url, poolclass=NullPool)
        with engine.connect() as connection:
            taken = bool(inspect(connection).get_table_names())
    if taken:
        raise NotEmptyError(
            "There is something in the database already.", remedy="Name an empty database and home."
        )


def _put_files(settings: Settings, repository: Repository, manifest: Manifest, tell: Tell) -> None:
    store, done = LocalDirectory(settings.objects_dir), 0
    for key, digest, size, _ in repository.files(manifest.id):
        done += size
        if not _stands(store, key, repository.place(digest)):
            store.delete(key)
            with store.create(key) as sink:
                repository.copy_out(digest, sink)
        tell("files", done, manifest.files_bytes)


def _stands(store: LocalDirectory, key: str, block: Path) -> bool:
    """Tell whether a file has outlived the loss: all but its header, which the home's keys may have rewrapped."""
    try:
        return ciphertext_sha256(store.path(key)) == ciphertext_sha256(block)
    except (ObjectMissingError, CryptoError):
        return False


def _put_receipts(settings: Settings, repository: Repository, manifest: Manifest) -> None:
    settings.receipts_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in _unbundled(repository.read_stream(manifest.receipts)):
        place = settings.receipts_dir / name
        if place.name == name and not place.exists():
            write_private(place, content)


def _unbundled(blocks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    buffer = bytearray()
    for block in blocks:
        buffer += block
        while (end := buffer.find(b"\n")) >= 0:
            name, size = json.loads(buffer[:end])
            if len(buffer) < end + 1 + size:
                break
            yield str(name), bytes(buffer[end + 1 : end + 1 + size])
            del buffer[: end + 1 + size]
    if buffer:
        raise DamagedBackupError("The receipts of the backup end inside one.")


def _put_sqlite(path: Path, repository: Repository, manifest: Manifest, tell: Tell) -> None:
    ((_, stream),) = manifest.tables.items()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    done = 0
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            for block in repository.read_stream(stream):
                sink.write(block)
                done += len(block)
                tell("database", done, stream.bytes)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def _put_postgresql(url: str, repository: Repository, manifest: Manifest, tell: Tell) -> None:
    """Make the tables and fill them, in one transaction."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        upgrade_within(connection, manifest.revision)
        for table in manifest.order:
            stream = manifest.tables[table]
            _copy_in(connection, table, manifest.columns[table], repository.read_stream(stream))
            tell("database", stream.bytes, stream.bytes)


def _copy_in(connection: Connection, table: str, columns: tuple[str, ...], blocks: Iterator[bytes]) -> None:
    driver: Any = connection.connection.driver_connection
    listed = ", ".join(map(quoted, columns))
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {quoted(table)} ({listed}) FROM STDIN") as copy,
    ):
        for block in blocks:
            copy.write(block)
