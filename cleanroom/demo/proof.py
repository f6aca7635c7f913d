"""Step eight: the log is verified, a copy of it is tampered with, and verification names what was changed."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cleanroom.audit.verify import verify_log
from cleanroom.client.receipts import verify_receipt
from cleanroom.demo.results import Proven
from cleanroom.room import Room

_COPY = "copy.sqlite3"


def prove(room: Room, receipts: Sequence[Path], *, work_dir: Path) -> Proven:
    """Verify the room's log and receipts with the public key, and show what tampering looks like.

    Args:
        room: with its database in a SQLite file.
        receipts: files to verify.
        work_dir: where the copy to be damaged is put; it is removed again.

    Returns:
        What was found.
    """
    key = room.audit.verifier_key
    with room.db.transaction() as tx:
        checkpoint = room.audit.checkpoint(tx)
    report = verify_log(room.settings.database_url, verifier_key=key, against=[checkpoint])
    for path in receipts:
        verify_receipt(path.read_bytes(), verifier_key=key)
    copy = work_dir / _COPY
    try:
        tampering = _tamper(room.settings.home / "room.sqlite3", copy)
        damaged = verify_log(copy, verifier_key=key)
    finally:
        copy.unlink(missing_ok=True)
    return Proven(
        events=report.events,
        checkpoint=checkpoint,
        verifier_key=key,
        verified=report.ok,
        receipts_verified=len(receipts),
        tampering=tampering,
        found=tuple(str(problem) for problem in damaged.problems),
    )


def keep_evidence(proven: Proven, receipts: Sequence[Path], directory: Path) -> tuple[Path, ...]:
    """Copy what an auditor needs out of a room that will be gone: receipts, checkpoint and verifier key.

    Returns:
        The copies of the receipts.
    """
    folder = directory / "receipts"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("an_*.json"):  # of an earlier run, under another key
        old.unlink()
    (directory / "checkpoint.txt").write_text(proven.checkpoint, encoding="utf-8")
    (directory / "verifier.key").write_text(proven.verifier_key + "\n", encoding="utf-8")
    return tuple(Path(shutil.copy2(path, folder / path.name)) for path in receipts)


def _tamper(database: Path, copy: Path) -> str:
    """Copy a database as a thief would and make the last grant ten times as large."""
    with (
        closing(sqlite3.connect(database)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        source.backup(target)
        for (trigger,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            target.execute(f'DROP TRIGGER "{trigger}"')
        query = (
            'SELECT "index", record FROM audit_events '
            "WHERE kind = 'grants.grant_issued' ORDER BY \"index\" DESC LIMIT 1"
        )
        index, record = target.execute(query).fetchone()
        granted = json.loads(record)["body"]["rho_micro"]
        changed = bytes(record).replace(b'"rho_micro":%d' % granted, b'"rho_micro":%d' % (10 * granted))
        target.execute('UPDATE audit_events SET record = ? WHERE "index" = ?', (changed, index))
    return f"in record {index} the grant was changed from {granted:,} to {10 * granted:,} micro-rho"
