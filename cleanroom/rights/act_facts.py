"""What an act says: whose data of what kind, where, why, by whom; with the records of the log, as they stand in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cleanroom.access.models import UserRow
from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.clock import Clock, rfc3339
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Database, Transaction
from cleanroom.rights.categories import categories_of
from cleanroom.rights.models import ErasureRow
from cleanroom.rights.types import ActKind
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces
from cleanroom.wrapping import RetiredKekRow
from crypto.keys import KeyProvider

_MAX_RECORDS = 500
_TOLD = (
    "ingestion.loaded",
    "ingestion.published",
    "datasets.version_retired",
    "datasets.version_deleted",
    "datasets.deleted",
    "rights.retention_ends",
    "rights.retention_ended",
    "rights.retention_set",
    "rights.erasure_asked",
    "rights.version_compacted",
    "rights.changes_compacted",
    "rights.compacted",
    "rights.erased",
    "workspaces.created",
    "workspaces.destroyed",
    "foureyes.asked",
    "foureyes.confirmed",
)
"""Kinds of events that tell how data came and went."""
_SUBJECTS_AT_ONCE = 500


@dataclass(frozen=True)
class Destroyed:
    """The event that destroyed something.

    Attributes:
        index: in the log.
        kind: what was destroyed.
        organisation_id: whose.
        subject_id: the version, dataset, pass or workspace.
        at: when, as the log states it.
        body: of the event.
    """

    index: int
    kind: ActKind
    organisation_id: str
    subject_id: str
    at: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class ActFacts:
    """Collects what an act says, and looks whether it is true."""

    db: Database
    clock: Clock
    accounts: Accounts
    workspaces: Workspaces
    datasets: Datasets
    log: AuditLog
    store: ObjectStore
    keys: KeyProvider
    origin: str

    def see_gone(self, event: Destroyed) -> Mapping[str, Any] | None:
        """Look for what was destroyed, and remove what a killed process has left of it.

        Returns:
            What was looked for, when and how; None while something is still there.
        """
        if event.kind is ActKind.WORKSPACE_SHREDDED:
            return self._keys_gone(event)
        if event.kind is ActKind.ROWS_ERASED:
            # The pass ended only when every replaced file was seen to be gone.
            return {"at": event.at, "how": "replaced_files_absent", "left": 0}
        with self.db.reading() as tx:
            dataset_id = event.body.get("dataset_id", event.subject_id)
            workspace_id = self.datasets.dataset(tx, dataset_id).workspace_id
        # Of each version, or epoch of consents, that the event states to have no files.
        prefixes = [f"{workspace_id}/{subject}/" for subject in event.body["files_roots"]]
        for prefix in prefixes:
            self.store.sweep((), prefix=prefix)
        left = sum(1 for prefix in prefixes for _ in self.store.keys(prefix))
        if left:
            return None
        return {"at": rfc3339(self.clock.now()), "how": "files_absent", "left": 0}

    def _keys_gone(self, event: Destroyed) -> Mapping[str, Any] | None:
        with self.db.transaction() as tx:
            self.workspaces.recover(tx)
            mine = select(RetiredKekRow.kek_id).where(RetiredKekRow.workspace_id == event.subject_id)
            kek_ids = set(tx.session.scalars(mine)) | {event.body["kek_id"]}
        if kek_ids & set(self.keys.kek_ids()):
            return None
        return {
            "at": rfc3339(self.clock.now()),
            "how": "keys_absent",
            "left": 0,
            "kek_ids": sorted(kek_ids),
        }

    def document(self, tx: Transaction, event: Destroyed) -> dict[str, Any]:
        """Return what an act says of an event, besides its number and what was seen."""
        dataset_ids = self._dataset_ids(tx, event)
        rows = tx.session.scalars(select(DatasetRow).where(DatasetRow.id.in_(dataset_ids))).all()
        organisation = self.accounts.organisation(tx, event.organisation_id)
        operators = [
            one.name for one in self.accounts.organisations(tx) if one.kind is OrganisationKind.OPERATOR
        ]
        extract = self._extract(tx, event, dataset_ids)
        workspace_ids = {row.workspace_id for row in rows} | (
            {event.subject_id} if event.kind is ActKind.WORKSPACE_SHREDDED else set()
        )
        return {
            "organisation": {"id": organisation.id, "name": organisation.name},
            "processors": operators,
            "system": {
                "origin": self.origin,
                "workspaces": {
                    workspace_id: self.workspaces.workspace(tx, workspace_id).name
                    for workspace_id in sorted(workspace_ids)
                },
                "datasets": {row.id: row.name for row in rows},
            },
            "subjects": self._subjects(tx, event),
            "categories": categories_of([self.datasets.dataset(tx, row.id).schema for row in rows]),
            "reason": _reason(event, extract),
            "method": _METHODS[event.kind],
            "responsible": self._people(tx, extract),
            "extract": [{"index": index, "record": record.decode()} for index, record in extract],
        }

    def _dataset_ids(self, tx: Transaction, event: Destroyed) -> list[str]:
        if event.kind is ActKind.WORKSPACE_SHREDDED:
            rows = select(DatasetRow.id).where(DatasetRow.workspace_id == event.subject_id)
            return list(tx.session.scalars(rows.order_by(DatasetRow.id)))
        return [event.body.get("dataset_id", event.subject_id)]

    def _subjects(self, tx: Transaction, event: Destroyed) -> dict[str, Any]:
        """Say whose data they were: everybody's in it, or those who asked, by their commitments."""
        if event.kind is not ActKind.ROWS_ERASED:
            return {"who": "everybody", "of": event.subject_id}
        asked = select(ErasureRow).where(ErasureRow.compaction_id == event.subject_id)
        rows = tx.session.scalars(asked.order_by(ErasureRow.id)).all()
        return {
            "who": "requests" if event.body["why"] == "erasure" else "consents_too_old",
            "of": event.body["dataset_id"],
            "collected_before": event.body["collected_before"],
            "requests": [
                {
                    "id": row.id,
                    "commitment": row.commitment,
                    "reason": row.reason,
                    "reference": row.reference,
                    "asked_at": rfc3339(row.asked_at),
                }
                for row in rows
            ],
        }

    def _extract(
        self, tx: Transaction, event: Destroyed, dataset_ids: Sequence[str]
    ) -> list[tuple[int, bytes]]:
        """Return the log's records of what came and went, up to the one after the event, the newest kept."""
        subjects = {event.subject_id, *dataset_ids}
        versions = select(DatasetVersionRow.id).where(DatasetVersionRow.dataset_id.in_(dataset_ids))
        if event.kind is ActKind.ROWS_ERASED:
            subjects |= set(event.body["versions"])
            erased = select(ErasureRow.id).where(ErasureRow.compaction_id == event.subject_id)
            subjects |= set(tx.session.scalars(erased))
        elif event.kind is not ActKind.VERSION_DELETED:
            subjects |= set(tx.session.scalars(versions))
        found = _asks(tx, event) if event.kind is ActKind.WORKSPACE_SHREDDED else {}
        listed = sorted(subjects)
        for start in range(0, len(listed), _SUBJECTS_AT_ONCE):
            some = select(AuditEvent.index, AuditEvent.record).where(
                AuditEvent.subject_id.in_(listed[start : start + _SUBJECTS_AT_ONCE]),
                AuditEvent.kind.in_(_TOLD),
            )
            found |= dict(tx.session.execute(some).all())
        return sorted(found.items())[-_MAX_RECORDS:]

    def _people(self, tx: Transaction, extract: Sequence[tuple[int, bytes]]) -> list[dict[str, str]]:
        """Name who asked and confirmed, as far as the log says it; who signs adds the rest by hand."""
        ids = dict.fromkeys(who for _, record in extract for who in _named(record))
        rows = {row.id: row for row in tx.session.scalars(select(UserRow).where(UserRow.id.in_(list(ids))))}
        return [
            {
                "id": who,
                "email": rows[who].email if who in rows else "",
                "role": rows[who].role if who in rows else "",
            }
            for who in ids
        ]


_METHODS = {
    ActKind.VERSION_DELETED: "files_deleted",
    ActKind.DATASET_DELETED: "files_deleted",
    ActKind.ROWS_ERASED: "files_rewritten",
    ActKind.WORKSPACE_SHREDDED: "keys_destroyed",
}


def _asks(tx: Transaction, event: Destroyed) -> dict[int, bytes]:
    """Return the records of the two people who had a workspace shredded."""
    rows = select(AuditEvent.index, AuditEvent.record).where(
        AuditEvent.organisation_id == event.organisation_id,
        AuditEvent.kind.in_(("foureyes.asked", "foureyes.confirmed")),
    )
    return {
        index: record
        for index, record in tx.session.execute(rows)
        if json.loads(record)["body"]["about"] == event.subject_id
    }


def _named(record: bytes) -> list[str]:
    """Return the ids of people in a record."""
    body = json.loads(record)["body"]
    return [body[name] for name in ("asked_by", "by") if isinstance(body.get(name), str)]


def _reason(event: Destroyed, extract: Sequence[tuple[int, bytes]]) -> dict[str, Any]:
    """Say why: people asked, a period was over, or the owner decided."""
    if event.kind is ActKind.ROWS_ERASED:
        return {"code": "requests" if event.body["why"] == "erasure" else "retention"}
    for _, record in reversed(extract):
        told = json.loads(record)
        if told["kind"] == "rights.retention_ended" and told["subject"] == event.subject_id:
            return {"code": "retention", "rule": told["body"]}
        if told["kind"] == "foureyes.confirmed":
            return {"code": "owner", "text": told["body"]["reason"]}
    return {"code": "owner"}
