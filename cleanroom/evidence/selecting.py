"""Choosing the events of a bundle, and the rest that stands in it as hashes, in the order of the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from cleanroom.audit.models import AuditEvent
from cleanroom.db.database import Transaction
from cleanroom.evidence.types import Wanted

_ROWS_AT_ONCE = 2_000
POLICIES, CONSENTS = ("rules.",), ("consent.",)
KEYS = (
    "room.created",
    "accounts.key_",
    "access.key_",
    "access.token_keys_",
    "workspaces.created",
    "workspaces.destroyed",
    "workspaces.kek_",
    "workspaces.token_secret_",
    "ingestion.token_key_",
    "signin.kek_",
    "signin.secret_made",
    "webhooks.kek_",
)
"""What kinds begin with, of events that tell the history of keys."""
RECEIPTS = ("release.released", "release.refused")


@dataclass(frozen=True)
class Shown:
    """An event that a bundle shows.

    Attributes:
        index: its place in the log.
        kind: its kind.
        record: canonical JSON, as hashed.
    """

    index: int
    kind: str
    record: bytes


def shown_events(tx: Transaction, wanted: Wanted, *, size: int, kinds: Sequence[str] = ()) -> Iterator[Shown]:
    """Yield the events that a bundle shows, in the order of the log and bounded memory.

    Args:
        tx: a reading transaction.
        wanted: which.
        size: of the log that the bundle goes by.
        kinds: only those whose kinds begin so, when any is given.
    """
    rows = select(AuditEvent.index, AuditEvent.kind, AuditEvent.record).where(*_conditions(wanted))
    if kinds:
        rows = rows.where(_begins(*kinds))
    after = -1
    while True:
        page = rows.where(AuditEvent.index > after, AuditEvent.index < size).order_by(AuditEvent.index)
        found = tx.session.execute(page.limit(_ROWS_AT_ONCE)).all()
        if not found:
            return
        yield from (Shown(index, kind, record) for index, kind, record in found)
        after = found[-1][0]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.organisation_id is not None:
        conditions.append(AuditEvent.organisation_id == wanted.organisation_id)
    if wanted.until is not None:
        conditions.append(AuditEvent.recorded_at < wanted.until)
    of_dataset: Any = None if wanted.dataset_id is None else AuditEvent.dataset_id == wanted.dataset_id
    inside = [one for one in (of_dataset,) if one is not None]
    if wanted.since is not None:
        inside.append(AuditEvent.recorded_at >= wanted.since)
    if inside:
        rules = _begins(*POLICIES, *CONSENTS)
        before = rules if of_dataset is None else and_(rules, of_dataset)
        conditions.append(or_(and_(*inside), before, _begins(*KEYS)))
    return conditions


def _begins(*beginnings: str) -> ColumnElement[bool]:
    return or_(*(AuditEvent.kind.startswith(one, autoescape=True) for one in beginnings))
