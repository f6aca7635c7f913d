"""A room's beginnings: made in an empty home, and opened again."""

from pathlib import Path

from cleanroom.audit.reading import sqlite_path
from cleanroom.clock import Clock, SystemClock
from cleanroom.db.migrate import upgrade
from cleanroom.errors import CleanroomError
from cleanroom.room import Room, compose
from cleanroom.settings import Settings
from crypto.checkpoint import CheckpointError, open_note
from crypto.durable import write_private
from crypto.keys import LocalKeyFile, generate_signing_key


class RoomMissingError(CleanroomError):
    """There is no room in this home, or a part of it is gone."""

    code = "bootstrap.room_missing"


class RoomExistsError(CleanroomError):
    """There is a room in this home already."""

    code = "bootstrap.room_exists"


def init_room(settings: Settings, *, clock: Clock | None = None) -> Room:
    """Make a room in an empty home: keys first, the database last, so that a crash in between can be repeated.

    Args:
        settings: where and how.
        clock: tells the time.

    Raises:
        RoomExistsError: the home has a room already, or the database belongs to another one.
    """
    key_file, seed_file = settings.keys_dir / "keyring.json", settings.keys_dir / "log.key"
    marker = settings.keys_dir / "room"
    if marker.exists():
        raise RoomExistsError(
            "This home has a room already.", remedy="Open it, or choose an empty directory."
        )
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_file.exists():
        LocalKeyFile.create(key_file)
    if not seed_file.exists():
        write_private(seed_file, generate_signing_key())
    database = sqlite_path(settings.database_url)
    if database is not None and not database.exists():
        # SQLite gives its journals the mode of the database, and would make that readable to others.
        write_private(database, b"")
    settings.head_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    room = compose(settings, clock or SystemClock())
    upgrade(room.db.engine)
    _require_own(room)
    with room.db.transaction() as tx:
        if room.audit.size(tx) == 0:
            tx.audit(
                "room.created", subject_id=settings.origin, body={"verifier_key": room.audit.verifier_key}
            )
    with room.db.reading() as tx:
        # A crash just after its first event must not make it look restored; but one that was used is not healed here.
        if room.audit.size(tx) == 1:
            room.audit.adopt(tx)
    room.consents.mirror.begin(room.clock.now())
    settings.verifier_key_path.write_text(room.audit.verifier_key + "\n", encoding="utf-8")
    write_private(marker, b"1\n")
    return room


def open_room(settings: Settings, *, clock: Clock | None = None) -> Room:
    """Open a room, bring its database up to date and clean up after crashes.

    A restored room opens too, but nothing is cleaned up: what an old database does not know would be taken for litter.

    Raises:
        RoomMissingError: there is no room in the home, or its keys are gone; never are new ones made instead.
        KeyFileExposedError: others can read the keys.
        KeysSealedError: people have not given their shares yet.
    """
    for name in ("room", "keyring.json", "log.key"):
        if not (settings.keys_dir / name).exists():
            raise RoomMissingError(
                f"This home has no room: {Path('keys') / name} is missing.",
                remedy="Make a room first, or restore the home from a backup together with its keys.",
            )
    room = compose(settings, clock or SystemClock())
    upgrade(room.db.engine)
    with room.db.transaction() as tx:
        room.workspaces.recover(tx)
        room.marketplace.entitlements.expire(tx)
        room.access.sweep(tx)
        restored = room.grants.restored(tx) is not None
    # A restored room does not know what was withdrawn before its mirror began.
    room.consents.mirror.begin(room.clock.now())
    if not restored:
        room.ingestion.recover()
        room.uploads.sweep()
    # A restored database may have forgotten that a question was answered: no worker may answer it again.
    room.analyses.recover(queued=restored)
    return room


def _require_own(room: Room) -> None:
    """Leave alone a database with a log that another room's key has signed."""
    with room.db.reading() as tx:
        if room.audit.size(tx) == 0:
            return
        try:
            open_note(room.audit.head(tx), room.audit.verifier_key)
            return
        except CheckpointError:
            pass
    room.close()
    raise RoomExistsError(
        "The database belongs to another room.",
        remedy="Name another database, or restore that room's home with its keys.",
    )
