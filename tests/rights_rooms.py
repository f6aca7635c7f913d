"""Short words for tests about the rights of people: who is erased, and what is left in the files."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import select

from cleanroom.audit.files import verify_files
from cleanroom.audit.types import Problem
from cleanroom.audit.verify import verify_log
from cleanroom.clock import Clock
from cleanroom.consent.published import published_epochs
from cleanroom.datasets.published import published_versions, replayed_versions
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.rights.models import CompactionRow
from cleanroom.rights.types import Compaction, ErasureOutcome, ErasureReason, ErasureRequest, Identifier
from tests.rooms import Stage, email, phone

DATED_SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {columns: [phone, phone2], default_region: RU}
attributes:
  sex: {type: category, values: [F, M]}
  age: {type: integer, bands: [18, 30, 45]}
  likes: {type: set, values: [sport, music, books], separator: "|", max_values: 2}
  city: {type: category, open: true}
  spent: {type: decimal, scale: 2, clamp: [0, 1000]}
  joined: {type: date}
lawful_basis: consent
consent:
  advertising: {column: ads, granted: ["yes"], withdrawn: [stop], collected_at: seen, expires_at: ends}
"""
DATED_HEADER = "id,email,phone,phone2,sex,age,likes,city,spent,joined,ads,seen,ends"


def dated(number: int, *, key: str = "", seen: str = "2026-01-01T00:00:00Z", **changed: str) -> str:
    """A row of `DATED_SCHEMA`; who it is decides all values that are not given."""
    values = {
        "id": key or f"p{number}",
        "email": email(number),
        "phone": phone(number),
        "phone2": "",
        "sex": "FM"[number % 2],
        "age": str(15 + number % 50),
        "likes": ("", "sport", "music|books", "books")[number % 4],
        "city": f"town-{number % 7}",
        "spent": f"{number % 90}.5",
        "joined": f"2020-01-{1 + number % 28:02}",
        "ads": "yes",
        "seen": seen,
        "ends": "2030-01-01",
    } | changed
    return ",".join(values[name] for name in DATED_HEADER.split(","))


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def asked(*identifiers: tuple[str, str], salt: bytes | None = None, **changed: Any) -> ErasureRequest:
    """A request that names a person by keys and raw values."""
    return ErasureRequest(
        identifiers=tuple(Identifier(key, digest(text)) for key, text in identifiers),
        reason=changed.get("reason", ErasureReason.CONSENT_WITHDRAWN),
        reference=changed.get("reference", "case-1"),
        salt=salt or secrets.token_bytes(32),
    )


def erase(stage: Stage, number: int, *, dataset_id: str = "", by: str = "us_1") -> ErasureOutcome:
    """Have somebody erased by e-mail."""
    return stage.room.rights.erasures.ask(
        dataset_id or stage.dataset_id,
        asked(("email/room", email(number))),
        organisation_id=stage.provider.organisation_id,
        kind=DatasetKind.DATASET,
        by=by,
    )


def hasten(tx: Transaction, dataset_id: str, clock: Clock) -> None:
    """Let the passes over a dataset that wait begin now."""
    for row in tx.session.scalars(select(CompactionRow).where(CompactionRow.dataset_id == dataset_id)):
        row.due_at = min(row.due_at, clock.now())
    tx.session.flush()


def compact(stage: Stage, dataset_id: str = "") -> Compaction:
    """Do what a worker does: plan what is to be planned, and do what is due when its time has come."""
    dataset_id = dataset_id or stage.dataset_id
    rights = stage.room.rights
    rights.compactions.cover()
    with stage.room.db.transaction() as tx:
        hasten(tx, dataset_id, stage.room.clock)
    while rights.compactions.work():
        pass
    with stage.room.db.reading() as tx:
        return rights.compactions.of(tx, dataset_id)[0]


def problems(stage: Stage) -> list[Problem]:
    """Verify the room as an auditor would: the log, the list of files, the files, and what is published."""
    room = stage.room
    report = verify_log(room.settings.database_url, verifier_key=room.audit.verifier_key)
    with room.db.reading() as tx:
        published = [*published_versions(tx), *published_epochs(tx)]
        replayed = list(replayed_versions(tx))
    return [
        *report.problems,
        *replayed,
        *verify_files(published, path_of=room.store.path, stated_roots=report.file_roots),
    ]
