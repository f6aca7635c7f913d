"""The record of processing: which personal data are where, on which basis, since when, for whom, and how kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cleanroom.access.models import UserRow
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock, rfc3339
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import WITHOUT_FILES, Dataset, DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow
from cleanroom.marketplace.models import EntitlementRow
from cleanroom.marketplace.types import EntitlementState
from cleanroom.rights.categories import categories_of
from cleanroom.rights.models import ErasureRow
from cleanroom.rights.retention import Periods
from cleanroom.rights.types import ErasureState, Retention
from cleanroom.workspaces.models import WorkspaceRow
from cleanroom.workspaces.service import Workspaces

MEASURES = (
    "sealed_files_aes_256_gcm",
    "own_keys_of_each_workspace",
    "pseudonyms_keyed_per_workspace",
    "consent_checked_in_every_question",
    "noise_and_privacy_budget",
    "suppression_of_small_cells",
    "roles_and_four_eyes",
    "tamper_evident_log",
    "erasure_and_retention_by_the_room",
)
"""What protects the data, as codes; GDPR article 30(1)(g), and article 19 of 152-FZ."""


@dataclass(frozen=True)
class ProcessingRecords:
    """The service of the record of processing."""

    clock: Clock
    accounts: Accounts
    workspaces: Workspaces
    datasets: Datasets
    periods: Periods
    origin: str

    def record(
        self, tx: Transaction, organisation_id: str, *, offset: int = 0, limit: int | None = None
    ) -> dict[str, Any]:
        """Return an organisation's record: its tables as they are now, and nothing of anybody else's.

        Source: GDPR article 30(1); of the facts that a notification under article 22 of 152-FZ names, those that the
        room knows.

        Args:
            tx: any transaction.
            organisation_id: whose.
            offset: how many tables to pass over, for who looks at a few at a time.
            limit: how many tables at most; None for all.
        """
        organisation = self.accounts.organisation(tx, organisation_id)
        rows = (
            select(DatasetRow.id)
            .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
            .where(WorkspaceRow.organisation_id == organisation_id, DatasetRow.deleted_at.is_(None))
            .order_by(DatasetRow.id)
            .offset(offset)
            .limit(limit)
        )
        tables = [self.datasets.dataset(tx, dataset_id) for dataset_id in tx.session.scalars(rows)]
        staff = select(func.count()).select_from(UserRow).where(UserRow.organisation_id == organisation_id)
        return {
            "v": 1,
            "made_at": rfc3339(self.clock.now()),
            "organisation": {
                "id": organisation.id,
                "name": organisation.name,
                "kind": organisation.kind.value,
            },
            "system": self.origin,
            "security": list(MEASURES),
            "staff": {
                "people": tx.session.scalar(staff) or 0,
                "categories": ["email", "sign_in_records"],
                "basis": "contract",
                "since": rfc3339(organisation.created_at),
            },
            "tables": [self._table(tx, table) for table in tables],
        }

    def _table(self, tx: Transaction, table: Dataset) -> dict[str, Any]:
        workspace = self.workspaces.workspace(tx, table.workspace_id)
        retention = self.periods.of(tx, table.id)
        versions = [
            version for version in self.datasets.versions(tx, table.id) if version.status not in WITHOUT_FILES
        ]
        open_, done = _erasures(tx, table.id)
        return {
            "id": table.id,
            "name": table.name,
            "kind": table.kind.value,
            "data_subjects": "customers" if table.kind is DatasetKind.DATASET else "clients",
            "workspace": {
                "id": workspace.id,
                "name": workspace.name,
                "shredded_at": rfc3339(workspace.destroyed_at) if workspace.destroyed_at else None,
            },
            "lawful_basis": table.schema.lawful_basis,
            "purposes": [consent.purpose for consent in table.schema.consents],
            "categories": categories_of([table.schema]),
            "since": rfc3339(table.created_at),
            "versions": [
                {
                    "id": version.id,
                    "number": version.number,
                    "status": version.status.value,
                    "loaded_at": rfc3339(version.loaded_at) if version.loaded_at else None,
                    "published_at": rfc3339(version.published_at) if version.published_at else None,
                    "ends_on": _end(retention, version.id),
                }
                for version in versions
            ],
            "retention": _rule(retention),
            "recipients": self._recipients(tx, table),
            "erasures": {"waiting": open_, "done": done},
        }

    def _recipients(self, tx: Transaction, table: Dataset) -> list[dict[str, Any]]:
        """Say who gets figures now; nobody gets rows. A base is asked about by its owner alone."""
        rows = (
            select(EntitlementRow, GrantRow.purposes)
            .join(GrantRow, GrantRow.id == EntitlementRow.grant_id)
            .where(
                EntitlementRow.dataset_id == table.id,
                EntitlementRow.state == EntitlementState.ACTIVE.value,
                EntitlementRow.expires_at > self.clock.now(),
            )
            .order_by(EntitlementRow.id)
        )
        return [
            {
                "entitlement_id": row.id,
                "advertiser": self._party(tx, row.advertiser_id),
                "agency": self._party(tx, row.agency_id) if row.agency_id else None,
                "purposes": list(purposes),
                "since": rfc3339(row.valid_from),
                "until": rfc3339(row.expires_at),
                "gets": "released_figures",
            }
            for row, purposes in tx.session.execute(rows).all()
        ]

    def _party(self, tx: Transaction, organisation_id: str) -> dict[str, str]:
        return {"id": organisation_id, "name": self.accounts.organisation(tx, organisation_id).name}


def _erasures(tx: Transaction, dataset_id: str) -> tuple[int, int]:
    counted = select(ErasureRow.state, func.count()).where(ErasureRow.dataset_id == dataset_id)
    by_state = dict(tx.session.execute(counted.group_by(ErasureRow.state)).all())
    return by_state.get(ErasureState.EXCLUDED.value, 0), by_state.get(ErasureState.ERASED.value, 0)


def _rule(retention: Retention | None) -> dict[str, Any] | None:
    if retention is None:
        return None
    rule = retention.rule
    return {
        "version_days": rule.version_days,
        "retain_until": rule.retain_until.isoformat() if rule.retain_until else None,
        "collected_days": rule.collected_days,
    }


def _end(retention: Retention | None, version_id: str) -> str | None:
    end = retention.ends.get(version_id) if retention else None
    return end.isoformat() if end else None


COLUMNS: Sequence[str] = (
    "id",
    "name",
    "kind",
    "workspace",
    "lawful_basis",
    "purposes",
    "identifiers",
    "attributes",
    "special_or_sensitive",
    "since",
    "versions",
    "ends_on",
    "recipients",
    "erasures_waiting",
    "erasures_done",
    "security",
)
"""Of the table that a record is written as: one line for each table of people."""


def lines_of(record: Mapping[str, Any]) -> list[list[str]]:
    """Write a record as lines of text, in `COLUMNS`."""
    lines = []
    for table in record["tables"]:
        attributes = [one for kind in table["categories"]["attributes"].values() for one in kind]
        careful = [one["name"] for one in attributes if one["sensitivity"] != "normal"]
        lines.append(
            [
                table["id"],
                table["name"],
                table["kind"],
                f"{table['workspace']['name']} ({table['workspace']['id']})",
                table["lawful_basis"],
                ", ".join(table["purposes"]),
                ", ".join(table["categories"]["identifiers"]),
                ", ".join(
                    f"{one['name']} ({kind})"
                    for kind, named in table["categories"]["attributes"].items()
                    for one in named
                ),
                ", ".join(careful),
                table["since"],
                ", ".join(f"{one['number']} ({one['status']})" for one in table["versions"]),
                ", ".join(sorted({one["ends_on"] for one in table["versions"] if one["ends_on"]})),
                ", ".join(one["advertiser"]["name"] for one in table["recipients"]),
                str(table["erasures"]["waiting"]),
                str(table["erasures"]["done"]),
                ", ".join(record["security"]),
            ]
        )
    return lines
